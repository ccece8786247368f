;; S07: the defaults have a key twice. Readers differ in which one counts.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 256) "{\22image\22: \22good\22, \22image\22: \22evil\22}")
    (data (i32.const 0) "{}")
    (data (i32.const 8)                                     ;; layers
      "\00\01\00\00" "\22\00\00\00"                         ;;   defaults: two images
      "\00\00\00\00" "\02\00\00\00")                        ;;   overrides: {}
    (func (export "shape") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include policy-prelude
)
