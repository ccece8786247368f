//! What becomes of a generated workflow in the real engine, on a paused clock and the embedded cluster.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use local_cluster::{LocalCluster, Script};
use runner::outcome::{Outcome, StepStatus};
use tests::faults::{Fault, seconds};

use super::reference::{Fate, Prediction};
use super::workflow::{End, Task, Workflow, printed};

/// What became of a workflow.
pub(super) struct Played {
    /// In the words of the reference.
    pub(super) found: Prediction,
    /// Steps that ran at the same time, at most; handlers are not counted.
    pub(super) most_at_once: usize,
}

/// Runs it.
pub(super) fn play(workflow: &Workflow) -> Played {
    let seen_cluster: Rc<OnceCell<LocalCluster>> = Rc::default();
    let tasks: Vec<(String, Task)> = tasks(workflow).map(|(name, task)| (job_prefix(&name), task.clone())).collect();
    let cluster_of_run = seen_cluster.clone();
    let seen = Fault::new("states")
        .workflow(workflow.written())
        .cluster(move |cluster| {
            for (number, (prefix, task)) in tasks.iter().enumerate() {
                put_scripts(cluster, prefix, task, number as u64);
            }
            let _ = cluster_of_run.set(cluster.clone());
        })
        .run();
    let created: Vec<String> = seen_cluster
        .get()
        .expect("the cluster was set up")
        .requests()
        .into_iter()
        .filter(|request| request.verb == "create" && request.resource == "jobs")
        .map(|request| request.name)
        .collect();
    let fate = |name: String| {
        let prefix = job_prefix(&name);
        let attempts = created.iter().filter(|job| job.starts_with(&prefix)).count();
        let end = seen.steps.get(&name);
        let status = end.map_or(StepStatus::NotStarted, |end| end.status);
        let outcome = end.and_then(|end| end.verdict.as_ref()).map(|verdict| &verdict.outcome);
        let code = outcome.and_then(Outcome::exit_code).map(|code| u8::try_from(code).expect("a code of a process"));
        (name, Fate { status, attempts, code })
    };
    let steps: BTreeMap<String, Fate> = tasks_names(workflow).map(fate).collect();
    let found = Prediction { steps, status: seen.end.status, exit_code: seen.end.exit_code.number() };
    Played { found, most_at_once: most_at_once(workflow, &seen.screen) }
}

/// Steps between the start and the end of an attempt, as the screen tells it.
fn most_at_once(workflow: &Workflow, screen: &str) -> usize {
    let names: BTreeSet<String> = (0..workflow.steps.len()).map(|place| workflow.name(place)).collect();
    let (mut running, mut most) = (BTreeSet::new(), 0);
    for (name, words) in screen.lines().filter_map(|line| line.split_once(": ")) {
        if !names.contains(name) {
            continue;
        }
        if words.contains("started, job ") {
            running.insert(name);
        } else if words.contains(" ended: ") || ENDS.iter().any(|end| words.starts_with(end)) {
            running.remove(name);
        }
        most = most.max(running.len());
    }
    most
}

/// What the screen says first when a step has ended.
const ENDS: [&str; 3] = ["succeeded", "failed", "aborted"];

/// Steps and handlers by name.
fn tasks(workflow: &Workflow) -> impl Iterator<Item = (String, &Task)> {
    let steps = workflow.steps.iter().enumerate().map(|(place, step)| (workflow.name(place), &step.task));
    steps.chain(workflow.handlers.iter().map(|(handler, task)| (handler.name().to_owned(), task)))
}

fn tasks_names(workflow: &Workflow) -> impl Iterator<Item = String> {
    tasks(workflow).map(|(name, _)| name)
}

/// What the names of its Jobs begin with.
fn job_prefix(name: &str) -> String {
    format!("{}-", name.to_ascii_lowercase().replace(' ', "-"))
}

/// The containers of a step: one script for each attempt, the last for all that follow.
fn put_scripts(cluster: &LocalCluster, prefix: &str, task: &Task, number: u64) {
    let ends: &[End] = if task.ends.is_empty() { &[End::Code(0)] } else { &task.ends };
    for (attempt, end) in (1..).zip(ends) {
        let hook = cluster.faults().on("run", "pods", &format!("{prefix}*"));
        let hook = if attempt == ends.len() as u64 { hook.from(attempt) } else { hook.nth(attempt) };
        let script = match end {
            // Of different lengths, so that steps overtake each other.
            End::Code(code) => Script::new()
                .print(format!("an attempt {}\n", printed(*code)))
                .sleep(seconds(1 + (number * 3 + attempt * 5) % 7))
                .exit(i32::from(*code)),
            End::Hang => Script::new().print("it hangs\n").forever(),
        };
        hook.script("step", script);
    }
}
