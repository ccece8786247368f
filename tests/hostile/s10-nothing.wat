;; S10: a component without exports.
(component)
