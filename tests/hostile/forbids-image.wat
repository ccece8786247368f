;; No attack: a policy that refuses every step in whose config the image `evil` stands, for the tests of what is known
;; only when a step starts.
(component
  (core module $attack
    (memory (export "memory") 4)

    ;; Arguments one behind the other.
    (global $free (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32) (param i32) (param i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.get $at))

    (data (i32.const 0) "hostile/image")
    (data (i32.const 16) "this image is forbidden")
    (data (i32.const 48) "image")
    (data (i32.const 64)                                    ;; problem
      "\00\00\00\00" "\0d\00\00\00"                         ;;   code
      "\00\00\00\00"                                        ;;   severity: error
      "\10\00\00\00" "\17\00\00\00"                         ;;   message
      "\30\00\00\00" "\05\00\00\00"                         ;;   path
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   help: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00"          ;;   url: none
      "\00\00\00\00" "\00\00\00\00" "\00\00\00\00")         ;;   fix: none
    (data (i32.const 192) "\40\00\00\00" "\01\00\00\00")    ;; a list of that one problem
    (data (i32.const 200) "\40\00\00\00" "\00\00\00\00")    ;; an empty list

    ;; phase, workflow, step, config, settings, open: each but the first with its length.
    (func (export "review")
      (param i32 i32 i32 i32 i32) (param $config i32) (param $length i32) (param i32 i32 i32 i32) (result i32)
      (local $end i32)
      (local.set $end (i32.sub (i32.add (local.get $config) (local.get $length)) (i32.const 4)))
      (block $done
        (loop $next
          (br_if $done (i32.gt_u (local.get $config) (local.get $end)))
          ;; "evil", little end first
          (if (i32.eq (i32.load align=1 (local.get $config)) (i32.const 0x6c697665)) (then (return (i32.const 192))))
          (local.set $config (i32.add (local.get $config) (i32.const 1)))
          (br $next)))
      (i32.const 200)))

  ;; include policy-prelude
)
