//! The embedded cluster as clients see it: everything here goes through `kube`, or `kubectl`.
//!
//! Where pods are scripts, tokio's clock is paused and hours pass in milliseconds; where they are processes, time is real
//! and waits are for conditions, with a deadline.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "the exemption for tests does not reach the functions they share"
)]

mod api;
mod deletion;
mod faults;
mod jobs;
mod kubectl;
mod logs;
mod pods;
mod support;
mod watches;
