//! What the user sees. Data goes to standard output, words go to standard error; nothing else in the program prints.

mod exit_code;
mod explain;
mod problems;
mod render;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use crate::cli::Color;
use crate::policy_set::PolicySet;

pub use exit_code::ExitCode;
pub use explain::{ExplainedStep, explain};
pub use problems::{CheckReport, PolicyInForce, show_problems, summary};
pub use render::render;

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

    /// Writes data. A reader that has gone away is no failure of ours.
    pub fn data(&self, text: &str) {
        let mut stream = AutoStream::new(io::stdout().lock(), self.stdout);
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// Writes words.
    pub fn words(&self, text: &str) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.stderr);
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// Writes one JSON document as data.
    pub fn json<T: Serialize>(&self, document: &T) {
        // The types that are shown have text keys only, so writing cannot fail.
        let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
        text.push('\n');
        self.data(&text);
    }

    /// Tells an error with its causes, once.
    pub fn error(&self, error: &dyn std::error::Error, help: Option<&str>) {
        let mut text = String::new();
        // Several failures are told a line each.
        for line in escape(&error.to_string()).lines() {
            let _ = writeln!(text, "{RED}error{RESET}: {line}");
        }
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = writeln!(text, "  caused by: {}", escape(&error.to_string()));
            cause = error.source();
        }
        for line in help.into_iter().flat_map(str::lines) {
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
                escape(&policy.name),
                escape(&policy.version),
                policy.sha256,
                policy.mode
            );
        }
        for warning in set.warnings() {
            let _ = writeln!(text, "{YELLOW}warning{RESET}: {}", escape(warning));
        }
        self.words(&text);
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();
const RESET: anstyle::Reset = anstyle::Reset;

/// Text from outside with its control characters made visible, so that none reaches the terminal. Line ends stay.
fn escape(text: &str) -> String {
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

/// Characters that turn the direction of writing: text could look other than it is.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
