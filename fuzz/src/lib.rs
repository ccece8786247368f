//! What must hold of any bytes, one module a target. A target panics where it does not hold.
//!
//! No fuzzer is named here: the ordinary tests include this file and replay every input that was ever found.

pub mod load;
pub mod quantity;
pub mod template;
