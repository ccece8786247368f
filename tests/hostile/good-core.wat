;; No attack: the core policy of the prelude as it is.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768)))

  ;; include core-prelude
)
