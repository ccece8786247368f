//! The steps of a run as a graph: what may start now, and what never will.
//!
//! A pure data structure: no clock, no task, no cluster. A step is known by its place in the file.

use std::collections::{BTreeSet, HashMap};

use model::workflow::Workflow;

use crate::outcome::{RunStatus, StepStatus};

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
    /// It failed or was skipped, and `continue_on` lets those that depend on it start all the same.
    excused: bool,
    /// What `continue_on` says about a skip.
    continues_when_skipped: bool,
    /// What `continue_on` makes of an excused step.
    marks_success: bool,
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
                    excused: false,
                    continues_when_skipped: step.continue_on.as_ref().is_some_and(|on| on.skipped),
                    marks_success: step.continue_on.as_ref().is_some_and(|on| on.mark_success),
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

    /// Steps that start now, or go on after a pause, in file order: each counts as running from here on.
    pub fn start(&mut self) -> Vec<usize> {
        let mut started = Vec::new();
        while self.active < self.most {
            let Some(place) = self.next() else { break };
            self.ready.remove(&place);
            if let Some(node) = self.nodes.get_mut(place) {
                node.status = StepStatus::Running;
                self.active += 1;
                started.push(place);
            }
        }
        started
    }

    /// A step that an earlier process began goes on: it runs, whatever else may start.
    pub fn begin(&mut self, step: usize) {
        self.ready.remove(&step);
        if let Some(node) = self.nodes.get_mut(step) {
            node.status = StepStatus::Running;
            self.active += 1;
        }
    }

    /// A step ended in an earlier process. Returns what [`Graph::end`] does.
    pub fn restore(&mut self, step: usize, status: StepStatus, excused: bool) -> Vec<Settled> {
        self.begin(step);
        self.end(step, status, excused)
    }

    /// The first step that may run; of a stopped run only one that has begun.
    fn next(&self) -> Option<usize> {
        let begun = |place: &&usize| self.nodes.get(**place).is_some_and(|node| node.status == StepStatus::Retrying);
        self.ready.iter().find(|place| !self.stopped || begun(place)).copied()
    }

    /// A running step waits for its next attempt: its place is another's meanwhile.
    pub fn pause(&mut self, step: usize) {
        if let Some(node) = self.nodes.get_mut(step)
            && node.status == StepStatus::Running
        {
            node.status = StepStatus::Retrying;
            self.active = self.active.saturating_sub(1);
        }
    }

    /// The wait of a paused step is over: it goes on as soon as there is a place for it.
    pub fn go_on(&mut self, step: usize) {
        if self.nodes.get(step).is_some_and(|node| node.status == StepStatus::Retrying) {
            self.ready.insert(step);
        }
    }

    /// A step that was started has ended. `excused`: it failed, and its `continue_on` lets others start all the same.
    /// Returns the steps that will therefore never start, in the order in which that becomes known.
    pub fn end(&mut self, step: usize, status: StepStatus, excused: bool) -> Vec<Settled> {
        self.active = match self.nodes.get(step).map(|node| node.status) {
            // Ended in its pause: it holds no place.
            Some(StepStatus::Retrying) => self.active,
            _ => self.active.saturating_sub(1),
        };
        self.ready.remove(&step);
        let mut settled = Vec::new();
        self.close(step, status, excused, &mut settled);
        settled
    }

    fn close(&mut self, step: usize, status: StepStatus, excused: bool, settled: &mut Vec<Settled>) {
        let mut closed = vec![(step, status, excused)];
        while let Some((step, status, excused)) = closed.pop() {
            let Some(node) = self.nodes.get_mut(step) else { continue };
            node.excused = excused || status == StepStatus::Skipped && node.continues_when_skipped;
            node.status = if node.excused && node.marks_success { StepStatus::Succeeded } else { status };
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
                        closed.push((place, status, false));
                    }
                }
            }
        }
    }

    /// The first upstream, in the order of `depends`, that does not let the step start.
    fn bad_upstream(&self, step: usize) -> Option<(StepStatus, String)> {
        let node = self.nodes.get(step)?;
        let upstreams = node.upstream.iter().filter_map(|place| self.nodes.get(*place));
        upstreams.filter(|upstream| !upstream.excused).find_map(|upstream| match upstream.status {
            StepStatus::Failed => Some((StepStatus::Aborted, format!("upstream {} failed", upstream.name))),
            StepStatus::Aborted => Some((StepStatus::Aborted, format!("upstream {} was aborted", upstream.name))),
            StepStatus::Skipped => Some((StepStatus::Skipped, format!("upstream {} was skipped", upstream.name))),
            StepStatus::NotStarted | StepStatus::Running | StepStatus::Retrying | StepStatus::Succeeded => None,
        })
    }

    /// The status of a step, after `continue_on`.
    pub fn status(&self, step: usize) -> Option<StepStatus> {
        self.nodes.get(step).map(|node| node.status)
    }

    /// Whether `continue_on` excused a step.
    pub fn is_excused(&self, step: usize) -> bool {
        self.nodes.get(step).is_some_and(|node| node.excused)
    }

    /// How the run ended as far as its steps tell: with `unexcused` failures, excused ones, or none.
    pub fn status_of_run(&self) -> RunStatus {
        let failed = |node: &&Node| node.status == StepStatus::Failed;
        if self.nodes.iter().filter(failed).any(|node| !node.excused) {
            return RunStatus::Failed;
        }
        match (
            self.nodes.iter().any(|node| failed(&node)),
            self.nodes.iter().any(|node| node.status == StepStatus::Succeeded),
        ) {
            (false, _) => RunStatus::Succeeded,
            (true, true) => RunStatus::PartiallySucceeded,
            (true, false) => RunStatus::Failed,
        }
    }

    /// No further step begins; one that has begun may go on.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether no step runs or waits for its next attempt, and none will start.
    pub fn is_over(&self) -> bool {
        let pauses = || self.nodes.iter().any(|node| node.status == StepStatus::Retrying);
        self.active == 0 && (self.stopped || self.ready.is_empty()) && !pauses()
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
    use model::workflow::ContinueOn;

    use super::*;

    /// `a b:a c:a,b` is three steps with what they depend on.
    fn graph(text: &str, most: usize) -> Graph {
        Graph::new(&workflow(text), most)
    }

    fn workflow(text: &str) -> Workflow {
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
        Workflow { steps, ..Workflow::default() }
    }

    fn statuses(graph: &Graph) -> String {
        graph.statuses().map(StepStatus::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn steps_start_when_everything_they_depend_on_succeeded() {
        let mut graph = graph("a b:a c:a d:b,c", 0);
        assert_eq!(graph.start(), [0]);
        assert!(graph.start().is_empty());
        assert_eq!(graph.end(0, StepStatus::Succeeded, false), []);
        assert_eq!(graph.start(), [1, 2]);
        graph.end(2, StepStatus::Succeeded, false);
        assert!(graph.start().is_empty());
        graph.end(1, StepStatus::Succeeded, false);
        assert_eq!(graph.start(), [3]);
        assert!(!graph.is_over());
        graph.end(3, StepStatus::Succeeded, false);
        assert!(graph.is_over());
    }

    #[test]
    fn a_failure_aborts_what_depends_on_it_and_nothing_else() {
        let mut graph = graph("a b:a c:b d e:d,b", 0);
        assert_eq!(graph.start(), [0, 3]);
        let settled = graph.end(0, StepStatus::Failed, false);
        let told: Vec<(usize, &str)> = settled.iter().map(|one| (one.step, one.message.as_str())).collect();
        assert_eq!(told, [(1, "upstream a failed"), (2, "upstream b was aborted")]);
        assert_eq!(graph.end(3, StepStatus::Succeeded, false).len(), 1);
        assert_eq!(statuses(&graph), "failed aborted aborted succeeded aborted");
        assert!(graph.is_over());
    }

    #[test]
    fn the_first_bad_upstream_in_the_order_of_depends_decides() {
        let mut graph = graph("a b c:b,a", 0);
        graph.start();
        graph.end(0, StepStatus::Skipped, false);
        let settled = graph.end(1, StepStatus::Failed, false);
        assert_eq!(settled[0].message, "upstream b failed");
    }

    #[test]
    fn no_more_than_the_limit_run_at_once_in_file_order() {
        let mut graph = graph("a b c d", 2);
        assert_eq!(graph.start(), [0, 1]);
        graph.end(1, StepStatus::Failed, false);
        assert_eq!(graph.start(), [2]);
        graph.stop();
        graph.end(0, StepStatus::Succeeded, false);
        assert!(graph.start().is_empty());
        assert!(!graph.is_over());
        graph.end(2, StepStatus::Aborted, false);
        assert!(graph.is_over());
        assert_eq!(graph.abandon("the run was cancelled").len(), 1);
        assert_eq!(statuses(&graph), "succeeded failed aborted aborted");
    }

    #[test]
    fn a_graph_that_is_taken_up_goes_on_where_it_was() {
        let mut graph = graph("a b:a c:a d:b,c e:d f", 1);
        // In any order: `b` depends on `a`.
        assert_eq!(graph.restore(1, StepStatus::Succeeded, false), []);
        assert_eq!(graph.restore(0, StepStatus::Succeeded, false), []);
        graph.begin(2);
        assert!(graph.start().is_empty(), "`c` has the only place");
        let settled = graph.end(2, StepStatus::Failed, false);
        assert_eq!(settled.iter().map(|one| one.step).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(graph.start(), [5]);
        assert_eq!(statuses(&graph), "succeeded succeeded failed aborted aborted running");
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let text: Vec<String> = (0..50_000).map(|n| format!("s{n}:s{}", n - 1)).skip(1).collect();
        let mut graph = graph(&format!("s0 {}", text.join(" ")), 0);
        assert_eq!(graph.start(), [0]);
        assert_eq!(graph.end(0, StepStatus::Failed, false).len(), 49_999);
    }

    fn with(text: &str, step: usize, continue_on: ContinueOn) -> Graph {
        let mut workflow = workflow(text);
        workflow.steps[step].continue_on = Some(continue_on);
        Graph::new(&workflow, 0)
    }

    #[test]
    fn an_excused_failure_lets_others_start_and_the_run_succeed_in_part() {
        let mut graph = graph("a b:a", 0);
        graph.start();
        assert_eq!(graph.end(0, StepStatus::Failed, true), []);
        assert_eq!(graph.start(), [1]);
        assert_eq!(graph.status_of_run(), RunStatus::Failed);
        graph.end(1, StepStatus::Succeeded, false);
        assert_eq!(graph.status_of_run(), RunStatus::PartiallySucceeded);
        assert_eq!(statuses(&graph), "failed succeeded");
    }

    #[test]
    fn an_excused_step_that_marks_success_is_one() {
        let mut graph = with("a b:a", 0, ContinueOn { mark_success: true, ..ContinueOn::default() });
        graph.start();
        graph.end(0, StepStatus::Failed, true);
        assert_eq!(statuses(&graph), "succeeded not_started");
        assert_eq!(graph.status_of_run(), RunStatus::Succeeded);
    }

    #[test]
    fn a_skip_goes_downstream_unless_it_is_excused() {
        let mut skipping = graph("a b:a c:b", 0);
        skipping.start();
        assert_eq!(skipping.end(0, StepStatus::Skipped, false).len(), 2);
        assert_eq!(statuses(&skipping), "skipped skipped skipped");
        assert_eq!(skipping.status_of_run(), RunStatus::Succeeded);

        let mut excused = with("a b:a c:b", 0, ContinueOn { skipped: true, ..ContinueOn::default() });
        excused.start();
        assert_eq!(excused.end(0, StepStatus::Skipped, false), []);
        assert_eq!(excused.start(), [1]);
    }

    #[test]
    fn a_step_that_waits_for_its_next_attempt_gives_its_place_away() {
        let mut graph = graph("a b c", 1);
        assert_eq!(graph.start(), [0]);
        graph.pause(0);
        assert_eq!(graph.start(), [1]);
        graph.go_on(0);
        assert!(graph.start().is_empty());
        graph.end(1, StepStatus::Succeeded, false);
        // In file order: what goes on comes before what begins.
        assert_eq!(graph.start(), [0]);
        graph.pause(0);
        graph.stop();
        assert!(!graph.is_over());
        graph.go_on(0);
        assert_eq!(graph.start(), [0]);
        graph.pause(0);
        graph.end(0, StepStatus::Aborted, false);
        assert!(graph.is_over());
        assert!(graph.start().is_empty());
    }
}
