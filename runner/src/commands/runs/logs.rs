//! `runner runs logs`: the logs of a run, from their files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Refused, named};
use crate::cli::RunsLogs;
use crate::journal::{ERROR_LOG, History, Opened, StepHistory, log_file};
use crate::report::{ExitCode, Failed, Streams, escape};

/// How often a file that may grow is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes that are read at once.
const PIECE: u64 = 1024 * 1024;

pub(super) fn run(arguments: RunsLogs, streams: Streams) -> Result<ExitCode, Refused> {
    let RunsLogs { run, step, attempt, follow, state } = arguments;
    let state = state.folder()?;
    let (id, mut opened) = named(&state, &run)?;
    let wanted = Wanted { step, attempt };
    wanted.check(&opened.history)?;
    let mut tails: BTreeMap<(usize, u32, u8), Tail> = BTreeMap::new();
    loop {
        for (place, step, attempt) in wanted.attempts(&opened.history) {
            let log = log_file(&opened.history.log_folder(&opened.path), &step.name, attempt);
            // The error stream of a step that has it apart follows.
            for (path, stream) in [(log.clone(), 0), (log.with_extension(ERROR_LOG), 1)] {
                let prefix = || wanted.prefix(&opened.history, step);
                tails.entry((place, attempt, stream)).or_insert_with(|| Tail::new(path, prefix()));
            }
        }
        let is_over = opened.holder.is_none();
        for tail in tails.values_mut() {
            match tail.copy(is_over || !follow, streams) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::Success),
                Err(error) => return Err(Failed::of(format!("the log cannot be copied: {error}"), None).into()),
            }
        }
        if is_over || !follow {
            return Ok(ExitCode::Success);
        }
        std::thread::sleep(LOOK);
        opened = Opened::read(&state, &id)?;
    }
}

/// Which logs the user wants to see.
struct Wanted {
    step: Option<String>,
    attempt: Option<u32>,
}

impl Wanted {
    fn check(&self, history: &History) -> Result<(), Failed> {
        let Some(name) = &self.step else { return Ok(()) };
        let Some(step) = history.step(name) else {
            let names: Vec<String> = history.steps.iter().take(20).map(|step| format!("`{}`", step.name)).collect();
            let help = format!("the steps are {}", names.join(", "));
            return Err(Failed::of(format!("run `{}` has no step `{name}`", history.run), Some(help)));
        };
        match self.attempt {
            Some(number) if step.attempts.iter().all(|attempt| attempt.number != number) => {
                let help = format!("it had {}", step.attempts.len());
                Err(Failed::of(format!("step `{name}` had no attempt {number}"), Some(help)))
            }
            _ => Ok(()),
        }
    }

    fn attempts<'a>(&self, history: &'a History) -> Vec<(usize, &'a StepHistory, u32)> {
        let is_wanted = |step: &&StepHistory| self.step.as_ref().is_none_or(|name| *name == step.name);
        let steps = history.steps.iter().enumerate().filter(|(_, step)| is_wanted(step));
        let number = |step: &StepHistory| self.attempt.or(step.last_attempt().map(|attempt| attempt.number));
        steps.filter_map(|(place, step)| Some((place, step, number(step)?))).collect()
    }

    /// What stands before each line; none: the log is copied as it is.
    fn prefix(&self, history: &History, step: &StepHistory) -> Option<String> {
        let width = history.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
        self.step.is_none().then(|| format!("{:width$} │ ", escape(&step.name)))
    }
}

/// A log file, and how far it was copied.
struct Tail {
    path: PathBuf,
    offset: u64,
    prefix: Option<String>,
    /// The line that has no end yet.
    open: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf, prefix: Option<String>) -> Tail {
        Tail { path, offset: 0, prefix, open: Vec::new() }
    }

    /// Copies what is new. `is_whole`: nothing more comes, a last line without end is one.
    fn copy(&mut self, is_whole: bool, streams: Streams) -> io::Result<()> {
        while let Some(piece) = read_from(&self.path, self.offset)? {
            self.offset += piece.len() as u64;
            let Some(prefix) = &self.prefix else {
                streams.bytes(&piece)?;
                continue;
            };
            self.open.extend_from_slice(&piece);
            let whole = memchr::memrchr(b'\n', &self.open).map_or(0, |end| end + 1);
            let rest = self.open.split_off(whole);
            streams.bytes(&prefixed(prefix, &self.open, streams.is_terminal()))?;
            self.open = rest;
        }
        if let (true, false, Some(prefix)) = (is_whole, self.open.is_empty(), &self.prefix) {
            let mut line = std::mem::take(&mut self.open);
            line.push(b'\n');
            streams.bytes(&prefixed(prefix, &line, streams.is_terminal()))?;
        }
        Ok(())
    }
}

/// The next bytes behind an offset; none: there are none, or no file yet.
fn read_from(path: &Path, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut piece = Vec::new();
    file.take(PIECE).read_to_end(&mut piece)?;
    Ok(Some(piece).filter(|piece| !piece.is_empty()))
}

/// Whole lines with a text before each; on a terminal nothing in them is obeyed.
fn prefixed(prefix: &str, lines: &[u8], is_terminal: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        text.extend_from_slice(prefix.as_bytes());
        match is_terminal {
            true => text.extend_from_slice(escape(&String::from_utf8_lossy(line)).as_bytes()),
            false => text.extend_from_slice(line),
        }
    }
    text
}
