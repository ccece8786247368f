;; S02: three memories of 30 MiB, each within the limit.
(component
  (core module $attack
    (memory (export "memory") 480)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (memory 480)
    (memory 480)
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))

  ;; include policy-prelude
)
