//! What the user sees. Data goes to standard output, words go to standard error; nothing else in the program prints.

mod checked;
mod exit_code;
mod explain;
mod github;
mod junit;
mod problems;
mod rbac;
mod render;
mod replacement;
mod run;
mod runs;
mod sarif;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use model::problem::{Problem, Severity, code};
use serde::Serialize;

use crate::cli::Color;
use crate::policy_set::PolicySet;

pub use checked::{Checked, CheckedFile};
pub use exit_code::ExitCode;
pub use explain::{ExplainedStep, explain, field_path};
pub use github::github;
pub use junit::junit;
pub use problems::{CheckReport, PolicyInForce, show_problems, summary};
pub use rbac::{Rbac, RbacRule};
pub use render::render;
pub use run::{Output, ReportError, Reporting, RunReporter, RunStreams, Sink, Size, spawn};
pub use runs::{Listed, run_document, run_table, show_run};
pub use sarif::sarif;

/// The two streams of the program.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    stdout: ColorChoice,
    stderr: ColorChoice,
}

impl Streams {
    /// Streams with colours as the user wants them.
    pub fn new(color: Color) -> Streams {
        let choice = |terminal: bool| match color {
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
            Color::Auto if terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) => {
                ColorChoice::Auto
            }
            Color::Auto => ColorChoice::Never,
        };
        Streams { stdout: choice(io::stdout().is_terminal()), stderr: choice(io::stderr().is_terminal()) }
    }

    /// Writes data, byte for byte. A reader that has gone away is no failure of ours; a full disk is.
    #[must_use]
    pub fn data(&self, text: &str) -> ExitCode {
        let mut stream = io::stdout().lock();
        let written = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
        self.written(written)
    }

    /// Writes text with colours as data; where the stream wants none they are taken out.
    #[must_use]
    pub fn coloured(&self, text: &str) -> ExitCode {
        let mut stream = AutoStream::new(io::stdout().lock(), self.stdout);
        let written = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
        self.written(written)
    }

    /// Writes a piece of data, byte for byte.
    ///
    /// # Errors
    /// When it cannot be written; also when its reader has gone away: nothing more is worth doing.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = io::stdout().lock();
        stream.write_all(bytes).and_then(|()| stream.flush())
    }

    /// Whether data goes to a terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Tells something that may be wrong.
    pub fn warning(&self, text: &str) {
        self.words(&format!("{YELLOW}warning{RESET}: {}\n", escape_line(text)));
    }

    fn written(&self, written: io::Result<()>) -> ExitCode {
        match written {
            Ok(()) => ExitCode::Success,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::Success,
            Err(error) => {
                self.error(&Failed::of(format!("standard output cannot be written: {error}"), None));
                ExitCode::Invalid
            }
        }
    }

    /// Writes words.
    pub fn words(&self, text: &str) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.stderr);
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// Writes one JSON document as data.
    #[must_use]
    pub fn json<T: Serialize>(&self, document: &T) -> ExitCode {
        // The types that are shown have text keys only, so writing cannot fail.
        let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
        text.push('\n');
        self.data(&text)
    }

    /// Tells programs that read events why nothing runs: one object on one line.
    pub fn rejected(&self, problems: &[Problem], policies: &[PolicyInForce], code: ExitCode) {
        let rejected = Rejected { event: "rejected", exit_code: code.number(), policies, problems };
        // Text keys only.
        let text = serde_json::to_string(&rejected).unwrap_or_default() + "\n";
        // The exit code says already that something is wrong.
        let _ = self.data(&text);
    }

    /// Tells why the program cannot go on.
    pub fn error(&self, failed: &Failed) {
        let mut text = String::new();
        let _ = writeln!(text, "{RED}error{RESET}: {}", escape_line(&failed.message));
        for cause in &failed.causes {
            let _ = writeln!(text, "  caused by: {}", escape_line(cause));
        }
        for line in failed.help.iter().flat_map(|help| help.lines()) {
            let _ = writeln!(text, "  help: {}", escape(line));
        }
        self.words(&text);
    }

    /// Tells which policies are in force, and what the user should know about them.
    pub fn policies(&self, set: &PolicySet) {
        let mut text = String::new();
        for policy in PolicyInForce::list(set) {
            let _ = writeln!(
                text,
                "policy {} {} sha256:{} {}",
                escape_line(&policy.name),
                escape_line(&policy.version),
                policy.sha256,
                policy.mode
            );
        }
        self.words(&text);
        self.warnings(set);
    }

    /// Tells what the user should know about the rules in force, though nothing stops.
    pub fn warnings(&self, set: &PolicySet) {
        let mut text = String::new();
        for warning in set.warnings() {
            let _ = writeln!(text, "{YELLOW}warning{RESET}: {}", escape_line(warning));
        }
        self.words(&text);
    }
}

/// The only event of a workflow that is refused as written.
#[derive(Serialize)]
struct Rejected<'a> {
    event: &'static str,
    exit_code: u8,
    policies: &'a [PolicyInForce],
    problems: &'a [Problem],
}

/// Why the program cannot go on: no problem of the file, but of what should judge it, or of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    message: String,
    causes: Vec<String>,
    help: Option<String>,
}

impl Failed {
    /// An error with its chain of causes, and what to do about it.
    pub fn new(error: &dyn std::error::Error, help: Option<&str>) -> Failed {
        let causes = std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect();
        Failed { message: error.to_string(), causes, help: help.map(str::to_owned) }
    }

    /// Something that is no error of a library.
    pub fn of(message: impl Into<String>, help: Option<String>) -> Failed {
        Failed { message: message.into(), causes: Vec::new(), help }
    }

    /// The same for programs.
    pub fn problem(self) -> Problem {
        Problem {
            code: code::POLICY_FAILED.to_owned(),
            severity: Severity::Error,
            message: std::iter::once(self.message).chain(self.causes).collect::<Vec<_>>().join(": "),
            path: String::new(),
            step: None,
            policy: "policy".to_owned(),
            file: None,
            line: None,
            column: None,
            end: None,
            help: self.help,
            related: Vec::new(),
            url: None,
            fix: None,
        }
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();
const RESET: anstyle::Reset = anstyle::Reset;

/// Text from outside with its control characters made visible, so that none reaches the terminal. Line ends stay.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' || is_direction(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The same for a place where text must stay on one line: no line can be forged.
fn escape_line(text: &str) -> String {
    escape(text).replace('\n', "\\n")
}

/// Characters that turn the direction of writing: text could look other than it is.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
