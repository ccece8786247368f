;; S10: a core module, the thing a component is made of.
(module
  (func (export "review")))
