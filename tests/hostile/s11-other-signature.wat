;; S11: `describe` answers only a name.
(component
  (core module $module
    (memory (export "memory") 1)
    (func (export "describe") (result i32) (i32.const 0)))
  (core instance $instance (instantiate $module))
  (func $describe (result string)
    (canon lift (core func $instance "describe") (memory (core memory $instance "memory"))))
  (instance (export "runner:policy/review@0.1.0")
    (export "describe" (func $describe)))
)
