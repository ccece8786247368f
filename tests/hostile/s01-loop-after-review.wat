;; S01: `review` answers at once; the function that is called when the answer has been copied never returns.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "after-review") (param i32) (loop $forever (br $forever))))

  ;; include policy-prelude
)
