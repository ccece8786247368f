;; Everything of a core policy but the attack; put in and completed as `policy-prelude.wat` is.

  (core module $good
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "core")
    (data (i32.const 8) "1.0.0")
    (data (i32.const 16) "0.1")
    (data (i32.const 64)                                    ;; description
      "\00\00\00\00" "\04\00\00\00"                         ;;   name
      "\08\00\00\00" "\05\00\00\00"                         ;;   version
      "\10\00\00\00" "\03\00\00\00")                        ;;   model
    (func (export "describe") (result i32) (i32.const 64))

    (data (i32.const 128) "[]")
    (data (i32.const 132)                                   ;; loaded
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   workflow: none
      "\80\00\00\00" "\02\00\00\00"                         ;;   layers: []
      "\80\00\00\00" "\02\00\00\00")                        ;;   problems: []
    (func (export "load") (param i32 i32 i32 i32) (result i32) (i32.const 132))

    (data (i32.const 192) "\00\00\00\00" "\80\00\00\00" "\02\00\00\00")    ;; ok: []
    (func (export "merge") (param i32 i32 i32 i32) (result i32) (i32.const 192))
    (func (export "check") (param i32 i32 i32) (result i32) (i32.const 192))
    (func (export "report") (param i32 i32) (result i32) (i32.const 192))

    (data (i32.const 256) "{}")
    (data (i32.const 260) "\00\01\00\00" "\02\00\00\00")    ;; {}
    (func (export "schema") (result i32) (i32.const 260)))

  (core instance $good (instantiate $good))
  (core instance $attack (instantiate $attack))

  (type $description (record (field "name" string) (field "version" string) (field "model" string)))
  (type $role (enum "base" "workflow"))
  (type $source (record (field "name" string) (field "text" string) (field "role" $role)))
  (type $loaded (record (field "workflow" (option string)) (field "layers" string) (field "problems" string)))
  (type $phase (enum "load" "submit"))

  (func $describe (result $description)
    (canon lift (core func $describe-from "describe") (memory (core memory $describe-from "memory"))))
  (func $load (param "sources" (list $source)) (param "arguments" (list string)) (result $loaded)
    (canon lift (core func $load-from "load")
      (memory (core memory $load-from "memory")) (realloc (core func $load-from "realloc"))))
  (func $merge (param "layers" string) (param "steps" string) (result (result string (error string)))
    (canon lift (core func $merge-from "merge")
      (memory (core memory $merge-from "memory")) (realloc (core func $merge-from "realloc"))))
  (func $check (param "phase" $phase) (param "steps" string) (result (result string (error string)))
    (canon lift (core func $check-from "check")
      (memory (core memory $check-from "memory")) (realloc (core func $check-from "realloc"))))
  (func $report (param "answers" string) (result (result string (error string)))
    (canon lift (core func $report-from "report")
      (memory (core memory $report-from "memory")) (realloc (core func $report-from "realloc"))))
  (func $schema (result string)
    (canon lift (core func $schema-from "schema") (memory (core memory $schema-from "memory"))))

  (instance (export "runner:policy/rules@0.1.0")
    (export "description" (type $description)) (export "role" (type $role)) (export "source" (type $source))
    (export "loaded" (type $loaded)) (export "phase" (type $phase))
    (export "describe" (func $describe)) (export "load" (func $load)) (export "merge" (func $merge))
    (export "check" (func $check)) (export "report" (func $report)) (export "schema" (func $schema)))
