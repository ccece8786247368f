//! The cluster's folder: volumes, logs, and a record of the processes that run.
//!
//! Each cluster has a folder of its own under a base folder and holds a lock in it while it lives. A folder whose lock is
//! free belongs to a cluster that was killed: the next one stops what still runs from it, then removes it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use process_group::{Identity, Signal};
use uuid::Uuid;

const LOCK: &str = "lock";
const PROCESSES: &str = "processes";

/// The folder of a running cluster.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held as long as the cluster lives; the system frees it when the process dies.
    _lock: File,
}

impl Folder {
    /// Makes a folder under `base`, and clears away those of dead clusters.
    pub(crate) fn open(base: &Path) -> io::Result<Self> {
        make(base)?;
        let base = base.canonicalize()?;
        // Two clusters that start at once must not take each other's new folder for a dead one.
        let gate = File::create(base.join(LOCK))?;
        gate.lock()?;
        for entry in fs::read_dir(&base)? {
            let path = entry?.path();
            if path.is_dir() {
                clear_if_dead(&path)?;
            }
        }
        let path = base.join(Uuid::new_v4().simple().to_string());
        make(&path.join(PROCESSES))?;
        let lock = File::create(path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.path.join("pods").join(format!("{namespace}_{name}_{uid}"))
    }

    /// What stands in for a persistent volume: one folder a claim.
    pub(crate) fn claim(&self, namespace: &str, claim: &str) -> PathBuf {
        self.path.join("claims").join(namespace).join(claim)
    }

    /// Writes down that a process group runs, until the returned value is dropped.
    pub(crate) fn record(&self, group: &Identity) -> io::Result<Record> {
        let path = self.path.join(PROCESSES).join(group.pid.to_string());
        fs::write(&path, serde_json::to_vec(group)?)?;
        Ok(Record { path })
    }

    /// Removes the folder and all in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

/// The record of a running process group.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
}

impl Drop for Record {
    fn drop(&mut self) {
        // Left behind, it names a process that is gone; its start time then fits nothing.
        drop(fs::remove_file(&self.path));
    }
}

/// Makes a folder that only its owner can read: secrets are written into it.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn clear_if_dead(path: &Path) -> io::Result<()> {
    let Ok(lock) = File::open(path.join(LOCK)) else { return Ok(()) };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    if let Ok(records) = fs::read_dir(path.join(PROCESSES)) {
        for record in records {
            stop_recorded(&record?.path(), path);
        }
    }
    fs::remove_dir_all(path)
}

/// Stops the process group of a record, if it is still the one that was recorded.
fn stop_recorded(record: &Path, folder: &Path) {
    let Some(group) = fs::read(record).ok().and_then(|text| serde_json::from_slice::<Identity>(&text).ok()) else {
        return;
    };
    // The leader may be gone and its children not: their environment says whose they are.
    let wanted = format!("RUNNER_LOCAL_ROOT={}/", folder.display());
    group.signal(Signal::KILL, |variable| variable.starts_with(wanted.as_bytes()));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Stdio;
    use std::time::Duration;

    use process_group::Group;
    use tokio::io::AsyncReadExt as _;
    use tokio::process::{Child, Command};

    use super::*;

    /// Opens clusters under `base` until one has cleared the folder of `dead` away.
    ///
    /// A lock belongs to the open file, which a child of any other thread shares from its fork to its exec: right after
    /// the drop it may still be held for a moment.
    fn clear(base: &Path, dead: Folder) {
        let path = dead.path.clone();
        drop(dead);
        let start = std::time::Instant::now();
        loop {
            drop(Folder::open(base).unwrap());
            if !path.exists() {
                return;
            }
            assert!(start.elapsed().as_secs() < 10, "the folder of a dead cluster is still there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_living_clusters_folder_is_left_alone_and_a_dead_ones_is_cleared() {
        let base = tempfile::tempdir().unwrap();
        let first = Folder::open(base.path()).unwrap();
        let second = Folder::open(base.path()).unwrap();
        assert!(first.path.exists() && second.path.exists());
        clear(base.path(), first);
        assert!(second.path.exists());
    }

    /// A process with a container's environment, in a group of its own.
    async fn started(script: &str, root: &Path) -> (Child, Group) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("RUNNER_LOCAL_ROOT", root).process_group(0).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let group = Group::of(&child).unwrap();
        (child, group)
    }

    #[tokio::test]
    async fn what_a_dead_cluster_left_running_is_stopped() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let (mut child, group) = started("exec sleep 600", &folder.path.join("pods/p/roots/step")).await;
        // As a killed process leaves it: the record stays, the lock is free.
        std::mem::forget(folder.record(&group.identity()).unwrap());
        group.release();
        clear(base.path(), folder);
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn children_whose_leader_has_ended_are_stopped() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        // The children hold the pipe: when it closes, they have ended.
        let (mut leader, group) = started("sleep 600 & sleep 600 &", &folder.path.join("pods/p/roots/step")).await;
        std::mem::forget(folder.record(&group.identity()).unwrap());
        leader.wait().await.unwrap();
        group.release();
        clear(base.path(), folder);
        let mut output = leader.stdout.take().unwrap();
        let mut nothing = Vec::new();
        let closed = output.read_to_end(&mut nothing);
        tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the children still run").unwrap();
    }
}
