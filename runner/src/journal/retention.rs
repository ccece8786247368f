//! How long the folders of ended runs are kept.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use model::names::RunId;
use serde::Deserialize;

use super::folder::{RunFolder, runs};
use super::history::{Phase, StepHistory};
use super::open::Opened;

/// Days that the folder of a run is kept when its workflow does not say: as Dagu does.
const RETENTION_DAYS: u64 = 30;

/// The runs of a workflow that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// The newest ones, so many.
    Runs(u64),
    /// Those in which something happened in so many days.
    Days(u64),
}

impl Retention {
    /// What a workflow says; the number of runs wins.
    pub fn new(days: Option<u64>, runs: Option<u64>) -> Retention {
        runs.map_or_else(|| Retention::Days(days.unwrap_or(RETENTION_DAYS)), Retention::Runs)
    }

    /// Whether a run is no longer kept. `newer`: how many runs of the workflow are newer; `age`: how long nothing has
    /// happened in it.
    pub fn ends(self, newer: u64, age: Duration) -> bool {
        match self {
            Retention::Runs(runs) => newer >= runs,
            Retention::Days(days) => age >= Duration::from_secs(days.saturating_mul(24 * 60 * 60)),
        }
    }

    /// Removes the folders of ended runs of a workflow that are no longer kept, but never of `this` one, which people still
    /// look at, nor of one that left or kept something in a cluster, that somebody drives, or whose end is not known. What
    /// cannot be removed stays for the next time.
    pub fn apply(self, state: &Path, workflow: &str, this: &RunId) {
        let mut known: Vec<(Timestamp, Duration, RunId)> = Vec::new();
        for id in runs(state).unwrap_or_default() {
            let journal = RunFolder::journal_in(&RunFolder::path_of(state, &id));
            // A journal may be long. Most need no look: they are too young, or another workflow's.
            let Some(age) = age(&journal) else { continue };
            if matches!(self, Retention::Days(_)) && !self.ends(0, age) {
                continue;
            }
            if let Some(started) = started(&journal, workflow) {
                known.push((started, age, id));
            }
        }
        known.sort_by_key(|(started, ..)| std::cmp::Reverse(*started));
        for ((_, age, id), newer) in known.into_iter().zip(0..) {
            let may_go = || {
                let opened = Opened::read(state, &id).ok()?;
                let history = &opened.history;
                let is_over = matches!(history.phase, Phase::Ended { .. }) && history.is_over();
                let keeps = !history.local && history.steps.iter().any(StepHistory::keeps_job);
                Some(is_over && !keeps && opened.holder.is_none() && history.leftovers().next().is_none())
            };
            if self.ends(newer, age)
                && id != *this
                && may_go() == Some(true)
                && let Ok(folder) = RunFolder::take(state, &id)
            {
                drop(folder.remove());
            }
        }
    }
}

/// How long nothing was written.
fn age(journal: &Path) -> Option<Duration> {
    let written = journal.metadata().ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(written).unwrap_or_default())
}

/// When a run of this workflow began; none: it is of another one.
fn started(journal: &Path, workflow: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct First {
        time: Timestamp,
        workflow: String,
    }
    let mut line = String::new();
    BufReader::new(File::open(journal).ok()?).read_line(&mut line).ok()?;
    let first: First = serde_json::from_str(&line).ok()?;
    (first.workflow == workflow).then_some(first.time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_or_the_young() {
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(Retention::new(None, None), Retention::Days(30));
        assert_eq!(Retention::new(Some(1), Some(5)), Retention::Runs(5));
        assert!(Retention::Runs(2).ends(2, Duration::ZERO) && !Retention::Runs(2).ends(1, day * 99));
        assert!(Retention::Days(2).ends(0, day * 2) && !Retention::Days(2).ends(99, day));
        assert!(!Retention::Days(u64::MAX).ends(0, Duration::MAX / 2));
    }

    #[test]
    fn what_is_no_longer_kept_goes_and_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let line = |seq: u32, rest: &str| format!("{{\"seq\":{seq},\"time\":\"2026-01-02T03:04:0{seq}Z\",{rest}}}\n");
        let begun = |workflow: &str, hour: u32| {
            let first = format!(
                "\"event\":\"run-started\",\"version\":1,\"run\":\"r\",\"workflow\":\"{workflow}\",\"steps\":[],\"local\":true"
            );
            line(1, &first).replace("T03", &format!("T{hour:02}"))
        };
        let ended = line(2, "\"event\":\"run-ended\",\"status\":\"succeeded\",\"exit_code\":0");
        let run = |id: &str, text: String| {
            let folder = RunFolder::create(state.path(), &id.parse().unwrap()).unwrap();
            std::fs::write(RunFolder::journal_in(folder.path()), text).unwrap();
            folder
        };
        drop(run("oldest", begun("nightly", 1) + &ended));
        drop(run("older", begun("nightly", 2) + &ended));
        drop(run("open", begun("nightly", 1)));
        drop(run("other", begun("weekly", 1) + &ended));
        let held = run("held", begun("nightly", 0) + &ended);
        drop(run("new", begun("nightly", 3) + &ended));
        let left = || {
            let mut left: Vec<String> =
                runs(state.path()).unwrap().into_iter().map(|run| run.as_str().to_owned()).collect();
            left.sort();
            left.join(" ")
        };
        let this: RunId = "new".parse().unwrap();
        Retention::Days(1).apply(state.path(), "nightly", &this);
        assert_eq!(left(), "held new older oldest open other");
        Retention::Runs(2).apply(state.path(), "nightly", &this);
        assert_eq!(left(), "held new older open other");
        drop(held);
        Retention::Days(0).apply(state.path(), "nightly", &this);
        assert_eq!(left(), "new open other");
    }
}
