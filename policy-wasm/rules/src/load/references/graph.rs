//! Which steps are above which: for 64 of them at once, in one pass over all steps.
//!
//! So a file of ten thousand steps that all use outputs of others takes no longer than it takes to read it.

use std::collections::HashMap;

use model::workflow::Workflow;

/// The steps in an order in which each comes behind those it depends on.
pub(super) struct Graph {
    order: Vec<usize>,
    upstream: Vec<Vec<usize>>,
}

impl Graph {
    /// None: there is a circle, which is said.
    pub(super) fn new(workflow: &Workflow) -> Option<Graph> {
        let places: HashMap<&str, usize> =
            workflow.steps.iter().enumerate().map(|(index, step)| (step.name.as_str(), index)).collect();
        let upstream: Vec<Vec<usize>> = workflow
            .steps
            .iter()
            .map(|step| step.depends.iter().filter_map(|name| places.get(name.as_str()).copied()).collect())
            .collect();
        let mut downstream: Vec<Vec<usize>> = vec![Vec::new(); upstream.len()];
        let mut waits: Vec<usize> = Vec::with_capacity(upstream.len());
        for (index, above) in upstream.iter().enumerate() {
            waits.push(above.len());
            for other in above {
                if let Some(below) = downstream.get_mut(*other) {
                    below.push(index);
                }
            }
        }
        let mut order: Vec<usize> =
            waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(index, _)| index).collect();
        let mut next = 0;
        while let Some(index) = order.get(next).copied() {
            next += 1;
            for below in downstream.get(index).into_iter().flatten() {
                if let Some(waits) = waits.get_mut(*below) {
                    *waits -= 1;
                    if *waits == 0 {
                        order.push(*below);
                    }
                }
            }
        }
        (order.len() == upstream.len()).then_some(Graph { order, upstream })
    }

    /// Steps and dependencies.
    pub(super) fn size(&self) -> usize {
        self.upstream.iter().map(|above| above.len() + 1).sum()
    }

    /// For each step the bits of all steps above it.
    pub(super) fn above(&self, seeds: &HashMap<usize, u64>) -> Vec<u64> {
        let mut above = vec![0_u64; self.upstream.len()];
        for index in &self.order {
            let bits = self.upstream.get(*index).into_iter().flatten().fold(0, |bits, other| {
                bits | above.get(*other).copied().unwrap_or(0) | seeds.get(other).copied().unwrap_or(0)
            });
            if let Some(above) = above.get_mut(*index) {
                *above = bits;
            }
        }
        above
    }
}
