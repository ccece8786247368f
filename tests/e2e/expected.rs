//! The tests that are known to fail, and why: `expected-failures.yaml`.

use serde::Deserialize;
use tests::{ClusterKind, root};

/// A test that fails on one of the clusters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedFailure {
    /// Name of the test, as the suite prints it.
    pub(crate) test: String,
    /// Where it fails.
    pub(crate) cluster: ClusterKind,
    /// Why, and what will end it.
    pub(crate) reason: String,
}

/// All of them.
pub(crate) fn all() -> Vec<ExpectedFailure> {
    let file = root().join("tests/e2e/expected-failures.yaml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()))
}
