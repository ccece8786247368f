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
/// Lines of a whole transcript; of a longer one its two ends.
const LONGEST: usize = 500;
/// Characters of a line that a transcript shows.
const WIDEST: usize = 400;

/// The screen of one run. Clones are the same one.
#[derive(Clone)]
pub(super) struct Screen {
    reporter: Arc<Mutex<Option<RunReporter>>>,
    lines: Arc<Mutex<Transcript>>,
}

struct Transcript {
    began: Instant,
    /// Whole lines: of which stream, when, and the text without its end.
    lines: Vec<(Stream, String, String)>,
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
        let transcript = Transcript { began, lines: Vec::new(), open: Default::default(), shown };
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
            EventKind::StepStarted { job, log } => Told::Started { step, job: job.clone(), log: log.clone() },
            EventKind::StepLog { text, .. } => Told::Log { step, text: text.clone() },
            EventKind::StepEnded(end) => Told::Ended { step, end: end.clone() },
            EventKind::Leftover(leftover) => Told::Leftover(leftover.clone()),
            _ => Told::Other,
        };
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
        let is_log = |line: &(Stream, String, String)| line.0 == Stream::Out && line.2.contains(" │ ");
        let lines = in_order(&transcript.lines);
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
        let lines: Vec<&str> = text.lines().collect();
        let Some(left_out) = lines.len().checked_sub(LONGEST).filter(|left_out| *left_out > 0) else { return text };
        let (first, last) = (&lines[..LONGEST / 2], &lines[lines.len() - LONGEST / 2..]);
        format!("{}\n… {left_out} lines …\n{}\n", first.join("\n"), last.join("\n"))
    }

    /// Everything that was shown, and nothing else.
    pub(super) fn text(&self) -> String {
        self.lines.lock().unwrap().shown.borrow().clone()
    }
}

/// Steps that do something at the same time do so in any order: here the order is that of their names.
fn in_order(lines: &[(Stream, String, String)]) -> Vec<(Stream, String, String)> {
    let step = |line: &str| {
        let line = line.strip_prefix("warning: ").unwrap_or(line);
        let end = line.find([':', '/', ' '])?;
        // The lines about the run, and those of the final tree, are about no step.
        let is_of_step = line[end..].starts_with(": ") || line[end..].contains(" │ ");
        (is_of_step && !line.starts_with("dag:") && !line.starts_with("stopping")).then(|| line[..end].to_owned())
    };
    let is_together = |one: &(Stream, String, String), next: &(Stream, String, String)| {
        one.1 == next.1 && step(&one.2).is_some() && step(&next.2).is_some()
    };
    let mut ordered = lines.to_vec();
    ordered.chunk_by_mut(is_together).for_each(|lines| lines.sort_by_key(|line| step(&line.2)));
    ordered
}

fn push(text: &mut String, (stream, time, line): &(Stream, String, String)) {
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
