//! A run: the graph of steps is worked through, in parallel where it allows, until nothing can start any more.
//!
//! One loop owns the graph and hears of everything: steps that ended, Jobs that were removed, signals. Steps are tasks that
//! share nothing but the watches; each asks the rules again about its final values before its Job is created.

mod attempts;
mod clusters;
mod codes;
mod drive;
mod fetch;
mod graph;
mod prepare;
mod resume;
mod values;
mod work;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use model::config::DEFAULT_NAMESPACE;
use model::names::RunId;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::admission::kubeconfig;
use crate::cluster::{OpenError, Target};
use crate::event::{EventKind, Events};
use crate::interpolate::Scope;
use crate::journal::{Entry, History, Journal, RunFolder, VERSION};
use crate::outcome::RunStatus;
use crate::plan::Effective;
use crate::policy_set::PolicySet;
use crate::report::ExitCode;
use crate::step::Shared;
use crate::step::waits::Waits;

pub use attempts::{Attempts, CountError, Next};
pub use clusters::{Clusters, ReachError};
pub use graph::{Graph, Settled};
use values::Values;
use work::Work;

/// Logs that are followed at once, at most: each is a connection.
const LOGS_AT_ONCE: usize = 64;
/// Logs of containers that have ended, beside those: each is read in a moment.
const ENDED_LOGS_AT_ONCE: usize = 16;

/// What is asked of a run from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM or SIGHUP.
    Terminate,
    /// SIGQUIT: the Jobs shall go on without this process.
    Detach,
}

impl Signal {
    /// What a run that it stopped ends with.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Signal::Interrupt => ExitCode::Interrupted,
            Signal::Terminate => ExitCode::Terminated,
            Signal::Detach => ExitCode::Detached,
        }
    }
}

/// A run, ready to begin.
pub struct Run {
    /// The rules in force.
    pub set: Arc<PolicySet>,
    /// What runs.
    pub effective: Arc<Effective>,
    /// The values that texts may use; secrets are fetched when it begins.
    pub scope: Arc<Scope>,
    /// Folder of host steps, and base of relative paths.
    pub folder: PathBuf,
    /// Its id.
    pub id: RunId,
    /// Steps that run at once; 0: no limit.
    pub max_active: usize,
    /// The step whose code the program ends with.
    pub exit_code_from: Option<String>,
    /// The state in which an earlier process left it; none: it begins.
    pub earlier: Option<Arc<History>>,
    /// The command that takes it up again.
    pub resume: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEnd {
    /// Its status.
    pub status: RunStatus,
    /// What the program ends with.
    pub exit_code: ExitCode,
}

/// What the steps of a run share.
struct Context {
    run: Run,
    clusters: Clusters,
    shared: Arc<Shared>,
    folder: RunFolder,
    values: Values,
    /// Reviews that run at once.
    reviews: Semaphore,
}

impl Run {
    /// Runs it. Nothing has run when there is no usable cluster: exit code 4, or 2 when the run id is in use.
    ///
    /// # Cancellation
    /// Jobs stay. To stop a run, send a signal.
    pub async fn execute(
        self,
        folder: RunFolder,
        journal: Journal,
        clusters: Clusters,
        waits: Waits,
        events: Events,
        mut signals: impl Stream<Item = Signal> + Unpin,
    ) -> RunEnd {
        let began = Instant::now();
        let lasted = self.earlier.as_ref().map_or(Duration::ZERO, |earlier| since(earlier.started));
        let workflow = self.effective.workflow();
        events.run(EventKind::RunStarted {
            run: self.id.to_string(),
            workflow: workflow.name.clone(),
            steps: workflow.steps.iter().map(|step| Arc::from(step.name.as_str())).collect(),
            handlers: workflow.handlers.iter().map(|step| Arc::from(step.name.as_str())).collect(),
            folder: folder.path().to_path_buf(),
        });
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let [log_slots, ended_log_slots] = [(4, LOGS_AT_ONCE), (16, ENDED_LOGS_AT_ONCE)]
            .map(|(part, most)| Arc::new(Semaphore::new(logs_at_once(descriptors, part, most))));
        let shared = Arc::new(Shared {
            events,
            journal,
            waits,
            log_slots,
            ended_log_slots,
            told_of_logs: AtomicBool::new(false),
            in_cluster: AtomicUsize::new(0),
            resume: self.resume.clone(),
        });
        // Each review keeps a core busy; more at once would only let them wait for each other, against their clocks.
        let reviews = Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from));
        let is_resumed = self.earlier.is_some();
        let started = Entry::RunStarted {
            version: VERSION,
            run: self.id.to_string(),
            workflow: workflow.name.clone(),
            steps: workflow.steps.iter().map(|step| step.name.clone()).collect(),
            handlers: workflow.handlers.iter().map(|step| step.name.clone()).collect(),
            logs: workflow.log_dir.is_some().then(|| folder.logs().to_owned()),
            local: clusters.is_local(),
        };
        shared.remember(if is_resumed { Entry::RunResumed } else { started }).await;
        let values = Values::new(Scope::clone(&self.scope), workflow);
        let mut context = Context { run: self, clusters, shared: shared.clone(), folder, values, reviews };
        let opened = tokio::select! {
            opened = context.open() => opened,
            Some(signal) = stops(&mut signals) => {
                Err(RunEnd { status: RunStatus::Aborted, exit_code: signal.exit_code() })
            }
        };
        let resume = context.run.resume.clone();
        let end = match opened {
            Ok(scope) => {
                context.values = Values::new(scope, context.run.effective.workflow());
                Work::new(Arc::new(context), &mut signals).run().await
            }
            // What an earlier process began goes on, and is taken up another time.
            Err(end) if is_resumed => RunEnd { status: RunStatus::Interrupted, ..end },
            Err(end) => end,
        };
        let (status, exit_code) = (end.status, end.exit_code.number());
        match status {
            RunStatus::Interrupted => {}
            RunStatus::Detached => shared.remember(Entry::Detached).await,
            _ => shared.remember(Entry::RunEnded { status, exit_code }).await,
        }
        if matches!(status, RunStatus::Interrupted | RunStatus::Detached) {
            shared.events.run(EventKind::Resumable { command: resume });
        }
        shared.events.run(EventKind::RunEnded { status, exit_code, took: lasted.saturating_add(began.elapsed()) });
        end
    }
}

/// So many logs that each one has a connection and a file for a part of the files that the process may open; none: any
/// number.
fn logs_at_once(descriptors: Option<u64>, part: u64, most: usize) -> usize {
    let of_part = descriptors.and_then(|descriptors| usize::try_from(descriptors / part).ok());
    of_part.unwrap_or(most).clamp(1, most)
}

impl Context {
    /// Gets what is needed before the first step: clusters, then secrets.
    async fn open(&self) -> Result<Scope, RunEnd> {
        self.open_clusters().await?;
        let failed = RunEnd { status: RunStatus::Failed, exit_code: ExitCode::Failed };
        self.fetch_secrets().await.ok_or(failed)
    }

    /// Connects to every cluster and namespace that is known without running, all at once.
    async fn open_clusters(&self) -> Result<(), RunEnd> {
        let effective = &self.run.effective;
        let mut known = BTreeSet::new();
        for merged in effective.merged() {
            let Some(step) = effective.workflow().step(&merged.step) else { continue };
            let scope = self.run.scope.of_step(step);
            // As at submit, variables are put in where a file has written them, and nowhere else.
            let is_open = |key: &str| merged.variables.iter().any(|path| path == key);
            let text = |key: &str| {
                let written = merged.config.get(key).and_then(|value| value.as_str())?;
                Some(if is_open(key) { scope.text(written) } else { written.to_owned() })
            };
            let keys = ["namespace", "kubeconfig", "context"];
            // What still holds a variable is opened when its step starts, if it ever does.
            if keys.iter().any(|key| is_open(key) && text(key).is_some_and(|text| text.contains('$'))) {
                continue;
            }
            let [named, file, name] = keys.map(text);
            let kubeconfig = kubeconfig(file.as_deref(), merged, effective.sources());
            known.insert((Target { kubeconfig, context: name }, named));
        }
        if self.clusters.is_local() && known.iter().any(|(target, _)| *target != Target::default()) {
            let text = "`kubeconfig` and `context` of the config are not used: `--local`".to_owned();
            self.shared.events.run(EventKind::Note { text });
        }
        // A namespace that only earlier attempts know is named by them.
        known.extend(self.begun_places().map(|(target, namespace)| (target, Some(namespace))));
        let opened = known.iter().map(|(target, namespace)| {
            self.clusters.reach(target, namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE), namespace.is_some())
        });
        let mut exit_code = None;
        for error in futures_util::future::join_all(opened).await.into_iter().filter_map(Result::err) {
            exit_code = exit_code.max(Some(match &error {
                ReachError::Open(OpenError::InUse { .. }) => ExitCode::Invalid,
                _ => ExitCode::NoCluster,
            }));
            self.shared.events.run(EventKind::Fatal { text: error.to_string(), help: error.help() });
        }
        match exit_code {
            None => Ok(()),
            Some(exit_code) => Err(RunEnd { status: RunStatus::Failed, exit_code }),
        }
    }
}

/// The next signal that stops; there is nothing to detach from yet.
async fn stops(signals: &mut (impl Stream<Item = Signal> + Unpin)) -> Option<Signal> {
    while let Some(signal) = signals.next().await {
        if signal != Signal::Detach {
            return Some(signal);
        }
    }
    None
}

/// How long ago that was, by the clock of this machine.
fn since(time: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f66_logs_leave_descriptors_for_everything_else() {
        let found: Vec<usize> = [None, Some(1 << 20), Some(256), Some(100), Some(3)]
            .map(|descriptors| logs_at_once(descriptors, 4, LOGS_AT_ONCE))
            .to_vec();
        assert_eq!(found, [64, 64, 64, 25, 1]);
        assert_eq!(logs_at_once(Some(64), 16, ENDED_LOGS_AT_ONCE), 4);
    }
}
