//! What becomes of a Job after its attempt has ended: deleted, kept, or named as left over.
//!
//! The verdict stands before this begins and nothing here changes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::waits::WaitKind;
use super::{Shared, Stop};
use crate::cluster::{Attempted, Cluster, Deleted, Expected};
use crate::event::{AttemptState, EventKind, Leftover};
use crate::journal::Entry;

/// What becomes of a Job after an ordinary end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is deleted.
    Delete,
    /// It stays.
    Keep,
}

/// The Job that is meant.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) step: Arc<str>,
    pub(super) attempt: u32,
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) expected: Expected,
    pub(super) shared: Arc<Shared>,
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
    Delete(Target),
    Keep,
    Suspend(Target),
    Failed(Target, Deleted),
    Unfinished(Target),
}

impl Cleanup {
    /// Nothing was made.
    pub(super) fn nothing(step: Arc<str>, attempt: u32, shared: Arc<Shared>) -> Cleanup {
        Cleanup { step, attempt, shared, act: Act::Nothing, attempted: None }
    }

    /// The Job has gone, or is left alone on purpose.
    pub(super) fn done(target: Target) -> Cleanup {
        Cleanup::of(target, |_| Act::Nothing)
    }

    /// The Job is deleted.
    pub(super) fn delete(target: Target) -> Cleanup {
        Cleanup::of(target, Act::Delete)
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
        self.run().await;
        let mut facts = attempted?.facts();
        let gone = tokio::select! {
            gone = tokio::time::timeout(limit, facts.wait_for(super::is_gone)) => gone.is_ok(),
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

    /// Does it. What cannot be removed is named, with the command that does; nothing waits for ever.
    ///
    /// # Cancellation
    /// The Job may stay, and nobody is told.
    pub async fn run(self) {
        let Cleanup { step, attempt, shared, act, attempted: _ } = self;
        let mut kept = false;
        match act {
            Act::Nothing => {}
            Act::Delete(target) => {
                let limit = shared.waits.get(WaitKind::Delete);
                let deleted = target.cluster.delete_job(&target.namespace, &target.name, &target.expected, limit).await;
                target.account(&deleted).await;
            }
            Act::Failed(target, deleted) => target.account(&deleted).await,
            Act::Unfinished(target) => {
                target.leftover("it is being deleted, but its pods have not ended").await;
            }
            Act::Keep => kept = true,
            Act::Suspend(target) => {
                kept = true;
                target.suspend().await;
            }
        }
        shared.remember(Entry::JobCleaned { step: step.to_string(), attempt, kept }).await;
        let state = AttemptState::Cleaned;
        shared.events.attempt(&step, attempt, EventKind::StepState { state, pod: None, suspended: false });
    }
}

impl Target {
    async fn account(&self, deleted: &Deleted) {
        match deleted {
            Deleted::Accepted | Deleted::Absent => {}
            Deleted::Foreign => {
                let text = format!("another Job is called `{}` now; it was not deleted", self.name);
                self.shared.events.attempt(&self.step, self.attempt, EventKind::Note { text });
            }
            Deleted::Refused(failure) => self.leftover(&failure.words).await,
        }
    }

    async fn leftover(&self, reason: &str) {
        let leftover = Leftover {
            kind: "job".to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            reason: reason.to_owned(),
            command: self.cluster.kubectl(&self.namespace, &format!("delete job {}", self.name)),
        };
        self.shared.events.attempt(&self.step, self.attempt, EventKind::Leftover(Box::new(leftover.clone())));
        self.shared.remember(Entry::Leftover(leftover)).await;
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
