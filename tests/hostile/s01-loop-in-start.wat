;; S01: the start function never returns, so there is never an instance.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func $start (loop $forever (br $forever)))
    (start $start))

  ;; include policy-prelude
)
