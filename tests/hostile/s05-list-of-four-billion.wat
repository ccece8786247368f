;; S05: a list of 4,294,967,295 problems in a memory of 64 KiB.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 8) "\00\10\00\00" "\ff\ff\ff\ff")      ;; a list at 4096 of 4,294,967,295 problems
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include policy-prelude
)
