;; S07: the schema of the settings is no JSON.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "hostile")
    (data (i32.const 8) "object")
    (data (i32.const 64)                                    ;; description
      "\00\00\00\00" "\07\00\00\00"                         ;;   name
      "\00\00\00\00" "\00\00\00\00"                         ;;   version: empty
      "\00\00\00\00" "\00\00\00\00"                         ;;   summary: empty
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   url: none
      "\00\00\00\00"                                        ;;   shapes: no
      "\01\00\00\00" "\08\00\00\00" "\06\00\00\00")         ;;   settings-schema: object
    (func (export "describe") (result i32) (i32.const 64)))

  ;; include policy-prelude
)
