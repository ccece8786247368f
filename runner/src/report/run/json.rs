//! A run for programs: one JSON object a line. Fields and events may be added; consumers skip what they do not know.

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::progress::{Counts, Progress};
use super::words::{fatal, message};
use super::{RunStreams, Sink};
use crate::event::{AttemptState, Event, EventKind, JobName, StepEnd, Waiting};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus};
use crate::report::is_direction;

/// Version of the form of events. A new one means that a field has another meaning, or is gone.
const EVENTS_VERSION: u32 = 1;

/// Writes the objects.
#[derive(Debug)]
pub(super) struct Json {
    stdout: Sink,
    stderr: Sink,
    quiet: bool,
    progress: Progress,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    run: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(flatten)]
    fields: Fields<'a>,
}

/// What else an event has.
#[derive(Serialize)]
#[serde(untagged)]
enum Fields<'a> {
    RunStarted {
        version: u32,
        workflow: &'a str,
        steps: Vec<&'a str>,
        handlers: Vec<&'a str>,
        folder: String,
    },
    StepStarted {
        job: Option<&'a JobName>,
        log: String,
    },
    StepRetrying {
        state: StepStatus,
        next_attempt: u32,
        until: String,
        after: &'a str,
    },
    StepState {
        state: AttemptState,
        pod: Option<&'a str>,
        suspended: bool,
    },
    StepWaiting {
        waits: Vec<Wait<'a>>,
    },
    StepLog {
        pod: Option<&'a str>,
        pod_number: u32,
        text: String,
        partial: bool,
    },
    StepGap {
        pod: &'a str,
        last: &'a str,
        next: Option<&'a str>,
    },
    StepEnded {
        status: StepStatus,
        excused: bool,
        exit_code: Option<i32>,
        reason: Option<Reason>,
        message: &'a str,
        notes: &'a [String],
        hint: Option<&'a str>,
        pod: Option<&'a str>,
        pods: u32,
        job: Option<&'a JobName>,
        kept: bool,
        took_ms: Option<u64>,
        log: Option<String>,
    },
    Text {
        text: &'a str,
    },
    Fatal {
        text: &'a str,
        help: Option<&'a str>,
    },
    Stopping {
        at_once: bool,
    },
    Resumable {
        command: &'a str,
    },
    Leftover {
        kind: &'a str,
        namespace: &'a str,
        name: &'a str,
        reason: &'a str,
        command: &'a str,
    },
    RunEnded {
        status: RunStatus,
        exit_code: u8,
        took_ms: u64,
        counts: Counts,
    },
}

#[derive(Serialize)]
struct Wait<'a> {
    kind: &'static str,
    words: &'a str,
    since: String,
    until: Option<String>,
}

/// Adds JSON with those characters as escapes that a terminal would obey and JSON itself lets pass.
fn push_visible(text: &mut Vec<u8>, json: &str) {
    let is_obeyed = |character: char| matches!(character, '\u{7f}'..='\u{9f}') || is_direction(character);
    if !json.contains(is_obeyed) {
        text.extend_from_slice(json.as_bytes());
        return;
    }
    for character in json.chars() {
        if is_obeyed(character) {
            // All of them are in the first plane.
            text.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        } else {
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

impl Json {
    pub(super) fn new(streams: RunStreams, quiet: bool) -> Json {
        Json { stdout: streams.stdout, stderr: streams.stderr, quiet, progress: Progress::default() }
    }

    pub(super) fn show(&mut self, event: Event) {
        let mut text = Vec::new();
        match &event.kind {
            EventKind::StepLog { .. }
            | EventKind::StepState { .. }
            | EventKind::StepRetrying { .. }
            | EventKind::StepWaiting { .. }
                if self.quiet => {}
            EventKind::StepLog { pod, pod_number, text: log, partial, permit: _ } => {
                let pieces = log.split_inclusive(|byte| *byte == b'\n');
                for piece in pieces {
                    let line = piece.strip_suffix(b"\n");
                    let fields = Fields::StepLog {
                        pod: pod.as_deref(),
                        pod_number: *pod_number,
                        text: String::from_utf8_lossy(line.unwrap_or(piece)).into_owned(),
                        // Only the last piece can lack its line end.
                        partial: *partial && line.is_none(),
                    };
                    self.line(&mut text, &event, "step-log", fields);
                }
            }
            EventKind::RunStarted { run, workflow, steps, handlers, folder } => {
                self.progress.run.clone_from(run);
                let [steps, handlers] = [steps, handlers].map(|names| names.iter().map(AsRef::as_ref).collect());
                let fields =
                    Fields::RunStarted { version: EVENTS_VERSION, workflow, steps, handlers, folder: path(folder) };
                self.line(&mut text, &event, "run-started", fields);
            }
            EventKind::StepStarted { job, log } => {
                self.line(&mut text, &event, "step-started", Fields::StepStarted { job: job.as_ref(), log: path(log) });
            }
            EventKind::StepRetrying { next, wait, after } => {
                let until = event.time.checked_add(*wait).unwrap_or(Timestamp::MAX).to_string();
                let (state, next_attempt) = (StepStatus::Retrying, *next);
                let fields = Fields::StepRetrying { state, next_attempt, until, after };
                self.line(&mut text, &event, "step-state", fields);
            }
            EventKind::StepState { state, pod, suspended } => {
                let fields = Fields::StepState { state: *state, pod: pod.as_deref(), suspended: *suspended };
                self.line(&mut text, &event, "step-state", fields);
            }
            EventKind::StepWaiting { waits } => {
                let waits = waits.iter().map(wait).collect();
                self.line(&mut text, &event, "step-waiting", Fields::StepWaiting { waits });
            }
            EventKind::StepGap { pod, last, next } => {
                let fields = Fields::StepGap { pod, last, next: next.as_deref() };
                self.line(&mut text, &event, "step-gap", fields);
            }
            EventKind::StepEnded(end) => self.line(&mut text, &event, "step-ended", ended(end)),
            EventKind::Note { text: words } => self.line(&mut text, &event, "note", Fields::Text { text: words }),
            EventKind::Warning { text: words } => {
                self.line(&mut text, &event, "warning", Fields::Text { text: words });
            }
            EventKind::Fatal { text: words, help } => {
                let fields = Fields::Fatal { text: words, help: help.as_deref() };
                self.line(&mut text, &event, "fatal", fields);
                // For whoever started the program: the consumer of the objects is another.
                self.stderr.text(fatal(words, help.as_deref()) + "\n");
            }
            EventKind::Stopping { at_once } => {
                self.line(&mut text, &event, "stopping", Fields::Stopping { at_once: *at_once });
            }
            EventKind::Resumable { command } => {
                self.line(&mut text, &event, "resumable", Fields::Resumable { command });
            }
            EventKind::Leftover(leftover) => {
                let fields = Fields::Leftover {
                    kind: &leftover.kind,
                    namespace: &leftover.namespace,
                    name: &leftover.name,
                    reason: &leftover.reason,
                    command: &leftover.command,
                };
                self.line(&mut text, &event, "leftover", fields);
            }
            EventKind::RunEnded { status, exit_code, took } => {
                let fields = Fields::RunEnded {
                    status: *status,
                    exit_code: *exit_code,
                    took_ms: milliseconds(*took),
                    counts: self.progress.counts(),
                };
                self.line(&mut text, &event, "run-ended", fields);
            }
        }
        self.stdout.bytes(&text);
        self.progress.take(event);
    }

    /// Adds a line. All lines of an event are written at once.
    fn line(&self, text: &mut Vec<u8>, event: &Event, name: &'static str, fields: Fields<'_>) {
        let line = Line {
            time: event.time.to_string(),
            run: &self.progress.run,
            event: name,
            step: event.step.as_deref(),
            attempt: event.attempt,
            fields,
        };
        // All keys are text, so writing to memory cannot fail.
        if let Ok(json) = serde_json::to_string(&line) {
            push_visible(text, &json);
            text.push(b'\n');
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.stdout.end()
    }
}

fn ended(end: &StepEnd) -> Fields<'_> {
    let verdict = end.verdict.as_ref();
    let outcome = verdict.map(|verdict| &verdict.outcome);
    Fields::StepEnded {
        status: end.status,
        excused: end.excused,
        exit_code: outcome.and_then(Outcome::exit_code),
        reason: outcome.and_then(Outcome::reason),
        message: message(end),
        notes: verdict.map(|verdict| verdict.notes.as_slice()).unwrap_or_default(),
        hint: verdict.and_then(|verdict| verdict.hint.as_deref()),
        pod: verdict.and_then(|verdict| verdict.pod.as_deref()),
        pods: verdict.map(|verdict| verdict.pods).unwrap_or_default(),
        job: end.job.as_ref(),
        kept: end.kept,
        took_ms: end.took.map(milliseconds),
        log: end.log.as_deref().map(path),
    }
}

fn wait(wait: &Waiting) -> Wait<'_> {
    Wait {
        kind: wait.kind,
        words: &wait.words,
        since: wait.since.to_string(),
        until: wait.until.as_ref().map(Timestamp::to_string),
    }
}

/// A path as text; JSON has no other.
fn path(path: &Path) -> String {
    path.display().to_string()
}

fn milliseconds(took: Duration) -> u64 {
    took.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::super::canned::{begun, end, ended, failing, log, of, over, piece, run, shown, unattempted};
    use super::*;
    use crate::outcome::Verdict;

    fn json(events: Vec<Event>) -> String {
        let (stdout, stderr) = shown(Output::Json, false, events);
        assert_eq!(stderr, "");
        stdout
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let text = "a\u{9b}2J\u{7f}\u{202e}é\u{1b}b";
        let mut written = Vec::new();
        push_visible(&mut written, &serde_json::to_string(text).unwrap());
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written, r#""a\u009b2J\u007f\u202eé\u001bb""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn each_event_is_an_object_on_a_line() {
        assert_eq!(
            json(failing()),
            r#"{"time":"2026-01-02T03:04:05Z","run":"0198c0de","event":"run-started","version":1,"workflow":"nightly","steps":["migrate","report","publish"],"handlers":["onSuccess","onFailure"],"folder":"/state/0198c0de"}
{"time":"2026-01-02T03:04:05.1Z","run":"0198c0de","event":"step-started","step":"migrate","attempt":1,"job":{"namespace":"batch","name":"migrate-q7k2"},"log":"/state/0198c0de/logs/migrate.1.log"}
{"time":"2026-01-02T03:04:05.15Z","run":"0198c0de","event":"step-state","step":"migrate","attempt":1,"state":"creating","pod":null,"suspended":false}
{"time":"2026-01-02T03:04:05.2Z","run":"0198c0de","event":"step-state","step":"migrate","attempt":1,"state":"pending","pod":null,"suspended":false}
{"time":"2026-01-02T03:04:05.9Z","run":"0198c0de","event":"step-state","step":"migrate","attempt":1,"state":"running","pod":"migrate-q7k2-x","suspended":false}
{"time":"2026-01-02T03:04:06Z","run":"0198c0de","event":"step-log","step":"migrate","attempt":1,"pod":"pod-1","pod_number":1,"text":"one","partial":false}
{"time":"2026-01-02T03:04:06Z","run":"0198c0de","event":"step-log","step":"migrate","attempt":1,"pod":"pod-1","pod_number":1,"text":"two","partial":false}
{"time":"2026-01-02T03:04:09.1Z","run":"0198c0de","event":"step-ended","step":"migrate","attempt":1,"status":"succeeded","excused":false,"exit_code":0,"reason":null,"message":"","notes":[],"hint":null,"pod":null,"pods":0,"job":{"namespace":"batch","name":"migrate-q7k2"},"kept":false,"took_ms":4000,"log":"/state/0198c0de/logs/migrate.1.log"}
{"time":"2026-01-02T03:04:09.2Z","run":"0198c0de","event":"step-started","step":"report","attempt":1,"job":{"namespace":"batch","name":"report-q7k2"},"log":"/state/0198c0de/logs/report.1.log"}
{"time":"2026-01-02T03:04:10.2Z","run":"0198c0de","event":"step-waiting","step":"report","attempt":1,"waits":[{"kind":"pull","words":"ErrImagePull: not found","since":"2026-01-02T03:04:10Z","until":"2026-01-02T03:06:10Z"}]}
{"time":"2026-01-02T03:04:11.2Z","run":"0198c0de","event":"step-waiting","step":"report","attempt":1,"waits":[{"kind":"pull","words":"ImagePullBackOff: Back-off pulling image","since":"2026-01-02T03:04:10Z","until":"2026-01-02T03:06:10Z"}]}
{"time":"2026-01-02T03:04:12.2Z","run":"0198c0de","event":"step-waiting","step":"report","attempt":1,"waits":[{"kind":"pull","words":"ErrImagePull: not found","since":"2026-01-02T03:04:10Z","until":"2026-01-02T03:06:10Z"}]}
{"time":"2026-01-02T03:04:13.2Z","run":"0198c0de","event":"step-waiting","step":"report","attempt":1,"waits":[]}
{"time":"2026-01-02T03:04:13.3Z","run":"0198c0de","event":"step-state","step":"report","attempt":1,"state":"running","pod":"report-q7k2-x","suspended":false}
{"time":"2026-01-02T03:04:13.4Z","run":"0198c0de","event":"step-log","step":"report","attempt":1,"pod":"pod-1","pod_number":1,"text":"first","partial":false}
{"time":"2026-01-02T03:04:13.5Z","run":"0198c0de","event":"step-state","step":"report","attempt":1,"state":"running","pod":"report-q7k2-y","suspended":false}
{"time":"2026-01-02T03:04:13.6Z","run":"0198c0de","event":"step-log","step":"report","attempt":1,"pod":"pod-2","pod_number":2,"text":"�\u001b[2Jsecond\r","partial":false}
{"time":"2026-01-02T03:04:13.6Z","run":"0198c0de","event":"step-log","step":"report","attempt":1,"pod":"pod-2","pod_number":2,"text":"last","partial":false}
{"time":"2026-01-02T03:04:13.7Z","run":"0198c0de","event":"step-state","step":"report","attempt":1,"state":"draining","pod":"report-q7k2-y","suspended":false}
{"time":"2026-01-02T03:04:16.5Z","run":"0198c0de","event":"step-ended","step":"report","attempt":1,"status":"failed","excused":false,"exit_code":42,"reason":"pod-failure-policy","message":"pod failure rule 0\nContainer step for pod batch/report-q7k2-x failed with exit code 42 matching FailJob rule","notes":["pod 2 of 2"],"hint":"the rule stands in `podFailurePolicy`\nleave it out to have the Job try again","pod":"report-q7k2-x","pods":2,"job":{"namespace":"batch","name":"report-q7k2"},"kept":false,"took_ms":7300,"log":"/state/0198c0de/logs/report.1.log"}
{"time":"2026-01-02T03:04:16.5Z","run":"0198c0de","event":"step-ended","step":"publish","attempt":1,"status":"aborted","excused":false,"exit_code":null,"reason":null,"message":"upstream report failed","notes":[],"hint":null,"pod":null,"pods":0,"job":null,"kept":false,"took_ms":null,"log":null}
{"time":"2026-01-02T03:04:16.6Z","run":"0198c0de","event":"step-started","step":"onFailure","attempt":1,"job":{"namespace":"batch","name":"onFailure-q7k2"},"log":"/state/0198c0de/logs/onFailure.1.log"}
{"time":"2026-01-02T03:04:16.9Z","run":"0198c0de","event":"step-ended","step":"onFailure","attempt":1,"status":"succeeded","excused":false,"exit_code":0,"reason":null,"message":"","notes":[],"hint":null,"pod":null,"pods":0,"job":{"namespace":"batch","name":"onFailure-q7k2"},"kept":false,"took_ms":300,"log":"/state/0198c0de/logs/onFailure.1.log"}
{"time":"2026-01-02T03:04:17Z","run":"0198c0de","event":"leftover","step":"report","attempt":1,"kind":"job","namespace":"batch","name":"report-q7k2","reason":"the server refused: Forbidden","command":"kubectl --context prod -n batch delete job report-q7k2"}
{"time":"2026-01-02T03:04:17.3Z","run":"0198c0de","event":"run-ended","status":"failed","exit_code":1,"took_ms":12300,"counts":{"succeeded":2,"failed":1,"skipped":0,"aborted":1,"running":0,"not_started":0}}
"#
        );
    }

    #[test]
    fn a_code_that_nobody_saw_is_null() {
        let shown = json(vec![of(1, "a", ended(end("a", 1, Verdict::new(Outcome::Lost, "the Job was deleted"))))]);
        assert!(shown.contains(r#""status":"failed","excused":false,"exit_code":null,"reason":"lost""#), "{shown}");
        let shown = json(vec![of(1, "a", unattempted(StepStatus::Skipped, ""))]);
        assert!(shown.contains(r#""status":"skipped","excused":false,"exit_code":null,"reason":null"#), "{shown}");
    }

    #[test]
    fn what_ends_the_program_is_told_on_both_streams() {
        let help = Some("start it again".to_owned());
        let events = vec![
            run(0, EventKind::Stopping { at_once: false }),
            run(0, EventKind::Fatal { text: "no cluster\nat all".to_owned(), help }),
        ];
        let (stdout, stderr) = shown(Output::Json, true, events);
        let lines: Vec<&str> = stdout.lines().map(|line| line.split_once(r#""event":"#).unwrap().1).collect();
        assert_eq!(
            lines,
            [r#""stopping","at_once":false}"#, r#""fatal","text":"no cluster\nat all","help":"start it again"}"#,]
        );
        assert_eq!(stderr, "error: no cluster\\nat all\n  help: start it again\n");
    }

    #[test]
    fn pieces_of_a_line_and_missing_lines_are_marked() {
        let gap = EventKind::StepGap { pod: "p".into(), last: "10:00".into(), next: Some("10:01".into()) };
        let shown = json(vec![
            begun(&["a"]),
            of(0, "a", piece("whole\nbegin")),
            of(0, "a", log(1, "end\n\n")),
            of(0, "a", gap),
            run(0, EventKind::Note { text: "n".to_owned() }),
            of(0, "a", EventKind::Warning { text: "w".to_owned() }),
        ]);
        let lines: Vec<&str> = shown.lines().skip(1).map(|line| line.split_once(r#""event":"#).unwrap().1).collect();
        assert_eq!(
            lines,
            [
                r#""step-log","step":"a","attempt":1,"pod":"pod-1","pod_number":1,"text":"whole","partial":false}"#,
                r#""step-log","step":"a","attempt":1,"pod":"pod-1","pod_number":1,"text":"begin","partial":true}"#,
                r#""step-log","step":"a","attempt":1,"pod":"pod-1","pod_number":1,"text":"end","partial":false}"#,
                r#""step-log","step":"a","attempt":1,"pod":"pod-1","pod_number":1,"text":"","partial":false}"#,
                r#""step-gap","step":"a","attempt":1,"pod":"p","last":"10:00","next":"10:01"}"#,
                r#""note","text":"n"}"#,
                r#""warning","step":"a","attempt":1,"text":"w"}"#,
            ]
        );
    }

    #[test]
    fn quiet_leaves_what_is_not_said_again() {
        let (stdout, stderr) = shown(Output::Json, true, failing());
        let events: Vec<&str> =
            stdout.lines().map(|line| line.split_once(r#""event":""#).unwrap().1.split_once('"').unwrap().0).collect();
        assert_eq!(
            events,
            [
                "run-started",
                "step-started",
                "step-ended",
                "step-started",
                "step-ended",
                "step-ended",
                "step-started",
                "step-ended",
                "leftover",
                "run-ended",
            ]
        );
        assert_eq!(stderr, "");
        let stopped = over(1, RunStatus::Aborted, 130);
        assert!(json(vec![stopped]).contains(r#""status":"aborted","exit_code":130"#));
    }
}
