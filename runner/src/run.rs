//! A run: the graph of steps is worked through, in parallel where it allows, until nothing can start any more.
//!
//! One loop owns the graph and hears of everything: steps that ended, Jobs that were removed, signals. Steps are tasks that
//! share nothing but the watches; each asks the rules again about its final values before its Job is created.

mod attempts;
mod clusters;
mod graph;
mod resume;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use model::config::{CleanupPolicy, DEFAULT_NAMESPACE};
use model::names::RunId;
use model::problem::{Problem, Severity};
use model::report::Report;
use model::workflow::Step;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admission::{Admission, AdmissionError, Admitted, admit, kubeconfig};
use crate::cluster::{OpenError, Target};
use crate::event::{EventKind, Events, JobName, StepEnd};
use crate::interpolate::Scope;
use crate::journal::{Entry, History, Journal, RecordedAttempt, RunFolder, StepEnded, StepHistory, VERSION};
use crate::manifest;
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus, Verdict};
use crate::plan::Effective;
use crate::policy_set::PolicySet;
use crate::report::ExitCode;
use crate::step::waits::{WaitKind, Waits};
use crate::step::{Attempt, Begin, Cleanup, DEFAULT_GRACE, Owed, Policy, Shared, Stop};

pub use attempts::{Attempts, CountError, Next};
pub use clusters::{Clusters, ReachError};
pub use graph::{Graph, Settled};
use resume::Restored;

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
    /// The values that texts may use.
    pub scope: Arc<Scope>,
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
    /// Reviews that run at once.
    reviews: Semaphore,
}

/// A step that has ended.
struct StepDone {
    place: usize,
    end: StepEnd,
    cleanup: Option<Cleanup>,
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
            steps: workflow.all_steps().map(|step| Arc::from(step.name.as_str())).collect(),
            folder: folder.path().to_path_buf(),
        });
        let log_slots = Arc::new(Semaphore::new(logs_at_once(
            rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        )));
        let ended_log_slots = Arc::new(Semaphore::new(ENDED_LOGS_AT_ONCE));
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
            steps: workflow.all_steps().map(|step| step.name.clone()).collect(),
            local: clusters.is_local(),
        };
        shared.remember(if is_resumed { Entry::RunResumed } else { started }).await;
        let context = Arc::new(Context { run: self, clusters, shared: shared.clone(), folder, reviews });
        let opened = tokio::select! {
            opened = context.open_clusters() => opened,
            Some(signal) = stops(&mut signals) => {
                Err(RunEnd { status: RunStatus::Aborted, exit_code: signal.exit_code() })
            }
        };
        let end = match opened {
            Ok(()) => context.clone().work(signals).await,
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
            shared.events.run(EventKind::Resumable { command: context.run.resume.clone() });
        }
        shared.events.run(EventKind::RunEnded { status, exit_code, took: lasted.saturating_add(began.elapsed()) });
        end
    }
}

/// A quarter of the files that the process may open is for logs; none: any number.
fn logs_at_once(descriptors: Option<u64>) -> usize {
    let quarter = descriptors.and_then(|descriptors| usize::try_from(descriptors / 4).ok());
    quarter.unwrap_or(LOGS_AT_ONCE).clamp(1, LOGS_AT_ONCE)
}

impl Context {
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

    /// Works through the graph.
    async fn work(self: Arc<Self>, mut signals: impl Stream<Item = Signal> + Unpin) -> RunEnd {
        let workflow = self.run.effective.workflow();
        let mut graph = Graph::new(workflow, self.run.max_active);
        let mut first_signal = self.stopped_before();
        let (stop, stopped) = watch::channel(if first_signal.is_some() { Stop::Gently } else { Stop::No });
        let mut steps = JoinSet::new();
        let mut cleanups = JoinSet::new();
        let mut places = HashMap::new();
        let mut kept = 0;
        let mut codes = Codes::default();
        for Restored { place, end, cleanup } in self.restore(&mut graph).await {
            kept += usize::from(end.kept);
            codes.note(&end, self.is_asked_for(place));
            self.tell_end(place, end);
            if let Some(cleanup) = cleanup {
                cleanups.spawn(cleanup.run(stopped.clone()));
            }
        }
        for place in self.begin(&mut graph) {
            let task = steps.spawn(self.clone().step(place, stopped.clone()));
            places.insert(task.id(), place);
        }
        if first_signal.is_some() {
            graph.stop();
        }
        loop {
            for place in graph.start() {
                let task = steps.spawn(self.clone().step(place, stopped.clone()));
                places.insert(task.id(), place);
            }
            if steps.is_empty() && cleanups.is_empty() && graph.is_over() {
                break;
            }
            tokio::select! {
                Some(done) = steps.join_next_with_id() => {
                    let done = done.map(|(_, done)| done).unwrap_or_else(|error| {
                        // A bug of ours, but the step must end: nobody knows how.
                        let verdict = Verdict::new(Outcome::Lost, format!("it could not be driven: {error}"));
                        let place = places.get(&error.id()).copied().unwrap_or_default();
                        StepDone { place, end: StepEnd::of(verdict, Duration::ZERO), cleanup: None }
                    });
                    let StepDone { place, end, cleanup } = done;
                    kept += usize::from(end.kept);
                    let status = end.status;
                    codes.note(&end, self.is_asked_for(place));
                    self.ended(place, end).await;
                    for Settled { step, status, message } in graph.end(place, status, false) {
                        self.ended(step, StepEnd::without_attempt(status, message)).await;
                    }
                    if let Some(cleanup) = cleanup {
                        cleanups.spawn(cleanup.run(stopped.clone()));
                    }
                }
                Some(_) = cleanups.join_next() => {}
                Some(signal) = signals.next() => {
                    if signal == Signal::Detach {
                        let before = *stop.borrow();
                        match self.cannot_detach(before) {
                            None => return self.detach(steps, cleanups, signals).await,
                            Some(text) => self.shared.events.run(EventKind::Warning { text }),
                        }
                        continue;
                    }
                    let before = *stop.borrow();
                    let next = match before {
                        Stop::No => Stop::Gently,
                        Stop::Gently => Stop::AtOnce,
                        // The third one: nothing is waited for, not even answers.
                        Stop::AtOnce => break,
                    };
                    self.shared.events.run(EventKind::Stopping { at_once: next == Stop::AtOnce });
                    if first_signal.is_none() {
                        // Whoever takes the run up must go on with stopping it.
                        self.shared.remember(Entry::Stopping { signal }).await;
                        first_signal = Some(signal);
                    }
                    graph.stop();
                    stop.send_replace(next);
                }
            }
        }
        for Settled { step, status, message } in graph.abandon("the run was cancelled") {
            self.ended(step, StepEnd::without_attempt(status, message)).await;
        }
        if kept > 0 && self.clusters.is_local() {
            let text = "Jobs that are kept go with the local cluster".to_owned();
            self.shared.events.run(EventKind::Note { text });
        }
        let unfinished = graph.statuses().any(|status| !matches!(status, StepStatus::Succeeded | StepStatus::Skipped));
        codes.run_end(first_signal.filter(|_| unfinished), unfinished, self.run.exit_code_from.is_some())
    }

    fn is_asked_for(&self, place: usize) -> bool {
        let step = self.run.effective.workflow().steps.get(place);
        let asked = self.run.exit_code_from.as_deref();
        asked.is_some() && asked == step.map(|step| step.name.as_str())
    }

    async fn ended(&self, place: usize, end: StepEnd) {
        let Some(step) = self.run.effective.workflow().steps.get(place) else { return };
        self.shared.remember(Entry::StepEnded(StepEnded::of(&step.name, &end))).await;
        self.tell_end(place, end);
    }

    fn tell_end(&self, place: usize, end: StepEnd) {
        let Some(step) = self.run.effective.workflow().steps.get(place) else { return };
        self.shared.events.step(&Arc::from(step.name.as_str()), EventKind::StepEnded(Box::new(end)));
    }

    /// One step, from its last review to the verdict on its last attempt.
    async fn step(self: Arc<Self>, place: usize, stop: watch::Receiver<Stop>) -> StepDone {
        let began = Instant::now();
        let Some(step) = self.run.effective.workflow().steps.get(place) else {
            let end = StepEnd::without_attempt(StepStatus::Failed, "there is no such step".to_owned());
            return StepDone { place, end, cleanup: None };
        };
        let name: Arc<str> = Arc::from(step.name.as_str());
        let open = self.recorded(&name).and_then(|step| step.open_attempt());
        let lasted = open.map_or(Duration::ZERO, |open| since(open.began));
        let attempt = match open {
            Some(open) if open.ended.is_some() => return self.decided(place, open, lasted).await,
            Some(open) if open.uid.is_some() => self.take_up(&name, open).await,
            open => self.clone().prepare(place, &name, open).await,
        };
        let took = || lasted.saturating_add(began.elapsed());
        match attempt {
            Err(verdict) => {
                let cleanup = match open {
                    // A Job that an earlier process intended may have come to be.
                    Some(open) => self.owed(&name, open, Owed::LookFor).await,
                    None => None,
                };
                let end = StepEnd::of(verdict, took());
                StepDone { place, end, cleanup }
            }
            Ok(attempt) => {
                let (job, log) = (attempt.job.clone(), attempt.log.clone());
                let ended = attempt.run(stop.clone()).await;
                let mut end = StepEnd::of(ended.verdict, took());
                end.job = Some(job);
                end.kept = ended.cleanup.is_kept();
                end.log = log.exists().then_some(log);
                if end.status == StepStatus::Failed {
                    end.last_lines = ended.last_lines;
                }
                let cleanup = match self.cleaned_within() {
                    Some(limit) => ended.cleanup.wait(limit, stop).await,
                    None => Some(ended.cleanup),
                };
                StepDone { place, end, cleanup }
            }
        }
    }

    /// How long dependents wait for the pods of a step to be gone; none: they do not.
    fn cleaned_within(&self) -> Option<Duration> {
        Some(self.shared.waits.get(WaitKind::Cleanup)).filter(|limit| !limit.is_zero())
    }

    /// The last gate: the rules are asked about the final values, then the cluster is reached. An error is the verdict.
    /// `open`: an attempt that an earlier process intended, without a word on what came of it.
    async fn prepare(
        self: Arc<Self>,
        place: usize,
        name: &Arc<str>,
        open: Option<&RecordedAttempt>,
    ) -> Result<Attempt, Verdict> {
        let number = self.recorded(name).map_or(1, StepHistory::attempt);
        let asked = self.clone();
        // Components run on threads that may block. The semaphore is never closed.
        let permit = self.reviews.acquire().await;
        let admission = tokio::task::spawn_blocking(move || asked.review(place)).await;
        drop(permit);
        let admitted = match admission {
            Ok(Some(Ok(Admission::Admitted(admitted, report)))) => {
                for problem in &report.problems {
                    self.shared.events.step(name, EventKind::Warning { text: told(problem) });
                }
                admitted
            }
            Ok(Some(Ok(Admission::Refused(report)))) => return Err(refused(&report)),
            Ok(Some(Err(error))) => return Err(Verdict::new(invalid(), error.to_string())),
            Ok(None) => return Err(Verdict::new(invalid(), "there is no such step")),
            Err(error) => return Err(Verdict::new(invalid(), format!("the rules could not be asked: {error}"))),
        };
        let config = admitted.config();
        let target = Target { kubeconfig: admitted.kubeconfig().map(PathBuf::from), context: config.context.clone() };
        let namespace = config.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let reached = self.clusters.reach(&target, namespace, config.namespace.is_some()).await;
        let (cluster, watched) = reached.map_err(|error| {
            let mut verdict = Verdict::new(Outcome::failed(None, Reason::NoCluster), error.to_string());
            verdict.hint = error.help();
            verdict
        })?;
        let policy = match config.cleanup_policy {
            Some(CleanupPolicy::Keep) => Policy::Keep,
            _ => Policy::Delete,
        };
        let job = manifest::build(&admitted, number);
        if let Some(why) = job.too_large() {
            return Err(Verdict::new(invalid(), format!("[{}] {why}", model::problem::code::RANGE)));
        }
        let grace = config.termination_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Attempt {
            step: name.clone(),
            number,
            job: JobName { namespace: job.namespace().to_owned(), name: job.name().to_string() },
            begin: Begin::Create { job: Box::new(job), intended: open.map(|open| open.digest.clone()) },
            target,
            policy,
            grace: grace.map_or(DEFAULT_GRACE, Duration::from_secs),
            log: self.folder.log(name, number),
            cluster,
            watched,
            shared: self.shared.clone(),
        })
    }

    fn review(&self, place: usize) -> Option<Result<Admission<Admitted>, AdmissionError>> {
        let Run { set, effective, scope, id, .. } = &self.run;
        let step: &Step = effective.workflow().steps.get(place)?;
        Some(admit(set, effective, step, scope, id))
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

fn invalid() -> Outcome {
    Outcome::failed(None, Reason::Invalid)
}

/// The verdict on a step whose final values the rules refuse.
fn refused(report: &Report) -> Verdict {
    let reason = match report.verdict {
        model::report::Verdict::Denied => Reason::Denied,
        model::report::Verdict::Invalid | model::report::Verdict::Valid => Reason::Invalid,
    };
    let errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error);
    let mut verdict =
        Verdict::new(Outcome::failed(None, reason), errors.clone().map(told).collect::<Vec<_>>().join("\n"));
    verdict.hint = errors.filter_map(|problem| problem.help.clone()).next();
    verdict
}

/// A problem on one line.
fn told(problem: &Problem) -> String {
    let place = match (&problem.file, problem.line, problem.column) {
        (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
        (Some(file), ..) => format!("{file}: "),
        _ => String::new(),
    };
    format!("{place}[{}] {}", problem.code, problem.message)
}

/// What the exit code is made of.
#[derive(Debug, Default)]
struct Codes {
    denied: bool,
    /// Of the step that is asked for: whether it succeeded, and its code.
    asked: Option<(StepStatus, Option<i32>)>,
}

impl Codes {
    fn note(&mut self, end: &StepEnd, asked_for: bool) {
        let outcome = end.verdict.as_ref().map(|verdict| &verdict.outcome);
        self.denied |= outcome.and_then(Outcome::reason) == Some(Reason::Denied);
        if asked_for {
            self.asked = Some((end.status, outcome.and_then(Outcome::exit_code)));
        }
    }

    fn run_end(&self, signal: Option<Signal>, unfinished: bool, asks: bool) -> RunEnd {
        let status = match (signal, unfinished) {
            (Some(_), _) => RunStatus::Aborted,
            (None, true) => RunStatus::Failed,
            (None, false) => RunStatus::Succeeded,
        };
        let ordinary = if status == RunStatus::Succeeded { ExitCode::Success } else { ExitCode::Failed };
        let exit_code = match signal {
            Some(signal) => signal.exit_code(),
            None if self.denied => ExitCode::Denied,
            None if !asks => ordinary,
            None => match self.asked {
                Some((_, Some(code))) => u8::try_from(code).map_or(ExitCode::Failed, |code| match code {
                    0 => ExitCode::Success,
                    code => ExitCode::Step(code),
                }),
                Some((StepStatus::Failed, None)) => ExitCode::Failed,
                Some(_) | None => ordinary,
            },
        };
        RunEnd { status, exit_code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f66_logs_leave_descriptors_for_everything_else() {
        let found: Vec<usize> = [None, Some(1 << 20), Some(256), Some(100), Some(3)].map(logs_at_once).to_vec();
        assert_eq!(found, [64, 64, 64, 25, 1]);
    }
}
