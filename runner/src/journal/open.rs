//! Reading the folder of a run: by whoever takes it up, and by whoever only looks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use model::names::RunId;
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Dated, Entry, VERSION};
use super::folder::{Holder, RunFolder};
use super::history::{History, Phase};
use super::recorded::{RECORDED_VERSION, Recorded};
use crate::outcome::RunStatus;

/// The folder of a run, as it was when it was read.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its folder.
    pub path: PathBuf,
    /// What has happened.
    pub history: History,
    /// The process that drives it; none: nobody.
    pub holder: Option<Holder>,
    /// Bytes of the whole lines of its journal.
    pub length: u64,
    /// Number of the last of them.
    pub seq: u64,
}

/// The folder of a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no run `{run}` in `{state}`")]
    Unknown {
        /// The id.
        run: String,
        /// The state folder.
        state: String,
    },
    /// A file of it cannot be read.
    #[error("`{path}` cannot be read")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of it is not what a run writes.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A newer version of the program wrote it.
    #[error("`{path}` was written by a newer version of runner: it has {found}, this one reads version {VERSION}")]
    Newer {
        /// The file.
        path: String,
        /// What this version does not know.
        found: String,
    },
}

impl OpenError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            OpenError::Unknown { .. } => Some("`runner runs list` shows the runs; `--state-dir` names another folder"),
            OpenError::Newer { .. } => Some("use the version that began the run"),
            OpenError::Io { .. } | OpenError::Damaged { .. } => None,
        }
    }
}

impl Opened {
    /// Reads what happened in a run.
    ///
    /// # Errors
    /// When there is no such run, or its journal cannot be understood.
    pub fn read(state: &Path, run: &RunId) -> Result<Opened, OpenError> {
        let path = RunFolder::path_of(state, run);
        if !path.is_dir() {
            return Err(OpenError::Unknown { run: run.to_string(), state: state.display().to_string() });
        }
        // Before the journal: a process that ends meanwhile has written its end.
        let holder = RunFolder::holder(&path);
        let journal = path.join("journal.jsonl");
        let file = journal.display().to_string();
        let text = fs::read(&journal).map_err(|source| OpenError::Io { path: file.clone(), source })?;
        let Lines { lines, length } = lines(&text, &file)?;
        let seq = lines.len() as u64;
        let history = History::of(lines).ok_or_else(|| {
            let reason = if seq == 0 { "it has no line" } else { "line 1 does not begin a run" };
            OpenError::Damaged { path: file, reason: reason.to_owned() }
        })?;
        Ok(Opened { path, history, holder, length, seq })
    }

    /// Its status: what the journal says, and whether a process drives it.
    pub fn status(&self) -> RunStatus {
        match (self.history.phase, &self.holder) {
            (Phase::Ended { status, .. }, _) => status,
            (Phase::Going | Phase::Detached, Some(_)) => RunStatus::Running,
            (Phase::Detached, None) => RunStatus::Detached,
            (Phase::Going, None) => RunStatus::Interrupted,
        }
    }

    /// What its program ended with; none: it has not.
    pub fn exit_code(&self) -> Option<u8> {
        match self.history.phase {
            Phase::Ended { exit_code, .. } => Some(exit_code),
            Phase::Going | Phase::Detached => None,
        }
    }

    /// Whether another process may take it up.
    pub fn can_be_resumed(&self) -> bool {
        self.holder.is_none() && !self.history.local && !self.history.is_over()
    }

    /// Reads what the run began with.
    ///
    /// # Errors
    /// When that cannot be read, or is of a newer version.
    pub fn recorded(&self) -> Result<Recorded, OpenError> {
        let file = self.path.join("workflow.json");
        let path = file.display().to_string();
        let mut text = String::new();
        let read = File::open(&file).and_then(|mut file| file.read_to_string(&mut text));
        read.map_err(|source| OpenError::Io { path: path.clone(), source })?;
        let damaged = |error: serde_json::Error| OpenError::Damaged { path: path.clone(), reason: error.to_string() };
        let value: Value = serde_json::from_str(&text).map_err(damaged)?;
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version > u64::from(RECORDED_VERSION) => {
                Err(OpenError::Newer { path, found: format!("version {version}") })
            }
            _ => serde_json::from_value(value).map_err(damaged),
        }
    }
}

/// The lines of a journal, and how many bytes they are.
struct Lines {
    lines: Vec<Dated>,
    length: u64,
}

/// A last line without line end was not finished, and what it was to announce was not done.
fn lines(text: &[u8], path: &str) -> Result<Lines, OpenError> {
    #[derive(Deserialize)]
    struct Head {
        seq: u64,
        time: Timestamp,
        event: String,
    }
    let whole = memchr::memrchr(b'\n', text).map_or(0, |end| end.saturating_add(1));
    let mut read = Vec::new();
    for (line, number) in text.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n').zip(1_u64..) {
        let damaged =
            |reason: &str| OpenError::Damaged { path: path.to_owned(), reason: format!("line {number} {reason}") };
        let value: Value = serde_json::from_slice(line).map_err(|_| damaged("is no JSON"))?;
        let version = value.get("version").and_then(Value::as_u64);
        if let Some(version) = version.filter(|version| number == 1 && *version > u64::from(VERSION)) {
            return Err(OpenError::Newer { path: path.to_owned(), found: format!("version {version}") });
        }
        let head = Head::deserialize(&value).map_err(|_| damaged("has no number, time and event"))?;
        if head.seq != number {
            return Err(damaged(&format!("has the number {}", head.seq)));
        }
        let entry = Entry::deserialize(&value);
        let entry = entry.map_err(|error| damaged(&format!("is no event `{}`: {error}", head.event)))?;
        read.push(Dated { time: head.time, entry });
    }
    Ok(Lines { lines: read, length: whole as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"seq":1,"time":"2026-01-02T03:04:05Z","event":"run-started","version":1,"run":"r1","workflow":"w","steps":["a"],"local":false}"#;
    const SECOND: &str =
        r#"{"seq":2,"time":"2026-01-02T03:04:06Z","event":"job-created","step":"a","attempt":1,"uid":"u"}"#;

    #[track_caller]
    fn check(journal: &str, expected: Result<u64, &str>) {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "r1".parse().unwrap();
        let folder = RunFolder::create(state.path(), &run).unwrap();
        fs::write(folder.path().join("journal.jsonl"), journal).unwrap();
        let opened = Opened::read(state.path(), &run);
        match (opened, expected) {
            (Ok(opened), Ok(seq)) => {
                assert_eq!(opened.seq, seq);
                assert!(journal.is_char_boundary(opened.length as usize));
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (opened, expected) => panic!("{opened:?}, {expected:?}"),
        }
    }

    #[test]
    fn a_torn_last_line_is_dropped() {
        for cut in 0..=SECOND.len() {
            check(&format!("{FIRST}\n{}", &SECOND[..cut]), Ok(1));
        }
        check(&format!("{FIRST}\n{SECOND}\n"), Ok(2));
        check(&format!("{FIRST}\n{SECOND}\n\u{0}\u{0}"), Ok(2));
    }

    #[test]
    fn what_is_no_journal_is_named_with_its_line() {
        check("", Err("it has no line"));
        check("{}\n", Err("line 1 has no number, time and event"));
        check(&format!("{FIRST}\nhello\n"), Err("journal.jsonl` is damaged: line 2 is no JSON"));
        check(&format!("{FIRST}\n{}\n", SECOND.replace("\"seq\":2", "\"seq\":3")), Err("line 2 has the number 3"));
        check(
            &format!("{FIRST}\n{}\n", SECOND.replace("job-created", "job-blessed")),
            Err("line 2 is no event `job-blessed`"),
        );
        check(&format!("{}\n", SECOND.replace("\"seq\":2", "\"seq\":1")), Err("line 1 does not begin a run"));
    }

    #[test]
    fn a_newer_version_is_refused_in_clear_words() {
        let newer = FIRST.replace("\"version\":1", "\"version\":2").replace("run-started", "run-begun");
        check(
            &format!("{newer}\n"),
            Err("was written by a newer version of runner: it has version 2, this one reads version 1"),
        );
    }

    #[test]
    fn a_run_that_is_not_there_is_unknown() {
        let state = tempfile::tempdir().unwrap();
        let error = Opened::read(state.path(), &"r1".parse().unwrap()).unwrap_err();
        assert!(matches!(error, OpenError::Unknown { .. }) && error.help().is_some(), "{error}");
    }
}
