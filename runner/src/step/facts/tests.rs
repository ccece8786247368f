//! What is kept, and in which order states may come.

use serde_json::{Value, json};

use super::examples::{JOB, Seen, all, ended, facts, job, pod, pod_uid, running, see, waiting, warnings};
use super::*;

fn suspend(is_suspended: bool) -> Value {
    json!({"spec": {"suspend": is_suspended}})
}

fn phases(facts: &Facts) -> Vec<(&str, u32, StepPhase)> {
    facts.pods().iter().map(|pod| (pod.name, pod.number, pod.step)).collect()
}

#[test]
fn an_end_once_seen_stays() {
    let facts = facts(&[Seen::Pod(5, "a", ended(3)), Seen::Pod(4, "a", running()), Seen::Pod(6, "a", running())]);
    assert_eq!(phases(&facts), [("a", 1, StepPhase::Ended)]);
    assert!(facts.pods().iter().all(|pod| pod.is_over && !pod.is_gone));
}

#[test]
fn an_older_state_changes_nothing_that_may_change_back() {
    let suspended =
        |versions: [(u64, bool); 2]| facts(&versions.map(|(version, on)| Seen::Job(version, suspend(on)))).suspended();
    assert!(suspended([(1, false), (2, true)]));
    assert!(suspended([(2, true), (1, false)]));
    assert!(!suspended([(9, true), (10, false)]));
}

#[test]
fn without_numbers_as_versions_the_order_of_arrival_counts() {
    let mut facts = Facts::new(Some(JOB.to_owned()));
    for is_suspended in [true, false] {
        let mut job = job(1, &suspend(is_suspended));
        job.metadata.resource_version = Some(format!("v-{is_suspended}"));
        facts.see_job(&job);
        assert_eq!(facts.suspended(), is_suspended);
    }
}

#[test]
fn pods_stand_in_order_of_creation() {
    let first_look = [Seen::Pod(7, "b", waiting("ContainerCreating", "")), Seen::Pod(8, "a", running())];
    let facts = facts(&first_look);
    assert_eq!(phases(&facts), [("a", 1, StepPhase::Running), ("b", 2, StepPhase::NotBegun)]);
}

#[test]
fn pods_made_in_the_same_second_stand_in_the_order_of_their_versions() {
    let at = json!({"metadata": {"creationTimestamp": "2026-01-01T10:00:00Z"}});
    let facts = facts(&[Seen::Pod(7, "a", at.clone()), Seen::Pod(3, "b", at)]);
    assert_eq!(facts.pods().iter().map(|pod| pod.name).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn a_pod_that_never_runs_its_program_has_not_begun_even_when_it_is_over() {
    let refused = json!({"status": {"phase": "Failed", "reason": "OutOfcpu"}});
    let facts = facts(&[Seen::Pod(1, "a", refused)]);
    assert_eq!(phases(&facts), [("a", 1, StepPhase::NotBegun)]);
    assert!(facts.pods().iter().all(|pod| pod.is_over));
}

#[test]
fn other_jobs_of_the_name_and_their_pods_are_not_ours() {
    let other = json!({"metadata": {"uid": "other", "ownerReferences": [{
        "apiVersion": "batch/v1", "kind": "Job", "name": "extract", "uid": "other"}]}});
    let mut facts = Facts::new(None);
    see(&mut facts, &Seen::JobDeleted(1, all([other.clone(), suspend(true)])));
    see(&mut facts, &Seen::Pod(2, "a", all([other.clone(), json!({"metadata": {"uid": "pod-of-other"}})])));
    see(&mut facts, &Seen::Job(3, suspend(false)));
    see(&mut facts, &Seen::Pod(4, "b", running()));
    assert_eq!(facts.pods(), []);
    facts.set_uid(JOB);
    see(&mut facts, &Seen::JobDeleted(5, other));
    assert_eq!(phases(&facts), [("b", 1, StepPhase::Running)]);
    assert!(!facts.job_gone() && !facts.suspended());
}

#[test]
fn a_pod_belongs_to_the_job_of_its_label_when_it_has_no_owner() {
    let orphan = |label: &str| {
        let mut pod = pod(1, "a", &json!({"metadata": {"labels": {label: JOB}}}));
        pod.metadata.owner_references = None;
        pod
    };
    for (label, count) in [("batch.kubernetes.io/controller-uid", 1), ("controller-uid", 1), ("app", 0)] {
        let mut facts = Facts::new(Some(JOB.to_owned()));
        facts.see_pod(&orphan(label));
        assert_eq!(facts.pods().len(), count, "{label}");
    }
}

#[test]
fn gone_is_gone_whatever_comes_late() {
    let seen =
        [Seen::PodDeleted(3, "a", ended(0)), Seen::Pod(2, "a", running()), Seen::JobGone, Seen::Job(9, json!({}))];
    let facts = facts(&seen);
    assert!(facts.job_gone());
    assert!(facts.pods().iter().all(|pod| pod.is_gone && pod.is_over && pod.step == StepPhase::Ended));
}

#[test]
fn the_newest_warnings_are_kept_and_the_cause_stays() {
    let mut facts = facts(&[Seen::Pod(1, "a", waiting("ContainerCreating", ""))]);
    let others: Vec<String> = (0..6).map(|number| format!("words {number}")).collect();
    let mut said: Vec<(&str, &str)> = vec![("FailedMount", "no volume")];
    said.extend(others.iter().map(|words| ("BackOff", words.as_str())));
    for _ in 0..2 {
        see(&mut facts, &Seen::Events("a", warnings(&said)));
    }
    let events = &facts.pods[&pod_uid("a")].events;
    assert_eq!(
        events.warnings.iter().map(|warning| warning.message.as_str()).collect::<Vec<_>>(),
        ["words 5", "words 4", "words 3", "words 2", "words 1"]
    );
    assert_eq!(events.cause.as_ref().map(|cause| cause.message.as_str()), Some("no volume"));
}

#[test]
fn events_of_other_objects_and_ordinary_ones_are_not_kept() {
    let mut events = warnings(&[("FailedCreate", "of another Job"), ("SuccessfulCreate", "Created pod: a")]);
    events[0]["involvedObject"]["uid"] = json!("other");
    events[1]["type"] = json!("Normal");
    let facts = facts(&[Seen::Job(1, json!({})), Seen::Events("job", events)]);
    assert_eq!(facts.job().map(|job| &job.events), Some(&Events::default()));
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let text = kept(Some(&"ä".repeat(LONGEST_TEXT)));
    assert_eq!(text, format!("{} …", "ä".repeat(LONGEST_TEXT / 2)));
}
