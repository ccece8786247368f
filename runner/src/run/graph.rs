//! The steps of a run as a graph: what may start now, and what never will.
//!
//! A pure data structure: no clock, no task, no cluster. A step is known by its place in the file.

use std::collections::{BTreeSet, HashMap};

use model::workflow::Workflow;

use crate::outcome::StepStatus;

/// The steps of a run with their states.
#[derive(Debug, Clone)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Steps whose upstreams have all let them pass, in file order.
    ready: BTreeSet<usize>,
    active: usize,
    /// Steps that may be active at once.
    most: usize,
    stopped: bool,
}

#[derive(Debug, Clone)]
struct Node {
    name: String,
    status: StepStatus,
    /// In the order of `depends`.
    upstream: Vec<usize>,
    downstream: Vec<usize>,
    /// Upstreams that have not ended.
    open: usize,
}

/// A step that will never start, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its place.
    pub step: usize,
    /// `aborted` or `skipped`.
    pub status: StepStatus,
    /// The reason in words.
    pub message: String,
}

impl Graph {
    /// The steps of a workflow, none of them begun; at most `most` run at once, 0: no limit.
    pub fn new(workflow: &Workflow, most: usize) -> Graph {
        let places: HashMap<&str, usize> =
            workflow.steps.iter().enumerate().map(|(place, step)| (step.name.as_str(), place)).collect();
        let mut nodes: Vec<Node> = workflow
            .steps
            .iter()
            .map(|step| {
                let upstream: Vec<usize> =
                    step.depends.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
                Node {
                    name: step.name.clone(),
                    status: StepStatus::NotStarted,
                    open: upstream.len(),
                    upstream,
                    downstream: Vec::new(),
                }
            })
            .collect();
        let edges: Vec<(usize, usize)> =
            nodes.iter().enumerate().flat_map(|(to, node)| node.upstream.iter().map(move |from| (*from, to))).collect();
        for (from, to) in edges {
            if let Some(node) = nodes.get_mut(from) {
                node.downstream.push(to);
            }
        }
        let ready = nodes.iter().enumerate().filter(|(_, node)| node.open == 0).map(|(place, _)| place).collect();
        Graph { nodes, ready, active: 0, most: if most == 0 { usize::MAX } else { most }, stopped: false }
    }

    /// Steps that start now, in file order: each counts as running from here on.
    pub fn start(&mut self) -> Vec<usize> {
        let mut started = Vec::new();
        while !self.stopped && self.active < self.most {
            let Some(place) = self.ready.pop_first() else { break };
            if let Some(node) = self.nodes.get_mut(place) {
                node.status = StepStatus::Running;
                self.active += 1;
                started.push(place);
            }
        }
        started
    }

    /// A step that was started has ended. Returns the steps that will therefore never start, in the order in which that
    /// becomes known.
    pub fn end(&mut self, step: usize, status: StepStatus) -> Vec<Settled> {
        self.active = self.active.saturating_sub(1);
        let mut settled = Vec::new();
        self.close(step, status, &mut settled);
        settled
    }

    fn close(&mut self, step: usize, status: StepStatus, settled: &mut Vec<Settled>) {
        let mut closed = vec![(step, status)];
        while let Some((step, status)) = closed.pop() {
            let Some(node) = self.nodes.get_mut(step) else { continue };
            node.status = status;
            let downstream = node.downstream.clone();
            for place in downstream.into_iter().rev() {
                let Some(node) = self.nodes.get_mut(place) else { continue };
                node.open = node.open.saturating_sub(1);
                if node.open > 0 || node.status != StepStatus::NotStarted {
                    continue;
                }
                match self.bad_upstream(place) {
                    None => {
                        self.ready.insert(place);
                    }
                    Some((status, message)) => {
                        settled.push(Settled { step: place, status, message });
                        closed.push((place, status));
                    }
                }
            }
        }
    }

    /// The first upstream, in the order of `depends`, that does not let the step start.
    fn bad_upstream(&self, step: usize) -> Option<(StepStatus, String)> {
        let node = self.nodes.get(step)?;
        node.upstream.iter().filter_map(|place| self.nodes.get(*place)).find_map(|upstream| match upstream.status {
            StepStatus::Failed => Some((StepStatus::Aborted, format!("upstream {} failed", upstream.name))),
            StepStatus::Aborted => Some((StepStatus::Aborted, format!("upstream {} was aborted", upstream.name))),
            StepStatus::Skipped => Some((StepStatus::Skipped, format!("upstream {} was skipped", upstream.name))),
            StepStatus::NotStarted | StepStatus::Running | StepStatus::Retrying | StepStatus::Succeeded => None,
        })
    }

    /// Nothing more starts.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether no step runs and none will start.
    pub fn is_over(&self) -> bool {
        self.active == 0 && (self.stopped || self.ready.is_empty())
    }

    /// Ends all steps that have not begun: the run was stopped. Returns them in file order.
    pub fn abandon(&mut self, message: &str) -> Vec<Settled> {
        self.ready.clear();
        let mut settled = Vec::new();
        for (step, node) in self.nodes.iter_mut().enumerate() {
            if node.status == StepStatus::NotStarted {
                node.status = StepStatus::Aborted;
                settled.push(Settled { step, status: StepStatus::Aborted, message: message.to_owned() });
            }
        }
        settled
    }

    /// The states, in file order.
    pub fn statuses(&self) -> impl Iterator<Item = StepStatus> + '_ {
        self.nodes.iter().map(|node| node.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a b:a c:a,b` is three steps with what they depend on.
    fn graph(text: &str, most: usize) -> Graph {
        let steps = text
            .split_whitespace()
            .map(|step| {
                let (name, depends) = step.split_once(':').unwrap_or((step, ""));
                let depends: Vec<&str> = depends.split(',').filter(|name| !name.is_empty()).collect();
                serde_json::json!({
                    "name": name, "kind": "kubernetes", "depends": depends, "path": "steps[0]",
                    "position": {"source": 0, "line": 1, "column": 1, "offset": 0, "length": 0},
                })
            })
            .map(|step| serde_json::from_value(step).unwrap())
            .collect();
        Graph::new(&Workflow { steps, ..Workflow::default() }, most)
    }

    fn statuses(graph: &Graph) -> String {
        graph.statuses().map(StepStatus::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn steps_start_when_everything_they_depend_on_succeeded() {
        let mut graph = graph("a b:a c:a d:b,c", 0);
        assert_eq!(graph.start(), [0]);
        assert!(graph.start().is_empty());
        assert_eq!(graph.end(0, StepStatus::Succeeded), []);
        assert_eq!(graph.start(), [1, 2]);
        graph.end(2, StepStatus::Succeeded);
        assert!(graph.start().is_empty());
        graph.end(1, StepStatus::Succeeded);
        assert_eq!(graph.start(), [3]);
        assert!(!graph.is_over());
        graph.end(3, StepStatus::Succeeded);
        assert!(graph.is_over());
    }

    #[test]
    fn a_failure_aborts_what_depends_on_it_and_nothing_else() {
        let mut graph = graph("a b:a c:b d e:d,b", 0);
        assert_eq!(graph.start(), [0, 3]);
        let settled = graph.end(0, StepStatus::Failed);
        let told: Vec<(usize, &str)> = settled.iter().map(|one| (one.step, one.message.as_str())).collect();
        assert_eq!(told, [(1, "upstream a failed"), (2, "upstream b was aborted")]);
        assert_eq!(graph.end(3, StepStatus::Succeeded).len(), 1);
        assert_eq!(statuses(&graph), "failed aborted aborted succeeded aborted");
        assert!(graph.is_over());
    }

    #[test]
    fn the_first_bad_upstream_in_the_order_of_depends_decides() {
        let mut graph = graph("a b c:b,a", 0);
        graph.start();
        graph.end(0, StepStatus::Skipped);
        let settled = graph.end(1, StepStatus::Failed);
        assert_eq!(settled[0].message, "upstream b failed");
    }

    #[test]
    fn no_more_than_the_limit_run_at_once_in_file_order() {
        let mut graph = graph("a b c d", 2);
        assert_eq!(graph.start(), [0, 1]);
        graph.end(1, StepStatus::Failed);
        assert_eq!(graph.start(), [2]);
        graph.stop();
        graph.end(0, StepStatus::Succeeded);
        assert!(graph.start().is_empty());
        assert!(!graph.is_over());
        graph.end(2, StepStatus::Aborted);
        assert!(graph.is_over());
        assert_eq!(graph.abandon("the run was cancelled").len(), 1);
        assert_eq!(statuses(&graph), "succeeded failed aborted aborted");
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let text: Vec<String> = (0..50_000).map(|n| format!("s{n}:s{}", n - 1)).skip(1).collect();
        let mut graph = graph(&format!("s0 {}", text.join(" ")), 0);
        assert_eq!(graph.start(), [0]);
        assert_eq!(graph.end(0, StepStatus::Failed).len(), 49_999);
    }
}
