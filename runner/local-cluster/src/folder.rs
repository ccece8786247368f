//! The cluster's folder: volumes, logs, and a record of the processes that run.
//!
//! Each cluster has a folder of its own under a base folder and holds a lock in it while it lives. A folder whose lock is
//! free belongs to a cluster that was killed: the next one stops what still runs from it, then removes it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process_group};
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
    pub(crate) fn record(&self, leader: Pid) -> io::Result<Record> {
        let path = self.path.join(PROCESSES).join(leader.as_raw_nonzero().to_string());
        let start = proc_start(leader.as_raw_nonzero().get()).unwrap_or_default();
        fs::write(&path, format!("{start} {}\n", boot_id()))?;
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
    let leader = record.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
    let text = fs::read_to_string(record).unwrap_or_default();
    let (Some(leader), Some((start, boot))) = (leader, text.trim_end().split_once(' ')) else { return };
    let (Ok(start), Some(group)) = (start.parse::<u64>(), Pid::from_raw(leader)) else { return };
    if boot != boot_id() {
        return;
    }
    let is_ours = match proc_start(leader) {
        Some(found) => found == start,
        // The leader is gone, its children may not be; their environment says whose they are.
        None => members(leader).into_iter().any(|member| names_folder(member, folder)),
    };
    if is_ours {
        // It may have ended meanwhile.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned()
}

/// When a process started, in ticks since boot (proc_pid_stat(5), field 22); `None` when it is not there.
fn proc_start(pid: i32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

fn stat_field(pid: i32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 2 is the program's name in parentheses and may hold anything; count from behind it.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number.checked_sub(3)?).map(str::to_owned)
}

/// The processes of a group.
fn members(group: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| stat_field(*pid, 5).is_some_and(|found| found == group.to_string())).collect()
}

fn names_folder(pid: i32, folder: &Path) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let wanted = format!("RUNNER_LOCAL_ROOT={}/", folder.display());
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

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

    #[test]
    fn what_a_dead_cluster_left_running_is_stopped() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let record = folder.record(Pid::from_child(&child)).unwrap();
        // As a killed process leaves it: the record stays, the lock is free.
        std::mem::forget(record);
        clear(base.path(), folder);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn children_whose_leader_has_ended_are_known_by_their_environment() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let root = folder.path.join("pods/p/roots/step");
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
            .env("RUNNER_LOCAL_ROOT", &root)
            .process_group(0)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::mem::forget(folder.record(Pid::from_child(&leader)).unwrap());
        let mut child = String::new();
        io::Read::read_to_string(leader.stdout.as_mut().unwrap(), &mut child).unwrap();
        leader.wait().unwrap();
        let child = child.trim().parse().unwrap();
        assert!(proc_start(child).is_some());
        clear(base.path(), folder);
        let start = std::time::Instant::now();
        while stat_field(child, 3).is_some_and(|state| state != "Z") {
            assert!(start.elapsed().as_secs() < 10, "the child still runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_that_only_has_the_number_is_not_touched() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        fs::write(folder.path.join(PROCESSES).join(child.id().to_string()), format!("1 {}\n", boot_id())).unwrap();
        clear(base.path(), folder);
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
