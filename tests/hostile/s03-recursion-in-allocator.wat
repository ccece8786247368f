;; S03: the allocator calls itself without end.
(component
  (core module $attack
    (memory (export "memory") 1)

    (func $deeper (export "realloc") (param i32 i32 i32 i32) (result i32)
      (i32.add (i32.const 1) (call $deeper (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))

  ;; include policy-prelude
)
