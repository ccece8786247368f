;; A policy that fails: it runs into `unreachable`.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func $give_up unreachable)
    (func $judge (call $give_up))
    (func $review (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (call $judge)
      (i32.const 1024)))

  ;; include policy-prelude
)
