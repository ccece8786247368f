;; S09: clears the terminal in its message, at a place that no config has. Not a failure: who shows it escapes it.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "hostile/rule")
    (data (i32.const 16) "\1b[2J")
    (data (i32.const 32) "no.such[9].place")
    (data (i32.const 64)                                    ;; problem
      "\00\00\00\00" "\0c\00\00\00"                         ;;   code
      "\00\00\00\00"                                        ;;   severity: error
      "\10\00\00\00" "\04\00\00\00"                         ;;   message
      "\20\00\00\00" "\10\00\00\00"                         ;;   path
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   help: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   url: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00")         ;;   fix: none
    (data (i32.const 192) "\40\00\00\00" "\01\00\00\00")    ;; a list of that one problem
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 192)))

  ;; include policy-prelude
)
