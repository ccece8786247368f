//! End to end: everything a user can see, and the rules of the house.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admission;
mod cli;
mod cluster_choice;
mod contract;
mod corpus;
mod coverage;
mod example_ends;
mod examples;
mod faults;
mod fuzzed;
mod hostile;
mod laws;
mod lifecycle;
mod man;
mod pages;
mod policies;
mod process;
mod process_faults;
mod rbac;
mod reference_page;
mod resume;
mod rules_page;
mod runs;
mod states;
mod tables;
mod tidy;
mod workflow;
mod workflow_process;
