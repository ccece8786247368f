;; S02: a memory that threads share, and that no limiter is asked about.
(component
  (core module $attack
    (memory (export "memory") 1 65536 shared)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768)))

  ;; include policy-prelude
)
