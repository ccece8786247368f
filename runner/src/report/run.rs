//! What people and programs see of a run: a live tree, plain lines or JSON, each from the same events.
//!
//! A reporter lives on a thread of its own. It may wait for a slow reader; it changes nothing of what happens.

#[cfg(test)]
mod canned;
mod json;
mod junit;
mod live;
mod plain;
mod progress;
mod sink;
mod text;
mod tree;
mod words;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use jiff::Timestamp;

use self::json::Json;
use self::junit::RunSuite;
use self::live::Live;
use self::plain::Plain;
use self::text::Glyphs;
use super::Streams;
use crate::event::Event;

pub use sink::Sink;
pub(super) use text::{human, pad};

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A live tree on standard error, the final tree on standard output.
    Live,
    /// Log lines and the final tree on standard output, state changes on standard error.
    Plain,
    /// One JSON object a line on standard output, nothing but fatal errors on standard error.
    Json,
}

impl Output {
    /// The live tree where both streams are terminals that can move their cursor, else plain lines.
    pub fn auto() -> Output {
        let moves = std::env::var_os("TERM").is_some_and(|terminal| !terminal.is_empty() && terminal != "dumb");
        if moves && io::stdout().is_terminal() && io::stderr().is_terminal() { Output::Live } else { Output::Plain }
    }
}

/// Size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines, at least 1.
    pub rows: u16,
    /// Columns, at least 1.
    pub columns: u16,
}

/// Asked at each drawing: people change the size of a terminal while a run goes on.
type SizeNow = Arc<dyn Fn() -> Size + Send + Sync>;

/// Where a run is shown.
pub struct RunStreams {
    stdout: Sink,
    stderr: Sink,
    size: SizeNow,
    glyphs: Glyphs,
}

impl fmt::Debug for RunStreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RunStreams").field("stdout", &self.stdout).field("stderr", &self.stderr).finish()
    }
}

impl RunStreams {
    /// The streams of the program. Signs beyond ASCII are used in files and pipes, whatever the locale: who reads those
    /// wants the same text everywhere. On a terminal they are used where the locale says UTF-8.
    pub fn of(streams: Streams) -> RunStreams {
        let stdout = resolved(streams.stdout, || AutoStream::choice(&io::stdout()));
        let stderr = resolved(streams.stderr, || AutoStream::choice(&io::stderr()));
        RunStreams::new(
            Sink::new(Box::new(io::stdout()), io::stdout().is_terminal(), stdout),
            Sink::new(Box::new(io::stderr()), io::stderr().is_terminal(), stderr),
            !io::stdout().is_terminal() || is_utf8(|name| std::env::var(name).ok()),
            || {
                let (rows, columns) = console::Term::stderr().size();
                Size { rows, columns }
            },
        )
    }

    /// Streams of any kind. `unicode`: whether signs beyond ASCII may be used. `size`: how large the terminal is.
    pub fn new(
        stdout: Sink,
        stderr: Sink,
        unicode: bool,
        size: impl Fn() -> Size + Send + Sync + 'static,
    ) -> RunStreams {
        RunStreams { stdout, stderr, size: Arc::new(size), glyphs: Glyphs { unicode } }
    }
}

/// Whether a stream has colours.
fn resolved(choice: ColorChoice, auto: impl FnOnce() -> ColorChoice) -> bool {
    match choice {
        ColorChoice::Auto => auto() != ColorChoice::Never,
        ColorChoice::Never => false,
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
    }
}

/// Whether the locale is one of UTF-8. The first variable that is set and not empty decides, as for `setlocale(3)`.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// The end of a run could not be told.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// On standard output.
    #[error("standard output cannot be written")]
    Stdout(#[source] io::Error),
    /// In the JUnit report.
    #[error("the JUnit report `{file}` cannot be written")]
    Junit {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Shows a run, event by event.
#[derive(Debug)]
pub struct RunReporter {
    shown: Shown,
    /// A JUnit report, and the file it goes to.
    junit: Option<(RunSuite, PathBuf)>,
}

#[derive(Debug)]
enum Shown {
    Live(Box<Live>),
    Plain(Box<Plain>),
    Json(Box<Json>),
}

impl RunReporter {
    /// A reporter that was told nothing yet.
    ///
    /// `quiet`: neither log lines nor states nor notes. What stays: warnings, errors, the final tree, and of the JSON
    /// events all but `step-log`, `step-state` and `step-waiting`.
    pub fn new(output: Output, streams: RunStreams, quiet: bool) -> RunReporter {
        let shown = match output {
            // What is left of a live tree without states is the final tree.
            Output::Live if !quiet => Shown::Live(Box::new(Live::new(streams))),
            Output::Live | Output::Plain => Shown::Plain(Box::new(Plain::new(streams, quiet))),
            Output::Json => Shown::Json(Box::new(Json::new(streams, quiet))),
        };
        RunReporter { shown, junit: None }
    }

    /// Writes a JUnit report into a file when the run has ended, beside all else.
    #[must_use]
    pub fn with_junit(self, file: PathBuf) -> RunReporter {
        RunReporter { junit: Some((RunSuite::default(), file)), ..self }
    }

    /// Takes an event, in the order in which they happened. Waits for a slow reader.
    ///
    /// The live tree is not drawn here but by [`RunReporter::tick`], so that a thousand events cost one drawing.
    pub fn show(&mut self, event: Event) {
        if let Some((suite, _)) = &mut self.junit {
            suite.note(&event);
        }
        match &mut self.shown {
            Shown::Live(live) => live.show(event),
            Shown::Plain(plain) => plain.show(event),
            Shown::Json(json) => json.show(event),
        }
    }

    /// Draws the live tree, when it is due and has changed.
    pub fn tick(&mut self, now: Timestamp) {
        if let Shown::Live(live) = &mut self.shown {
            live.tick(now);
        }
    }

    /// How long [`RunReporter::tick`] would do nothing if no event came; none: for ever.
    pub fn idle(&self, now: Timestamp) -> Option<Duration> {
        match &self.shown {
            Shown::Live(live) => Some(live.idle(now)),
            Shown::Plain(_) | Shown::Json(_) => None,
        }
    }

    /// Ends the output: the live part vanishes, the final tree is written.
    ///
    /// # Errors
    /// When standard output could not be written, at any time, for another reason than that its reader has gone away; or
    /// when the JUnit report could not be written.
    pub fn finish(self) -> Result<(), ReportError> {
        let shown = match self.shown {
            Shown::Live(live) => live.finish(),
            Shown::Plain(plain) => plain.finish(),
            Shown::Json(json) => json.finish(),
        };
        if let Some((suite, file)) = self.junit {
            let written = suite.document().and_then(|document| std::fs::write(&file, document));
            written.map_err(|source| ReportError::Junit { file: file.display().to_string(), source })?;
        }
        shown.map_err(ReportError::Stdout)
    }
}

/// The thread of a reporter; it gives what [`RunReporter::finish`] gives.
pub type Reporting = JoinHandle<Result<(), ReportError>>;

/// Runs a reporter on a thread of its own, until the last sender is dropped; the thread gives what
/// [`RunReporter::finish`] gives.
///
/// # Errors
/// When no thread can be started.
pub fn spawn(mut reporter: RunReporter) -> io::Result<(Sender<Event>, Reporting)> {
    // Not bounded: the engine never waits for the screen. Log text, the only thing there is much of, is bounded by the
    // permits in the events.
    let (sender, events) = mpsc::channel::<Event>();
    let thread = thread::Builder::new().name("report".to_owned()).spawn(move || {
        loop {
            let received = match reporter.idle(Timestamp::now()) {
                Some(idle) => events.recv_timeout(idle),
                None => events.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(event) => reporter.show(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return reporter.finish(),
            }
            reporter.tick(Timestamp::now());
        }
    })?;
    Ok((sender, thread))
}

#[cfg(test)]
mod tests {
    use super::canned::{begun, failing, files, log, of, shown};
    use super::*;

    #[test]
    fn a_thread_shows_everything_before_it_ends() {
        let (streams, stdout, stderr) = files();
        let (sender, thread) = spawn(RunReporter::new(Output::Plain, streams, false)).unwrap();
        failing().into_iter().for_each(|event| sender.send(event).unwrap());
        drop(sender);
        thread.join().unwrap().unwrap();
        assert_eq!((stdout.text(), stderr.text()), shown(Output::Plain, false, failing()));
    }

    #[test]
    fn a_live_tree_needs_no_events_to_be_drawn() {
        let (streams, _, stderr) = files();
        let (sender, thread) = spawn(RunReporter::new(Output::Live, streams, false)).unwrap();
        sender.send(begun(&["a"])).unwrap();
        sender.send(of(0, "a", log(1, "text\n"))).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !stderr.text().contains("a │ text") {
            assert!(std::time::Instant::now() < deadline, "{:?}", stderr.text());
            thread::yield_now();
        }
        drop(sender);
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn quiet_has_no_live_tree() {
        let (stdout, stderr) = shown(Output::Live, true, failing());
        assert!(stdout.starts_with("nightly · failed"), "{stdout}");
        assert_eq!(stderr, "");
    }

    #[test]
    fn a_run_that_never_began_has_no_tree() {
        for output in [Output::Live, Output::Plain, Output::Json] {
            assert_eq!(shown(output, false, Vec::new()).0, "");
        }
    }

    #[test]
    fn a_full_disk_is_told_and_a_closed_pipe_is_not() {
        for (kind, told) in [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)] {
            for output in [Output::Live, Output::Plain, Output::Json] {
                let sink = || Sink::new(Box::new(Refusing(kind)), false, false);
                let streams = RunStreams::new(sink(), sink(), true, || Size { rows: 24, columns: 80 });
                let mut reporter = RunReporter::new(output, streams, false);
                failing().into_iter().for_each(|event| reporter.show(event));
                reporter.tick(Timestamp::UNIX_EPOCH);
                let error = reporter.finish().err().map(|error| match error {
                    ReportError::Stdout(error) | ReportError::Junit { source: error, .. } => error.kind(),
                });
                assert_eq!(error, told.then_some(kind), "{output:?}");
            }
        }
    }

    /// Refuses every byte.
    struct Refusing(io::ErrorKind);

    impl io::Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        for (variables, expected) in [
            (&[("LANG", "de_DE.UTF-8")][..], true),
            (&[("LC_ALL", "C.utf8"), ("LANG", "C")], true),
            (&[("LC_ALL", "C"), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C.UTF-8")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8")], true),
            (&[("LANG", "POSIX")], false),
            (&[], false),
        ] {
            let variable = |name: &str| {
                variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(is_utf8(variable), expected, "{variables:?}");
        }
    }
}
