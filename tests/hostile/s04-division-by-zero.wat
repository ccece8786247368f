;; S04: divides by zero.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func $average (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func $review (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (call $average (i32.const 0))))

  ;; include policy-prelude
)
