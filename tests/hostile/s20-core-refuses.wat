;; S20: a core policy that refuses every argument of `merge`, and answers for a step nobody named in `check`.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "not today")
    (data (i32.const 16) "\01\00\00\00" "\00\00\00\00" "\09\00\00\00")    ;; error: not today
    (func (export "merge") (param i32 i32 i32 i32) (result i32) (i32.const 16)))

  ;; include core-prelude
)
