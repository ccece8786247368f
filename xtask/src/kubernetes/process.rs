//! Processes that outlive xtask: started apart from it, recorded so that no other process is ever taken for them.
//!
//! A process is known by its number and the moment it started (proc_pid_stat(5), field 22); numbers are used again. All
//! carry the cluster's folder in their environment, and hand it on to what they start: that finds a shim whose
//! containerd was killed, or a process that was started just before xtask was killed.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::command;

/// How long to wait between two looks at a process that is to end.
pub(super) const INTERVAL: Duration = Duration::from_millis(20);

/// Names the folder of the cluster in the environment of all its processes.
const MARK: &str = "RUNNER_KUBERNETES";

/// The clock ticks of /proc, a second; the kernel shows user space no other number.
const TICKS: u64 = 100;

/// A process that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: i32,
    /// When it started, in ticks since boot.
    start: u64,
    /// Which boot.
    boot: String,
}

impl Process {
    /// Starts a program apart from xtask, with its words added to a file.
    ///
    /// The environment is empty but for the mark and the path: what a caller has in its own is nobody else's business.
    pub(super) fn start(
        detach: &Path,
        program: &Path,
        arguments: &[String],
        folder: &Path,
        log: &Path,
    ) -> Result<Self> {
        let words = File::options().create(true).append(true).open(log);
        let words = words.with_context(|| format!("`{}` could not be written", log.display()))?;
        let mut command = Command::new(detach);
        command.arg("detach").arg(program).args(arguments).current_dir(folder);
        command.env_clear().env("PATH", search_path()).env(MARK, folder);
        command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
        let child = command::start(&mut command)?;
        let pid = i32::try_from(child.id()).context("a process has an impossible number")?;
        // It cannot be gone from /proc before it is waited for, even if it ended at once.
        let start = stat(pid).with_context(|| format!("process {pid} is not in /proc"))?.start;
        Ok(Self { pid, start, boot: boot_id() })
    }

    /// Whether it is still there, and not only waiting to be reaped.
    pub(super) fn is_running(&self) -> bool {
        self.boot == boot_id() && stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != 'Z')
    }

    /// How long it has been running; none when it is not.
    pub(super) fn age(&self) -> Option<Duration> {
        if !self.is_running() {
            return None;
        }
        let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
        let started = Duration::from_millis(self.start.saturating_mul(1000 / TICKS));
        Some(Duration::try_from_secs_f64(uptime).ok()?.saturating_sub(started))
    }

    /// Sends a signal, if it still runs.
    pub(super) fn signal(&self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_running(), Pid::from_raw(self.pid)) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until it has ended; false when it has not within the patience.
    pub(super) fn has_ended(&self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.is_running() {
            if start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(INTERVAL);
        }
        true
    }
}

/// Kills all processes that `find` finds, until it finds none.
///
/// # Errors
/// When some are still there after the patience.
pub(super) fn kill_all(patience: Duration, find: impl Fn() -> Vec<i32>) -> Result<()> {
    let start = Instant::now();
    loop {
        let found = find();
        if found.is_empty() {
            return Ok(());
        }
        if start.elapsed() > patience {
            bail!("processes that do not end: {found:?}");
        }
        for pid in found.into_iter().filter_map(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(INTERVAL);
    }
}

/// All living processes that carry the mark of this cluster.
pub(super) fn marked(folder: &Path) -> Vec<i32> {
    living().into_iter().filter(|pid| carries_mark(*pid, folder)).collect()
}

/// A living process of this name that belongs to no cluster of ours.
pub(super) fn stranger(name: &str) -> Option<i32> {
    living().into_iter().find(|pid| {
        let named = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name);
        named && !environment(*pid).split(|byte| *byte == 0).any(|variable| variable.starts_with(MARK.as_bytes()))
    })
}

/// The path by which programs are found: the caller's, and the folders that only root's has.
pub(super) fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// Which boot of the machine this is.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned()
}

fn living() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.state != 'Z')).collect()
}

fn environment(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn carries_mark(pid: i32, folder: &Path) -> bool {
    let wanted = format!("{MARK}={}", folder.display());
    environment(pid).split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// What /proc says of a process.
struct Stat {
    state: char,
    /// Ticks since boot.
    start: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &str) -> Option<Stat> {
    // Field 2 is the program's name in parentheses and may hold anything; the rest begins with field 3.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // Field 22; eighteen lie between.
    let start = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(folder: &Path) -> std::process::Child {
        Command::new("sleep").arg("600").env(MARK, folder).spawn().unwrap()
    }

    fn recorded(child: &std::process::Child) -> Process {
        let pid = i32::try_from(child.id()).unwrap();
        Process { pid, start: stat(pid).unwrap().start, boot: boot_id() }
    }

    #[test]
    fn the_start_is_read_whatever_a_program_calls_itself() {
        let stat = parse_stat("7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4711 9 9").unwrap();
        assert_eq!((stat.state, stat.start), ('S', 4711));
        assert!(parse_stat("7 (x) S 1").is_none());
    }

    #[test]
    fn a_process_that_only_has_the_number_is_not_touched() {
        let mut child = spawn(Path::new("/nowhere"));
        let other = Process { start: 1, ..recorded(&child) };
        assert!(!other.is_running());
        other.signal(Signal::KILL);
        assert_eq!(child.try_wait().unwrap(), None);
        let of_another_boot = Process { boot: "x".to_owned(), ..recorded(&child) };
        assert!(!of_another_boot.is_running());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_ends_with_its_signal() {
        let mut child = spawn(Path::new("/nowhere"));
        let process = recorded(&child);
        assert!(process.age().unwrap() < Duration::from_secs(60));
        process.signal(Signal::TERM);
        assert!(process.has_ended(Duration::from_secs(10)), "a zombie counts as ended");
        assert_eq!(process.age(), None);
        child.wait().unwrap();
    }

    #[test]
    fn only_what_carries_the_mark_of_the_folder_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ours, mut other) = (spawn(folder.path()), spawn(&folder.path().join("other")));
        // The environment changes with the exec, which may be a moment later than the fork.
        let start = Instant::now();
        while marked(folder.path()).is_empty() {
            assert!(start.elapsed().as_secs() < 10, "the process is not found");
            std::thread::yield_now();
        }
        kill_all(Duration::from_secs(10), || marked(folder.path())).unwrap();
        ours.wait().unwrap();
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
