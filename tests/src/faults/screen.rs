//! What the user sees, with the time at which he sees it: the plain reporter, called where events happen.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use runner::event::{Event, EventKind};
use runner::report::{Output, RunReporter, RunStreams, Sink, Size};
use tokio::sync::watch;
use tokio::time::Instant;

use super::seen::Told;

/// Log lines in a row that a transcript shows; of more the first and the last few.
const SHOWN: usize = 8;
/// Characters of a line that a transcript shows.
const WIDEST: usize = 400;

/// The screen of one run. Clones are the same one.
#[derive(Clone)]
pub(super) struct Screen {
    reporter: Arc<Mutex<Option<RunReporter>>>,
    lines: Arc<Mutex<Transcript>>,
}

/// Of which stream, when, and the text without its end.
type Line = (Stream, String, String);

struct Transcript {
    began: Instant,
    /// Whole lines.
    lines: Vec<Line>,
    /// The names of all steps.
    steps: Vec<String>,
    /// What has no line end yet, of each stream, and how much of it was searched for one.
    open: [(Vec<u8>, usize); 2],
    /// All text so far, for those who wait for some.
    shown: watch::Sender<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out = 0,
    Err = 1,
}

impl Screen {
    pub(super) fn new(began: Instant) -> (Screen, watch::Receiver<String>) {
        let (shown, receiver) = watch::channel(String::new());
        let transcript = Transcript { began, lines: Vec::new(), steps: Vec::new(), open: Default::default(), shown };
        let lines = Arc::new(Mutex::new(transcript));
        let sink = |stream| Sink::new(Box::new(Pen { stream, lines: lines.clone() }), false, false);
        let size = || Size { rows: 24, columns: 80 };
        let streams = RunStreams::new(sink(Stream::Out), sink(Stream::Err), true, size);
        let reporter = RunReporter::new(Output::Plain, streams, false);
        (Screen { reporter: Arc::new(Mutex::new(Some(reporter))), lines }, receiver)
    }

    /// Shows an event, and returns what the test has to know of it.
    pub(super) fn show(&self, event: Event) -> Told {
        let step = event.step.as_deref().unwrap_or_default().to_owned();
        let told = match &event.kind {
            EventKind::StepStarted { job: Some(job), log } => {
                Told::Started { step, job: job.clone(), log: log.clone() }
            }
            EventKind::StepLog { pod, text, .. } => {
                Told::Log { step, pod: pod.as_deref().unwrap_or_default().to_owned(), text: text.clone() }
            }
            EventKind::StepEnded(end) => Told::Ended { step, end: end.clone() },
            EventKind::Leftover(leftover) => Told::Leftover(leftover.clone()),
            _ => Told::Other,
        };
        if let EventKind::RunStarted { steps, handlers, .. } = &event.kind {
            self.lines.lock().unwrap().steps = steps.iter().chain(handlers).map(|step| step.to_string()).collect();
        }
        if let Some(reporter) = &mut *self.reporter.lock().unwrap() {
            reporter.show(event);
        }
        told
    }

    /// Shows the end.
    pub(super) fn finish(&self) {
        if let Some(reporter) = self.reporter.lock().unwrap().take() {
            reporter.finish().unwrap();
        }
    }

    /// Everything that was shown, a line each with its time, log lines in the middle of many left out.
    pub(super) fn transcript(&self) -> String {
        let transcript = self.lines.lock().unwrap();
        let mut text = String::new();
        let is_log = |line: &Line| line.0 == Stream::Out && line.2.contains(" │ ");
        let lines = in_order(&transcript.lines, &transcript.steps);
        for group in lines.chunk_by(|one, next| is_log(one) == is_log(next)) {
            let left_out = if is_log(&group[0]) { group.len().saturating_sub(SHOWN) } else { 0 };
            let (first, last) = if left_out > 0 {
                (&group[..SHOWN / 2], &group[group.len() - SHOWN / 2..])
            } else {
                (group, &group[..0])
            };
            first.iter().for_each(|line| push(&mut text, line));
            if left_out > 0 {
                let _ = writeln!(text, "… {left_out} lines …");
            }
            last.iter().for_each(|line| push(&mut text, line));
        }
        text
    }

    /// Everything that was shown, and nothing else.
    pub(super) fn text(&self) -> String {
        self.lines.lock().unwrap().shown.borrow().clone()
    }
}

/// The lines, without what differs by chance: steps that do something at the same time do so in any order, here in that of
/// their names; when a wait is told to be over at such a moment, and whether, if its step ends with it.
fn in_order(lines: &[Line], steps: &[String]) -> Vec<Line> {
    let step = |line: &Line| {
        let text = line.2.strip_prefix("warning: ").unwrap_or(&line.2);
        let begins = |step: &&String| {
            let rest = text.strip_prefix(step.as_str()).unwrap_or_default();
            rest.starts_with(": ") || ([" ", "/"].iter().any(|next| rest.starts_with(next)) && rest.contains(" │ "))
        };
        steps.iter().filter(begins).max_by_key(|step| step.len())
    };
    let is_end = |line: &Line, step: &str| {
        let rest = line.2.strip_prefix(step).unwrap_or_default();
        [": succeeded", ": failed", ": aborted"].iter().any(|end| rest.starts_with(end))
    };
    let is_by_chance = |line: &Line| {
        let step = step(line).filter(|step| line.2[step.len()..].starts_with(": no longer waiting"));
        step.is_some_and(|step| lines.iter().any(|other| other.1 == line.1 && is_end(other, step)))
    };
    let mut ordered: Vec<Line> = lines.iter().filter(|line| !is_by_chance(line)).cloned().collect();
    let is_together = |one: &Line, next: &Line| one.1 == next.1 && step(one).is_some() && step(next).is_some();
    let key = |line: &Line| (step(line), line.2.contains(": no longer waiting"));
    ordered.chunk_by_mut(is_together).for_each(|lines| lines.sort_by_key(key));
    ordered
}

fn push(text: &mut String, (stream, time, line): &Line) {
    let sign = if *stream == Stream::Out { '>' } else { '!' };
    let shown: String = line.chars().take(WIDEST).collect();
    let more = if shown.len() < line.len() { format!(" … {} bytes", line.len()) } else { String::new() };
    let _ = writeln!(text, "{time:>12} {sign} {}{more}", shown.replace('\r', "\\r"));
}

/// Writes one of the two streams.
struct Pen {
    stream: Stream,
    lines: Arc<Mutex<Transcript>>,
}

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut guard = self.lines.lock().unwrap();
        let transcript = &mut *guard;
        let time = format!("{:.3}", transcript.began.elapsed().as_secs_f64());
        let (open, searched) = &mut transcript.open[self.stream as usize];
        open.extend_from_slice(bytes);
        let mut rest = std::mem::take(open);
        let mut from = 0;
        while let Some(end) = rest[from + *searched..].iter().position(|byte| *byte == b'\n') {
            let end = from + *searched + end;
            let line = String::from_utf8_lossy(&rest[from..end]).into_owned();
            (from, *searched) = (end + 1, 0);
            transcript.shown.send_modify(|shown| {
                shown.push_str(&line);
                shown.push('\n');
            });
            transcript.lines.push((self.stream, time.clone(), line));
        }
        rest.drain(..from);
        *searched = rest.len();
        *open = rest;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
