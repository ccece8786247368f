;; S04: reads beyond its memory.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func $peek (param i32) (result i32) (i32.load (local.get 0)))
    (func $review (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (call $peek (i32.const 65533))))

  ;; include policy-prelude
)
