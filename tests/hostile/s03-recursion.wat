;; S03: calls itself without end. The addition keeps it from being a loop.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func $deeper (param i32) (result i32)
      (i32.add (i32.const 1) (call $deeper (local.get 0))))
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (call $deeper (i32.const 0))))

  ;; include policy-prelude
)
