//! What becomes of a Job after its attempt has ended: deleted, kept, or named as left over.
//!
//! The verdict stands before this begins and nothing here changes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::facts::Facts;
use super::waits::WaitKind;
use super::{Shared, Stop};
use crate::cluster::{Attempted, Cluster, Deleted, Expected, Failure, FailureKind};
use crate::event::{AttemptState, EventKind, Leftover, Waiting};
use crate::journal::Entry;

/// For a Job whose creation was not answered to be seen.
const LATE: Duration = Duration::from_secs(5);

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
        let attempted = self.attempted.take();
        if self.is_kept() {
            return Some(self);
        }
        let (step, attempt, shared) = (self.step.clone(), self.attempt, self.shared.clone());
        self.run(stop.clone()).await;
        // As long as it lives the facts are kept up to date.
        let attempted = attempted?;
        let mut facts = attempted.facts();
        let gone = tokio::select! {
            gone = tokio::time::timeout(limit, facts.wait_for(is_removed)) => matches!(gone, Ok(Ok(_))),
            () = super::stopped(&mut stop, Stop::Gently) => true,
        };
        if !gone {
            let text = format!("the pods of the Job were still there after {} s; the run goes on", limit.as_secs());
            shared.events.attempt(&step, attempt, EventKind::Note { text });
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
    pub async fn run(self, mut stop: watch::Receiver<Stop>) {
        let Cleanup { step, attempt, shared, act, attempted } = self;
        let limit = shared.waits.get(WaitKind::Delete);
        let is_clean = match &act {
            Act::Nothing | Act::Keep => true,
            Act::LeaveAlone => false,
            Act::Delete(target, confirm) => {
                let attempted = attempted.as_ref().filter(|_| *confirm);
                target.within(target.delete_and_see(limit, attempted), &mut stop).await
            }
            Act::LookFor(target, unanswered) => {
                let looked = target.look_for(limit, attempted.as_ref(), *unanswered);
                target.within(looked, &mut stop).await
            }
            Act::Failed(target, deleted) => target.account(deleted).await,
            Act::Unfinished(target) => {
                target.leftover("it is being deleted, but its pods have not ended").await;
                false
            }
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
        shared.events.attempt(&step, attempt, EventKind::StepState { state, pod: None, suspended: false });
    }
}

/// Whether Job and pods are no longer there: a volume that attaches to one node only is free then.
fn is_removed(facts: &Facts) -> bool {
    facts.job_gone() && facts.pods().iter().all(|pod| pod.is_gone)
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

    /// The same, and waits within `limit` until a watch has seen the end of Job and pods, if there is one.
    async fn delete_and_see(&self, limit: Duration, attempted: Option<&Attempted>) -> Deleted {
        let deleted = self.delete(limit).await;
        let (Some(attempted), Deleted::Accepted) = (attempted, &deleted) else { return deleted };
        let mut facts = attempted.facts();
        let gone = matches!(tokio::time::timeout(limit, facts.wait_for(super::is_gone)).await, Ok(Ok(_)));
        if gone {
            return deleted;
        }
        let words = format!("it is being deleted, but was still there after {} s", limit.as_secs());
        Deleted::Refused(Failure { kind: FailureKind::Unavailable { after: None }, words })
    }

    /// From now on the screen says what is waited for.
    pub(super) fn tell_wait(&self, words: &str, limit: Duration) {
        let since = Timestamp::now();
        let (kind, words, until) = (WaitKind::Delete.as_str(), words.to_owned(), since.checked_add(limit).ok());
        let waits = vec![Waiting { kind, words, since, until }];
        self.shared.events.attempt(&self.step, self.attempt, EventKind::StepWaiting { waits });
    }

    /// It no longer is.
    pub(super) fn tell_no_wait(&self) {
        self.shared.events.attempt(&self.step, self.attempt, EventKind::StepWaiting { waits: Vec::new() });
    }

    /// Deletes, and says whether the Job is gone. When the run shall stop at once it gets a few seconds.
    async fn within(&self, deleted: impl Future<Output = Deleted>, stop: &mut watch::Receiver<Stop>) -> bool {
        let given_up = async {
            super::stopped(stop, Stop::AtOnce).await;
            tokio::time::sleep(super::KILL).await;
        };
        tokio::select! {
            deleted = deleted => self.account(&deleted).await,
            () = given_up => {
                self.leftover("its deletion was not waited for").await;
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
            Deleted::Refused(failure) => self.leftover(&failure.words).await,
        }
        false
    }

    async fn leftover(&self, reason: &str) {
        let leftover = Leftover {
            kind: "job".to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            reason: reason.to_owned(),
            command: self.cluster.kubectl(&self.namespace, &format!("delete job {}", self.name)).unwrap_or_default(),
        };
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
