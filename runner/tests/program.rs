//! The program starts. That this test exists makes Cargo build the program before any test of the workspace runs, which
//! the end-to-end tests rely on.

use std::process::Command;

#[test]
fn the_program_says_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_runner")).arg("--version").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), concat!("runner ", env!("CARGO_PKG_VERSION"), "\n"));
}
