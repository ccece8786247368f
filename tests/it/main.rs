//! End to end: everything a user can see, and the rules of the house.

mod admission;
mod cli;
mod contract;
mod corpus;
mod hostile;
mod laws;
mod tidy;
