//! The types that cross between the rules, the policies and the runner, and what is said about them.
//!
//! Everything here is plain data and pure functions, for wasm32 and native alike. It never reads a file, a clock, the
//! network or the environment. What a key of the file means is described once, in `config/` and `workflow.rs`, by
//! [`field::Mapping`] tables: type check, normal form, suggestion and JSON Schema all read the same table.
//!
//! Modules in reading order.

pub mod config;
pub mod document;
pub mod field;
pub mod layer;
pub mod names;
pub mod path;
pub mod pattern;
pub mod problem;
pub mod quantity;
pub mod report;
pub mod review;
pub mod schema;
pub mod syntax;
pub mod template;
pub mod workflow;

/// Version of the JSON shapes that cross the component boundary, `major.minor`.
///
/// A host refuses a core policy of another major version; a higher minor version may add fields.
pub const MODEL_VERSION: &str = "0.1";
