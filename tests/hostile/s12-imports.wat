;; S12: a policy that asks for the time, for chance, for sockets, and for an interface nobody knows.
(component
  (import "wasi:clocks/wall-clock@0.2.0" (instance))
  (import "wasi:random/random@0.2.0" (instance))
  (import "wasi:sockets/tcp@0.2.0" (instance))
  (import "acme:secrets/store" (instance))
  (instance (export "runner:policy/review@0.1.0"))
)
