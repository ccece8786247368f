//! `runner runs gc`: what runs without a process have left, and then their folders.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use model::names::RunId;

use super::Refused;
use super::cancel::abort;
use super::sweep::Sweep;
use crate::cli::RunsGc;
use crate::journal::{Entry, Opened, Phase, Retention, RunFolder, runs};
use crate::outcome::RunStatus;
use crate::report::{ExitCode, Failed, Streams};
use crate::step::waits::parse_duration;

pub(super) fn run(arguments: RunsGc, streams: Streams) -> Result<ExitCode, Refused> {
    let RunsGc { runs: named, older_than, dry_run, kept, state } = arguments;
    let state = state.folder()?;
    let age = parse_duration(&older_than).ok_or_else(|| {
        let help = "write `0`, or numbers with ms, s, m, h, as `36h`".to_owned();
        Failed::of(format!("`--older-than {older_than}` is no duration"), Some(help))
    })?;
    let is_named = !named.is_empty();
    let ids = if is_named {
        let named: Result<Vec<_>, _> = named.iter().map(|run| super::named(&state, run)).collect();
        named?.into_iter().map(|(id, _)| id).collect()
    } else {
        runs(&state).map_err(|error| Failed::of(format!("`{}` cannot be read: {error}", state.display()), None))?
    };
    let collect = Collect { state: &state, streams, age: (!is_named).then_some(age), sweep: Sweep { kept, dry_run } };
    let runtime = super::super::runtime().map_err(|error| Failed::new(&error, None))?;
    let failed = runtime.block_on(collect.runs(&ids));
    let failed = collect.folders().is_err() || failed;
    Ok(if failed { ExitCode::Failed } else { ExitCode::Success })
}

/// What is collected, and where.
struct Collect<'a> {
    state: &'a Path,
    streams: Streams,
    /// Only runs in which nothing happened for so long; none: whatever is asked for.
    age: Option<Duration>,
    sweep: Sweep,
}

impl Collect<'_> {
    /// Whether something failed.
    async fn runs(&self, ids: &[RunId]) -> bool {
        let mut failed = false;
        for id in ids {
            if let Err(why) = self.of_run(id).await {
                self.streams.warning(&format!("run {id}: {why}"));
                failed = true;
            }
        }
        failed
    }

    async fn of_run(&self, id: &RunId) -> Result<(), String> {
        let before = Opened::read(self.state, id).map_err(|error| error.to_string())?;
        if !self.is_due(&before) {
            return Ok(());
        }
        // Held until all is done: nobody takes the run up meanwhile.
        let folder = RunFolder::take(self.state, id).map_err(|error| error.to_string())?;
        let opened = Opened::read(self.state, id).map_err(|error| error.to_string())?;
        // Its holder is this process now.
        let opened = Opened { holder: None, ..opened };
        if !self.is_due(&opened) {
            return Ok(());
        }
        let swept = self.sweep.run(&opened.history).await;
        let word = if self.sweep.dry_run { "would delete" } else { "deleted" };
        for (namespace, name) in &swept.jobs {
            // The exit code says whether all went well; a reader that has gone away needs no list.
            let _ = self.streams.data(&format!("{word} Job {namespace}/{name} of run {id}\n"));
        }
        if !swept.failures.is_empty() {
            return Err(swept.failures.join("; "));
        }
        if !self.sweep.dry_run {
            let journal = folder.resume_journal(opened.length, opened.seq).map_err(|error| error.to_string())?;
            let written = match opened.history.phase {
                Phase::Ended { .. } => {
                    let mut written = Ok(());
                    for (step, attempt, _) in opened.history.leftovers() {
                        let (step, attempt) = (step.to_owned(), attempt.number);
                        written = written.and(journal.write(Entry::JobCleaned { step, attempt, kept: false }).await);
                    }
                    written
                }
                Phase::Going | Phase::Detached => abort(&journal, &opened.history, &swept).await,
            };
            written.map_err(|error| format!("the journal cannot be written: {error}"))?;
        }
        Ok(())
    }

    /// Whether a run may have left something: nobody drives it, and it is old enough. A run that was detached was meant to go
    /// on: it is only touched when it is named.
    fn is_due(&self, opened: &Opened) -> bool {
        let status = opened.status();
        if opened.holder.is_some() || status == RunStatus::Running {
            return false;
        }
        let Some(age) = self.age else { return true };
        status != RunStatus::Detached && age_of(opened) >= age
    }

    /// Removes the folders of runs that ended and left nothing, as long ago as their workflow says.
    fn folders(&self) -> Result<(), ()> {
        let mut by_workflow: BTreeMap<String, Vec<(RunId, Opened)>> = BTreeMap::new();
        for id in runs(self.state).unwrap_or_default() {
            // One that cannot be read was told of above.
            if let Ok(opened) = Opened::read(self.state, &id) {
                by_workflow.entry(opened.history.workflow.clone()).or_default().push((id, opened));
            }
        }
        let mut done = Ok(());
        for (_, mut runs) in by_workflow {
            runs.sort_by_key(|(_, opened)| std::cmp::Reverse(opened.history.started));
            for (number, (id, opened)) in runs.iter().enumerate() {
                if self.is_outdated(opened, number) && self.remove(id).is_err() {
                    done = Err(());
                }
            }
        }
        done
    }

    /// `number`: how many newer runs the workflow has.
    fn is_outdated(&self, opened: &Opened, number: usize) -> bool {
        let is_over = matches!(opened.history.phase, Phase::Ended { .. }) && opened.history.is_over();
        if !is_over || opened.holder.is_some() || opened.history.leftovers().next().is_some() {
            return false;
        }
        let Ok(recorded) = opened.recorded() else { return false };
        let options = &recorded.options;
        let retention = Retention::new(options.hist_retention_days, options.hist_retention_runs);
        retention.ends(number as u64, age_of(opened))
    }

    fn remove(&self, id: &RunId) -> Result<(), ()> {
        let word = if self.sweep.dry_run { "would delete" } else { "deleted" };
        if !self.sweep.dry_run {
            let removed = RunFolder::take(self.state, id).map_err(|error| error.to_string());
            let removed = removed.and_then(|folder| folder.remove().map_err(|error| error.to_string()));
            if let Err(error) = removed {
                self.streams.warning(&format!("run {id}: its folder stays: {error}"));
                return Err(());
            }
        }
        let _ = self.streams.data(&format!("{word} folder of run {id}\n"));
        Ok(())
    }
}

/// How long nothing has happened.
fn age_of(opened: &Opened) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(opened.history.last)).unwrap_or_default()
}
