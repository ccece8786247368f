//! The sandbox: components of the rules and of policies are read, compiled, limited and called here.
//!
//! Every call gets an instance without imports, a deadline, a bound on its memory and a bound on its answer, so an answer
//! is a function of its request. Every call of a policy gets a fresh one; the core policy keeps its own for the questions
//! about one file. Whatever a component does comes back as words: [`LoadError`] before anything
//! is looked at, [`Failure`](model::review::Failure) or [`CoreError`] from a call. Nothing here prints, and nothing
//! outside this folder names wasmtime.

mod cache;
mod core;
mod engine;
mod failure;
mod field;
mod file;
mod json;
mod limits;
mod load_error;
mod policy;
mod words;
mod world;

pub use self::cache::CacheWarning;
pub use self::core::{CoreDescription, CoreError, CorePolicy, Loaded, OpenCore, Role, Source};
pub use self::engine::{Component, Engine, EngineError};
pub use self::file::{ComponentFile, MAX_FILE_BYTES, Sha256Digest, Sha256ParseError};
pub use self::limits::{Limits, Usage};
pub use self::load_error::LoadError;
pub use self::policy::{Description, Layers, Policy, Request};
pub use self::world::World;
