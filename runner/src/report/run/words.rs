//! Events as short lines for people: at most one line a change, and none for a change that another line tells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::text::{between, human, limit, running};
use crate::event::{AttemptState, Event, EventKind, JobName, StepEnd, Waiting};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus};
use crate::report::{RED, RESET, YELLOW, escape_line};

/// For what went well.
pub(super) const GREEN: Style = AnsiColor::Green.on_default().bold();
/// For what matters less.
pub(super) const DIM: Style = Style::new().dimmed();

/// Makes lines of events; remembers what it has told.
#[derive(Debug, Default)]
pub(super) struct Words {
    workflow: String,
    told: HashMap<Arc<str>, Told>,
}

/// What was told of an attempt.
#[derive(Debug, Default)]
struct Told {
    /// The pod that was said to run; the inner none: one without a name.
    running: Option<Option<String>>,
    suspended: bool,
    /// The words that were told of each wait: two that take turns, as the errors of a pull do, are told once each.
    waits: BTreeMap<&'static str, HashSet<String>>,
}

impl Words {
    /// The line for an event, with colours and without line end; none: nothing that another line does not tell.
    pub(super) fn line(&mut self, event: &Event) -> Option<String> {
        let step = event.step.as_deref().map(|step| format!("{}: ", escape_line(step))).unwrap_or_default();
        let words = match &event.kind {
            EventKind::RunStarted { run, workflow, steps: _, handlers: _, folder } => {
                self.workflow = escape_line(workflow);
                let folder = escape_line(&folder.display().to_string());
                return Some(format!("{}: run {} in {folder}", self.workflow, escape_line(run)));
            }
            EventKind::StepStarted { job, log: _ } => {
                // A process runs as soon as it has started.
                let running = job.is_none().then_some(None);
                self.told.insert(event.step.clone()?, Told { running, ..Told::default() });
                let attempt = event.attempt.filter(|attempt| *attempt > 1);
                let attempt = attempt.map(|attempt| format!("attempt {attempt} ")).unwrap_or_default();
                match job {
                    Some(job) => format!("{attempt}started, job {}", job_name(job)),
                    None => format!("{attempt}started on this machine"),
                }
            }
            EventKind::StepRetrying { next, wait, after } => {
                let wait = human(*wait);
                let after = escape_line(after);
                format!("attempt {} ended: {after}; attempt {next} in {wait}", next.saturating_sub(1))
            }
            EventKind::StepState { state, pod, suspended } => {
                self.told.entry(event.step.clone()?).or_default().state(*state, pod.as_ref(), *suspended)?
            }
            EventKind::StepWaiting { waits } => {
                self.told.entry(event.step.clone()?).or_default().waits(waits, event.time)?
            }
            EventKind::StepLog { .. } => return None,
            EventKind::StepGap { pod, last, next } => {
                let next = next.as_ref().map(|next| format!(" and before {}", escape_line(next))).unwrap_or_default();
                let (pod, last) = (escape_line(pod), escape_line(last));
                return Some(format!(
                    "{YELLOW}warning{RESET}: {step}lines may be missing from the log of pod {pod}, after {last}{next}"
                ));
            }
            EventKind::StepEnded(end) => ended(end),
            EventKind::Note { text } => format!("note: {}", escape_line(text)),
            EventKind::Warning { text } => {
                return Some(format!("{YELLOW}warning{RESET}: {step}{}", escape_line(text)));
            }
            EventKind::Fatal { text, help } => return Some(fatal(&format!("{step}{text}"), help.as_deref())),
            EventKind::Stopping { at_once: false } => {
                format!("{YELLOW}stopping{RESET}: Jobs are deleted, pods get their grace period; again to kill them")
            }
            EventKind::Stopping { at_once: true } => format!("{YELLOW}stopping{RESET}: pods are killed"),
            EventKind::Resumable { command } => format!("take it up again with: {}", escape_line(command)),
            EventKind::Leftover(leftover) => {
                let thing = format!("{} {}/{}", leftover.kind, leftover.namespace, leftover.name);
                let remedy = match leftover.command.as_str() {
                    "" => "it goes with the local cluster".to_owned(),
                    command => format!("remove it with: {}", escape_line(command)),
                };
                return Some(format!(
                    "{YELLOW}left over{RESET}: {}: {}; {remedy}",
                    escape_line(&thing),
                    escape_line(&leftover.reason),
                ));
            }
            EventKind::RunEnded { status, exit_code, took } => {
                let style = run_style(*status);
                format!("{}: {style}{status}{style:#} after {}, exit {exit_code}", self.workflow, human(*took))
            }
        };
        Some(format!("{step}{words}"))
    }
}

impl Told {
    fn state(&mut self, state: AttemptState, pod: Option<&String>, suspended: bool) -> Option<String> {
        if suspended != self.suspended {
            self.suspended = suspended;
            return Some(if suspended { "suspended" } else { "no longer suspended" }.to_owned());
        }
        // The other states are told by other lines: creating by the start, draining and what follows by the end.
        if state != AttemptState::Running || self.running.as_ref().is_some_and(|told| told.as_ref() == pod) {
            return None;
        }
        self.running = Some(pod.cloned());
        Some(match pod {
            Some(pod) => format!("running, pod {}", escape_line(pod)),
            None => "running".to_owned(),
        })
    }

    fn waits(&mut self, waits: &[Waiting], now: Timestamp) -> Option<String> {
        let mut gone: Vec<&'static str> = self.waits.keys().copied().collect();
        gone.retain(|kind| waits.iter().all(|wait| wait.kind != *kind));
        for kind in &gone {
            self.waits.remove(kind);
        }
        let mut new = String::new();
        for wait in waits {
            if self.waits.entry(wait.kind).or_default().insert(wait.words.clone()) {
                let separator = if new.is_empty() { "waiting for " } else { "; " };
                let _ = write!(new, "{separator}{}: {} ({})", wait.kind, escape_line(&wait.words), since(wait, now));
            }
        }
        if !new.is_empty() {
            return Some(new);
        }
        (!gone.is_empty()).then(|| format!("no longer waiting for {}", gone.join(", ")))
    }
}

/// Why the run cannot go on, with what to do about it on lines of its own; with colours and without line end.
pub(super) fn fatal(text: &str, help: Option<&str>) -> String {
    let mut shown = format!("{RED}error{RESET}: {}", escape_line(text));
    for line in help.iter().flat_map(|help| help.lines()) {
        let _ = write!(shown, "\n  help: {}", escape_line(line));
    }
    shown
}

/// Since when something is waited for, and when it is given up.
fn since(wait: &Waiting, now: Timestamp) -> String {
    let so_far = running(between(wait.since, now));
    match wait.until {
        Some(until) => format!("for {so_far}, at most {}", limit(between(wait.since, until))),
        None => format!("for {so_far}"),
    }
}

/// A wait in as few words as there are, as `pull 12 s of 2 m: ErrImagePull`.
pub(super) fn short_wait(wait: &Waiting, now: Timestamp) -> String {
    let so_far = running(between(wait.since, now));
    let limit = wait.until.map(|until| format!(" of {}", limit(between(wait.since, until)))).unwrap_or_default();
    let words = escape_line(&wait.words);
    let colon = if words.is_empty() { "" } else { ": " };
    format!("{} {so_far}{limit}{colon}{words}", wait.kind)
}

/// How a step ended, in one line.
fn ended(end: &StepEnd) -> String {
    let style = step_style(end.status);
    let status = format!("{style}{}{style:#}", status_words(end.status));
    let took = end.took.map(human);
    match (end.status, took) {
        (StepStatus::Succeeded, Some(took)) if end.excused => {
            format!("{status} in {took}: {}, excused by continue_on", reason_and_code(end))
        }
        (StepStatus::Succeeded, Some(took)) => format!("{status} in {took}"),
        (StepStatus::Failed, took) => {
            let took = took.map(|took| format!(" after {took}")).unwrap_or_default();
            let message = message(end).lines().next().map(|line| format!(": {}", escape_line(line)));
            let excused = if end.excused { ", excused by continue_on" } else { "" };
            format!("{status}{took}: {}{excused}{}", reason_and_code(end), message.unwrap_or_default())
        }
        _ => match why(end) {
            why if why.is_empty() => status,
            why => format!("{status}: {why}"),
        },
    }
}

/// Namespace and name of a Job.
pub(super) fn job_name(job: &JobName) -> String {
    escape_line(&format!("{}/{}", job.namespace, job.name))
}

/// What is told about the end of a step, in the words of the verdict or else of the engine.
pub(super) fn message(end: &StepEnd) -> &str {
    match &end.verdict {
        Some(verdict) if !verdict.message.is_empty() => &verdict.message,
        _ => &end.message,
    }
}

/// Why a step did not run or was stopped; empty: nobody said.
pub(super) fn why(end: &StepEnd) -> String {
    match end.verdict.as_ref().and_then(|verdict| verdict.outcome.reason()) {
        Some(reason) => reason.to_string(),
        None => escape_line(&end.message),
    }
}

/// Why a step failed and with which code, as `exit 42`, or `image-pull, exit -`: none is no 0.
pub(super) fn reason_and_code(end: &StepEnd) -> String {
    let outcome = end.verdict.as_ref().map(|verdict| &verdict.outcome);
    let code = outcome.and_then(Outcome::exit_code).map_or_else(|| "-".to_owned(), |code| code.to_string());
    match outcome.and_then(Outcome::reason) {
        None | Some(Reason::Exit) => format!("exit {code}"),
        Some(reason) => format!("{reason}, exit {code}"),
    }
}

/// The word for a status, for people.
pub(super) fn status_words(status: StepStatus) -> &'static str {
    match status {
        StepStatus::NotStarted => "not started",
        status => status.as_str(),
    }
}

/// The colour of a status.
pub(super) fn step_style(status: StepStatus) -> Style {
    match status {
        StepStatus::Succeeded => GREEN,
        StepStatus::Failed => RED,
        StepStatus::Aborted => YELLOW,
        StepStatus::NotStarted | StepStatus::Skipped => DIM,
        StepStatus::Running | StepStatus::Retrying => Style::new(),
    }
}

/// The colour of the status of a run.
pub(super) fn run_style(status: RunStatus) -> Style {
    match status {
        RunStatus::Succeeded => GREEN,
        RunStatus::Failed => RED,
        RunStatus::Aborted | RunStatus::PartiallySucceeded | RunStatus::Detached | RunStatus::Interrupted => YELLOW,
        RunStatus::Running => Style::new(),
    }
}

/// Colours that tell steps apart; red, yellow and green have a meaning already.
const STEP_COLORS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// The colour of the step at this place among all.
pub(super) fn step_color(place: usize) -> Style {
    STEP_COLORS.get(place % STEP_COLORS.len()).map(|color| color.on_default()).unwrap_or_default()
}
