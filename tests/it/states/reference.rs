//! The reference: what becomes of each step, each handler and the run, by the tables of the documentation and nothing else.
//!
//! No clock, no task, no queue. Without time limits of the whole run, what a step becomes does not depend on when it runs.

use std::collections::BTreeMap;

use runner::outcome::{RunStatus, StepStatus};

use super::workflow::{
    Condition, ContinueOn, Decider, End, Handler, Limit, Repeat, RepeatWord, Retry, Task, Workflow, printed,
};

/// What becomes of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prediction {
    /// By name, handlers too.
    pub(super) steps: BTreeMap<String, Fate>,
    pub(super) status: RunStatus,
    pub(super) exit_code: u8,
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) status: StepStatus,
    pub(super) attempts: usize,
    /// The code of the last attempt, as recorded.
    pub(super) code: Option<u8>,
}

impl Fate {
    const NOT_STARTED: Fate = Fate { status: StepStatus::NotStarted, attempts: 0, code: None };

    fn without_attempt(status: StepStatus) -> Fate {
        Fate { status, ..Fate::NOT_STARTED }
    }
}

/// A step that has ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    fate: Fate,
    /// Those that depend on it may start all the same.
    is_excused: bool,
}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Succeeded,
    /// With its code, if one is recorded.
    Failed(Option<u8>),
    /// Never retried.
    TimedOut,
}

impl Outcome {
    fn code(self) -> Option<u8> {
        match self {
            Outcome::Succeeded => Some(0),
            Outcome::Failed(code) => code,
            Outcome::TimedOut => Some(124),
        }
    }

    fn is_in(self, codes: &[u8]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }

    fn status(self) -> StepStatus {
        if self == Outcome::Succeeded { StepStatus::Succeeded } else { StepStatus::Failed }
    }
}

/// What becomes of it.
pub(super) fn predict(workflow: &Workflow) -> Prediction {
    let mut steps = BTreeMap::new();
    for place in 0..workflow.steps.len() {
        steps.insert(workflow.name(place), Fate::NOT_STARTED);
    }
    for handler in workflow.handlers.keys() {
        steps.insert(handler.name().to_owned(), Fate::NOT_STARTED);
    }
    let mut handlers = Handlers { workflow, steps, any_failed: false };

    let all_met = workflow.preconditions.iter().all(|condition| is_met(condition, &[], RunStatus::Running));
    let (mut status, mut exit_code) = (RunStatus::Aborted, 0);
    if all_met {
        handlers.run(Handler::Init, &[], RunStatus::Running);
        let ended = if handlers.any_failed { Vec::new() } else { run_steps(workflow) };
        status = if handlers.any_failed { RunStatus::Failed } else { status_of(&ended) };
        for (place, step) in ended.iter().enumerate() {
            handlers.steps.insert(workflow.name(place), step.fate);
        }
        let chosen = match status {
            RunStatus::Failed => Handler::Failure,
            _ => Handler::Success,
        };
        handlers.run(chosen, &ended, status);
        if handlers.any_failed {
            status = RunStatus::Failed;
        }
        handlers.run(Handler::Exit, &ended, status);
        if handlers.any_failed {
            status = RunStatus::Failed;
        }
        exit_code = u8::from(status != RunStatus::Succeeded);
    } else {
        handlers.run(Handler::Abort, &[], status);
        handlers.run(Handler::Exit, &[], status);
    }
    Prediction { steps: handlers.steps, status, exit_code }
}

struct Handlers<'a> {
    workflow: &'a Workflow,
    steps: BTreeMap<String, Fate>,
    any_failed: bool,
}

impl Handlers<'_> {
    /// Runs a handler, once.
    fn run(&mut self, handler: Handler, ended: &[Ended], status: RunStatus) {
        let Some(task) = self.workflow.handlers.get(&handler) else { return };
        let conditions = self.workflow.default_preconditions.iter().chain(&task.preconditions);
        let fate = if conditions.into_iter().all(|condition| is_met(condition, ended, status)) {
            let outcome = outcome_of(task, 0);
            Fate { status: outcome.status(), attempts: 1, code: outcome.code() }
        } else {
            Fate::without_attempt(StepStatus::Skipped)
        };
        self.any_failed |= fate.status == StepStatus::Failed;
        self.steps.insert(handler.name().to_owned(), fate);
    }
}

fn run_steps(workflow: &Workflow) -> Vec<Ended> {
    let mut ended: Vec<Ended> = Vec::new();
    // A step depends only on steps of lower places.
    for place in 0..workflow.steps.len() {
        let step = run_step(workflow, place, &ended);
        ended.push(step);
    }
    ended
}

fn run_step(workflow: &Workflow, place: usize, ended: &[Ended]) -> Ended {
    let step = &workflow.steps[place];
    let continue_on = step.continue_on.as_ref().or(workflow.default_continue_on.as_ref());
    // The first bad upstream decides.
    let upstream = workflow.upstream(place);
    let bad =
        upstream.iter().map(|place| &ended[*place]).filter(|upstream| !upstream.is_excused).find_map(|upstream| {
            match upstream.fate.status {
                StepStatus::Failed | StepStatus::Aborted => Some(StepStatus::Aborted),
                StepStatus::Skipped => Some(StepStatus::Skipped),
                _ => None,
            }
        });
    let mut conditions = workflow.default_preconditions.iter().chain(&step.task.preconditions);
    let (mut fate, last) = match bad {
        Some(status) => (Fate::without_attempt(status), None),
        None if !conditions.all(|condition| is_met(condition, ended, RunStatus::Running)) => {
            (Fate::without_attempt(StepStatus::Skipped), None)
        }
        None => {
            let retry = step.retry.as_ref().or(workflow.default_retry.as_ref());
            let (attempts, last) = run_attempts(&step.task, retry, step.repeat.as_ref());
            (Fate { status: last.status(), attempts, code: last.code() }, Some(last))
        }
    };
    let is_excused = continue_on.is_some_and(|on| excuses(on, fate.status, last));
    if is_excused && continue_on.is_some_and(|on| on.mark_success) {
        fate.status = StepStatus::Succeeded;
    }
    Ended { fate, is_excused }
}

fn excuses(on: &ContinueOn, status: StepStatus, last: Option<Outcome>) -> bool {
    match (status, last) {
        (StepStatus::Skipped, _) => on.skipped,
        (StepStatus::Failed, Some(last)) => {
            // What hangs never comes to its line.
            let line = match last {
                Outcome::Failed(Some(code)) => printed(code),
                _ => String::new(),
            };
            on.failed || last.is_in(&on.codes) || on.printed.iter().any(|code| line.contains(&printed(*code)))
        }
        _ => false,
    }
}

/// More attempts than any generated workflow shall have: it would go on for ever.
pub(super) const ENDLESS: usize = 20;

fn run_attempts(task: &Task, retry: Option<&Retry>, repeat: Option<&Repeat>) -> (usize, Outcome) {
    let mut attempts = 0;
    let mut executions = 0;
    loop {
        executions += 1;
        let mut retries = 0;
        let last = loop {
            let outcome = outcome_of(task, attempts);
            attempts += 1;
            let is_retried = retry.is_some_and(|retry| {
                retries < retry.limit
                    && matches!(outcome, Outcome::Failed(_))
                    && retry.codes.as_ref().is_none_or(|codes| outcome.is_in(codes))
            });
            if !is_retried {
                break outcome;
            }
            retries += 1;
        };
        if attempts >= ENDLESS || !repeat.is_some_and(|repeat| goes_on(repeat, executions, last)) {
            return (attempts, last);
        }
    }
}

fn goes_on(repeat: &Repeat, executions: u64, last: Outcome) -> bool {
    if repeat.limit > 0 && executions >= repeat.limit {
        return false;
    }
    match &repeat.decides {
        Decider::Success => last == Outcome::Succeeded,
        Decider::Codes(codes) => last.is_in(codes) == (repeat.word != RepeatWord::Until),
        // With `expected`, which every condition here has, an absent word is `until`.
        Decider::Condition(condition) => {
            is_met(condition, &[], RunStatus::Running) == (repeat.word == RepeatWord::While)
        }
    }
}

fn outcome_of(task: &Task, attempt: usize) -> Outcome {
    let end = task.ends.get(attempt).or(task.ends.last()).copied().unwrap_or(End::Code(0));
    match (end, task.limit) {
        (End::Code(0), _) => Outcome::Succeeded,
        (End::Code(code), _) => Outcome::Failed(Some(code)),
        (End::Hang, Limit::Timeout) => Outcome::TimedOut,
        (End::Hang, Limit::Deadline) => Outcome::Failed(None),
        (End::Hang, Limit::None) => unreachable!("it would hang for ever"),
    }
}

fn is_met(condition: &Condition, ended: &[Ended], status: RunStatus) -> bool {
    match condition {
        Condition::Constant { is_met, .. } => *is_met,
        // Of a step without a code it is empty. Of a run whose steps never ran there is none at all.
        Condition::CodeOf { step, code } => ended.get(*step).is_some_and(|ended| ended.fate.code == Some(*code)),
        Condition::Status(expected) => status.as_str() == *expected,
    }
}

fn status_of(ended: &[Ended]) -> RunStatus {
    let failed = |ended: &&Ended| ended.fate.status == StepStatus::Failed;
    if ended.iter().filter(failed).any(|ended| !ended.is_excused) {
        return RunStatus::Failed;
    }
    let any_failed = ended.iter().any(|ended| failed(&ended));
    let any_succeeded = ended.iter().any(|ended| ended.fate.status == StepStatus::Succeeded);
    match (any_failed, any_succeeded) {
        (false, _) => RunStatus::Succeeded,
        (true, true) => RunStatus::PartiallySucceeded,
        (true, false) => RunStatus::Failed,
    }
}
