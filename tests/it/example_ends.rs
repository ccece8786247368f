//! Every example that shows how a run goes: how each step ends, what is printed, and what the program ends with.
//!
//! That all examples can be run as their first lines say is held by `examples`.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{Runner, Workdir, root};

/// What came of a run, as the events tell it.
struct Run {
    code: Option<i32>,
    status: String,
    steps: BTreeMap<String, String>,
    lines: Vec<String>,
    attempts: u64,
    all: String,
}

/// Runs an example with these options on the local cluster.
fn run(example: &str, options: &[&str]) -> Run {
    let workdir = Workdir::new().unwrap();
    let state = workdir.path().display().to_string();
    let example = format!("runner/examples/{example}.yaml");
    let arguments = ["exec", "--local", "--output", "json", "--state-dir", &state, &example];
    let output = Runner::in_folder(&root()).unwrap().args(arguments).args(options).run().unwrap();
    let events: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    Run {
        code: output.code,
        status: of("run-ended").map(|event| text(event, "status")).collect(),
        steps: of("step-ended").map(|event| (text(event, "step"), text(event, "status"))).collect(),
        lines: of("step-log").map(|event| text(event, "text")).collect(),
        attempts: of("step-started").filter_map(|event| event["attempt"].as_u64()).max().unwrap_or(0),
        all: format!("{output:#?}"),
    }
}

impl Run {
    /// The end of the run, of each step, and lines of the logs, in this order.
    #[track_caller]
    fn ends(self, code: i32, status: &str, steps: &[(&str, &str)], lines: &[&str]) -> Run {
        assert_eq!((self.code, self.status.as_str()), (Some(code), status), "{}", self.all);
        let expected: BTreeMap<String, String> =
            steps.iter().map(|(step, status)| ((*step).to_owned(), (*status).to_owned())).collect();
        assert_eq!(self.steps, expected, "{}", self.all);
        let mut found = self.lines.iter();
        for line in lines {
            assert!(found.any(|found| found == line), "no line `{line}`, or not in its place: {:#?}", self.lines);
        }
        self
    }
}

#[test]
fn a_chain_goes_one_by_one_and_its_group_side_by_side() {
    let steps = ["split", "north", "south", "join"].map(|step| (step, "succeeded"));
    let run = run("chain", &[]).ends(0, "succeeded", &steps, &["split", "join"]);
    assert_eq!((run.lines.first(), run.lines.last()), (Some(&"split".to_owned()), Some(&"join".to_owned())));
}

#[test]
fn host_steps_and_jobs_work_together() {
    let steps = ["plan", "words", "script", "report"].map(|step| (step, "succeeded"));
    let run = run("host-steps", &["-p", "PARTS=2"]).ends(0, "succeeded", &steps, &["part-1", "part-2"]);
    assert!(run.lines.contains(&"2 parts, not $((1 + 1))".to_owned()), "{:?}", run.lines);
    // One argument of `echo`, with the line break that the output has in it.
    let last_two = &run.lines[run.lines.len() - 2..];
    assert_eq!(last_two, ["the parts: part-1", "part-2"]);
}

#[test]
fn a_step_that_fails_is_tried_again() {
    let steps = [("flaky", "succeeded"), ("after", "succeeded")];
    let lines = ["attempt 1", "attempt 2", "attempt 3", "it worked in the end"];
    assert_eq!(run("retry", &[]).ends(0, "succeeded", &steps, &lines).attempts, 3);
}

#[test]
fn a_step_repeats_until_something_is_there() {
    let steps = ["writer", "wait", "read"].map(|step| (step, "succeeded"));
    assert!(run("repeat", &[]).ends(0, "succeeded", &steps, &["42"]).attempts >= 2);
}

#[test]
fn what_a_step_prints_is_used_by_those_behind_it() {
    let steps = ["build", "publish", "report"].map(|step| (step, "succeeded"));
    let lines = ["tag 4.2, second layer app", "build ended with 0 and printed {\"image\":…"];
    run("outputs", &[]).ends(0, "succeeded", &steps, &lines);
}

#[test]
fn handlers_see_how_it_went() {
    let ended = |work| [("onInit", "succeeded"), ("work", work), ("onExit", "succeeded")];
    let mut steps = ended("succeeded").to_vec();
    steps.push(("onSuccess", "succeeded"));
    run("handlers", &[]).ends(0, "succeeded", &steps, &["working", "work said working", "it ended as succeeded"]);
    let mut steps = ended("failed").to_vec();
    steps.push(("onFailure", "succeeded"));
    let lines = ["working", "work ended with 3", "it ended as failed"];
    run("handlers", &["-p", "CODE=3"]).ends(1, "failed", &steps, &lines);
}

#[test]
fn steps_run_when_something_holds() {
    let steps = |weekly| [("daily", "succeeded"), ("weekly", weekly), ("report", "succeeded")];
    run("preconditions", &[]).ends(0, "succeeded", &steps("skipped"), &["report"]);
    run("preconditions", &["-p", "DAY=sun"]).ends(0, "succeeded", &steps("succeeded"), &["report"]);
}

#[test]
fn failures_that_are_no_harm_count_as_success() {
    let steps = ["search", "sync", "report"].map(|step| (step, "succeeded"));
    let lines = ["search ended with 1, sync with 12"];
    run("continue-on", &[]).ends(0, "succeeded", &steps, &lines);
}

#[test]
fn a_secret_is_on_no_screen() {
    let lines = ["the token has 18 characters", "and on the screen it is *******"];
    let run = run("secrets", &[]).ends(0, "succeeded", &[("login", "succeeded")], &lines);
    assert!(!run.all.contains("4711"), "{}", run.all);
}
