;; S05: a list of a million problems in 64 MB of zeros: 150 MB once copied.
(component
  (core module $attack
    (memory (export "memory") 980)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 8) "\00\00\01\00" "\40\42\0f\00")      ;; a list at 65536 of 1,000,000 problems
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include policy-prelude
)
