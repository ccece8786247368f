//! Where the log of an attempt goes: its file, the copies that the step wants, the screen; and what is looked for in it.
//!
//! Secrets are hidden before anything is written or shown. What captures the output sees the bytes as they came: its value
//! is for other steps, not for readers.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Shared;
use super::log_file::{LogFile, last_lines};
use crate::event::EventKind;
use crate::host::Stream;
use crate::mask::Masked;
use crate::outcome::{Outcome, Reason, Verdict};
use crate::output::{Capture, LinePatterns, LineSearch};

/// A line that is longer is shown in pieces.
const LONGEST_LINE: usize = 1024 * 1024;

/// Where a log goes, and what is wanted of it.
#[derive(Debug, Default)]
pub struct LogTarget {
    /// Its file.
    pub file: PathBuf,
    /// The file of the error stream, where that is apart.
    pub error_file: Option<PathBuf>,
    /// A copy of each stream; made new for each attempt.
    pub copies: Copies,
    /// The output is captured, up to so many bytes.
    pub output: Option<u64>,
    /// Lines that are looked for, in the first so many bytes of each stream.
    pub lines: Option<(LinePatterns, u64)>,
}

/// Copies of the streams of an attempt.
#[derive(Debug, Default)]
pub struct Copies {
    /// Of standard output, or of the one stream that there is.
    pub output: Option<File>,
    /// Of standard error.
    pub error: Option<File>,
}

/// What came of a log.
#[derive(Debug, Default)]
pub struct Printed {
    /// Why it may not be complete.
    pub notes: Vec<String>,
    /// Its last lines.
    pub last_lines: Vec<Bytes>,
    /// The captured output; none: none was wanted, or there is none.
    pub output: Option<String>,
    /// Whether one of the lines was found that were looked for.
    pub is_line_found: bool,
    /// Why the output could not be captured.
    missed: Option<Missed>,
}

#[derive(Debug)]
struct Missed {
    reason: Reason,
    words: String,
    help: &'static str,
}

/// The pod that a piece of a log comes from: its name, and which of its Job it is.
pub(super) type OfPod<'a> = (&'a Arc<str>, u32);

/// A log on its way.
pub(super) struct LogSink {
    step: Arc<str>,
    attempt: u32,
    shared: Arc<Shared>,
    file: LogFile,
    error_file: Option<LogFile>,
    copies: Copies,
    output: Way,
    error: Way,
    most: Option<u64>,
    /// One for each pod: only at the end it is known which decided.
    captures: Vec<(Option<Arc<str>>, Capture)>,
    notes: Vec<String>,
}

/// One stream on its way.
struct Way {
    masked: Masked,
    search: Option<LineSearch>,
    /// The line that is shown next, as far as it has come.
    open: BytesMut,
}

impl LogSink {
    /// Goes on behind the first `length` bytes of the file; what stands behind them comes again.
    pub(super) fn new(step: Arc<str>, attempt: u32, shared: Arc<Shared>, target: LogTarget, length: u64) -> LogSink {
        let LogTarget { file: path, error_file, mut copies, output, lines } = target;
        let (file, mut notes) = LogFile::resume(path, length);
        if let Some(copy) = copies.output.as_mut().filter(|_| file.length() > 0)
            && let Err(error) = copy_beginning(file.path(), file.length(), copy)
        {
            notes.push(format!("the copy of the log is not complete: {error}"));
        }
        let error_file = error_file.map(|path| LogFile::resume(path, 0).0);
        let way = || Way {
            masked: shared.events.mask().stream(),
            search: lines.as_ref().map(|(patterns, most)| patterns.search(*most)),
            open: BytesMut::new(),
        };
        let (mut output_way, error_way) = (way(), way());
        if let (Some(search), Some((_, most))) = (&mut output_way.search, &lines) {
            // Like the copies: what an earlier process has written was not seen by this one.
            search.push(&beginning(file.path(), file.length().min(*most)));
        }
        LogSink {
            step,
            attempt,
            file,
            error_file,
            copies,
            output: output_way,
            error: error_way,
            most: output,
            captures: Vec::new(),
            notes,
            shared,
        }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.file.length()
    }

    /// Whether everything that came is in the file: nothing is held back that may be the beginning of a secret.
    pub(super) fn is_written(&self) -> bool {
        self.output.masked.is_empty() && self.error.masked.is_empty()
    }

    /// Takes a piece. `partial`: a piece of a line that goes on, and that is too long to wait for its end.
    pub(super) async fn push(&mut self, stream: Stream, pod: Option<OfPod<'_>>, text: Bytes, partial: bool) {
        self.capture(stream, pod, &text);
        let text = self.way(stream).masked.push(text);
        self.pass(stream, pod, text, partial, false).await;
    }

    /// A stream has ended: what was held back is passed on.
    pub(super) async fn end_stream(&mut self, stream: Stream, pod: Option<OfPod<'_>>) {
        let text = self.way(stream).masked.finish();
        self.pass(stream, pod, text, false, true).await;
    }

    fn way(&mut self, stream: Stream) -> &mut Way {
        match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        }
    }

    fn capture(&mut self, stream: Stream, pod: Option<OfPod<'_>>, text: &[u8]) {
        let Some(most) = self.most.filter(|_| stream == Stream::Output) else { return };
        let name = pod.map(|(name, _)| name);
        match self.captures.last_mut().filter(|(of, _)| of.as_ref() == name) {
            Some((_, capture)) => capture.push(text),
            None => {
                let mut capture = Capture::new(most);
                capture.push(text);
                self.captures.push((name.cloned(), capture));
            }
        }
    }

    /// Writes and shows. `is_end`: nothing follows.
    async fn pass(&mut self, stream: Stream, pod: Option<OfPod<'_>>, text: Bytes, partial: bool, is_end: bool) {
        if !text.is_empty() {
            self.write(stream, &text);
        }
        let way = self.way(stream);
        if let Some(search) = &mut way.search {
            search.push(&text);
        }
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
        let shows_all = is_end || partial || way.open.len() + text.len() - whole >= LONGEST_LINE;
        let mut shown = text;
        let rest = if shows_all { Bytes::new() } else { shown.split_off(whole) };
        if !way.open.is_empty() && !shown.is_empty() {
            let mut joined = std::mem::take(&mut way.open);
            joined.extend_from_slice(&shown);
            shown = joined.freeze();
        } else if shows_all && shown.is_empty() {
            shown = std::mem::take(&mut way.open).freeze();
        }
        way.open.extend_from_slice(&rest);
        if shown.is_empty() {
            return;
        }
        let partial = !is_end && !shown.ends_with(b"\n");
        let permit = self.shared.events.log_permit(shown.len()).await;
        let (pod, pod_number) = pod.map_or((None, 1), |(name, number)| (Some(name.clone()), number));
        let log = EventKind::StepLog { pod, pod_number, text: shown, partial, permit };
        self.shared.events.attempt(&self.step, self.attempt, log);
    }

    fn write(&mut self, stream: Stream, text: &Bytes) {
        let (file, copy) = match (stream, &mut self.error_file) {
            (Stream::Error, Some(file)) => (file, &mut self.copies.error),
            (Stream::Error, None) => (&mut self.file, &mut self.copies.error),
            (Stream::Output, _) => (&mut self.file, &mut self.copies.output),
        };
        let written = file.write(text);
        let path = file.path().display().to_string();
        let copied = copy.as_mut().map_or(Ok(()), |file| file.write_all(text));
        if copied.is_err() {
            // Nothing is written behind a hole.
            *copy = None;
        }
        self.told(written, &format!("`{path}`"), "log file");
        self.told(copied, "the copy of the log", "the copy of the log");
    }

    fn told(&mut self, written: io::Result<()>, which: &str, name: &str) {
        if let Err(error) = written {
            let text = format!("{which} cannot be written: {error}");
            self.notes.push(format!("{name} is not complete: {error}"));
            self.shared.events.attempt(&self.step, self.attempt, EventKind::Warning { text });
        }
    }

    /// The log has ended. `pod`: the one that decided. `is_whole`: all of it has come.
    pub(super) fn finish(self, pod: Option<&str>, is_whole: bool) -> Printed {
        let LogSink { file, error_file, output, error, most, mut captures, notes, .. } = self;
        let mut printed = Printed { notes, ..Printed::default() };
        printed.is_line_found = [output.search, error.search].into_iter().flatten().any(LineSearch::finish);
        printed.last_lines = file.last_lines();
        if let Some(error_file) = error_file {
            // What a program says about its failure stands there.
            let lines = error_file.last_lines();
            if !lines.is_empty() {
                printed.last_lines = lines;
            }
        }
        if let Some(most) = most {
            let place = captures.iter().rposition(|(of, _)| pod.is_none() || of.as_deref() == pod);
            let capture = place.map_or_else(|| Capture::new(most), |place| captures.swap_remove(place).1);
            printed.capture(capture, is_whole);
        }
        printed
    }
}

impl Printed {
    /// What an earlier process has left of a log.
    pub(crate) fn recorded(log: &Path, lines: Option<(LinePatterns, u64)>, output: Option<String>) -> Printed {
        let is_line_found = lines.is_some_and(|(patterns, most)| {
            let mut search = patterns.search(most);
            search.push(&beginning(log, most));
            search.finish()
        });
        Printed { last_lines: last_lines(log), is_line_found, output, ..Printed::default() }
    }

    fn capture(&mut self, capture: Capture, is_whole: bool) {
        if !is_whole {
            let words = "the output is not captured: its log may be incomplete".to_owned();
            let help = "read what is there with `runner runs logs`, or write the value to a volume";
            self.missed = Some(Missed { reason: Reason::LogIncomplete, words, help });
            return;
        }
        match capture.finish() {
            Ok(captured) => {
                if captured.is_mended {
                    self.notes.push("output is no UTF-8 text: what cannot be read is `�`".to_owned());
                }
                self.output = Some(captured.text);
            }
            Err(error) => {
                let (words, help) = (error.to_string(), error.help());
                self.missed = Some(Missed { reason: Reason::OutputTooLarge, words, help });
            }
        }
    }

    /// A step whose output was to be captured and could not be has failed, if it had not already.
    #[must_use]
    pub(super) fn judged(&self, mut verdict: Verdict) -> Verdict {
        verdict.notes.extend(self.notes.iter().cloned());
        let Some(Missed { reason, words, help }) = &self.missed else { return verdict };
        if verdict.outcome == Outcome::Succeeded {
            verdict.outcome = Outcome::failed(None, *reason);
            verdict.message = words.clone();
            verdict.hint = Some((*help).to_owned());
        }
        verdict
    }
}

/// The first bytes of a file; none of one that cannot be read.
fn beginning(log: &Path, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if length > 0
        && let Ok(file) = File::open(log)
    {
        drop(file.take(length).read_to_end(&mut bytes));
    }
    bytes
}

/// A process that takes an attempt up has the beginning of its log in the file only.
fn copy_beginning(log: &Path, length: u64, copy: &mut File) -> io::Result<()> {
    io::copy(&mut File::open(log)?.take(length), copy).map(drop)
}
