//! Counts what clients ask for, so that a test can say how many requests something took.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Enough for a run of thousands of steps; beyond it the oldest are forgotten.
const KEPT: usize = 100_000;

/// A request of a client, as it came in. Whether it was granted is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// The resource with its subresource: `jobs`, `pods/log`; empty for discovery and the like.
    pub resource: String,
    /// Empty for cluster-wide requests.
    pub namespace: String,
    /// Of what is created, the name in its body; empty for collections.
    pub name: String,
    /// Whether the client asked to change nothing (`dryRun=All`).
    pub is_dry_run: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Requests {
    seen: Mutex<VecDeque<Request>>,
}

impl Requests {
    pub(crate) fn note(&self, request: Request) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= KEPT {
            seen.pop_front();
        }
        seen.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
