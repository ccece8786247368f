//! The Job has said its last word, or is gone: nothing new will start, and at most the last pod's end is still on its way.

use crate::outcome::{Outcome, Reason};
use crate::step::facts::{Facts, JobWord, PodFacts, Words};
use crate::step::waits::WaitKind;

use super::case::{Case, Finding};
use super::{Allowance, Judgement, Wait, end, open, text};
use crate::event::AttemptState;

/// Reason of a Job that failed because too many of its pods did.
const BACKOFF: &str = "BackoffLimitExceeded";
/// Reason of a Job whose active deadline passed.
const DEADLINE: &str = "DeadlineExceeded";
/// Reason of a Job that a rule of its pod failure policy ended.
const POLICY: &str = "PodFailurePolicy";

/// The Job said how it ends; `is_final` when it has ended, not when its pods have to end first.
pub(super) fn by_word(case: &Case<'_>, word: &JobWord, is_final: bool) -> Judgement {
    let awaited = match word {
        JobWord::Complete => awaited_success(case, is_final),
        JobWord::Failed(words) => awaited_failure(case, words, is_final),
    };
    let awaited = awaited.or_else(|| (!is_final && case.pods.is_empty()).then(|| wait_for_word(case)));
    if let Some(wait) = awaited.filter(|wait| !case.has_expired(wait.kind)) {
        return open(AttemptState::Draining, vec![wait]);
    }
    match word {
        JobWord::Complete => complete(case),
        JobWord::Failed(words) => failed(case, words),
    }
}

/// Jobs and pods come in two streams, so the word of the Job may come before the end of the pod that it is about.
fn awaited_success(case: &Case<'_>, is_final: bool) -> Option<Wait> {
    if case.pods.iter().any(|(_, pod)| pod.has_code_0() && (is_final || pod.is_over())) {
        return None;
    }
    if let Some(wait) = awaited_end(case) {
        return Some(wait);
    }
    // A pod that went before its end was seen may be the one, but only if no other one followed it.
    let last = case.last_to_end();
    let is_missing = !last.is_some_and(|pod| pod.end.is_none() || pod.now.lacks_step);
    (is_missing && !case.is_job_gone()).then(|| wait_for_pod(case, "the Job is complete"))
}

fn awaited_failure(case: &Case<'_>, words: &Words, is_final: bool) -> Option<Wait> {
    // No pod has to say anything: there may be none (F53).
    if words.reason == DEADLINE && is_final {
        return None;
    }
    if let Some(wait) = awaited_end(case) {
        return Some(wait);
    }
    let backoff_limit = usize::try_from(case.job.backoff_limit).unwrap_or_default();
    let is_missing = match words.reason.as_str() {
        BACKOFF => case.failures() <= backoff_limit,
        POLICY => pod_of_rule(case, &words.message).is_none(),
        _ => false,
    };
    (is_missing && !case.is_job_gone()).then(|| wait_for_pod(case, "the Job has failed"))
}

/// The first pod that is not over.
fn awaited_end(case: &Case<'_>) -> Option<Wait> {
    let (uid, pod) = case.pods.iter().find(|(_, pod)| !pod.is_over())?;
    Some(match pod.deletion_grace {
        Some(grace) => {
            case.wait(WaitKind::Node, uid, format!("{} is being deleted", text::pod(pod)), Allowance::After(grace))
        }
        None => {
            let words = format!("the Job says how it ended, waiting for the end of {}", text::pod(pod));
            case.wait(WaitKind::Job, uid, words, Allowance::Limit)
        }
    })
}

fn wait_for_pod(case: &Case<'_>, why: &str) -> Wait {
    let words = format!("{why}, waiting for its pod to be seen");
    case.wait(WaitKind::Job, case.job_uid, words, Allowance::Limit)
}

fn wait_for_word(case: &Case<'_>) -> Wait {
    let words = "the Job is about to end, waiting for its last word".to_owned();
    case.wait(WaitKind::Job, case.job_uid, words, Allowance::Limit)
}

/// V01, V26, and V29 when the Job is gone.
fn complete(case: &Case<'_>) -> Judgement {
    if let Some(pod) =
        case.last_of(|pod| pod.has_succeeded() && pod.has_code_0()).or_else(|| case.last_of(PodFacts::has_code_0))
    {
        return case.decide(Some(pod), Finding::new(Outcome::Succeeded, []));
    }
    let said = "the Job says Complete".to_owned();
    let last = case.last_to_end();
    if let Some(pod) = last.filter(|pod| pod.now.lacks_step) {
        return case.decide(last, end::lost_step(pod).line(said));
    }
    match last.and_then(|pod| pod.end.as_ref()) {
        Some(step) => {
            let lines = [text::ended("step", step), format!("{said}, but no pod is known that succeeded")];
            case.decide(last, Finding::new(Outcome::Lost, lines))
        }
        None => {
            let finding = Finding::new(Outcome::Succeeded, []);
            case.decide(last, finding.note("nobody saw the program end; the Job says Complete"))
        }
    }
}

/// The Job failed, and says why.
fn failed(case: &Case<'_>, words: &Words) -> Judgement {
    match words.reason.as_str() {
        DEADLINE => deadline(case, words),
        POLICY => policy(case, words),
        _ => other_failure(case, words),
    }
}

/// V23.
fn deadline(case: &Case<'_>, words: &Words) -> Judgement {
    let seconds = case.job.active_deadline.map(|seconds| format!(" of {seconds} s")).unwrap_or_default();
    let pod = case.last_to_end();
    let lines = [
        format!("the active deadline{seconds} passed"),
        words.message.clone(),
        pod.map_or_else(|| "there was no pod".to_owned(), how_far),
    ];
    let finding = Finding::new(Outcome::failed(None, Reason::Deadline), lines);
    let finding = finding.hint("set a larger `active_deadline`; it counts from the start of the Job, waiting included");
    case.decide(pod, still_there(case, finding))
}

/// How far a pod was that somebody stopped; what it did after that says nothing.
fn how_far(pod: &PodFacts) -> String {
    let name = text::pod(pod);
    match (&pod.end, pod.trouble()) {
        (Some(end), _) if end.is_known => format!("{name}: {}", text::ended("step", end)),
        (_, Some(trouble)) => format!("{name} had not begun: {}", text::quoted(&trouble.words)),
        _ if pod.has_begun => format!("{name} was running"),
        _ => format!("{name} had not begun"),
    }
}

/// A pod that should have ended may still run where nobody can see it.
fn still_there(case: &Case<'_>, finding: Finding) -> Finding {
    match case.pods.iter().find(|(_, pod)| !pod.is_over() && pod.is_deleting() && case.has_expired(WaitKind::Node)) {
        Some((_, pod)) => finding.note(end::may_still_run(pod)),
        None => finding,
    }
}

/// V24. Whether a code or a condition met the rule, which rule and which pod it was is only in the Job's message:
/// `Container step for pod ns/name failed with exit code 42 matching FailJob rule at index 0`.
fn policy(case: &Case<'_>, words: &Words) -> Judgement {
    let pod = pod_of_rule(case, &words.message).or_else(|| case.last_to_end());
    let is_by_our_code = words.message.starts_with("Container step for ") || !words.message.contains(" rule at index ");
    let step = pod.and_then(|pod| pod.end.as_ref()).filter(|end| end.is_known);
    let code = step.filter(|_| is_by_our_code).map(|end| end.code);
    let rule = words.message.rsplit_once(" rule at index ").and_then(|(_, index)| index.trim().parse::<u32>().ok());
    let rule = rule.map_or("the pod failure policy".to_owned(), |index| format!("`pod_failure_policy.rules[{index}]`"));
    let lines = [
        format!("{rule} ended the Job"),
        step.map(|end| text::ended("step", end)).unwrap_or_default(),
        words.message.clone(),
    ];
    let finding = Finding::new(Outcome::failed(code, Reason::PodFailurePolicy), lines);
    case.decide(pod, still_there(case, finding))
}

fn pod_of_rule<'a>(case: &Case<'a>, message: &str) -> Option<&'a PodFacts> {
    let words = || message.split([' ', '/']);
    match case.pods.iter().find(|(_, pod)| words().any(|word| word == pod.name)) {
        Some((_, pod)) => Some(pod),
        // A message in other words names nobody.
        None if message.contains(" rule at index ") => None,
        None => case.last_to_end(),
    }
}

/// V05 and what else a pod may have ended by, V04, V27, V40.
fn other_failure(case: &Case<'_>, words: &Words) -> Judgement {
    let pod = case.last_to_end();
    let is_backoff = words.reason == BACKOFF;
    let how = pod.and_then(end::failure);
    let finding = match (how, is_backoff) {
        (Some(how), true) => how,
        (how, _) => {
            let code = how.as_ref().and_then(|how| how.outcome.exit_code());
            let details = how.map(|how| how.lines).unwrap_or_else(|| pod.map(end::without_failure).unwrap_or_default());
            let lines = std::iter::once(format!("the Job failed: {}", text::quoted(words))).chain(details);
            Finding::new(Outcome::failed(code, Reason::JobFailed), lines)
        }
    };
    case.decide(pod, still_there(case, finding))
}

/// The Job is gone, or going, and said nothing before: V02, V28, V30.
pub(super) fn without_job(case: &Case<'_>) -> Judgement {
    match &case.job.target {
        Some(JobWord::Complete) if case.pods.iter().any(|(_, pod)| pod.has_code_0()) => return complete(case),
        Some(JobWord::Failed(words)) => return by_word(case, &JobWord::Failed(words.clone()), true),
        _ => {}
    }
    let is_success = |pod: &PodFacts| {
        pod.has_code_0() && pod.has_succeeded() && pod.ended_before_deletion && pod.now.disruption.is_none()
    };
    if let Some(pod) = case.last_of(is_success) {
        let finding = Finding::new(Outcome::Succeeded, []);
        return case.decide(Some(pod), finding.note("the Job was gone before it said Complete"));
    }
    if let Some(wait) = awaited_fate(case).filter(|wait| !case.has_expired(wait.kind)) {
        return open(case.state(), vec![wait]);
    }
    let pod = case.last_to_end();
    // Its own end was the end of the attempt, unless another pod was due.
    let own = pod.filter(|pod| pod.ended_before_deletion && !case.may_retry()).and_then(end::failure);
    if let Some(finding) = own.filter(|finding| finding.outcome != Outcome::Lost) {
        return case.decide(pod, finding.note("the Job was gone before it said Failed"));
    }
    let details = pod.map(how_far).unwrap_or_else(|| "there was no pod".to_owned());
    case.decide(pod, Finding::new(Outcome::Lost, [why_gone(case.facts).to_owned(), details]))
}

fn why_gone(facts: &Facts) -> &'static str {
    if facts.is_namespace_gone() {
        "the namespace is gone, and the Job with it"
    } else {
        "somebody deleted the Job before its end was seen"
    }
}

/// The end of a pod may be on its way while its Job is gone already; a pod that is being deleted has none that counts.
fn awaited_fate(case: &Case<'_>) -> Option<Wait> {
    let is_open = |pod: &PodFacts| !pod.is_over() && !pod.is_deleting();
    let (uid, pod) = case.pods.iter().find(|(_, pod)| is_open(pod)).filter(|_| !case.facts.is_namespace_gone())?;
    let words = format!("the Job is gone, waiting for the end of {}", text::pod(pod));
    Some(case.wait(WaitKind::Job, uid, words, Allowance::Limit))
}
