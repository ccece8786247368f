;; S11: the interface of a policy with only one of its functions.
(component
  (core module $module
    (memory (export "memory") 1)
    (func (export "describe") (result i32) (i32.const 0)))
  (core instance $instance (instantiate $module))
  (type $description (record
    (field "name" string) (field "version" string) (field "summary" string) (field "url" (option string))
    (field "shapes" bool) (field "settings-schema" (option string))))
  (func $describe (result $description)
    (canon lift (core func $instance "describe") (memory (core memory $instance "memory"))))
  (instance (export "runner:policy/review@0.1.0")
    (export "description" (type $description))
    (export "describe" (func $describe)))
)
