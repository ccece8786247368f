//! x
mod tidy;

mod hostile;
