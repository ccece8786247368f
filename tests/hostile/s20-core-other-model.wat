;; S20: a core policy that speaks another version of the JSON shapes.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "core")
    (data (i32.const 8) "7.3")
    (data (i32.const 64)                                    ;; description
      "\00\00\00\00" "\04\00\00\00"                         ;;   name
      "\08\00\00\00" "\03\00\00\00"                         ;;   version
      "\08\00\00\00" "\03\00\00\00")                        ;;   model: 7.3
    (func (export "describe") (result i32) (i32.const 64)))

  ;; include core-prelude
)
