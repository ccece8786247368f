//! At least one case for each row. A case is what is seen, which waits are over, and the whole judgement as text.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::outcome::Reason;
use crate::step::facts::examples::{
    Seen, all, backoff_limit_exceeded, condition, container, deleting, ended, ended_as, facts, running, says,
    terminated, waiting, warnings,
};

mod ended;
mod faults;
mod gone;
mod pending;

/// The judgement in lines, as a user could read it.
pub(super) fn rendered(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Open(open) => {
            let waits = open.waits.iter().map(|wait| {
                let allowance = match wait.allowance {
                    Allowance::Limit => String::new(),
                    Allowance::Tenfold => " x10".to_owned(),
                    Allowance::After(time) => format!(" +{}s", time.as_secs()),
                };
                format!("wait {}{allowance} of {}: {}", wait.kind, wait.of, wait.words)
            });
            let events = open.events_of.iter().map(|events| format!("events of {}: {:?}", events.uid, events.why));
            let remarks = open.remarks.iter().map(|remark| format!("remark: {remark}"));
            let first = std::iter::once(open.state.as_str().to_owned());
            first.chain(waits).chain(events).chain(remarks).collect::<Vec<_>>().join("\n")
        }
        Judgement::Decided(decision) => {
            let Decision { verdict, job, .. } = &**decision;
            let code = verdict.outcome.exit_code().map_or("-".to_owned(), |code| code.to_string());
            let reason = verdict.outcome.reason().map_or("-", Reason::as_str);
            let pod = verdict.pod.as_deref().unwrap_or("-");
            let first =
                format!("{} {code} {reason}, pod {pod} of {}, job {job:?}", verdict.outcome.status(), verdict.pods);
            let message = verdict.message.lines().map(str::to_owned);
            let notes = verdict.notes.iter().map(|note| format!("note: {note}"));
            let hint = verdict.hint.iter().map(|hint| format!("hint: {hint}"));
            std::iter::once(first).chain(message).chain(notes).chain(hint).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Numbers the states in the order of the list: later ones are newer.
pub(super) fn history(seen: &[Seen]) -> Vec<Seen> {
    let numbered = seen.iter().zip(1..).map(|(seen, version)| match seen.clone() {
        Seen::Job(_, more) => Seen::Job(version, more),
        Seen::JobDeleted(_, more) => Seen::JobDeleted(version, more),
        Seen::Pod(_, name, more) => Seen::Pod(version, name, more),
        Seen::PodDeleted(_, name, more) => Seen::PodDeleted(version, name, more),
        other => other,
    });
    numbered.collect()
}

#[track_caller]
fn check(seen: &[Seen], expired: &[WaitKind], expected: &[&str]) {
    let expired: BTreeSet<WaitKind> = expired.iter().copied().collect();
    let judgement = judge(&facts(&history(seen)), &expired);
    assert_eq!(rendered(&judgement), expected.join("\n"));
}

fn job(more: Value) -> Seen {
    Seen::Job(0, more)
}

fn job_deleted(more: Value) -> Seen {
    Seen::JobDeleted(0, more)
}

fn pod(name: &'static str, more: Value) -> Seen {
    Seen::Pod(0, name, more)
}

fn pod_deleted(name: &'static str, more: Value) -> Seen {
    Seen::PodDeleted(0, name, more)
}

/// A pod that is over, with another container beside the step.
fn beside(phase: &str, step: Value, other: (&str, Value)) -> Value {
    let statuses = [container(other.0, other.1), container("step", step)];
    json!({"status": {"phase": phase, "containerStatuses": statuses}})
}

fn runs() -> Value {
    json!({"running": {}})
}

fn complete() -> Value {
    says("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
}
