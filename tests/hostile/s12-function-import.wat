;; S12: a policy that asks for a plain function.
(component
  (import "now" (func (result u64)))
  (instance (export "runner:policy/review@0.1.0"))
)
