//! Process groups: stopped as a whole, waited for without being reaped, and known again by a later process.
//!
//! Whoever starts a program of somebody else needs all three: a program has children, its number may be somebody else's
//! once it was waited for, and what a killed parent left running must be found again without guessing. Starting is left
//! to the caller, with [`process_group(0)`](std::os::unix::process::CommandExt::process_group).

use std::fs;
use std::io;

use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::{Deserialize, Serialize};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

pub use rustix::process::Signal;

/// The group of a process that was started as its leader. It is killed when this value is dropped: the net under every
/// path that ends its owner.
///
/// INVARIANT: as long as this value lives the leader was not waited for, so that its number is not anybody else's.
#[derive(Debug)]
pub struct Group {
    leader: Pid,
    is_owned: bool,
}

impl Group {
    /// The group that a child leads.
    ///
    /// # Errors
    /// When the child was waited for.
    pub fn of(child: &Child) -> io::Result<Group> {
        let leader = pid(child).ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Group { leader, is_owned: true })
    }

    /// Sends a signal to all its processes.
    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process_group(self.leader, signal);
    }

    /// What tells it from other groups, for a later process.
    pub fn identity(&self) -> Identity {
        Identity::of(self.leader)
    }

    /// Kills what is left of it.
    pub fn kill(self) {
        drop(self);
    }

    /// Leaves what is left of it alone.
    pub fn release(mut self) {
        self.is_owned = false;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_owned {
            self.signal(Signal::KILL);
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// Returns when a child has ended, and leaves it in the process table: its number, and so its group's, stays its own until
/// it is waited for.
///
/// # Cancellation
/// Nothing is left behind.
pub async fn ended(child: &mut Child) {
    // Made before the first look: an end in between is then not missed.
    let changes = signal(SignalKind::child());
    let (Ok(mut changes), Some(pid)) = (changes, pid(child)) else {
        // The caller waits again and hears of an error.
        drop(child.wait().await);
        return;
    };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while matches!(waitid(WaitId::Pid(pid), look), Ok(None)) {
        changes.recv().await;
    }
}

/// Which group is meant, so that a later process does not take another one of the same number for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Number of the leader and of the group.
    pub pid: i32,
    /// When the leader started, in ticks since the machine did; 0: the system does not say.
    pub start: u64,
    /// Which start of the machine; empty: the system does not say.
    pub boot: String,
}

impl Identity {
    fn of(leader: Pid) -> Identity {
        let pid = leader.as_raw_nonzero().get();
        Identity { pid, start: started(pid).unwrap_or_default(), boot: boot() }
    }

    /// Sends a signal to the group if it is still the same one, and says whether it is: its leader has the number and
    /// the start time, or the leader has gone and a process of the group has a variable of its environment, as
    /// `NAME=value`, that `is_ours` knows.
    pub fn signal(&self, signal: Signal, is_ours: impl Fn(&[u8]) -> bool) -> bool {
        let Some(group) = Pid::from_raw(self.pid).filter(|_| self.pid > 1) else { return false };
        if self.boot.is_empty() || self.boot != boot() {
            return false;
        }
        let is_same = match started(self.pid) {
            Some(found) => found == self.start,
            None => {
                members(self.pid).into_iter().any(|member| environment(member).split(|byte| *byte == 0).any(&is_ours))
            }
        };
        if is_same {
            // It may have ended meanwhile.
            let _ = kill_process_group(group, signal);
        }
        is_same
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned()
}

/// When a process started (proc_pid_stat(5), field 22); none: it is not there, or the system does not say.
fn started(pid: i32) -> Option<u64> {
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

fn environment(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// A process that is a group, and its identity.
    fn sleeper() -> (std::process::Child, Identity) {
        let child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let identity = Identity::of(Pid::from_child(&child));
        (child, identity)
    }

    #[test]
    fn a_group_is_known_again_and_stopped() {
        let (mut child, identity) = sleeper();
        let text = format!("{identity:?}");
        assert!(identity.start > 0 && !identity.boot.is_empty(), "{text}");
        assert!(identity.signal(Signal::KILL, |_| false));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!identity.signal(Signal::KILL, |_| true), "nothing is left of it");
    }

    #[test]
    fn a_process_that_only_has_the_number_is_not_touched() {
        let (mut child, identity) = sleeper();
        let earlier = Identity { start: identity.start.wrapping_sub(1), ..identity.clone() };
        let other_boot = Identity { boot: "another".to_owned(), ..identity.clone() };
        let unknown_boot = Identity { boot: String::new(), ..identity };
        for other in [earlier, other_boot, unknown_boot] {
            assert!(!other.signal(Signal::KILL, |_| true), "{other:?}");
        }
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn children_whose_leader_has_ended_are_known_by_their_environment() {
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 600 >/dev/null 2>&1 & echo $!"])
            .env("MARK", "here")
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let identity = Identity::of(Pid::from_child(&leader));
        let mut child = String::new();
        leader.stdout.as_mut().unwrap().read_to_string(&mut child).unwrap();
        leader.wait().unwrap();
        let child: i32 = child.trim().parse().unwrap();
        assert!(!identity.signal(Signal::KILL, |variable| variable == b"MARK=elsewhere"));
        assert!(started(child).is_some());
        assert!(identity.signal(Signal::KILL, |variable| variable == b"MARK=here"));
        let start = Instant::now();
        while stat_field(child, 3).is_some_and(|state| state != "Z") {
            assert!(start.elapsed().as_secs() < 10, "the child still runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_end_is_seen_before_the_number_is_free() {
        runtime().block_on(async {
            let mut command = tokio::process::Command::new("sh");
            let mut child = command.args(["-c", "exit 3"]).process_group(0).spawn().unwrap();
            let group = Group::of(&child).unwrap();
            ended(&mut child).await;
            assert_eq!(stat_field(group.identity().pid, 3).as_deref(), Some("Z"));
            group.kill();
            assert_eq!(child.wait().await.unwrap().code(), Some(3));
        });
    }

    #[test]
    fn a_group_dies_with_its_owner_unless_it_is_released() {
        runtime().block_on(async {
            let start = || {
                let mut command = tokio::process::Command::new("sleep");
                command.arg("600").process_group(0).spawn().unwrap()
            };
            let mut child = start();
            drop(Group::of(&child).unwrap());
            assert_eq!(child.wait().await.unwrap().signal(), Some(9));
            let mut child = start();
            Group::of(&child).unwrap().release();
            assert_eq!(child.try_wait().unwrap(), None);
            child.kill().await.unwrap();
        });
    }
}
