;; S20: a core policy whose workflow is a list.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "[]")
    (data (i32.const 8)                                     ;; loaded
      "\01\00\00\00" "\00\00\00\00" "\02\00\00\00"          ;;   workflow: []
      "\00\00\00\00" "\02\00\00\00"                         ;;   layers: []
      "\00\00\00\00" "\02\00\00\00")                        ;;   problems: []
    (func (export "load") (param i32 i32 i32 i32) (result i32) (i32.const 8)))

  ;; include core-prelude
)
