//! What becomes of a Job after its attempt has ended: deleted, kept, or named as left over.
//!
//! The verdict stands before this begins and nothing here changes it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::facts::Facts;
use super::timers::UNTOLD;
use super::waits::WaitKind;
use super::{Shared, Stop};
use crate::cluster::{Attempted, Cluster, Deleted, Expected, Failure, FailureKind};
use crate::event::{AttemptState, EventKind, Leftover, Waiting};
use crate::journal::Entry;

/// For a Job whose creation was not answered to be seen.
const LATE: Duration = Duration::from_secs(5);

/// Why a pod is left: nobody hears of its node.
const DOES_NOT_END: &str = "it is being deleted, but does not end";

/// What becomes of a Job after an ordinary end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It is deleted.
    Delete,
    /// It stays.
    Keep,
}

/// What remains to be done in the cluster, as the journal has it: for this process, and for one that takes the run up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owed {
    /// Nothing.
    Nothing,
    /// The Job has ended and is deleted.
    Delete,
    /// The Job is deleted although it has not ended, and its end is waited for.
    DeleteAlive,
    /// The Job has ended and stays.
    Keep,
    /// The Job has not ended and stays, suspended.
    Suspend,
    /// There may be a Job: it is looked for and deleted.
    LookFor,
    /// The Job is left alone: nobody could reach it.
    LeaveAlone,
}

/// The Job that is meant.
#[derive(Debug)]
pub struct Target {
    /// Name of the step.
    pub step: Arc<str>,
    /// Which attempt.
    pub attempt: u32,
    /// Its cluster.
    pub cluster: Cluster,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Grace period of its pods.
    pub grace: Duration,
    /// Which Job of that name.
    pub expected: Expected,
    /// What all attempts share.
    pub shared: Arc<Shared>,
}

/// What remains to be done for one attempt in its cluster.
#[derive(Debug)]
#[must_use = "nothing is removed before `run`"]
pub struct Cleanup {
    step: Arc<str>,
    attempt: u32,
    shared: Arc<Shared>,
    act: Act,
    /// What is known of the Job and its pods, as long as somebody may wait for their end.
    attempted: Option<Attempted>,
}

#[derive(Debug)]
enum Act {
    Nothing,
    LeaveAlone,
    /// Whether its end is waited for: it was judged while something of it might still start.
    Delete(Target, bool),
    Keep,
    Suspend(Target),
    LookFor(Target, bool),
    Failed(Target, Deleted),
    Unfinished(Target),
}

impl Cleanup {
    /// Nobody can reach the Job: what becomes of it is for those to say who take the run up again.
    pub(super) fn leave_alone(target: Target) -> Cleanup {
        Cleanup::of(target, |_| Act::LeaveAlone)
    }

    /// There is no Job.
    pub(super) fn done(target: Target) -> Cleanup {
        Cleanup::of(target, |_| Act::Nothing)
    }

    /// The Job is deleted.
    pub(super) fn delete(target: Target) -> Cleanup {
        Cleanup::of(target, |target| Act::Delete(target, false))
    }

    /// The Job is deleted although it has not ended: it is clean when Job and pods are seen to be gone.
    pub(super) fn delete_alive(target: Target) -> Cleanup {
        Cleanup::of(target, |target| Act::Delete(target, true))
    }

    /// Nobody knows whether there is a Job: a request for it has failed, or (`unanswered`) was never answered.
    pub(super) fn look_for(target: Target, unanswered: bool) -> Cleanup {
        Cleanup::of(target, |target| Act::LookFor(target, unanswered))
    }

    /// The Job has ended and stays.
    pub(super) fn keep(target: Target) -> Cleanup {
        Cleanup::of(target, |_| Act::Keep)
    }

    /// The Job stays although it has not ended: nothing of it may start later.
    pub(super) fn suspend(target: Target) -> Cleanup {
        Cleanup::of(target, Act::Suspend)
    }

    /// Deleting was tried.
    pub(super) fn failed(target: Target, deleted: Deleted) -> Cleanup {
        Cleanup::of(target, |target| Act::Failed(target, deleted))
    }

    /// It is being deleted, but was still there when time was up.
    pub(super) fn unfinished(target: Target) -> Cleanup {
        Cleanup::of(target, Act::Unfinished)
    }

    /// What an earlier process owed. `attempted`: what is known of the Job since the watches were opened.
    pub fn recorded(owed: Owed, target: Target, attempted: Attempted) -> Cleanup {
        let cleanup = match owed {
            Owed::Nothing => Cleanup::done(target),
            Owed::Delete => Cleanup::delete(target),
            Owed::DeleteAlive => Cleanup::delete_alive(target),
            Owed::Keep => Cleanup::keep(target),
            Owed::Suspend => Cleanup::suspend(target),
            // Whether an earlier request was answered is no longer known; that of a process that is gone comes soon, or
            // never.
            Owed::LookFor => Cleanup::look_for(target, false),
            Owed::LeaveAlone => Cleanup::leave_alone(target),
        };
        cleanup.of_attempt(attempted)
    }

    /// What is to be remembered of it.
    pub fn owed(&self) -> Owed {
        match &self.act {
            Act::Nothing => Owed::Nothing,
            Act::LeaveAlone => Owed::LeaveAlone,
            Act::Delete(_, false) => Owed::Delete,
            Act::Delete(_, true) | Act::Failed(..) | Act::Unfinished(_) => Owed::DeleteAlive,
            Act::Keep => Owed::Keep,
            Act::Suspend(_) => Owed::Suspend,
            Act::LookFor(..) => Owed::LookFor,
        }
    }

    fn of(target: Target, act: impl FnOnce(Target) -> Act) -> Cleanup {
        let (step, attempt, shared) = (target.step.clone(), target.attempt, target.shared.clone());
        Cleanup { step, attempt, shared, act: act(target), attempted: None }
    }

    /// Keeps what is known of the attempt up to date until it is cleaned.
    pub(super) fn of_attempt(self, attempted: Attempted) -> Cleanup {
        Cleanup { attempted: Some(attempted), ..self }
    }

    /// Does it now, and waits until the pods are gone: at most for `limit`, or until somebody stops the run. Returns what
    /// is left to do, if anything.
    ///
    /// # Cancellation
    /// As of [`Cleanup::run`].
    pub async fn wait(mut self, limit: Duration, mut stop: watch::Receiver<Stop>) -> Option<Cleanup> {
        if self.is_kept() {
            return Some(self);
        }
        self.perform(&mut stop).await;
        // As long as it lives the facts are kept up to date.
        let mut facts = self.attempted.as_ref()?.facts();
        let words = "the pods of the Job are still there";
        let shared = &self.shared;
        let removed =
            shared.told_wait(&self.step, self.attempt, WaitKind::Cleanup, words, limit, facts.wait_for(is_removed));
        let gone = tokio::select! {
            gone = removed => gone,
            () = super::stopped(&mut stop, Stop::RunTimeout) => true,
        };
        if !gone {
            let text = format!("the pods of the Job were still there after {} s; the run goes on", limit.as_secs());
            self.shared.events.attempt(&self.step, self.attempt, EventKind::Note { text });
        }
        None
    }

    /// Whether the Job stays because the step wants it.
    pub fn is_kept(&self) -> bool {
        matches!(self.act, Act::Keep | Act::Suspend(_))
    }

    /// Does it. What cannot be removed is named, with the command that does; nothing waits for ever. Once the run shall
    /// stop at once, little is waited for.
    ///
    /// # Cancellation
    /// The Job may stay, and nobody is told.
    pub async fn run(mut self, mut stop: watch::Receiver<Stop>) {
        self.perform(&mut stop).await;
    }

    async fn perform(&mut self, stop: &mut watch::Receiver<Stop>) {
        let Cleanup { step, attempt, shared, act, attempted } = self;
        let (attempt, attempted) = (*attempt, attempted.as_ref());
        let limit = shared.waits.get(WaitKind::Delete);
        let is_clean = match act {
            Act::Nothing | Act::Keep => true,
            Act::LeaveAlone => false,
            Act::Delete(target, confirm) => target.within(target.remove(limit, attempted, *confirm), stop).await,
            Act::LookFor(target, unanswered) => {
                let looked = async { target.account(&target.look_for(limit, attempted, *unanswered).await).await };
                target.within(looked, stop).await
            }
            Act::Failed(target, deleted) => target.account(deleted).await,
            Act::Unfinished(target) => target.name_what_is_left(attempted).await,
            Act::Suspend(target) => {
                target.suspend().await;
                true
            }
        };
        if is_clean {
            let kept = matches!(act, Act::Keep | Act::Suspend(_));
            shared.remember(Entry::JobCleaned { step: step.to_string(), attempt, kept }).await;
        }
        let state = AttemptState::Cleaned;
        shared.events.attempt(step, attempt, EventKind::StepState { state, pod: None, suspended: false });
    }
}

/// Whether Job and pods are no longer there: a volume that attaches to one node only is free then.
pub(super) fn is_removed(facts: &Facts) -> bool {
    facts.job_gone() && facts.pods().iter().all(|pod| pod.is_gone)
}

/// What is still there of a Job and its pods: the kind, the name, and what holds it.
fn what_is_left(facts: &Facts, job: &str) -> Vec<(&'static str, String, Vec<String>)> {
    let job = (!facts.job_gone()).then(|| ("job", job.to_owned(), facts.job_finalizers().to_vec()));
    let pods = facts.pods();
    // Pods go with their Job; what holds that comes first.
    let pods = pods.iter().filter(|pod| job.is_none() && !pod.is_gone);
    let pods = pods.map(|pod| ("pod", pod.name.to_owned(), pod.finalizers.to_vec()));
    job.clone().into_iter().chain(pods).collect()
}

impl Shared {
    /// Waits at most for `limit`, and says whether it came. The screen says what is waited for, if that takes long.
    async fn told_wait<T, E>(
        &self,
        step: &Arc<str>,
        attempt: u32,
        kind: WaitKind,
        words: &str,
        limit: Duration,
        awaited: impl Future<Output = Result<T, E>>,
    ) -> bool {
        let since = self.events.now();
        let mut told = false;
        let mut awaited = pin!(tokio::time::timeout(limit, awaited));
        let came = loop {
            tokio::select! {
                came = &mut awaited => break matches!(came, Ok(Ok(_))),
                () = tokio::time::sleep(UNTOLD), if !told => {
                    self.tell_wait(step, attempt, kind, words, since, limit);
                    told = true;
                }
            }
        };
        if told {
            self.tell_no_wait(step, attempt);
        }
        came
    }

    fn tell_wait(&self, step: &Arc<str>, attempt: u32, kind: WaitKind, words: &str, since: Timestamp, limit: Duration) {
        let (kind, words, until) = (kind.as_str(), words.to_owned(), since.checked_add(limit).ok());
        let waits = vec![Waiting { kind, words, since, until }];
        self.events.attempt(step, attempt, EventKind::StepWaiting { waits });
    }

    fn tell_no_wait(&self, step: &Arc<str>, attempt: u32) {
        self.events.attempt(step, attempt, EventKind::StepWaiting { waits: Vec::new() });
    }
}

impl Target {
    /// Deletes the Job; while that is refused the screen says so.
    pub(super) async fn delete(&self, limit: Duration) -> Deleted {
        let told = AtomicBool::new(false);
        let tell = |failure: &Failure| {
            if !told.swap(true, Ordering::Relaxed) {
                self.tell_wait(&format!("the cluster does not delete the Job: {failure}"), limit);
            }
        };
        let deleted = self.cluster.delete_job(&self.namespace, &self.name, &self.expected, limit, tell).await;
        if told.into_inner() {
            self.tell_no_wait();
        }
        deleted
    }

    /// Deletes, and says whether nothing is left. What was judged alive has to be seen to be gone (`confirm`); so has a
    /// Job that finalizers hold.
    async fn remove(&self, limit: Duration, attempted: Option<&Attempted>, confirm: bool) -> bool {
        let deleted = self.delete(limit).await;
        let must_be_seen = deleted == Deleted::Held || (confirm && deleted == Deleted::Accepted);
        let Some(attempted) = attempted.filter(|_| must_be_seen) else { return self.account(&deleted).await };
        let (limit, words) = match confirm {
            true => (self.grace + limit, "the pods get their grace period to end"),
            false => (limit, "the Job is being deleted"),
        };
        let is_done = |facts: &Facts| if confirm { is_removed(facts) } else { facts.job_gone() };
        let mut facts = attempted.facts();
        let gone =
            self.shared.told_wait(&self.step, self.attempt, WaitKind::Delete, words, limit, facts.wait_for(is_done));
        gone.await || self.name_what_is_left(Some(attempted)).await
    }

    /// Names everything that was deleted and is still there; says whether nothing is.
    async fn name_what_is_left(&self, attempted: Option<&Attempted>) -> bool {
        let Some(attempted) = attempted else {
            self.leftover("job", &self.name, "it is being deleted, but was not seen to be gone").await;
            return false;
        };
        let left = what_is_left(&attempted.facts().borrow(), &self.name);
        for (kind, name, finalizers) in &left {
            let reason = match finalizers.as_slice() {
                [] if *kind == "pod" => DOES_NOT_END.to_owned(),
                [] => "it is being deleted, but was still there when time was up".to_owned(),
                held => format!("it is being deleted, but held by finalizer `{}`", held.join("`, `")),
            };
            self.leftover(kind, name, &reason).await;
        }
        left.is_empty()
    }

    /// From now on the screen says what is waited for.
    pub(super) fn tell_wait(&self, words: &str, limit: Duration) {
        let since = self.shared.events.now();
        self.shared.tell_wait(&self.step, self.attempt, WaitKind::Delete, words, since, limit);
    }

    /// It no longer is.
    pub(super) fn tell_no_wait(&self) {
        self.shared.tell_no_wait(&self.step, self.attempt);
    }

    /// Deletes, and says whether the Job is gone. When the run shall stop at once it gets a few seconds.
    async fn within(&self, removed: impl Future<Output = bool>, stop: &mut watch::Receiver<Stop>) -> bool {
        let given_up = async {
            super::stopped(stop, Stop::AtOnce).await;
            tokio::time::sleep(super::KILL).await;
        };
        tokio::select! {
            removed = removed => removed,
            () = given_up => {
                self.leftover("job", &self.name, "its deletion was not waited for").await;
                false
            }
        }
    }

    /// Deletes a Job that may come late: it is absent when it was looked for twice and no watch has shown it meanwhile.
    async fn look_for(&self, limit: Duration, attempted: Option<&Attempted>, unanswered: bool) -> Deleted {
        let mut facts = attempted.map(Attempted::facts);
        loop {
            let deleted = self.delete(limit).await;
            if deleted != Deleted::Absent {
                return deleted;
            }
            let seen = async {
                match &mut facts {
                    Some(facts) => facts.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            if tokio::time::timeout(LATE, seen).await == Ok(true) {
                continue;
            }
            let again = self.delete(limit).await;
            return match again {
                Deleted::Absent if unanswered => Deleted::Refused(Failure {
                    kind: FailureKind::Unavailable { after: None },
                    words: "the cluster never said whether it was created: it may still come".to_owned(),
                }),
                other => other,
            };
        }
    }

    /// Tells what came of deleting, and whether the Job is gone.
    async fn account(&self, deleted: &Deleted) -> bool {
        match deleted {
            Deleted::Accepted | Deleted::Absent => return true,
            Deleted::Foreign => {
                let text = format!("another Job is called `{}` now; it was not deleted", self.name);
                self.shared.events.attempt(&self.step, self.attempt, EventKind::Note { text });
            }
            Deleted::Held => {
                self.leftover("job", &self.name, "it is being deleted, but a finalizer holds it").await;
            }
            Deleted::Refused(failure) => self.leftover("job", &self.name, &failure.words).await,
        }
        false
    }

    async fn leftover(&self, kind: &str, name: &str, reason: &str) {
        // Whoever only asks for the end of a pod that does not end waits for ever.
        let force = if reason == DOES_NOT_END { " --force" } else { "" };
        let command =
            self.cluster.kubectl(&self.namespace, &format!("delete {kind} {name}{force}")).unwrap_or_default();
        let (kind, namespace, name) = (kind.to_owned(), self.namespace.clone(), name.to_owned());
        let leftover = Leftover { kind, namespace, name, reason: reason.to_owned(), command };
        self.shared.events.attempt(&self.step, self.attempt, EventKind::Leftover(Box::new(leftover.clone())));
        let (step, attempt) = (self.step.to_string(), self.attempt);
        self.shared.remember(Entry::Leftover { step, attempt, leftover }).await;
    }

    async fn suspend(&self) {
        // The uid is known: only a Job that was seen is judged alive.
        let Expected::Uid(uid) = &self.expected else { return };
        if let Err(failure) = self.cluster.suspend_job(&self.namespace, &self.name, uid).await {
            let text =
                format!("Job `{}` is kept but could not be suspended ({failure}): it may still start", self.name);
            self.shared.events.attempt(&self.step, self.attempt, EventKind::Warning { text });
        }
    }
}
