//! Runs for the tests, event by event, and streams that keep what is written.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Output, RunReporter, RunStreams, Sink, Size};
use crate::event::{AttemptState, Event, EventKind, JobName, Leftover, StepEnd, Waiting};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus, Verdict};

/// The beginning of all runs, and a number of milliseconds.
pub(super) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_323_045).unwrap() + SignedDuration::from_millis(milliseconds)
}

/// Events about a step, the first attempt, `milliseconds` after the run began.
pub(super) fn of(milliseconds: i64, step: &str, kind: EventKind) -> Event {
    Event { time: at(milliseconds), step: Some(step.into()), attempt: Some(1), kind }
}

/// An event about the run.
pub(super) fn run(milliseconds: i64, kind: EventKind) -> Event {
    Event { time: at(milliseconds), step: None, attempt: None, kind }
}

/// The first event.
pub(super) fn begun(steps: &[&str]) -> Event {
    let is_handler = |name: &&str| name.starts_with("on");
    let (handlers, steps): (Vec<&str>, Vec<&str>) = steps.iter().copied().partition(is_handler);
    let [steps, handlers] = [steps, handlers].map(|names| names.into_iter().map(Arc::from).collect());
    let (run_id, workflow, folder) = ("0198c0de".to_owned(), "nightly".to_owned(), "/state/0198c0de".into());
    run(0, EventKind::RunStarted { run: run_id, workflow, steps, handlers, folder })
}

/// The last event.
pub(super) fn over(milliseconds: i64, status: RunStatus, exit_code: u8) -> Event {
    let took = Duration::from_millis(milliseconds.unsigned_abs());
    run(milliseconds, EventKind::RunEnded { status, exit_code, took })
}

fn job(step: &str) -> JobName {
    JobName { namespace: "batch".to_owned(), name: format!("{step}-q7k2") }
}

fn log_path(step: &str) -> PathBuf {
    format!("/state/0198c0de/logs/{step}.1.log").into()
}

/// The beginning of an attempt.
pub(super) fn started(step: &str) -> EventKind {
    EventKind::StepStarted { job: Some(job(step)), log: log_path(step) }
}

pub(super) fn state(state: AttemptState, pod: Option<&str>) -> EventKind {
    EventKind::StepState { state, pod: pod.map(str::to_owned), suspended: false }
}

/// A wait for a pull that began `milliseconds` after the run and is given up two minutes later.
pub(super) fn pull(milliseconds: i64, words: &str) -> EventKind {
    let (since, until) = (at(milliseconds), Some(at(milliseconds + 120_000)));
    EventKind::StepWaiting { waits: vec![Waiting { kind: "pull", words: words.to_owned(), since, until }] }
}

pub(super) fn log(pod_number: u32, text: impl AsRef<[u8]>) -> EventKind {
    let text = Bytes::copy_from_slice(text.as_ref());
    let pod = Some(format!("pod-{pod_number}").into());
    EventKind::StepLog { pod, pod_number, text, partial: false, permit: None }
}

/// A piece of a line that goes on.
pub(super) fn piece(text: &str) -> EventKind {
    let text = Bytes::copy_from_slice(text.as_bytes());
    EventKind::StepLog { pod: Some("pod-1".into()), pod_number: 1, text, partial: true, permit: None }
}

/// The end of a step that had an attempt.
pub(super) fn end(step: &str, milliseconds: u64, verdict: Verdict) -> StepEnd {
    StepEnd {
        status: verdict.outcome.status(),
        excused: false,
        verdict: Some(verdict),
        message: String::new(),
        took: Some(Duration::from_millis(milliseconds)),
        job: Some(job(step)),
        kept: false,
        log: Some(log_path(step)),
        last_lines: Vec::new(),
    }
}

pub(super) fn ended(end: StepEnd) -> EventKind {
    EventKind::StepEnded(Box::new(end))
}

pub(super) fn succeeded(step: &str, milliseconds: u64) -> EventKind {
    ended(end(step, milliseconds, Verdict::new(Outcome::Succeeded, "")))
}

/// The end of a step without an attempt.
pub(super) fn unattempted(status: StepStatus, message: &str) -> EventKind {
    let message = message.to_owned();
    let (verdict, took, job, log) = (None, None, None, None);
    ended(StepEnd { status, excused: false, verdict, message, took, job, kept: false, log, last_lines: Vec::new() })
}

/// A failure with everything that is told about one.
pub(super) fn rule_failure(step: &str) -> EventKind {
    let mut verdict = Verdict::new(
        Outcome::failed(Some(42), Reason::PodFailurePolicy),
        "pod failure rule 0\nContainer step for pod batch/report-q7k2-x failed with exit code 42 matching FailJob rule",
    );
    verdict.hint = Some("the rule stands in `podFailurePolicy`\nleave it out to have the Job try again".to_owned());
    verdict.notes = vec!["pod 2 of 2".to_owned()];
    verdict.pod = Some(format!("{step}-q7k2-x"));
    verdict.pods = 2;
    let mut end = end(step, 7_300, verdict);
    end.last_lines = vec!["\topening".into(), "\x1b[31mcannot open\x1b[0m /data\x1b[2J".into(), "".into()];
    ended(end)
}

pub(super) fn leftover(step: &str) -> EventKind {
    let job = job(step);
    EventKind::Leftover(Box::new(Leftover {
        kind: "job".to_owned(),
        command: format!("kubectl --context prod -n batch delete job {}", job.name),
        namespace: job.namespace,
        name: job.name,
        reason: "the server refused: Forbidden".to_owned(),
    }))
}

/// A run in which one step ends well, one badly, one not at all; with a handler that is due and one that is not.
pub(super) fn failing() -> Vec<Event> {
    vec![
        begun(&["migrate", "report", "publish", "onSuccess", "onFailure"]),
        of(100, "migrate", started("migrate")),
        of(150, "migrate", state(AttemptState::Creating, None)),
        of(200, "migrate", state(AttemptState::Pending, None)),
        of(900, "migrate", state(AttemptState::Running, Some("migrate-q7k2-x"))),
        of(1_000, "migrate", log(1, "one\ntwo\n")),
        of(4_100, "migrate", succeeded("migrate", 4_000)),
        of(4_200, "report", started("report")),
        of(5_200, "report", pull(5_000, "ErrImagePull: not found")),
        of(6_200, "report", pull(5_000, "ImagePullBackOff: Back-off pulling image")),
        of(7_200, "report", pull(5_000, "ErrImagePull: not found")),
        of(8_200, "report", EventKind::StepWaiting { waits: Vec::new() }),
        of(8_300, "report", state(AttemptState::Running, Some("report-q7k2-x"))),
        of(8_400, "report", log(1, "first\n")),
        of(8_500, "report", state(AttemptState::Running, Some("report-q7k2-y"))),
        of(8_600, "report", log(2, b"\xff\x1b[2Jsecond\r\nlast")),
        of(8_700, "report", state(AttemptState::Draining, Some("report-q7k2-y"))),
        of(11_500, "report", rule_failure("report")),
        of(11_500, "publish", unattempted(StepStatus::Aborted, "upstream report failed")),
        of(11_600, "onFailure", started("onFailure")),
        of(11_900, "onFailure", succeeded("onFailure", 300)),
        of(12_000, "report", leftover("report")),
        over(12_300, RunStatus::Failed, 1),
    ]
}

/// Keeps what is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Streams to files, without colours, with signs.
pub(super) fn files() -> (RunStreams, Kept, Kept) {
    let (stdout, stderr) = (Kept::default(), Kept::default());
    let streams = RunStreams::new(
        Sink::new(Box::new(stdout.clone()), false, false),
        Sink::new(Box::new(stderr.clone()), false, false),
        true,
        || Size { rows: 24, columns: 80 },
    );
    (streams, stdout, stderr)
}

/// What a run looks like on the two streams.
pub(super) fn shown(output: Output, quiet: bool, events: Vec<Event>) -> (String, String) {
    let (streams, stdout, stderr) = files();
    let mut reporter = RunReporter::new(output, streams, quiet);
    for event in events {
        reporter.show(event);
    }
    reporter.finish().unwrap();
    (stdout.text(), stderr.text())
}
