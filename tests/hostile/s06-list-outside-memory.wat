;; S06: a list of one problem beyond the end of memory.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 8) "\00\00\00\70" "\01\00\00\00")      ;; a list at 1.75 GiB of one problem
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include policy-prelude
)
