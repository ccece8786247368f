;; S02: wants 4 GiB before anything runs.
(component
  (core module $attack
    (memory (export "memory") 65536)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))

  ;; include policy-prelude
)
