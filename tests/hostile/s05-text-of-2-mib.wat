;; S05: one problem with a message of 2 MiB.
(component
  (core module $attack
    (memory (export "memory") 64)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "hostile/rule")
    (data (i32.const 64)                                    ;; problem
      "\00\00\00\00" "\0c\00\00\00"                         ;;   code
      "\00\00\00\00"                                        ;;   severity: error
      "\00\01\00\00" "\00\00\20\00")                        ;;   message: 2,097,152 bytes
    (data (i32.const 192) "\40\00\00\00" "\01\00\00\00")    ;; a list of that one problem
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 192)))

  ;; include policy-prelude
)
