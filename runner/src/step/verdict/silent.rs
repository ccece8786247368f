//! The Job is there and says nothing: what its pods make one wait for, and what follows when that takes too long.

use std::time::Duration;

use crate::event::AttemptState;
use crate::outcome::Outcome;
use crate::step::facts::{CONTAINER, ContainerEnd, OtherState, Phase, PodFacts, Role};
use crate::step::waits::WaitKind;

use super::case::{Case, Finding};
use super::{Allowance, Judgement, end, open, start, text};

/// Kubernetes pauses before it replaces a failed pod: so long after the first failure, twice as long after each further
/// one, up to the limit.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What an old cluster says about a pod whose node does not answer.
const NODE_LOST: &str = "NodeLost";

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let Some((uid, pod)) = case.current() else { return start::no_pod(case) };
    if pod.now.lacks_step {
        // Nothing that this pod does can be an end of the step (F76).
        return case.decide(Some(pod), end::lost_step(pod));
    }
    let is_out_of_sight = pod.now.phase == Phase::Unknown || pod.now.words.reason == NODE_LOST;
    let judgement = if pod.is_over() {
        after_end(case, uid, pod)
    } else if pod.is_deleting() || is_out_of_sight {
        leaving(case, uid, pod)
    } else if let Some(step) = &pod.end {
        after_program(case, uid, pod, step)
    } else if pod.has_begun {
        open(AttemptState::Running, Vec::new())
    } else {
        start::pending(case, uid, pod)
    };
    match judgement {
        Judgement::Open(mut open) => {
            // Told at once: the step may run on for days without the container it needs (F42).
            open.remarks.extend(end::failed_others(pod));
            Judgement::Open(open)
        }
        decided => decided,
    }
}

/// The pod is over. The Job says what that means, or makes the next one (V25); else V37, V38.
fn after_end(case: &Case<'_>, uid: &str, pod: &PodFacts) -> Judgement {
    let is_next_due = !pod.has_succeeded() && case.may_retry();
    if !case.has_expired(WaitKind::Job) {
        let awaited = if is_next_due { "the next pod" } else { "the Job" };
        let words = format!("{}, waiting for {awaited}", how_it_ended(pod));
        let allowance = if is_next_due { Allowance::After(pause(case.failures())) } else { Allowance::Limit };
        return open(case.state(), vec![case.wait(WaitKind::Job, uid, words, allowance)]);
    }
    silent_job(case, pod)
}

/// Neither success nor failure: the program's own end is all there is.
fn silent_job(case: &Case<'_>, pod: &PodFacts) -> Judgement {
    if let Some(finding) = end::failure(pod) {
        return case.decide(Some(pod), finding.note("the Job did not say Failed"));
    }
    let lines = [how_it_ended(pod), "the Job said neither Complete nor Failed".to_owned()];
    let finding = Finding::new(Outcome::Lost, lines);
    case.decide(Some(pod), finding.hint("look for the Job controller of the cluster: it is stopped, or far behind"))
}

fn how_it_ended(pod: &PodFacts) -> String {
    match &pod.end {
        Some(step) => text::ended(CONTAINER, step),
        None if pod.is_gone => format!("{} is gone", text::pod(pod)),
        None => format!("{} ended", text::pod(pod)),
    }
}

/// The pause of Kubernetes before the next pod.
fn pause(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
}

/// The pod is being deleted, or its node is out of sight: V12.
fn leaving(case: &Case<'_>, uid: &str, pod: &PodFacts) -> Judgement {
    if case.has_expired(WaitKind::Node) {
        let own = end::failure(pod).filter(|own| own.outcome.exit_code().is_some());
        return case.decide(Some(pod), own.unwrap_or_else(|| end::lost_node(pod)));
    }
    let what = if pod.is_deleting() {
        format!("{} is being deleted", text::pod(pod))
    } else {
        format!("{} does not answer", text::node(pod))
    };
    let why = pod.now.disruption.as_ref().unwrap_or(&pod.now.words);
    let words = if why.is_empty() { what } else { format!("{what}: {}", text::quoted(why)) };
    let wait = case.wait(WaitKind::Node, uid, words, Allowance::After(pod.deletion_grace.unwrap_or_default()));
    open(case.state(), vec![wait])
}

/// The program has ended, its pod has not: V03, V06.
fn after_program(case: &Case<'_>, uid: &str, pod: &PodFacts, step: &ContainerEnd) -> Judgement {
    let ended = text::ended(CONTAINER, step);
    let running = |role: Role| {
        let others = pod.now.others.iter().filter(move |other| other.role == role);
        others.filter(|other| !matches!(other.state, OtherState::Ended(_))).map(|other| other.name.as_str())
    };
    let (beside, native) = (text::names(running(Role::Beside)), text::names(running(Role::Native)));
    let (words, kind, allowance) = if !step.is_known || pod.now.disruption.is_some() {
        // A pod that is put out may be replaced even when its program ended with 0 (F86).
        (format!("{ended}, waiting for the Job"), WaitKind::Job, Allowance::Limit)
    } else if !beside.is_empty() {
        (format!("{ended}, but {beside} keeps the pod running"), WaitKind::Sidecar, Allowance::Limit)
    } else if !native.is_empty() {
        // The node stops them, and kills them after the grace period (F40).
        let grace = Duration::from_secs(u64::try_from(pod.now.grace_seconds).unwrap_or_default());
        (format!("{ended}, the node stops {native}"), WaitKind::Sidecar, Allowance::After(grace))
    } else {
        (format!("{ended}, waiting for the pod to end"), WaitKind::Job, Allowance::Limit)
    };
    if !case.has_expired(kind) {
        return open(case.state(), vec![case.wait(kind, uid, words, allowance)]);
    }
    if kind == WaitKind::Job {
        return silent_job(case, pod);
    }
    let still = if beside.is_empty() { native } else { beside };
    let note = format!("{} was stopped: {still} still ran after `{CONTAINER}` had ended", text::pod(pod));
    let finding = end::failure(pod).unwrap_or_else(|| Finding::new(Outcome::Succeeded, []));
    case.decide(Some(pod), finding.note(note))
}
