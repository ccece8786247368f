;; S08: calls itself `core`, to speak with the codes of the rules.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "core")
    (data (i32.const 64)                                    ;; description; the rest is empty, none and no
      "\00\00\00\00" "\04\00\00\00")                        ;;   name
    (func (export "describe") (result i32) (i32.const 64)))

  ;; include policy-prelude
)
