//! Past and running runs: the list, and one run as it was shown when it ran.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::run::{human, pad};
use super::{ExitCode, Failed, Output, RunReporter, RunStreams, Streams, escape_line};
use crate::event::{Event, EventKind, JobName, Leftover};
use crate::journal::{Holder, Opened, StepHistory, log_file};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus};

/// A run in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its id.
    pub run: String,
    /// Name of the workflow; none: that is not known.
    pub workflow: Option<String>,
    /// Its status; none: its folder cannot be read.
    pub status: Option<RunStatus>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How long it took, or has lasted, in milliseconds.
    pub took_ms: Option<u64>,
    /// The process that drives it.
    pub process: Option<Holder>,
    /// Why its folder cannot be read.
    pub error: Option<String>,
}

impl Listed {
    /// A run that can be read.
    pub fn of(run: String, opened: &Opened, now: Timestamp) -> Listed {
        let history = &opened.history;
        let status = opened.status();
        let end = if status == RunStatus::Running { now } else { history.last };
        Listed {
            run,
            workflow: Some(history.workflow.clone()),
            status: Some(status),
            started: Some(history.started),
            took_ms: u64::try_from(end.duration_since(history.started).as_millis()).ok(),
            process: opened.holder.clone(),
            error: None,
        }
    }

    /// One that cannot: what it has just begun is not there yet, else its folder is damaged.
    pub fn unreadable(run: String, process: Option<Holder>, error: String) -> Listed {
        let begins = process.is_some();
        Listed {
            run,
            workflow: None,
            status: begins.then_some(RunStatus::Running),
            started: None,
            took_ms: None,
            process,
            error: (!begins).then_some(error),
        }
    }
}

/// The list for people, with colours.
pub fn run_table(runs: &[Listed]) -> String {
    let shown = |run: &Listed| -> [String; 5] {
        [
            escape_line(&run.run),
            run.workflow.as_deref().map_or_else(|| "-".to_owned(), escape_line),
            run.status.map_or("damaged", RunStatus::as_str).to_owned(),
            run.started.map_or_else(|| "-".to_owned(), local_time),
            run.took_ms.map_or_else(|| "-".to_owned(), |took| human(std::time::Duration::from_millis(took))),
        ]
    };
    let head = ["ID", "WORKFLOW", "STATUS", "BEGAN", "TOOK"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(runs.iter().map(shown)).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| pad(cell, width)).collect();
        let _ = writeln!(table, "{}", cells.join("   ").trim_end());
    }
    table
}

/// A time as people of this machine read it.
fn local_time(time: Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Shows a run as its end was shown. `resume`: the command that takes it up again, if that can be done.
pub fn show_run(opened: &Opened, resume: Option<String>, streams: Streams) -> ExitCode {
    let mut reporter = RunReporter::new(Output::Plain, RunStreams::of(streams), true);
    for event in events(opened, resume) {
        reporter.show(event);
    }
    match reporter.finish() {
        Ok(()) => ExitCode::Success,
        Err(error) => {
            streams.error(&Failed::new(&error, None));
            ExitCode::Invalid
        }
    }
}

/// What happened, as far as the final tree needs it.
fn events(opened: &Opened, resume: Option<String>) -> Vec<Event> {
    let Opened { path, history, .. } = opened;
    let run = |kind| Event { time: history.last, step: None, attempt: None, kind };
    let (steps, handlers) = history.steps_and_handlers();
    let names = |steps: &[StepHistory]| steps.iter().map(|step| Arc::from(step.name.as_str())).collect();
    let logs = history.log_folder(path);
    let mut events = vec![Event {
        time: history.started,
        ..run(EventKind::RunStarted {
            run: history.run.clone(),
            workflow: history.workflow.clone(),
            steps: names(steps),
            handlers: names(handlers),
            folder: path.clone(),
        })
    }];
    for step in &history.steps {
        let of = |time, attempt, kind| Event { time, step: Some(Arc::from(step.name.as_str())), attempt, kind };
        if let Some(attempt) = step.last_attempt() {
            let log = log_file(&logs, &step.name, attempt.number);
            let started = EventKind::StepStarted { job: attempt.job().map(|job| job.name.clone()), log };
            events.push(of(attempt.began, Some(attempt.number), started));
        }
        events.extend(step.shown(&logs).map(|end| of(history.last, None, EventKind::StepEnded(Box::new(end)))));
    }
    events.extend(history.leftovers().map(|(.., leftover)| run(EventKind::Leftover(Box::new(leftover.clone())))));
    events.extend(resume.map(|command| run(EventKind::Resumable { command })));
    let (status, exit_code) = (opened.status(), opened.exit_code().unwrap_or_default());
    events.push(run(EventKind::RunEnded { status, exit_code, took: history.lasted() }));
    events
}

/// A run for programs.
#[derive(Debug, Serialize)]
pub struct RunDocument<'a> {
    version: u32,
    run: &'a str,
    workflow: &'a str,
    status: RunStatus,
    exit_code: Option<u8>,
    started: Timestamp,
    took_ms: u128,
    folder: &'a Path,
    process: Option<&'a Holder>,
    resume: Option<String>,
    steps: Vec<StepDocument<'a>>,
    leftovers: Vec<&'a Leftover>,
}

#[derive(Debug, Serialize)]
struct StepDocument<'a> {
    step: &'a str,
    status: StepStatus,
    excused: bool,
    exit_code: Option<i32>,
    reason: Option<Reason>,
    message: &'a str,
    notes: &'a [String],
    hint: Option<&'a str>,
    pod: Option<&'a str>,
    pods: u32,
    kept: bool,
    took_ms: Option<u64>,
    attempts: Vec<AttemptDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct AttemptDocument<'a> {
    attempt: u32,
    started: Timestamp,
    job: Option<&'a JobName>,
    uid: Option<&'a str>,
    cleaned: bool,
    log: Option<std::path::PathBuf>,
}

/// The same for programs.
pub fn run_document(opened: &Opened, resume: Option<String>) -> RunDocument<'_> {
    let Opened { path, history, holder, .. } = opened;
    let logs = history.log_folder(path);
    RunDocument {
        version: 1,
        run: &history.run,
        workflow: &history.workflow,
        status: opened.status(),
        exit_code: opened.exit_code(),
        started: history.started,
        took_ms: history.lasted().as_millis(),
        folder: path,
        process: holder.as_ref(),
        resume,
        steps: history.steps.iter().map(|step| StepDocument::of(step, &logs)).collect(),
        leftovers: history.leftovers().map(|(.., leftover)| leftover).collect(),
    }
}

impl<'a> StepDocument<'a> {
    fn of(step: &'a StepHistory, logs: &Path) -> StepDocument<'a> {
        let end = step.end.as_ref();
        let verdict = end.and_then(|end| end.verdict.as_ref());
        let begun = if step.attempts.is_empty() { StepStatus::NotStarted } else { StepStatus::Running };
        let message = match (end, verdict) {
            (_, Some(verdict)) => &verdict.message,
            (Some(end), None) => &end.message,
            (None, None) => "",
        };
        let attempt = |attempt: &'a crate::journal::RecordedAttempt| AttemptDocument {
            attempt: attempt.number,
            started: attempt.began,
            job: attempt.job().map(|job| &job.name),
            uid: attempt.job().and_then(|job| job.uid.as_deref()),
            cleaned: attempt.cleaned,
            log: Some(log_file(logs, &step.name, attempt.number)).filter(|log| log.exists()),
        };
        StepDocument {
            step: &step.name,
            status: end.map_or(begun, |end| end.status),
            excused: end.is_some_and(|end| end.excused),
            exit_code: verdict.and_then(|verdict| verdict.outcome.exit_code()),
            reason: verdict.map(|verdict| &verdict.outcome).and_then(Outcome::reason),
            message,
            notes: verdict.map_or(&[], |verdict| &verdict.notes),
            hint: verdict.and_then(|verdict| verdict.hint.as_deref()),
            pod: verdict.and_then(|verdict| verdict.pod.as_deref()),
            pods: verdict.map_or(0, |verdict| verdict.pods),
            kept: end.is_some_and(|end| end.kept),
            took_ms: end.and_then(|end| end.took_ms),
            attempts: step.attempts.iter().map(attempt).collect(),
        }
    }
}
