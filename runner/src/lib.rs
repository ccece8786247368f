//! Runs the steps of a workflow file as Kubernetes Jobs, under rules that live in WASM components.
//!
//! The flow: [`sources`] are read, [`policy_set`] says which rules are in force, [`plan`] asks them about the file,
//! [`admission`] asks again about the final values of one step, [`manifest`] makes the Job of what was admitted,
//! and [`report`] shows what came out. Modules stand in that order. A stage is a type only the stage before can make.

pub mod cli;
pub mod commands;

pub mod admission;
pub mod interpolate;
pub mod manifest;
pub mod plan;
pub mod policy_set;
pub mod sources;
pub mod wasm;

pub mod dotenv;
pub mod mask;
pub mod secrets;
pub mod small_file;

pub mod cluster;
pub mod condition;
pub mod event;
pub mod host;
pub mod journal;
pub mod local;
pub mod outcome;
pub mod output;
pub mod run;
pub mod signals;
pub mod step;

pub mod report;
