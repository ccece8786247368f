//! libFuzzer's way into [`runner_fuzz::load`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runner_fuzz::load::run(bytes));
