//! How a pod ended badly, whatever its Job says about it.

use crate::outcome::{Outcome, Reason};
use crate::step::facts::{CONTAINER, ContainerEnd, OtherState, Phase, PodFacts, Role};

use super::case::Finding;
use super::{FailedInit, text};

/// Reasons of a pod whose node was shut down, in the order in which Kubernetes took and left them.
const SHUTDOWN: [&str; 3] = ["Terminated", "NodeShutdown", "Shutdown"];

const OUT_OF_MEMORY: &str = "OOMKilled";
const SIGKILL: i32 = 137;
const SIGTERM: i32 = 143;

/// Why a pod that is over failed; none: its program ended with 0, or nobody saw an end and nothing tells why.
pub(super) fn failure(pod: &PodFacts) -> Option<Finding> {
    stopped(pod).or_else(|| not_run(pod)).or_else(|| own_end(pod))
}

/// Somebody or something else stopped it; the code after a kill says nothing (V09, V10, V11).
fn stopped(pod: &PodFacts) -> Option<Finding> {
    let name = text::pod(pod);
    let words = &pod.now.words;
    let details = [text::quoted(words), last_code(pod)];
    let finding = |reason, line: String| Finding::new(Outcome::failed(None, reason), [line]);
    if words.reason == "Evicted" {
        let finding = finding(Reason::Evicted, format!("{name} was evicted from {}", text::node(pod)));
        let hint = "set `resources.requests` to what the program uses, so that it gets a node that has it";
        return Some(details.into_iter().fold(finding, Finding::line).hint(hint));
    }
    if SHUTDOWN.contains(&words.reason.as_str()) {
        let finding = finding(Reason::NodeShutdown, format!("{} was shut down under {name}", text::node(pod)));
        return Some(details.into_iter().fold(finding, Finding::line));
    }
    let again = "repeat such ends with `retry_policy`, or have the pod replaced by a rule `Ignore` for the condition \
                 `DisruptionTarget` in `pod_failure_policy`";
    if let Some(disruption) = &pod.now.disruption {
        let why = format!("{name} was put out: {}", text::quoted(disruption));
        return Some(details.into_iter().fold(finding(Reason::Disrupted, why), Finding::line).hint(again));
    }
    // With no end at all nobody can tell a deletion from a clean-up after the end.
    if pod.was_stopped_by_deletion() && (pod.end.is_some() || !pod.is_gone) {
        let finding = finding(Reason::Disrupted, format!("somebody deleted {name} before its end was seen"));
        return Some(details.into_iter().fold(finding, Finding::line));
    }
    None
}

/// The program never ran (V13, V16).
fn not_run(pod: &PodFacts) -> Option<Finding> {
    if pod.has_begun {
        return None;
    }
    let name = text::pod(pod);
    let failed = pod.now.others.iter().find_map(|other| match &other.state {
        OtherState::Ended(end) if other.role == Role::Before && (end.code != 0 || !end.is_known) => Some((other, end)),
        _ => None,
    });
    if let Some((init, end)) = failed {
        let line = text::ended(&init.name, end);
        let lines = [format!("init {line}, so {name} never began its program"), end.words.message.clone()];
        let failed_init = Some(FailedInit { pod: pod.name.clone(), container: init.name.clone() });
        return Some(Finding { failed_init, ..Finding::new(Outcome::failed(None, Reason::InitFailed), lines) });
    }
    if pod.now.phase == Phase::Failed && pod.end.is_none() && !pod.now.words.reason.is_empty() {
        let lines = [format!("{} refused {name}", text::node(pod)), text::quoted(&pod.now.words)];
        return Some(Finding::new(Outcome::failed(None, Reason::RejectedByNode), lines));
    }
    None
}

/// The program ended by itself, or nobody knows (V05, V07, V08, V39).
fn own_end(pod: &PodFacts) -> Option<Finding> {
    let Some(step) = &pod.end else {
        return (pod.now.phase.is_end() || pod.now.lacks_step).then(|| lost_step(pod));
    };
    if !step.is_known {
        return Some(lost_step(pod).line(step.words.message.clone()));
    }
    let ended = text::ended(CONTAINER, step);
    let failed = |reason, first| Finding::new(Outcome::failed(Some(step.code), reason), [first]);
    let last_words = step.words.message.clone();
    if step.never_started() {
        let hint = "the program has to be in the image, executable, and made for the node's architecture: check \
                    `command`, `working_dir` and `image`";
        let finding = failed(Reason::StartError, format!("the program could not be started: {ended}"));
        return Some(finding.line(last_words).hint(hint));
    }
    if step.code == 0 {
        return None;
    }
    if is_out_of_memory(step) {
        let finding = failed(Reason::OomKilled, ended).line(memory_limit(pod)).line(last_words);
        return Some(finding.hint("raise `resources.limits.memory`, or let the program use less"));
    }
    let finding = failed(Reason::Exit, ended).line(last_words);
    let killed = "look for a node that ran out of memory, or for somebody who stopped the program: the cluster does not \
                  say who sent SIGKILL";
    Some(if step.code == SIGKILL { finding.hint(killed) } else { finding })
}

/// A child may be killed while the program ends well, and an ordinary stop may be marked so as well (F85).
fn is_out_of_memory(step: &ContainerEnd) -> bool {
    step.words.reason == OUT_OF_MEMORY && !matches!(step.code, 0 | SIGTERM)
}

fn memory_limit(pod: &PodFacts) -> String {
    match &pod.now.memory_limit {
        Some(limit) => format!("its memory limit is {limit}"),
        None => format!("it has no memory limit: {} itself ran out of memory", text::node(pod)),
    }
}

/// V39: there is no end of `step` to tell of.
pub(super) fn lost_step(pod: &PodFacts) -> Finding {
    let name = text::pod(pod);
    let others = || pod.now.others.iter().map(|other| other.name.as_str());
    let first = if pod.now.lacks_step {
        let found = pod.now.in_place_of_step.iter().map(String::as_str);
        format!("{name} has no container `{CONTAINER}`, but {}", text::names(found))
    } else if let Some(end) = &pod.end {
        format!("{name}: {}", text::ended(CONTAINER, end))
    } else if others().next().is_some() {
        format!("{name} ended and does not say how `{CONTAINER}` did; it has {}", text::names(others()))
    } else {
        format!("{name} ended and does not say how `{CONTAINER}` did")
    };
    Finding::new(Outcome::Lost, [first, text::quoted(&pod.now.words)])
}

/// V12.
pub(super) fn lost_node(pod: &PodFacts) -> Finding {
    let first = if pod.is_deleting() {
        format!("{} was deleted and does not end", text::pod(pod))
    } else {
        format!("nobody knows how {} is", text::pod(pod))
    };
    let lines = [
        first,
        may_still_run(pod),
        pod.now.disruption.as_ref().map(text::quoted).unwrap_or_default(),
        text::quoted(&pod.now.words),
        last_code(pod),
    ];
    Finding::new(Outcome::Lost, lines).hint(format!("look at {} before the step runs again", text::node(pod)))
}

pub(super) fn may_still_run(pod: &PodFacts) -> String {
    format!("{} does not answer; the program may still run there", text::node(pod))
}

/// What is said of the last pod when it did not fail by itself: a code 0, or nothing.
pub(super) fn without_failure(pod: &PodFacts) -> Vec<String> {
    match &pod.end {
        Some(end) => vec![text::ended(CONTAINER, end)],
        None => vec![format!("nobody saw how {} ended", text::pod(pod))],
    }
}

/// A code that says nothing, for the text only.
fn last_code(pod: &PodFacts) -> String {
    pod.end.as_ref().filter(|end| end.is_known).map(|end| text::ended(CONTAINER, end)).unwrap_or_default()
}

/// What is told beside any verdict: a reason that did not decide, and what became of the other containers.
pub(super) fn remarks(pod: &PodFacts) -> Vec<String> {
    let step = pod.end.as_ref().filter(|end| end.words.reason == OUT_OF_MEMORY && !is_out_of_memory(end));
    let memory = step.map(|end| {
        let code = text::code(end.code);
        format!(
            "warning: container `{CONTAINER}` is marked {OUT_OF_MEMORY} although it ended with {code}; {}",
            memory_limit(pod)
        )
    });
    // It did not decide: the program ended well, and the Job says so (F38).
    let disruption = pod.now.disruption.as_ref().filter(|_| pod.has_succeeded());
    let disruption = disruption.map(|why| format!("warning: {} was put out: {}", text::pod(pod), text::quoted(why)));
    memory.into_iter().chain(disruption).chain(failed_others(pod)).collect()
}

/// Other containers that ended badly. Their codes never change a verdict; those of native sidecars say nothing at all,
/// because they are stopped in any case (F41, F42, F79).
pub(super) fn failed_others(pod: &PodFacts) -> Vec<String> {
    let failed = pod.now.others.iter().filter_map(|other| match &other.state {
        OtherState::Ended(end) if other.role == Role::Beside && end.code != 0 => Some(text::ended(&other.name, end)),
        _ => None,
    });
    failed.collect()
}
