;; S08: a problem without a code.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "hostile/rule")
    (data (i32.const 16) "seen")
    (data (i32.const 64)                                    ;; problem
      "\00\00\00\00" "\00\00\00\00"                         ;;   code: empty
      "\00\00\00\00"                                        ;;   severity: error
      "\10\00\00\00" "\04\00\00\00"                         ;;   message
      "\00\00\00\00" "\00\00\00\00"                         ;;   path: empty
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   help: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   url: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00")         ;;   fix: none
    (data (i32.const 192) "\40\00\00\00" "\01\00\00\00")    ;; a list of that one problem
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 192)))

  ;; include policy-prelude
)
