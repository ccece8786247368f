//! `runner runs cancel`: the process of a run is told to stop it; where there is none, its Jobs are deleted here.

use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::sweep::{Sweep, Swept};
use super::{Refused, named};
use crate::cli::RunsCancel;
use crate::event::StepEnd;
use crate::journal::{Entry, History, Holder, Journal, Opened, Phase, RunFolder, StepEnded};
use crate::outcome::{Outcome, Reason, RunStatus, Verdict};
use crate::report::{ExitCode, Failed, Streams};

/// How often the lock of a process that stops is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: RunsCancel, streams: Streams) -> Result<ExitCode, Refused> {
    let RunsCancel { run, state } = arguments;
    let state = state.folder()?;
    let (id, opened) = named(&state, &run)?;
    if matches!(opened.history.phase, Phase::Ended { .. }) {
        let help = format!("`runner runs gc {run}` deletes what it has left");
        return Err(Failed::of(format!("run `{run}` has ended"), Some(help)).into());
    }
    if let Some(holder) = &opened.holder {
        terminate(holder, &run)?;
        streams.words(&format!("process {} stops run {run}\n", holder.pid));
        while RunFolder::holder(&opened.path).is_some() {
            std::thread::sleep(LOOK);
        }
        return Ok(ExitCode::Success);
    }
    let folder = RunFolder::take(&state, &id)?;
    let opened = Opened::read(&state, &id)?;
    let runtime = super::super::runtime().map_err(|error| Failed::new(&error, None))?;
    runtime.block_on(async {
        let swept = Sweep { kept: true, dry_run: false }.run(&opened.history).await;
        for (namespace, name) in &swept.jobs {
            streams.words(&format!("deleted Job {namespace}/{name}\n"));
        }
        if !swept.failures.is_empty() {
            return Err(Failed::of(swept.failures.join("; "), Some(format!("run `{run}` can be cancelled again"))));
        }
        let journal = folder.resume_journal(opened.length, opened.seq).map_err(|error| Failed::new(&error, None))?;
        abort(&journal, &opened.history, &swept).await.map_err(|error| Failed::new(&error, None))
    })?;
    streams.words(&format!("run {run} is aborted\n"));
    Ok(ExitCode::Success)
}

/// Sends SIGTERM to the process of a run, if it is one of this machine.
fn terminate(holder: &Holder, run: &str) -> Result<(), Failed> {
    if !holder.is_of_this_host() {
        let help = format!("run `runner runs cancel {run}` on `{}`", holder.host);
        return Err(Failed::of(format!("run `{run}` is driven by another machine: {holder}"), Some(help)));
    }
    let failed = |error: rustix::io::Errno| Failed::of(format!("{holder} cannot be told to stop: {error}"), None);
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failed::of(format!("run `{run}` is driven by {holder}"), None))?;
    // What is opened stays this process, whatever its id may mean later; so it is looked at after that.
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
    if !holder.is_running() {
        return Err(Failed::of(format!("{holder} is there no more, but its lock is"), None));
    }
    pidfd_send_signal(&process, Signal::TERM).map_err(failed)
}

/// Records that a run was stopped whose Jobs are gone.
pub(super) async fn abort(journal: &Journal, history: &History, swept: &Swept) -> std::io::Result<()> {
    journal.write(Entry::Stopping { signal: crate::run::Signal::Terminate }).await?;
    let handlers_begin = history.steps_and_handlers().0.len();
    for attempt in history.steps.iter().flat_map(|step| &step.attempts) {
        attempt.end_process(&history.run);
    }
    for (step, place) in history.steps.iter().zip(0..) {
        for attempt in &step.attempts {
            let uid = attempt.job().and_then(|job| job.uid.as_ref());
            if uid.is_some_and(|uid| swept.uids.contains(uid)) {
                let (step, attempt) = (step.name.clone(), attempt.number);
                journal.write(Entry::JobCleaned { step, attempt, kept: false }).await?;
            }
        }
        // A handler that did not begin was not due.
        if step.end.is_some() || place >= handlers_begin && step.attempts.is_empty() {
            continue;
        }
        let words = "the run was cancelled";
        let end = match step.attempts.is_empty() {
            true => StepEnd::without_attempt(crate::outcome::StepStatus::Aborted, words.to_owned()),
            false => {
                let verdict = Verdict::new(Outcome::Cancelled { reason: Reason::Cancelled }, words);
                StepEnd { took: None, ..StepEnd::of(verdict, Duration::ZERO) }
            }
        };
        journal.write(Entry::StepEnded(StepEnded::of(&step.name, &end))).await?;
    }
    let exit_code = ExitCode::Terminated.number();
    journal.write(Entry::RunEnded { status: RunStatus::Aborted, exit_code }).await
}
