//! A cluster's folder: what was decided when it was made, and which processes are its own.
//!
//! ```text
//! cluster.json   the decisions; written last, so a folder without it is an unfinished one
//! processes/     one file a part: the process that was started for it
//! logs/          one file a part
//! kubeconfig     the administrator's
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io,
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::{
    part::Part,
    process::{self, Process},
};

/// The port of an API server, where nothing else has it.
const PORT: u16 = 6443;
const DECISIONS: &str = "cluster.json";
const LOCK: &str = "lock";

/// A cluster that was made, running or not.
#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    decisions: Decisions,
}

/// What must stay the same while the cluster exists, and what teardown gives back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Decisions {
    /// The program of the parts.
    pub(super) program: PathBuf,
    /// Where the API server listens, on loopback.
    pub(super) port: u16,
    /// The boot it was made in: mounts, interfaces and cgroups are gone with it.
    pub(super) boot: String,
    /// Settings of the kernel that the kubelet changes, as they were.
    pub(super) kernel: BTreeMap<String, String>,
}

impl Cluster {
    /// A new cluster; nothing is written yet.
    pub(super) fn new(folder: &Path, program: &Path, kernel: BTreeMap<String, String>) -> Result<Self> {
        let port = free_port().context("no free port on loopback")?;
        let decisions = Decisions { program: program.to_owned(), port, boot: process::boot_id(), kernel };
        Ok(Self { folder: folder.to_owned(), decisions })
    }

    /// The cluster in this folder; none when there is none, or an unfinished one.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(DECISIONS);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(anyhow!(error).context(format!("`{}` could not be read", path.display()))),
        };
        // One that was cut is an unfinished one.
        let Ok(decisions) = serde_json::from_slice(&text) else { return Ok(None) };
        Ok(Some(Self { folder: folder.to_owned(), decisions }))
    }

    /// Writes the decisions down.
    pub(super) fn save(&self) -> Result<()> {
        write_json(&self.path(DECISIONS), &self.decisions)
    }

    /// Whether it can go on: made in this boot, by this program.
    pub(super) fn is_of(&self, program: &Path) -> bool {
        self.decisions.boot == process::boot_id() && self.decisions.program == program
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn program(&self) -> &Path {
        &self.decisions.program
    }

    pub(super) fn port(&self) -> u16 {
        self.decisions.port
    }

    pub(super) fn kernel(&self) -> &BTreeMap<String, String> {
        &self.decisions.kernel
    }

    /// URL of the API server.
    pub(super) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.decisions.port)
    }

    /// The administrator's kubeconfig.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// What the part said, of all its runs.
    pub(super) fn log(&self, part: Part) -> PathBuf {
        self.path("logs").join(format!("{part}.log"))
    }

    /// Starts the part's process and records it.
    pub(super) fn start(&self, part: Part) -> Result<()> {
        let (program, arguments) = part.command(self);
        let process = Process::start(self.program(), &program, &arguments, &self.folder, &self.log(part))?;
        write_json(&self.record(part), &process)
    }

    /// The process that was last started for a part.
    pub(super) fn process(&self, part: Part) -> Option<Process> {
        serde_json::from_slice(&fs::read(self.record(part)).ok()?).ok()
    }

    pub(super) fn is_running(&self, part: Part) -> bool {
        self.process(part).is_some_and(|process| process.is_running())
    }

    fn record(&self, part: Part) -> PathBuf {
        self.path("processes").join(format!("{part}.json"))
    }
}

/// The folder, held by this process alone until it ends: two calls at once would undo each other.
#[derive(Debug)]
pub(super) struct Held {
    _lock: File,
}

impl Held {
    /// Makes the folder, which only its owner can read, and waits until nobody else holds it.
    ///
    /// # Errors
    /// When the folder is there and is no cluster's: it would go with the cluster.
    pub(super) fn wait(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let cannot = || format!("`{}` could not be locked", path.display());
        loop {
            if !path.exists() && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
                bail!("`{}` is not empty, and no cluster's folder", folder.display());
            }
            DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(cannot)?;
            let lock = File::create(&path).with_context(cannot)?;
            lock.lock().with_context(cannot)?;
            // Who held it may have removed the folder: then this lock is on a file that nobody else sees.
            let mine = lock.metadata().with_context(cannot)?;
            if fs::metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino())) {
                return Ok(Self { _lock: lock });
            }
        }
    }
}

/// Whether the path is that of a folder's lock.
pub(super) fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == LOCK)
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    Ok(listener.local_addr()?.port())
}

/// Writes beside and renames: a record is whole or not there.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    let written = fs::write(&new, serde_json::to_vec(value)?).and_then(|()| fs::rename(&new, path));
    written.with_context(|| format!("`{}` could not be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_cluster_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Cluster::open(folder.path()).unwrap().is_none());
        fs::write(folder.path().join(DECISIONS), "{\"program\":").unwrap();
        assert!(Cluster::open(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_cluster_goes_on_with_the_same_program_in_the_same_boot() {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new("/cache/kubernetes");
        Cluster::new(folder.path(), program, BTreeMap::new()).unwrap().save().unwrap();
        let mut cluster = Cluster::open(folder.path()).unwrap().unwrap();
        assert!(cluster.is_of(program));
        assert!(!cluster.is_of(Path::new("/cache/newer")));
        cluster.decisions.boot = "another".to_owned();
        assert!(!cluster.is_of(program));
    }

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster");
        let held = Held::wait(&path).unwrap();
        let other = File::open(path.join(LOCK)).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        Held::wait(&path).unwrap();
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "").unwrap();
        let error = Held::wait(folder.path()).unwrap_err();
        assert!(error.to_string().contains("no cluster's folder"), "{error}");
        assert!(!folder.path().join(LOCK).exists());
    }
}
