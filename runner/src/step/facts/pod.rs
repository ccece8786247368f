//! What is known about a pod: its newest state, and what stays once it was seen.

mod state;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{Events, StepPhase, is_newer, version};

pub(in crate::step) use state::{
    CONTAINER, ContainerEnd, OtherState, Phase, PodState, Role, Scheduling, StepState, Trouble, TroubleKind,
};

/// A pod, as far as it decides or explains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::step) struct PodFacts {
    pub(in crate::step) name: String,
    /// Uid of its Job.
    pub(in crate::step) owner: String,
    pub(in crate::step) created: Option<Timestamp>,
    /// The oldest version that was seen.
    pub(super) first_version: Option<u64>,
    version: Option<u64>,
    /// The newest state; a phase that is an end stays.
    pub(in crate::step) now: PodState,
    /// How container `step` ended.
    pub(in crate::step) end: Option<ContainerEnd>,
    /// Container `step` runs, or has run.
    pub(in crate::step) has_begun: bool,
    /// It was seen at its end, and nobody was deleting it then.
    pub(in crate::step) ended_before_deletion: bool,
    /// When its deletion began, in the server's time.
    deletion_began: Option<Timestamp>,
    /// The grace period of its deletion; none: it is not being deleted.
    pub(in crate::step) deletion_grace: Option<Duration>,
    /// The newest reason why a container could not be started. The runtime forgets it from time to time.
    trouble: Option<Seen<Trouble>>,
    /// The newest pull error that says more than that a pull is tried again later.
    pull_error: Option<Seen<Trouble>>,
    /// The runtime once took too long to make the container.
    is_slow: bool,
    /// What holds it while it is being deleted.
    pub(super) finalizers: Vec<String>,
    /// It is no longer there.
    pub(in crate::step) is_gone: bool,
    pub(in crate::step) events: Events,
}

/// Something with the version of the pod that said it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen<T> {
    version: Option<u64>,
    what: T,
}

impl PodFacts {
    pub(super) fn see(&mut self, pod: &Pod, owner: &str) {
        let version = version(&pod.metadata);
        let state = PodState::of(pod);
        let is_deleting = pod.metadata.deletion_timestamp.is_some();

        self.end = self.end.take().max(state.end.clone());
        self.has_begun |= state.has_begun;
        self.ended_before_deletion |= state.phase.is_end() && !is_deleting;
        self.first_version = match (self.first_version, version) {
            (Some(first), Some(version)) => Some(first.min(version)),
            (first, version) => first.or(version),
        };
        if let Some(trouble) = &state.trouble {
            self.is_slow |= trouble.is_slow();
            if !trouble.is_repetition() && trouble.kind == TroubleKind::Pull {
                see_newer(&mut self.pull_error, version, trouble);
            }
            see_newer(&mut self.trouble, version, trouble);
        }
        self.see_deletion(pod);
        if !is_newer(version, self.version) {
            return;
        }
        self.version = version;
        let held = pod.metadata.finalizers.iter().flatten().filter(|_| is_deleting);
        self.finalizers = held.cloned().collect();
        self.name = pod.metadata.name.clone().unwrap_or_default();
        self.owner = owner.to_owned();
        self.created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let phase = if self.now.phase.is_end() { self.now.phase } else { state.phase };
        self.now = PodState { phase, ..state };
    }

    /// The stamp says when the grace period ends; a grace period that is shortened later moves both.
    fn see_deletion(&mut self, pod: &Pod) {
        let Some(ends) = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0) else { return };
        let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let began = ends.checked_sub(grace).unwrap_or(ends);
        self.deletion_began = Some(self.deletion_began.map_or(began, |before| before.min(began)));
        self.deletion_grace = Some(self.deletion_grace.map_or(grace, |before| before.max(grace)));
    }

    /// Nothing of it runs any more, or it is gone.
    pub(in crate::step) fn is_over(&self) -> bool {
        self.is_gone || self.now.phase.is_end()
    }

    pub(in crate::step) fn is_deleting(&self) -> bool {
        self.deletion_grace.is_some()
    }

    /// Container `step` ended with 0.
    pub(in crate::step) fn has_code_0(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.is_known && end.code == 0)
    }

    /// It counts as a success for its Job.
    pub(in crate::step) fn has_succeeded(&self) -> bool {
        self.now.phase == Phase::Succeeded
    }

    /// Somebody deleted it before its program ended by itself. Both stamps are the cluster's own; where the end was seen
    /// first they are not asked.
    pub(in crate::step) fn was_stopped_by_deletion(&self) -> bool {
        let ended = self.end.as_ref().filter(|end| end.is_known).and_then(|end| end.finished_at);
        let ended_first = ended.zip(self.deletion_began).is_some_and(|(ended, began)| ended < began);
        self.is_deleting() && !self.ended_before_deletion && !ended_first
    }

    pub(in crate::step) fn step_phase(&self) -> StepPhase {
        let is_over = self.is_over() || self.end.is_some();
        match (self.has_begun, is_over) {
            (false, _) => StepPhase::NotBegun,
            (true, false) => StepPhase::Running,
            (true, true) => StepPhase::Ended,
        }
    }

    /// When it ended. Of one whose end nobody saw only the creation is known; a pod that replaces another one is created
    /// after that one's end.
    pub(in crate::step) fn ended_at(&self) -> Option<Timestamp> {
        let step = self.end.as_ref().and_then(|end| end.finished_at);
        let others = self.now.others.iter().filter_map(|other| match &other.state {
            OtherState::Ended(end) => end.finished_at,
            OtherState::Waiting | OtherState::Running => None,
        });
        step.or_else(|| others.max()).max(self.created)
    }

    /// Why a container that has to start does not, unless it has started.
    pub(in crate::step) fn trouble(&self) -> Option<Trouble> {
        if self.has_begun || self.end.is_some() {
            return None;
        }
        let mut trouble = self.trouble.as_ref()?.what.clone();
        let mut others = self.now.others.iter();
        if others.any(|other| other.name == trouble.container && other.state != OtherState::Waiting) {
            return None;
        }
        if trouble.is_repetition()
            && let Some(error) = &self.pull_error
        {
            trouble.words = error.what.words.clone();
        }
        // What follows a slow start are complaints that the name of the container is taken; it passes as well (F24).
        if self.is_slow && trouble.kind == TroubleKind::Create {
            trouble.kind = TroubleKind::SlowCreate;
        }
        Some(trouble)
    }
}

fn see_newer(newest: &mut Option<Seen<Trouble>>, version: Option<u64>, trouble: &Trouble) {
    if newest.as_ref().is_none_or(|seen| is_newer(version, seen.version)) {
        *newest = Some(Seen { version, what: trouble.clone() });
    }
}
