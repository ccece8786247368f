;; S07: the defaults are a list, not an object.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 256) "[1]")
    (data (i32.const 0) "{}")
    (data (i32.const 8)                                     ;; layers
      "\00\01\00\00" "\03\00\00\00"                         ;;   defaults: [1]
      "\00\00\00\00" "\02\00\00\00")                        ;;   overrides: {}
    (func (export "shape") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include policy-prelude
)
