;; S10: a component of the other world, as far as its exports tell.
(component
  (instance (export "runner:policy/rules@0.1.0"))
)
