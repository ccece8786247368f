;; S01: the allocator never returns, so the request is never copied in.
(component
  (core module $attack
    (memory (export "memory") 1)

    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (loop $forever (br $forever))
      unreachable)
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))

  ;; include policy-prelude
)
