;; S20: a core policy whose `load` never returns.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func (export "load") (param i32 i32 i32 i32) (result i32)
      (loop $forever (br $forever))
      unreachable))

  ;; include core-prelude
)
