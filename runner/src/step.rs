//! One attempt of a Kubernetes step: one Job, from the intent to create it to its removal.
//!
//! The watches put what they see into [`facts`]; [`verdict`] is a pure function of those; this module keeps the time,
//! follows the log, and does what the judgement asks for. It never judges by itself, except where nothing was seen: a Job
//! that could not be created, a cluster that is away, a stop.
//!
//! ```text
//! Creating ─► Pending ─► Running ─► Draining ─► Finished ─► Cleaned
//!     └──────────┴──────────┴─────────► a stop: delete, follow the log until the pods are gone
//! ```

mod cleanup;
pub mod facts;
mod follow;
pub mod log_file;
mod log_sink;
pub mod log_stream;
mod process;
mod stop;
mod timers;
pub mod verdict;
pub mod waits;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Attempted, Cluster, Created, Deleted, Expected, FailureKind, SubmitError, Watched};
use crate::event::{AttemptState, EventKind, Events, JobName};
use crate::journal::{Entry, Journal, LogHistory};
use crate::manifest::Job;
use crate::outcome::{Outcome, Reason, Verdict};
use facts::Facts;
use follow::Follow;
use timers::Timers;
use verdict::{Allowance, Decision, EventsOf, FailedInit, JobAtEnd, Judgement, Open, Wait, judge};
use waits::{WaitKind, Waits};

pub use cleanup::{Cleanup, Owed, Policy, Target};
pub use log_sink::{Copies, LogTarget, Printed};
pub use process::HostAttempt;
pub use stop::{Stop, TimeLimit};

pub(crate) use process::not_started;
use stop::{Cause, cause};
pub(crate) use stop::{stopped, stopped_verdict};

/// Grace period of a pod that names none.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);
/// For the requests of a second signal, all together.
const KILL: Duration = Duration::from_secs(5);

/// What all attempts of a run share.
#[derive(Debug)]
pub struct Shared {
    /// Who is told.
    pub events: Events,
    /// What is remembered.
    pub journal: Journal,
    /// How long each wait may last.
    pub waits: Waits,
    /// Logs that may be followed at once.
    pub log_slots: Arc<Semaphore>,
    /// Logs of ended containers that may be read beside them.
    pub ended_log_slots: Arc<Semaphore>,
    /// Whether it was told that the right to read logs is missing: once is enough.
    pub told_of_logs: AtomicBool,
    /// Attempts whose Job exists and that are not decided.
    pub in_cluster: AtomicUsize,
    /// The command that takes the run up again.
    pub resume: String,
}

impl Shared {
    /// Writes to the journal; that it cannot be written is told once.
    pub async fn remember(&self, entry: Entry) {
        remember(&self.journal, &self.events, entry).await;
    }
}

/// Writes to the journal; that it cannot be written is told once.
pub async fn remember(journal: &Journal, events: &Events, mut entry: Entry) {
    events.mask().entry(&mut entry);
    if let Err(error) = journal.write(entry).await {
        let text = format!("the journal cannot be written ({error}): this run cannot be resumed");
        events.run(EventKind::Warning { text });
    }
}

/// One attempt, ready to be made.
#[derive(Debug)]
pub struct Attempt {
    /// Name of the step.
    pub step: Arc<str>,
    /// From 1.
    pub number: u32,
    /// How it begins.
    pub begin: Begin,
    /// Namespace and name of its Job.
    pub job: JobName,
    /// How the config names the cluster.
    pub target: cluster::Target,
    /// What becomes of the Job after an ordinary end.
    pub policy: Policy,
    /// Grace period of its pods.
    pub grace: Duration,
    /// Its time limit, from the beginning of the attempt until its verdict; none: it has none.
    pub limit: Option<TimeLimit>,
    /// Where its log goes.
    pub log: LogTarget,
    /// The cluster.
    pub cluster: Cluster,
    /// The watches of its namespace.
    pub watched: Arc<Watched>,
    /// What all attempts share.
    pub shared: Arc<Shared>,
}

/// How an attempt begins.
#[derive(Debug)]
pub enum Begin {
    /// Its Job is created.
    Create {
        /// What is created.
        job: Box<Job>,
        /// Digest of what an earlier process was about to create: if that has come to be, it is the Job.
        intended: Option<String>,
    },
    /// Its Job was created by an earlier process.
    TakeUp {
        /// Its uid.
        uid: String,
        /// How far its log was read.
        log: Box<LogHistory>,
    },
}

/// An attempt that has ended; its Job may still be there.
#[derive(Debug)]
#[must_use = "the Job is removed by `cleanup`"]
pub struct Ended {
    /// How.
    pub verdict: Verdict,
    /// What remains to be done in the cluster.
    pub cleanup: Cleanup,
    /// What came of its log.
    pub printed: Printed,
}

/// The verdict on an attempt whose cluster stayed away: its Job may run on.
struct OutOfContact(Verdict);

/// An attempt without a Job.
struct NotCreated {
    verdict: Verdict,
    cleanup: Cleanup,
}

impl Attempt {
    /// Makes the attempt. It ends when it is decided and its log is read.
    ///
    /// # Cancellation
    /// The Job stays. To stop an attempt, `stop` is set.
    pub async fn run(mut self, mut stop: watch::Receiver<Stop>) -> Ended {
        let log_target = std::mem::take(&mut self.log);
        self.tell(EventKind::StepStarted { job: Some(self.job.clone()), log: log_target.file.clone() });
        let attempted = self.watched.attempt(&self.job.name);
        let begun = match &self.begin {
            Begin::Create { job, intended } => {
                let created = self.create(job, intended.as_deref(), &attempted, &stop).await;
                created.map(|uid| (uid, LogHistory::default()))
            }
            Begin::TakeUp { uid, log } => {
                self.take_up(uid, &attempted, &stop).await.map(|()| (uid.clone(), LogHistory::clone(log)))
            }
        };
        let (uid, log) = match begun {
            Ok(begun) => begun,
            Err(NotCreated { verdict, cleanup }) => {
                return self.finished(verdict, cleanup.of_attempt(attempted), Printed::default()).await;
            }
        };

        let in_cluster = InCluster::new(&self.shared);
        let decided = CancellationToken::new();
        let follow = Follow {
            cluster: self.cluster.clone(),
            namespace: self.job.namespace.clone(),
            facts: attempted.facts(),
            decided: decided.clone(),
            step: self.step.clone(),
            attempt: self.number,
            shared: self.shared.clone(),
        };
        let mut following = AbortOnDrop(tokio::spawn(follow.run(log_target, log)));

        let by_stop = stop.clone();
        // The first fact that decides wins: what has happened goes before who asks.
        let decision = tokio::select! {
            biased;
            decision = self.watch(&attempted) => Ok(decision),
            cause = cause(&mut stop, self.limit) => Err((by_stop, cause)),
        };
        let is_stopped = decision.is_err();
        let (mut verdict, cleanup) = match decision {
            Ok(Ok(decision)) => {
                let cleanup = self.cleanup(self.policy, decision.job, uid);
                (self.explained(&attempted, decision).await, cleanup)
            }
            Ok(Err(OutOfContact(verdict))) => (verdict, Cleanup::leave_alone(self.target(Expected::Uid(uid)))),
            Err((stop, cause)) => (cause.verdict(), self.stop(&attempted, uid, stop).await),
        };
        drop(in_cluster);
        self.state(AttemptState::Draining, verdict.pod.clone(), false);
        decided.cancel();
        let patience = self.shared.waits.get(WaitKind::Drain) * 2;
        let logged = tokio::select! {
            logged = self.rest_of_log(&mut following) => logged,
            // Nothing is waited for any more; what came is in the file.
            () = stopped(&mut stop, Stop::AtOnce) => follow::Logged::default(),
            // Nor for a reader of the screen that has stopped reading.
            () = tokio::time::sleep(patience), if is_stopped => follow::Logged::default(),
        };
        let printed = logged.finish(verdict.pod.as_deref());
        // The log of a program that was stopped ends where it was stopped: nobody misses the rest.
        if !is_stopped {
            verdict = printed.judged(verdict);
        }
        self.finished(verdict, cleanup.of_attempt(attempted), printed).await
    }

    /// The rest of the log. The screen says that it is waited for, if that takes long.
    async fn rest_of_log(&self, following: &mut AbortOnDrop<follow::Logged>) -> follow::Logged {
        let mut timers = Timers::new(&self.shared.waits, &self.shared.events);
        timers.run(vec![Wait {
            kind: WaitKind::Drain,
            of: String::new(),
            words: "the rest of the log".to_owned(),
            allowance: Allowance::After(self.shared.waits.get(WaitKind::Drain) * follow::NOT_READY),
        }]);
        loop {
            tokio::select! {
                logged = &mut following.0 => return logged.unwrap_or_default(),
                () = timers.next() => self.tell(EventKind::StepWaiting { waits: timers.noticed() }),
            }
        }
    }

    /// Takes up a Job that an earlier process created: it is there, or has gone, or another one has its name.
    async fn take_up(&self, uid: &str, attempted: &Attempted, stop: &watch::Receiver<Stop>) -> Result<(), NotCreated> {
        attempted.created(uid, None);
        let is_gone = attempted.facts().borrow().job_gone();
        if !is_gone {
            return Ok(());
        }
        let asked = *stop.borrow();
        if asked > Stop::No {
            // The earlier process was told to delete it, and has.
            let verdict = Cause::of(asked).verdict();
            return Err(NotCreated { verdict, cleanup: Cleanup::done(self.of_uid(uid)) });
        }
        // No answer is no other Job: what the watches saw decides then.
        match self.cluster.uid_of_job(&self.job.namespace, &self.job.name).await {
            Ok(Some(other)) if other != uid => {
                let words = format!("another Job is called `{}` now: that of this attempt is gone", self.job.name);
                let verdict = Verdict::new(Outcome::failed(None, Reason::NameConflict), words);
                Err(NotCreated { verdict, cleanup: Cleanup::done(self.of_uid(uid)) })
            }
            _ => Ok(()),
        }
    }

    /// Creates the Job.
    async fn create(
        &self,
        job: &Job,
        intended: Option<&str>,
        attempted: &Attempted,
        stop: &watch::Receiver<Stop>,
    ) -> Result<String, NotCreated> {
        self.state(AttemptState::Creating, None, false);
        self.remember(Entry::JobIntended {
            step: self.step.to_string(),
            attempt: self.number,
            target: self.target.clone(),
            job: self.job.clone(),
            digest: job.digest().to_owned(),
            cleanup: self.policy,
            grace_seconds: self.grace.as_secs(),
        })
        .await;
        let [limit, leaving] = [WaitKind::Api, WaitKind::Delete].map(|kind| self.shared.waits.get(kind));
        let mut timers = Timers::new(&self.shared.waits, &self.shared.events);
        let mut has_waited = false;
        let tell = |failure: &cluster::Failure| {
            timers.run(vec![match failure.kind {
                FailureKind::Conflict => self.wait(WaitKind::Delete, format!("its name is not free yet: {failure}")),
                _ => self.wait(WaitKind::Api, format!("the cluster does not take the Job: {failure}")),
            }]);
            self.tell(EventKind::StepWaiting { waits: timers.shown() });
            has_waited = true;
        };
        let mut stop = stop.clone();
        let asked = OnceLock::new();
        let given_up = async {
            let _ = asked.set(cause(&mut stop, self.limit).await);
        };
        // Whether there may be a Job, and then whether a request for it was never answered.
        let submitted = self.cluster.submit(job, intended, limit, leaving, given_up, tell).await;
        let (verdict, may_come) = match submitted {
            Ok(created) => {
                self.remember(Entry::JobCreated {
                    step: self.step.to_string(),
                    attempt: self.number,
                    uid: created.uid.clone(),
                })
                .await;
                attempted.created(&created.uid, created.version.as_deref());
                self.tell_remarks(&created);
                if has_waited {
                    self.tell(EventKind::StepWaiting { waits: Vec::new() });
                }
                return Ok(created.uid);
            }
            Err(error) => match &error {
                SubmitError::Stopped { may_exist, unanswered } => {
                    let cause = asked.get().copied().unwrap_or(Cause::Cancelled);
                    (cause.verdict(), (*may_exist || intended.is_some()).then_some(*unanswered))
                }
                SubmitError::Unreachable { .. } => {
                    (Verdict::new(Outcome::failed(None, Reason::ClusterUnreachable), error.to_string()), Some(true))
                }
                SubmitError::Foreign { .. } | SubmitError::Leaving { .. } => {
                    (Verdict::new(Outcome::failed(None, Reason::NameConflict), error.to_string()), None)
                }
                SubmitError::Refused(failure) => {
                    let mut verdict = Verdict::new(Outcome::failed(None, Reason::CreateRefused), error.to_string());
                    verdict.hint = (failure.kind == FailureKind::TooLarge).then(|| job.largest_fields());
                    // What an earlier process intended may have come to be.
                    let may_come = intended.is_some().then_some(false);
                    (verdict, may_come)
                }
            },
        };
        let digests = intended.into_iter().chain([job.digest()]).map(str::to_owned).collect();
        let target = self.target(Expected::Digest(digests));
        let cleanup = match may_come {
            Some(unanswered) => Cleanup::look_for(target, unanswered),
            None => Cleanup::done(target),
        };
        Err(NotCreated { verdict, cleanup })
    }

    /// What was stored is what runs; what was admitted is what was sent.
    fn tell_remarks(&self, created: &Created) {
        let differences = (!created.differences.is_empty()).then(|| {
            let differences = created.differences.join("; ");
            format!("the cluster stored another Job than the one sent: {differences}")
        });
        let remarks = created.warnings.iter().map(|warning| format!("the cluster remarks: {warning}"));
        for text in differences.into_iter().chain(remarks) {
            self.tell(EventKind::Warning { text });
        }
    }

    /// Waits for the verdict.
    async fn watch(&self, attempted: &Attempted) -> Result<Decision, OutOfContact> {
        let mut facts = attempted.facts();
        let mut contact = attempted.contact();
        let mut timers = Timers::new(&self.shared.waits, &self.shared.events);
        let mut lookups = timers::Lookups::default();
        let mut shown = None;
        let mut looking: Option<Looking<'_>> = None;
        let mut told = Vec::new();
        let mut remarks = BTreeSet::new();
        let mut has_asked = false;
        loop {
            let away = contact.borrow_and_update().lost().map(|(since, failure)| (since, failure.clone()));
            let expired = timers.expired();
            let judgement = judge(&facts.borrow_and_update(), &expired);
            let Open { state, mut waits, events_of, remarks: said } = match judgement {
                Judgement::Decided(decision) => {
                    let is_gone = decision.job == JobAtEnd::Gone && decision.verdict.outcome == Outcome::Lost;
                    if !is_gone || std::mem::replace(&mut has_asked, true) {
                        return Ok(*decision);
                    }
                    // Why it is gone nobody tells who does not ask.
                    if self.cluster.is_namespace_gone(&self.job.namespace, &self.job.name).await {
                        attempted.learn(Facts::see_namespace_gone);
                    }
                    continue;
                }
                Judgement::Open(open) => open,
            };
            for text in said {
                if remarks.insert(text.clone()) {
                    self.tell(EventKind::Note { text });
                }
            }
            if let Some((since, failure)) = &away {
                if since.elapsed() >= self.shared.waits.get(WaitKind::Api) {
                    return Err(self.out_of_contact(failure));
                }
                let what = match failure.kind {
                    FailureKind::Unauthorized => "the cluster does not take the credentials",
                    FailureKind::Forbidden | FailureKind::NotFound => "the cluster does not show its Jobs and pods",
                    _ => "the cluster does not answer",
                };
                // What was seen last may be over: nothing else counts against it until the cluster answers.
                waits = vec![self.wait(WaitKind::Api, format!("{what}: {failure}"))];
            }
            let now = {
                let facts = facts.borrow();
                (state, facts.pods().last().map(|pod| pod.name.to_string()), facts.suspended())
            };
            if shown.as_ref() != Some(&now) {
                let (state, pod, suspended) = now.clone();
                // One line tells one change.
                if let Some((before, pod, _)) = shown.filter(|(.., was_suspended)| *was_suspended != suspended) {
                    self.state(before, pod, suspended);
                }
                self.state(state, pod, suspended);
                shown = Some(now);
            }
            timers.run(waits);
            // One that may last no time is over at once.
            if !timers.expired().is_subset(&expired) {
                continue;
            }
            let noticed = timers.noticed();
            if noticed != told {
                self.tell(EventKind::StepWaiting { waits: noticed.clone() });
                told = noticed;
            }
            lookups.ask(events_of);
            tokio::select! {
                changed = facts.changed() => if changed.is_err() { std::future::pending::<()>().await },
                _ = contact.changed() => {}
                () = timers.next() => {}
                uid = lookups.next(), if looking.is_none() => looking = Some(Box::pin(self.listed(uid))),
                (uid, events) = async {
                    match &mut looking {
                        Some(looking) => looking.await,
                        None => std::future::pending().await,
                    }
                } => {
                    looking = None;
                    attempted.learn(|facts| facts.see_events(&uid, &events));
                }
            }
        }
    }

    /// Adds what the cluster says about a failure without exit code.
    async fn explained(&self, attempted: &Attempted, mut decision: Decision) -> Verdict {
        for EventsOf { uid, .. } in decision.events_of.clone() {
            let (uid, events) = self.listed(uid).await;
            attempted.learn(|facts| facts.see_events(&uid, &events));
        }
        decision.add_warnings(&attempted.facts().borrow());
        if let Some(FailedInit { pod, container }) = &decision.failed_init {
            let lines = self.cluster.last_log_lines(&self.job.namespace, pod, container).await;
            decision.verdict.message.extend(lines.iter().map(|line| format!("\n{container}: {line}")));
        }
        decision.verdict
    }

    fn wait(&self, kind: WaitKind, words: String) -> Wait {
        Wait { kind, of: String::new(), words, allowance: Allowance::Limit }
    }

    /// The events of an object, which say why something is missing or stuck; none without the right to list them.
    async fn listed(&self, uid: String) -> (String, Vec<Event>) {
        let events = self.cluster.events_of(&self.job.namespace, &uid).await.unwrap_or_default();
        (uid, events)
    }

    fn out_of_contact(&self, failure: &cluster::Failure) -> OutOfContact {
        let why = match failure.kind {
            FailureKind::Unauthorized => "the cluster no longer takes the credentials, fresh ones neither",
            FailureKind::Forbidden | FailureKind::NotFound => "the cluster no longer shows the Job",
            _ => "the cluster stayed away",
        };
        let mut verdict = Verdict::new(Outcome::Lost, format!("{why}, so nobody knows how it ended: {failure}"));
        let look = self.cluster.kubectl(&self.job.namespace, &format!("get job {}", self.job.name));
        verdict.hint =
            look.map(|look| format!("the Job was left alone: look with `{look}`, go on with `{}`", self.shared.resume));
        OutOfContact(verdict)
    }

    /// Deletes the Job and waits until its pods have ended, at most for their grace period and *delete*.
    async fn stop(&self, attempted: &Attempted, uid: String, mut stop: watch::Receiver<Stop>) -> Cleanup {
        let delete = self.shared.waits.get(WaitKind::Delete);
        let expected = Expected::Uid(uid.clone());
        let gently = async {
            let target = self.target(expected.clone());
            let deleted = target.delete(delete).await;
            if !matches!(deleted, Deleted::Accepted | Deleted::Held | Deleted::Absent) {
                return Some(deleted);
            }
            let mut facts = attempted.facts();
            target.tell_wait("the pods get their grace period to end", self.grace + delete);
            // An end of the watches is no end of the pods; then the time is waited for.
            let gone = tokio::time::timeout(self.grace + delete, facts.wait_for(cleanup::is_removed)).await;
            drop(gone);
            target.tell_no_wait();
            None
        };
        let failed = tokio::select! {
            failed = gently => failed,
            () = stopped(&mut stop, Stop::AtOnce) => {
                let _ = tokio::time::timeout(KILL, self.kill(attempted, &expected)).await;
                None
            }
        };
        let gone = cleanup::is_removed(&attempted.facts().borrow());
        match failed {
            Some(deleted) => Cleanup::failed(self.target(expected), deleted),
            None if gone => Cleanup::done(self.target(expected)),
            None => Cleanup::unfinished(self.target(expected)),
        }
    }

    /// Deletes the Job and, where the right is there, kills its pods.
    async fn kill(&self, attempted: &Attempted, expected: &Expected) {
        let namespace = &self.job.namespace;
        let pods: Vec<(String, String)> = {
            let facts = attempted.facts();
            let facts = facts.borrow();
            facts.pods().into_iter().map(|pod| (pod.name.to_string(), pod.uid.to_string())).collect()
        };
        let kill = pods.iter().map(|(name, uid)| self.cluster.kill_pod(namespace, name, uid));
        let name = &self.job.name;
        // Whether it worked is seen, not believed.
        let _ = tokio::join!(
            futures_util::future::join_all(kill),
            self.cluster.delete_job(namespace, name, expected, KILL, |_| {})
        );
        let mut facts = attempted.facts();
        let _ = facts.wait_for(cleanup::is_removed).await;
    }

    fn of_uid(&self, uid: &str) -> Target {
        self.target(Expected::Uid(uid.to_owned()))
    }

    fn target(&self, expected: Expected) -> Target {
        Target {
            step: self.step.clone(),
            attempt: self.number,
            cluster: self.cluster.clone(),
            namespace: self.job.namespace.clone(),
            name: self.job.name.clone(),
            grace: self.grace,
            expected,
            shared: self.shared.clone(),
        }
    }

    fn cleanup(&self, policy: Policy, job: JobAtEnd, uid: String) -> Cleanup {
        let target = self.target(Expected::Uid(uid));
        match (policy, job) {
            (_, JobAtEnd::Gone) => Cleanup::done(target),
            (Policy::Delete, JobAtEnd::Ended) => Cleanup::delete(target),
            (Policy::Delete, JobAtEnd::Alive) => Cleanup::delete_alive(target),
            (Policy::Keep, JobAtEnd::Ended) => Cleanup::keep(target),
            (Policy::Keep, JobAtEnd::Alive) => Cleanup::suspend(target),
        }
    }

    async fn finished(&self, verdict: Verdict, cleanup: Cleanup, printed: Printed) -> Ended {
        self.remember(Entry::AttemptEnded {
            step: self.step.to_string(),
            attempt: self.number,
            verdict: verdict.clone(),
            owed: cleanup.owed(),
        })
        .await;
        self.state(AttemptState::Finished, verdict.pod.clone(), false);
        Ended { verdict, cleanup, printed }
    }

    fn state(&self, state: AttemptState, pod: Option<String>, suspended: bool) {
        self.tell(EventKind::StepState { state, pod, suspended });
    }

    fn tell(&self, kind: EventKind) {
        self.shared.events.attempt(&self.step, self.number, kind);
    }

    async fn remember(&self, entry: Entry) {
        self.shared.remember(entry).await;
    }
}

/// Counts an attempt among those whose Job exists, as long as it lives.
struct InCluster(Arc<Shared>);

impl InCluster {
    fn new(shared: &Arc<Shared>) -> InCluster {
        shared.in_cluster.fetch_add(1, Ordering::Relaxed);
        InCluster(shared.clone())
    }
}

impl Drop for InCluster {
    fn drop(&mut self) {
        self.0.in_cluster.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A list of events on its way: of which object, and what there is.
type Looking<'a> = Pin<Box<dyn Future<Output = (String, Vec<Event>)> + Send + 'a>>;

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A moment that may never come.
pub(crate) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
