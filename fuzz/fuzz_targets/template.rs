//! libFuzzer's way into [`runner_fuzz::template`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runner_fuzz::template::run(bytes));
