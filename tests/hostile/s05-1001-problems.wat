;; S05: a list of 1,001 problems; all of them lie in the zeros of its memory.
(component
  (core module $attack
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 8) "\00\00\01\00" "\e9\03\00\00")      ;; a list at 65536 of 1,001 problems
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include policy-prelude
)
