;; S01: `check-settings` never returns.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func (export "check-settings") (param i32 i32) (result i32)
      (loop $forever (br $forever))
      unreachable))

  ;; include policy-prelude
)
