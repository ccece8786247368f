;; S02: takes ten thousand table elements, and again, without end.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (table $table 1 funcref)
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (loop $more
        (drop (table.grow $table (ref.null func) (i32.const 10000)))
        (br $more))
      unreachable))

  ;; include policy-prelude
)
