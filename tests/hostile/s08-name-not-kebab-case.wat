;; S08: a name that would break the codes made from it.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "no/such name")
    (data (i32.const 64)                                    ;; description; the rest is empty, none and no
      "\00\00\00\00" "\0c\00\00\00")                        ;;   name
    (func (export "describe") (result i32) (i32.const 64)))

  ;; include policy-prelude
)
