//! Why an attempt does not begin: no pod, no node, no image, no container.

use crate::event::AttemptState;
use crate::outcome::{Outcome, Reason};
use crate::step::facts::{OtherState, PodFacts, Role, Scheduling, StepState, Trouble, TroubleKind};
use crate::step::waits::WaitKind;

use super::case::{Case, Finding};
use super::{Allowance, EventsOf, EventsWhy, Judgement, Open, open, text};

/// The Job has no pod: V21 with an event that says why, else V22.
pub(super) fn no_pod(case: &Case<'_>) -> Judgement {
    let cause = case.job.events.cause.as_ref().map(|cause| text::reason_and_message(&cause.reason, &cause.message));
    if case.has_expired(WaitKind::Pod) {
        let failed = |lines| Finding::new(Outcome::failed(None, Reason::NoPod), lines);
        let first = "the Job made no pod".to_owned();
        let finding = match cause {
            Some(cause) => failed([first, cause])
                .hint("ask whoever runs the cluster; `--wait pod=DURATION` waits longer for quota to come free"),
            None => failed([first, "no event says why".to_owned()])
                .hint("look for the Job controller of the cluster; `kubectl describe job` may say more"),
        };
        return case.decide(None, finding);
    }
    let (words, allowance) = match cause {
        Some(cause) => (cause, Allowance::Limit),
        None => ("the Job has no pod yet".to_owned(), Allowance::Tenfold),
    };
    let waits = vec![case.wait(WaitKind::Pod, case.job_uid, words, allowance)];
    let events_of = vec![EventsOf { uid: case.job_uid.to_owned(), why: EventsWhy::NoPod }];
    Judgement::Open(Open { state: AttemptState::Pending, waits, events_of, remarks: Vec::new() })
}

/// The newest pod has not begun its program.
pub(super) fn pending(case: &Case<'_>, uid: &str, pod: &PodFacts) -> Judgement {
    match &pod.now.scheduling {
        Scheduling::Unschedulable(message) => {
            let words = format!("no node takes {}: {message}", text::pod(pod));
            return wait_or(case, uid, pod, WaitKind::Schedule, words, || unschedulable(pod, message));
        }
        Scheduling::Held(words) => {
            let remark = format!("{} waits: {}", text::pod(pod), text::quoted(words));
            let remarks = vec![remark];
            return Judgement::Open(Open { state: case.state(), waits: Vec::new(), events_of: Vec::new(), remarks });
        }
        Scheduling::Fine => {}
    }
    match pod.trouble() {
        Some(trouble) => in_trouble(case, uid, pod, &trouble),
        None => quiet(case, uid, pod),
    }
}

fn in_trouble(case: &Case<'_>, uid: &str, pod: &PodFacts, trouble: &Trouble) -> Judgement {
    let kind = match trouble.kind {
        // It never gets better: no wait.
        TroubleKind::BadImage => return case.decide(Some(pod), no_image(trouble)),
        TroubleKind::Pull | TroubleKind::SlowCreate => WaitKind::Pull,
        TroubleKind::Config | TroubleKind::Create => WaitKind::Config,
    };
    let words = text::quoted(&trouble.words);
    wait_or(case, uid, pod, kind, words, || match trouble.kind {
        TroubleKind::BadImage | TroubleKind::Pull => no_image(trouble),
        TroubleKind::Config => no_config(trouble),
        TroubleKind::Create | TroubleKind::SlowCreate => no_container(trouble, kind),
    })
}

/// Nothing complains. When not even the containers are made, only events tell why: V19.
fn quiet(case: &Case<'_>, uid: &str, pod: &PodFacts) -> Judgement {
    let is_made = pod.now.others.iter().any(|other| other.state != OtherState::Waiting);
    let judgement = match &pod.events.cause {
        Some(cause) if !is_made => {
            let words = text::reason_and_message(&cause.reason, &cause.message);
            wait_or(case, uid, pod, WaitKind::Mount, words.clone(), || not_started(pod, words))
        }
        _ => open(case.state(), Vec::new()),
    };
    let Judgement::Open(mut open) = judgement else { return judgement };
    let mut inits = pod.now.others.iter().filter(|other| other.role == Role::Before);
    if let Some(init) = inits.find(|other| other.state == OtherState::Running) {
        // One that hangs is bounded by the time limits alone (F79).
        open.remarks.push(format!("{} waits for init container `{}`", text::pod(pod), init.name));
    } else if !is_made && is_being_made(pod) {
        open.events_of.push(EventsOf { uid: uid.to_owned(), why: EventsWhy::NoContainer });
    }
    Judgement::Open(open)
}

/// A node has the pod and does not say that anything hinders it.
fn is_being_made(pod: &PodFacts) -> bool {
    match &pod.now.step {
        StepState::Waiting(words) => {
            matches!(words.reason.as_str(), "" | "ContainerCreating" | "PodInitializing")
        }
        StepState::Absent => pod.now.node.is_some(),
        StepState::Running | StepState::Ended => false,
    }
}

fn wait_or(
    case: &Case<'_>,
    uid: &str,
    pod: &PodFacts,
    kind: WaitKind,
    words: String,
    finding: impl FnOnce() -> Finding,
) -> Judgement {
    if case.has_expired(kind) {
        return case.decide(Some(pod), finding());
    }
    open(case.state(), vec![case.wait(kind, uid, words, Allowance::Limit)])
}

/// V20.
fn unschedulable(pod: &PodFacts, message: &str) -> Finding {
    let lines = [format!("no node takes {}", text::pod(pod)), message.to_owned()];
    Finding::new(Outcome::failed(None, Reason::Unschedulable), lines)
        .hint("ask for less in `resources`, `node_selector`, `affinity`; `--wait schedule=DURATION` waits longer")
}

/// V14, V15.
fn no_image(trouble: &Trouble) -> Finding {
    let lines = [image_of(trouble, "cannot be had"), text::quoted(&trouble.words)];
    let finding = Finding::new(Outcome::failed(None, Reason::ImagePull), lines);
    if trouble.kind == TroubleKind::BadImage {
        finding.hint("check `image` and `image_pull_policy`")
    } else {
        finding.hint("check `image` and `image_pull_secrets`; `--wait pull=DURATION` waits longer")
    }
}

/// V17: the message names what is missing.
fn no_config(trouble: &Trouble) -> Finding {
    let first = format!("container `{}` cannot be configured", trouble.container);
    let lines = [first, text::quoted(&trouble.words)];
    let finding = Finding::new(Outcome::failed(None, Reason::ContainerConfig), lines);
    let is_missing = ["not found", "find key"].iter().any(|words| trouble.words.message.contains(words));
    if is_missing {
        finding.hint("make it in the namespace of the Job, or correct its name in the step")
    } else {
        finding
    }
}

/// V18.
fn no_container(trouble: &Trouble, kind: WaitKind) -> Finding {
    let lines = [image_of(trouble, "does not become a container"), text::quoted(&trouble.words)];
    Finding::new(Outcome::failed(None, Reason::ContainerCreate), lines)
        .hint(format!("the message is the container runtime's; `--wait {kind}=DURATION` waits longer"))
}

/// V19.
fn not_started(pod: &PodFacts, words: String) -> Finding {
    let lines = [format!("{} does not start on {}", text::pod(pod), text::node(pod)), words];
    Finding::new(Outcome::failed(None, Reason::PodStart), lines)
        .hint("check `volumes`; `--wait mount=DURATION` waits longer")
}

fn image_of(trouble: &Trouble, what: &str) -> String {
    match &trouble.image {
        Some(image) => format!("image `{image}` of container `{}` {what}", trouble.container),
        None => format!("the image of container `{}` {what}", trouble.container),
    }
}
