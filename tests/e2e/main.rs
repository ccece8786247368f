//! The program against a cluster, from the file to the end of the run. Every test runs unchanged on the embedded cluster
//! and, with `RUNNER_TEST_KUBECONFIG`, on a real one: what we believe about Kubernetes is proved against Kubernetes, and
//! what the embedded cluster plays is held to it.
//!
//! What is known to fail stands in `expected-failures.yaml`: which test, where, why. A test there that passes fails the
//! suite. `RUNNER_TEST_RESTART_APISERVER` is a shell command that restarts the API server of the real cluster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod containers;
mod differential;
mod disruptions;
mod endings;
mod fields;
mod limits;
mod logs;
mod network;
mod rights;
mod starts;

mod expected;
mod run;
mod suite;
mod workflow;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(&[
        ("endings", endings::TESTS),
        ("starts", starts::TESTS),
        ("limits", limits::TESTS),
        ("disruptions", disruptions::TESTS),
        ("containers", containers::TESTS),
        ("fields", fields::TESTS),
        ("logs", logs::TESTS),
        ("network", network::TESTS),
        ("rights", rights::TESTS),
        ("differential", differential::TESTS),
    ])
}
