//! libFuzzer's way into [`runner_fuzz::quantity`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runner_fuzz::quantity::run(bytes));
