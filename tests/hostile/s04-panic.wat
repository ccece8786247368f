;; S04: panics, as Rust does: machinery with well-known names stands above the function that panicked.
(component
  (core module $attack
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))

    (func $rust_panic unreachable)
    (func $"core::panicking::panic_fmt::h0123456789abcdef" (call $rust_panic))
    (func $"no_ports::check::hfedcba9876543210" (call $"core::panicking::panic_fmt::h0123456789abcdef"))
    (func $review (export "review") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (call $"no_ports::check::hfedcba9876543210")
      (i32.const 1024)))

  ;; include policy-prelude
)
