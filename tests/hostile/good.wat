;; No attack: the policy of the prelude as it is. Its one answer is what every other test looks for afterwards.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768)))

  ;; include policy-prelude
)
