;; Everything of a policy but the attack. Not a component: the tests put it where a file says `;; include policy-prelude`.
;;
;; A function `f` comes from the module `$attack` of that file when it exports "f", else from `$good`: the tests write
;; one of the two names for each `$f-from` below. An export "after-review" is called when the answer is copied.

  (core module $good
    (memory (export "memory") 1)
    ;; All arguments go to the same place, one over the other: nobody here reads them.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (data (i32.const 0) "hostile")
    (data (i32.const 8) "1.0.0")
    (data (i32.const 16) "a policy for tests")
    (data (i32.const 64)                                    ;; description
      "\00\00\00\00" "\07\00\00\00"                         ;;   name
      "\08\00\00\00" "\05\00\00\00"                         ;;   version
      "\10\00\00\00" "\12\00\00\00"                         ;;   summary
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   url: none
      "\01\00\00\00"                                        ;;   shapes: yes
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00")         ;;   settings-schema: none
    (func (export "describe") (result i32) (i32.const 64))

    ;; A list of length 0.
    (func (export "check-settings") (param i32 i32) (result i32) (i32.const 1024))

    (data (i32.const 128) "{}")
    (data (i32.const 132)                                   ;; layers
      "\80\00\00\00" "\02\00\00\00"                         ;;   defaults
      "\80\00\00\00" "\02\00\00\00")                        ;;   overrides
    (func (export "shape") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 132))

    (data (i32.const 160) "hostile/rule")
    (data (i32.const 176) "seen")
    (data (i32.const 192)                                   ;; problem
      "\a0\00\00\00" "\0c\00\00\00"                         ;;   code
      "\02\00\00\00"                                        ;;   severity: info
      "\b0\00\00\00" "\04\00\00\00"                         ;;   message
      "\00\00\00\00" "\00\00\00\00"                         ;;   path: empty
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   help: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   url: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00")         ;;   fix: none
    (data (i32.const 256) "\c0\00\00\00" "\01\00\00\00")    ;; a list of that one problem
    (func (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 256)))

  (core instance $good (instantiate $good))
  (core instance $attack (instantiate $attack))

  (type $severity (enum "error" "warning" "info"))
  (type $phase (enum "load" "submit"))
  (type $description (record
    (field "name" string) (field "version" string) (field "summary" string) (field "url" (option string))
    (field "shapes" bool) (field "settings-schema" (option string))))
  (type $problem (record
    (field "code" string) (field "severity" $severity) (field "message" string) (field "path" string)
    (field "help" (option string)) (field "url" (option string)) (field "fix" (option string))))
  (type $request (record
    (field "phase" $phase) (field "workflow" string) (field "step" string) (field "config" string)
    (field "settings" string) (field "open" (list string))))
  (type $layers (record (field "defaults" string) (field "overrides" string)))

  (func $describe (result $description)
    (canon lift (core func $describe-from "describe") (memory (core memory $describe-from "memory"))))
  (func $check-settings (param "settings" string) (result (list $problem))
    (canon lift (core func $check-settings-from "check-settings")
      (memory (core memory $check-settings-from "memory")) (realloc (core func $check-settings-from "realloc"))))
  (func $shape (param "request" $request) (result $layers)
    (canon lift (core func $shape-from "shape")
      (memory (core memory $shape-from "memory")) (realloc (core func $shape-from "realloc"))))
  (func $review (param "request" $request) (result (list $problem))
    (canon lift (core func $review-from "review")
      (memory (core memory $review-from "memory")) (realloc (core func $review-from "realloc"))
      ;; after review
    ))

  (instance (export "runner:policy/review@0.1.0")
    (export "severity" (type $severity)) (export "phase" (type $phase)) (export "description" (type $description))
    (export "problem" (type $problem)) (export "request" (type $request)) (export "layers" (type $layers))
    (export "describe" (func $describe)) (export "check-settings" (func $check-settings))
    (export "shape" (func $shape)) (export "review" (func $review)))
