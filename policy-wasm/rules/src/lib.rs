//! The rules of the workflow file as pure functions: [`load()`] reads, [`merge()`] folds layers, [`check()`] judges the
//! result.
//!
//! A function answers a value **and** a list of problems; nothing stops at the first. The core policy component is a
//! thin adapter over this crate, and the component is the only rules engine of the product: the native build serves
//! tests. No clock, no file, no network, no environment.

mod check;
mod load;
mod merge;
mod suggest;
mod typed;
mod yaml;

pub use check::check;
pub use load::{Loaded, Role, Source, load};
pub use merge::merge;

/// Version of the rules.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
