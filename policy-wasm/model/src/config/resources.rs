//! Requests and limits of the container.

use std::collections::BTreeMap;

use crate::field::{map, mapping, quantity};
use crate::quantity::Quantity;
use crate::syntax::Syntax;

mapping! {
    /// Requests and limits by resource name: `cpu`, `memory`, `ephemeral-storage`, `hugepages-<size>` or an extended
    /// resource as `nvidia.com/gpu`.
    pub struct Resources {
        /// What the scheduler sets aside for the container.
        requests: BTreeMap<String, Quantity> = map(&quantity()).keys(Syntax::ResourceName);
        /// What the container may use at most.
        limits: BTreeMap<String, Quantity> = map(&quantity()).keys(Syntax::ResourceName);
    }
}
