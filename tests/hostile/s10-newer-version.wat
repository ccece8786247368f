;; S10: a policy of another version of the interface.
(component
  (instance (export "runner:policy/review@0.2.0"))
)
