//! The reference on small examples, each a sentence of the documentation.

use runner::outcome::RunStatus;
use runner::outcome::StepStatus::{self, Aborted, Failed, NotStarted, Skipped, Succeeded};

use super::reference::predict;
use super::workflow::{
    Condition, ContinueOn, Decider, End, Handler, Limit, Order, Repeat, RepeatWord, Retry, Step, Task, Workflow,
};

const NOT_MET: Condition = Condition::Constant { is_met: false, form: 0 };

fn task(ends: &[u8]) -> Task {
    Task { ends: ends.iter().map(|code| End::Code(*code)).collect(), ..Task::default() }
}

/// A step whose attempts end with these codes, behind these steps.
fn step(ends: &[u8], depends: &[usize]) -> Step {
    Step { task: task(ends), depends: depends.to_vec(), ..Step::default() }
}

fn skipped(depends: &[usize]) -> Step {
    let mut step = step(&[], depends);
    step.task.preconditions.push(NOT_MET);
    step
}

fn excused(step: Step, on: ContinueOn) -> Step {
    Step { continue_on: Some(on), ..step }
}

fn retried(step: Step, limit: u64, codes: Option<Vec<u8>>) -> Step {
    Step { retry: Some(Retry { limit, interval: 0, codes, backoff: false }), ..step }
}

fn repeated(step: Step, word: RepeatWord, decides: Decider, limit: u64) -> Step {
    Step { repeat: Some(Repeat { word, decides, limit, interval: 0 }), ..step }
}

fn graph(steps: Vec<Step>) -> Workflow {
    let file_order = (0..steps.len()).collect();
    Workflow { steps, order: Order::Graph { file_order, mapping: false }, ..Workflow::default() }
}

/// Statuses of the steps in order, and of the run.
#[track_caller]
fn becomes(workflow: &Workflow, steps: &[StepStatus], run: RunStatus, exit_code: u8) {
    let prediction = predict(workflow);
    let found: Vec<_> = (0..workflow.steps.len()).map(|place| prediction.steps[&workflow.name(place)].status).collect();
    assert_eq!((found.as_slice(), prediction.status, prediction.exit_code), (steps, run, exit_code));
}

/// Attempts of the only step.
#[track_caller]
fn takes(step: Step, attempts: usize, status: StepStatus, code: Option<u8>) {
    let fate = predict(&graph(vec![step])).steps["s0"];
    assert_eq!((fate.attempts, fate.status, fate.code), (attempts, status, code));
}

#[test]
fn a_failure_aborts_what_depends_on_it_and_the_rest_runs_on() {
    let workflow = graph(vec![step(&[3], &[]), step(&[], &[0]), step(&[], &[1]), step(&[], &[])]);
    becomes(&workflow, &[Failed, Aborted, Aborted, Succeeded], RunStatus::Failed, 1);
}

#[test]
fn the_first_bad_upstream_in_the_order_of_depends_decides() {
    let first = graph(vec![step(&[1], &[]), skipped(&[]), step(&[], &[0, 1]), step(&[], &[1, 0])]);
    becomes(&first, &[Failed, Skipped, Aborted, Skipped], RunStatus::Failed, 1);
}

#[test]
fn skips_go_downstream_and_a_run_of_skips_succeeds() {
    becomes(&graph(vec![skipped(&[]), step(&[], &[0])]), &[Skipped, Skipped], RunStatus::Succeeded, 0);
    let on = ContinueOn { skipped: true, ..ContinueOn::default() };
    let workflow = graph(vec![excused(skipped(&[]), on), step(&[], &[0])]);
    becomes(&workflow, &[Skipped, Succeeded], RunStatus::Succeeded, 0);
}

#[test]
fn an_excused_failure_makes_the_run_succeed_in_part() {
    let on = || ContinueOn { failed: true, ..ContinueOn::default() };
    let workflow = graph(vec![excused(step(&[3], &[]), on()), step(&[], &[0])]);
    becomes(&workflow, &[Failed, Succeeded], RunStatus::PartiallySucceeded, 1);
    becomes(&graph(vec![excused(step(&[3], &[]), on())]), &[Failed], RunStatus::Failed, 1);
    let marked = ContinueOn { mark_success: true, ..on() };
    becomes(&graph(vec![excused(step(&[3], &[]), marked)]), &[Succeeded], RunStatus::Succeeded, 0);
    let only_marked = ContinueOn { mark_success: true, ..ContinueOn::default() };
    becomes(&graph(vec![excused(step(&[3], &[]), only_marked)]), &[Failed], RunStatus::Failed, 1);
}

#[test]
fn a_failure_is_excused_by_its_code_or_by_a_line_and_one_without_a_code_by_neither() {
    let by_code = || ContinueOn { codes: vec![0, 3], ..ContinueOn::default() };
    let hangs = |limit| Step { task: Task { ends: vec![End::Hang], limit, ..Task::default() }, ..Step::default() };
    let status = |step: Step| predict(&graph(vec![step, Step::default()])).status;
    assert_eq!(status(excused(step(&[3], &[]), by_code())), RunStatus::PartiallySucceeded);
    assert_eq!(status(excused(step(&[1], &[]), by_code())), RunStatus::Failed);
    assert_eq!(status(excused(hangs(Limit::Deadline), by_code())), RunStatus::Failed);
    let by_124 = ContinueOn { codes: vec![124], ..ContinueOn::default() };
    assert_eq!(status(excused(hangs(Limit::Timeout), by_124)), RunStatus::PartiallySucceeded);
    let by_line = ContinueOn { printed: vec![3], ..ContinueOn::default() };
    assert_eq!(status(excused(step(&[3], &[]), by_line)), RunStatus::PartiallySucceeded);
}

#[test]
fn retries_are_for_the_listed_codes_and_never_for_a_time_limit() {
    takes(retried(step(&[1, 1, 0], &[]), 5, None), 3, Succeeded, Some(0));
    takes(retried(step(&[1], &[]), 2, None), 3, Failed, Some(1));
    takes(retried(step(&[3, 1, 3], &[]), 5, Some(vec![3])), 2, Failed, Some(1));
    let hangs = |limit| Step { task: Task { ends: vec![End::Hang], limit, ..Task::default() }, ..Step::default() };
    takes(retried(hangs(Limit::Deadline), 2, None), 3, Failed, None);
    takes(retried(hangs(Limit::Deadline), 2, Some(vec![0])), 1, Failed, None);
    takes(retried(hangs(Limit::Timeout), 2, Some(vec![124])), 1, Failed, Some(124));
}

#[test]
fn repetitions_go_by_codes_conditions_or_success_and_the_limit_counts_all() {
    let codes = |codes: &[u8]| Decider::Codes(codes.to_vec());
    let condition = |is_met| Decider::Condition(Condition::Constant { is_met, form: 0 });
    takes(repeated(step(&[3, 3, 0], &[]), RepeatWord::While, codes(&[3]), 0), 3, Succeeded, Some(0));
    takes(repeated(step(&[3, 3, 0], &[]), RepeatWord::Absent, codes(&[3]), 2), 2, Failed, Some(3));
    takes(repeated(step(&[3, 1, 0], &[]), RepeatWord::Until, codes(&[0]), 0), 3, Succeeded, Some(0));
    takes(repeated(step(&[0, 0, 1], &[]), RepeatWord::While, Decider::Success, 0), 3, Failed, Some(1));
    takes(repeated(step(&[], &[]), RepeatWord::While, condition(true), 4), 4, Succeeded, Some(0));
    takes(repeated(step(&[], &[]), RepeatWord::Until, condition(true), 4), 1, Succeeded, Some(0));
    takes(repeated(step(&[], &[]), RepeatWord::Absent, condition(false), 4), 4, Succeeded, Some(0));
    let both = retried(step(&[1, 1, 1, 0], &[]), 1, None);
    takes(repeated(both, RepeatWord::Until, codes(&[0]), 2), 4, Succeeded, Some(0));
}

#[test]
fn in_a_chain_a_group_stands_between_its_neighbours() {
    let workflow = Workflow {
        steps: vec![step(&[], &[]), step(&[], &[]), step(&[1], &[]), step(&[], &[])],
        order: Order::Chain { joined: vec![2] },
        ..Workflow::default()
    };
    let upstreams: Vec<Vec<usize>> = (0..4).map(|place| workflow.upstream(place)).collect();
    assert_eq!(upstreams, [vec![], vec![0], vec![0], vec![1, 2]]);
    becomes(&workflow, &[Succeeded, Succeeded, Failed, Aborted], RunStatus::Failed, 1);
}

#[test]
fn a_root_precondition_stops_the_run_before_anything_and_its_handlers_follow() {
    let mut workflow = graph(vec![step(&[], &[])]);
    workflow.preconditions.push(NOT_MET);
    for handler in Handler::ALL {
        workflow.handlers.insert(handler, task(&[1]));
    }
    becomes(&workflow, &[NotStarted], RunStatus::Aborted, 0);
    let prediction = predict(&workflow);
    let of = |handler: Handler| prediction.steps[handler.name()].status;
    assert_eq!(Handler::ALL.map(of), [NotStarted, NotStarted, NotStarted, Failed, Failed]);
}

#[test]
fn a_failed_handler_fails_the_run_and_a_failed_init_keeps_the_steps_from_beginning() {
    let mut workflow = graph(vec![step(&[], &[])]);
    workflow.handlers.insert(Handler::Success, task(&[2]));
    becomes(&workflow, &[Succeeded], RunStatus::Failed, 1);
    workflow.handlers.insert(Handler::Init, task(&[2]));
    workflow.handlers.insert(Handler::Failure, task(&[]));
    workflow.handlers.insert(Handler::Exit, task(&[]));
    becomes(&workflow, &[NotStarted], RunStatus::Failed, 1);
    let prediction = predict(&workflow);
    let of = |handler: Handler| prediction.steps.get(handler.name()).map(|fate| fate.status);
    assert_eq!(Handler::ALL.map(of), [Some(Failed), Some(NotStarted), Some(Succeeded), None, Some(Succeeded)]);
}
