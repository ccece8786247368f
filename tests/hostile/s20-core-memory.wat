;; S20: a core policy whose `load` takes memory without end.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func (export "load") (param i32 i32 i32 i32) (result i32)
      (loop $more
        (drop (memory.grow (i32.const 16)))
        (br $more))
      unreachable))

  ;; include core-prelude
)
