//! The folder of a run: its journal, its lock, its sources and its logs.
//!
//! The journal is what a run remembers when its process dies: one JSON object a line, on disk before what it announces is
//! done. It holds no log text and no secret. Lines that come together are written together, with one flush.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::mem;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use model::names::RunId;
use serde::Serialize;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use crate::event::Leftover;
use crate::manifest;
use crate::outcome::{RunStatus, StepStatus, Verdict};

/// The folder of a run, held by the process that drives it.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

/// There is no folder for a run.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Nothing says where state belongs.
    #[error("there is no folder for the state of runs")]
    NoHome,
    /// A run with this id was here before.
    #[error("run id `{run}` is in use: `{path}` exists")]
    InUse {
        /// The id.
        run: String,
        /// Its folder.
        path: String,
    },
    /// It cannot be made.
    #[error("`{path}` cannot be written")]
    Io {
        /// What cannot be written.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FolderError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            FolderError::NoHome => Some("set `HOME`, or name a folder with `--state-dir`"),
            FolderError::InUse { .. } => Some("choose another `--run-id`, or leave it out"),
            FolderError::Io { .. } => Some("name another folder with `--state-dir`"),
        }
    }
}

/// Where the state of runs belongs: the folder given, else `runner` in the user's folder for state.
///
/// # Errors
/// When nothing says where that is.
pub fn state_folder(given: Option<PathBuf>) -> Result<PathBuf, FolderError> {
    use etcetera::BaseStrategy as _;
    if let Some(folder) = given {
        return std::path::absolute(&folder)
            .map_err(|source| FolderError::Io { path: folder.display().to_string(), source });
    }
    let folders = etcetera::choose_base_strategy().map_err(|_| FolderError::NoHome)?;
    let state = folders.state_dir().ok_or(FolderError::NoHome)?;
    Ok(state.join("runner"))
}

impl RunFolder {
    /// Makes the folder of a new run and takes its lock.
    ///
    /// # Errors
    /// When there is one of this id, or it cannot be made.
    pub fn create(state: &Path, run: &RunId) -> Result<RunFolder, FolderError> {
        let runs = state.join("runs");
        let path = runs.join(run.as_str());
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| FolderError::Io { path, source }
        };
        folder_builder(true).create(&runs).map_err(io(&runs))?;
        folder_builder(false).create(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => {
                FolderError::InUse { run: run.to_string(), path: path.display().to_string() }
            }
            _ => FolderError::Io { path: path.display().to_string(), source },
        })?;
        for inner in ["logs", "work"] {
            let inner = path.join(inner);
            folder_builder(false).create(&inner).map_err(io(&inner))?;
        }
        let lock_path = path.join("lock");
        let mut lock = new_file(&lock_path).map_err(io(&lock_path))?;
        // Nobody else knows this folder yet.
        lock.lock().map_err(io(&lock_path))?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let holder = serde_json::json!({
            "pid": std::process::id(),
            "host": host.trim(),
            "start": Timestamp::now().to_string(),
        });
        writeln!(lock, "{holder}").map_err(io(&lock_path))?;
        Ok(RunFolder { path, _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log of an attempt is written. Two steps never share one.
    pub fn log(&self, step: &str, attempt: u32) -> PathBuf {
        self.path.join("logs").join(format!("{}.{attempt}.log", file_name(step)))
    }

    /// Writes what runs: texts, parameters, policies.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record<T: Serialize>(&self, what: &T) -> Result<(), FolderError> {
        let path = self.path.join("workflow.json");
        let written = new_file(&path).and_then(|mut file| {
            serde_json::to_writer_pretty(&mut file, what)?;
            file.sync_data()
        });
        written.map_err(|source| FolderError::Io { path: path.display().to_string(), source })
    }

    /// Begins the journal.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn journal(&self) -> Result<Journal, FolderError> {
        let path = self.path.join("journal.jsonl");
        let file = new_file(&path).map_err(|source| FolderError::Io { path: path.display().to_string(), source })?;
        Ok(Journal::new(file))
    }
}

/// A new file that only its owner can read.
///
/// # Errors
/// When it is there, or cannot be made.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn folder_builder(recursive: bool) -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700).recursive(recursive);
    builder
}

/// A file name for a step: its own where that is one, else what is readable of it and a hash of the whole.
fn file_name(step: &str) -> String {
    /// With the attempt and `.log` it stays below the 255 bytes of a file name.
    const LONGEST: usize = 100;
    let fits = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let readable: String = step.chars().filter(fits).take(LONGEST).collect();
    if readable == step && !step.starts_with('.') {
        return readable;
    }
    format!("{}-{}", readable.trim_start_matches('.'), manifest::short_hash(step))
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Entry {
    /// The run begins.
    RunStarted {
        /// Its id.
        run: String,
        /// Name of the workflow.
        workflow: String,
    },
    /// An attempt is about to create its Job.
    JobIntended {
        /// The step.
        step: String,
        /// The attempt, from 1.
        attempt: u32,
        /// A command of kubectl without its verb that leads there; none: the local cluster.
        kubectl: Option<String>,
        /// Namespace of the Job.
        namespace: String,
        /// Name of the Job.
        job: String,
        /// Digest of its manifest.
        digest: String,
    },
    /// The Job exists.
    JobCreated {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// Its uid.
        uid: String,
    },
    /// The attempt is decided.
    AttemptEnded {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// How.
        verdict: Verdict,
    },
    /// The Job is not there any more, or is meant to stay. Without this line it is still owed.
    JobCleaned {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// Whether it stays.
        kept: bool,
    },
    /// Something could not be removed.
    Leftover(Leftover),
    /// A step has ended.
    StepEnded {
        /// The step.
        step: String,
        /// How.
        status: StepStatus,
    },
    /// The run has ended.
    RunEnded {
        /// How.
        status: RunStatus,
        /// Exit code of the program.
        exit_code: u8,
    },
}

/// A line as it stands in the file.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: Timestamp,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// An entry, and who waits until it is on disk: they hear why it is not, once a run.
type Queued = (Entry, oneshot::Sender<Option<io::Error>>);

/// The journal of a run, open for writing. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Journal {
    /// What is not written yet. Not bounded: whoever has put something here waits until it is written.
    queued: Arc<Mutex<Vec<Queued>>>,
    /// Held by whoever writes.
    writer: Arc<AsyncMutex<Writer>>,
}

impl Journal {
    fn new(file: File) -> Journal {
        let writer = Writer { file, seq: 0, failed: false };
        Journal { queued: Arc::default(), writer: Arc::new(AsyncMutex::new(writer)) }
    }

    /// Writes an entry and waits until it is on disk. When the disk fails the run goes on without a journal.
    ///
    /// # Errors
    /// The first time that it cannot be written: from then on nothing is, and nothing is told.
    ///
    /// # Cancellation
    /// The entry is written nevertheless, at the latest with the next one.
    pub async fn write(&self, entry: Entry) -> io::Result<()> {
        let (written, wait) = oneshot::channel();
        self.queued().push((entry, written));
        let mut writer = self.writer.clone().lock_owned().await;
        // Whoever held the file before may have written it with his own.
        let batch = mem::take(&mut *self.queued());
        if !batch.is_empty() {
            // It fails only when the program is about to end. That it waits on a thread for it also stops a paused clock.
            drop(tokio::task::spawn_blocking(move || writer.write_all(batch)).await);
        }
        wait.await.ok().flatten().map_or(Ok(()), Err)
    }

    fn queued(&self) -> MutexGuard<'_, Vec<Queued>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Writer {
    file: File,
    /// Of the last line.
    seq: u64,
    failed: bool,
}

impl Writer {
    fn write_all(&mut self, batch: Vec<Queued>) {
        let mut text = Vec::new();
        for (entry, _) in &batch {
            self.seq += 1;
            // Entries have text keys only, and memory does not refuse to be written.
            let _ = serde_json::to_writer(&mut text, &Line { seq: self.seq, time: Timestamp::now(), entry });
            text.push(b'\n');
        }
        let mut failure = None;
        if !self.failed
            && let Err(error) = self.file.write_all(&text).and_then(|()| self.file.sync_data())
        {
            // After a torn line nothing more is written: it would be the last one that is read.
            self.failed = true;
            failure = Some(error);
        }
        for (_, written) in batch {
            // Whoever was cancelled no longer listens.
            let _ = written.send(failure.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_never_share_a_log() {
        let names =
            ["a", "a.b", "ä", "", "..", ".a", "a b", "a_b", "x/../y", "a\nb", &"x".repeat(300), &"x".repeat(301)];
        let files: std::collections::BTreeSet<String> = names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        for file in files {
            assert!(!file.starts_with('.') && file.len() < 200, "{file}");
            assert!(file.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{file}");
        }
    }

    #[test]
    fn a_run_id_is_used_once() {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "r1".parse().unwrap();
        let folder = RunFolder::create(state.path(), &run).unwrap();
        assert!(matches!(RunFolder::create(state.path(), &run), Err(FolderError::InUse { .. })));
        assert!(folder.log("a", 1).parent().unwrap().is_dir());
    }

    #[tokio::test]
    async fn lines_are_on_disk_when_writing_returns() {
        let state = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(state.path(), &"r1".parse().unwrap()).unwrap();
        let journal = folder.journal().unwrap();
        let started = Entry::RunStarted { run: "r1".to_owned(), workflow: "w".to_owned() };
        journal.write(started).await.unwrap();
        let writes = (0..100).map(|_| {
            let journal = journal.clone();
            async move {
                let entry = Entry::StepEnded { step: "a".to_owned(), status: StepStatus::Succeeded };
                journal.write(entry).await.unwrap();
            }
        });
        futures_util::future::join_all(writes).await;
        let text = fs::read_to_string(folder.path().join("journal.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 101);
        assert!(lines.iter().zip(1..).all(|(line, seq)| line["seq"] == seq), "{text}");
        assert_eq!(lines[0]["event"], "run-started");
    }
}
