;; S07: the defaults are an object of lists in lists, 100,000 deep: a reader that recurses is dead.
(component
  (core module $attack
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 256) "{\22a\22:")
    (data (i32.const 0) "{}")
    (data (i32.const 8)                                     ;; layers
      "\00\01\00\00" "\a5\86\01\00"                         ;;   defaults: {"a":[[[…
      "\00\00\00\00" "\02\00\00\00")                        ;;   overrides: {}
    (func (export "shape") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (memory.fill (i32.const 261) (i32.const 0x5b) (i32.const 100000))    ;; [
      (i32.const 8)))

  ;; include policy-prelude
)
