;; A policy that shapes: it puts values under those of the file and above them, and says something about the result.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 256) "{\"labels\": {\"team\": \"platform\", \"tier\": \"batch\"}}")
    (data (i32.const 512) "{\"image_pull_policy\": \"Always\", \"labels\": {\"tier\": \"no label\"}}")
    (data (i32.const 0)                                     ;; layers
      "\00\01\00\00" "\31\00\00\00"                         ;;   defaults
      "\00\02\00\00" "\3f\00\00\00")                        ;;   overrides
    (func (export "shape") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))

  ;; include policy-prelude
)
