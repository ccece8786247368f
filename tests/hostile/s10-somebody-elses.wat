;; S10: a component that has nothing to do with policies.
(component
  (core module $module (func (export "run")))
  (core instance $instance (instantiate $module))
  (func (export "run") (canon lift (core func $instance "run")))
)
