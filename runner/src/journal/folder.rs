//! The folder of a run and its lock. Whoever holds the lock drives the run; nobody else changes anything of it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use model::names::RunId;
use serde::{Deserialize, Serialize};

use super::writer::Journal;
use crate::manifest;

/// Who looks whether a run is held keeps its lock for a moment: so often, and so long apart, it is tried again.
const LOOKS: u32 = 100;
const LOOK: Duration = Duration::from_millis(2);

/// The folder of a run, held by the process that drives it.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Folder of the log files.
    logs: PathBuf,
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
    /// Another process drives the run.
    #[error("run `{run}` is driven by another process: {holder}")]
    Held {
        /// The id.
        run: String,
        /// Which process.
        holder: Holder,
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
            FolderError::InUse { .. } => {
                Some("choose another `--run-id`, or leave it out; `runner runs resume` takes a run up again")
            }
            FolderError::Held { .. } => Some("wait for its end, or stop it with `runner runs cancel`"),
            FolderError::Io { .. } => Some("name another folder with `--state-dir`"),
        }
    }
}

/// The process that holds a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Name of its machine.
    pub host: String,
    /// When it took the run.
    pub start: String,
    /// When the system started it, in the system's own count; ids of processes are used again, this tells them apart.
    pub ticks: Option<u64>,
}

impl Holder {
    /// This process.
    fn current() -> Holder {
        let pid = std::process::id();
        Holder { pid, host: host(), start: Timestamp::now().to_string(), ticks: start_ticks(pid) }
    }

    /// Whether it is a process of this machine.
    pub fn is_of_this_host(&self) -> bool {
        self.host == host()
    }

    /// Whether the process with its id is still the one that took the run.
    pub fn is_running(&self) -> bool {
        let ticks = start_ticks(self.pid);
        ticks.is_some() && (self.ticks.is_none() || self.ticks == ticks)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == 0 {
            // It has the lock and is about to say who it is.
            return formatter.write_str("one that has just begun");
        }
        write!(formatter, "process {} on `{}` since {}", self.pid, self.host, self.start)
    }
}

/// Name of this machine.
fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// When the system started a process: field 22 of `/proc/PID/stat`, see proc_pid_stat(5). None: there is no such process.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    const START: usize = 22;
    const STATE: usize = 3;
    fields.split_whitespace().nth(START - STATE)?.parse().ok()
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

/// The ids of all runs of a state folder, without order. What is no run id is none of ours.
///
/// # Errors
/// When the folder cannot be read; one that is not there holds no run.
pub fn runs(state: &Path) -> io::Result<Vec<RunId>> {
    let folder = match fs::read_dir(state.join("runs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut runs = Vec::new();
    for entry in folder {
        let entry = entry?;
        if entry.path().is_dir() {
            runs.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()));
        }
    }
    Ok(runs)
}

impl RunFolder {
    /// Makes the folder of a new run and takes its lock.
    ///
    /// # Errors
    /// When there is one of this id, or it cannot be made.
    pub fn create(state: &Path, run: &RunId) -> Result<RunFolder, FolderError> {
        let runs = state.join("runs");
        let path = RunFolder::path_of(state, run);
        folder_builder(true).create(&runs).map_err(unwritable(&runs))?;
        match folder_builder(false).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(match RunFolder::holder(&path) {
                    Some(holder) => FolderError::Held { run: run.to_string(), holder },
                    None => FolderError::InUse { run: run.to_string(), path: path.display().to_string() },
                });
            }
            made => made.map_err(unwritable(&path))?,
        }
        for inner in ["logs", "work"] {
            let inner = path.join(inner);
            folder_builder(false).create(&inner).map_err(unwritable(&inner))?;
        }
        RunFolder::lock(path, run)
    }

    /// Takes the lock of a run that is there. From here on nobody else drives it.
    ///
    /// # Errors
    /// When another process holds it.
    pub fn take(state: &Path, run: &RunId) -> Result<RunFolder, FolderError> {
        RunFolder::lock(RunFolder::path_of(state, run), run)
    }

    fn lock(path: PathBuf, run: &RunId) -> Result<RunFolder, FolderError> {
        let lock_path = path.join("lock");
        let io = |source| FolderError::Io { path: lock_path.display().to_string(), source };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
        let lock = open.map_err(io)?;
        for _ in 0..LOOKS {
            match lock.try_lock() {
                Ok(()) => return RunFolder::sign(path, lock).map_err(io),
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(holder) = RunFolder::holder(&path) {
                return Err(FolderError::Held { run: run.to_string(), holder });
            }
            // Nobody drives it: somebody had a look just now.
            std::thread::sleep(LOOK);
        }
        Err(FolderError::Held { run: run.to_string(), holder: Holder::default() })
    }

    /// Writes into the lock who holds it.
    fn sign(path: PathBuf, mut lock: File) -> io::Result<RunFolder> {
        // Text keys only.
        let holder = serde_json::to_string(&Holder::current()).unwrap_or_default();
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{holder}")?;
        Ok(RunFolder { logs: RunFolder::logs_in(&path, None), path, _lock: lock })
    }

    /// Who holds the run whose folder this is; none: nobody.
    pub fn holder(path: &Path) -> Option<Holder> {
        let mut lock = File::open(path.join("lock")).ok()?;
        // A shared lock does not keep other lookers away; the one who drives has an exclusive one.
        if !matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut text = String::new();
        // What cannot be read yet is being written.
        let _ = lock.read_to_string(&mut text);
        Some(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Where the folder of a run belongs.
    pub fn path_of(state: &Path, run: &RunId) -> PathBuf {
        state.join("runs").join(run.as_str())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Log files go to another folder, which is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_logs(mut self, folder: PathBuf) -> Result<RunFolder, FolderError> {
        folder_builder(true).create(&folder).map_err(unwritable(&folder))?;
        self.logs = folder;
        Ok(self)
    }

    /// Folder of the log files.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The same of a run that nobody need hold; `named`: where the workflow wants them.
    pub fn logs_in(path: &Path, named: Option<&Path>) -> PathBuf {
        named.map_or_else(|| path.join("logs"), Path::to_owned)
    }

    /// The folder in which steps leave files for each other.
    pub fn work_in(path: &Path) -> PathBuf {
        path.join("work")
    }

    /// The journal of the run whose folder this is.
    pub fn journal_in(path: &Path) -> PathBuf {
        path.join("journal.jsonl")
    }

    /// Where the log of an attempt is written. Two steps never share one.
    pub fn log(&self, step: &str, attempt: u32) -> PathBuf {
        log_file(&self.logs, step, attempt)
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
        written.map_err(unwritable(&path))
    }

    /// Begins the journal.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn journal(&self) -> Result<Journal, FolderError> {
        let path = RunFolder::journal_in(&self.path);
        let file = new_file(&path).map_err(unwritable(&path))?;
        Ok(Journal::new(file, 0))
    }

    /// Goes on with a journal whose first `length` bytes are whole lines, the last of them with number `seq`. What stands
    /// behind them is a line that was never finished.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn resume_journal(&self, length: u64, seq: u64) -> Result<Journal, FolderError> {
        let path = RunFolder::journal_in(&self.path);
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.and_then(|file| file.set_len(length).map(|()| file)).map_err(unwritable(&path))?;
        Ok(Journal::new(file, seq))
    }

    /// Removes the folder with all that is in it.
    ///
    /// # Errors
    /// When that fails; a part of it may be gone.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

/// Extension of the log of an error stream that is apart; all others have `log`.
pub(crate) const ERROR_LOG: &str = "err";

/// Where the log of an attempt is written, in the folder of the log files.
pub(crate) fn log_file(logs: &Path, step: &str, attempt: u32) -> PathBuf {
    logs.join(format!("{}.{attempt}.log", file_name(step)))
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.display().to_string();
    move |source| FolderError::Io { path, source }
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
    fn a_run_id_is_used_once_and_a_run_is_held_by_one_process() {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "r1".parse().unwrap();
        let folder = RunFolder::create(state.path(), &run).unwrap();
        assert!(folder.log("a", 1).parent().unwrap().is_dir());
        let holder = RunFolder::holder(folder.path()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(holder.is_running() && holder.is_of_this_host());
        assert!(!Holder { ticks: Some(0), ..holder.clone() }.is_running(), "another process with the same id");
        for refused in [RunFolder::create(state.path(), &run), RunFolder::take(state.path(), &run)] {
            let error = refused.unwrap_err();
            assert!(error.to_string().contains(&format!("process {} on", std::process::id())), "{error}");
        }
        let path = folder.path().to_owned();
        drop(folder);
        assert_eq!(RunFolder::holder(&path), None);
        assert!(matches!(RunFolder::create(state.path(), &run), Err(FolderError::InUse { .. })));
        RunFolder::take(state.path(), &run).unwrap().remove().unwrap();
        assert!(!path.exists());
    }
}
