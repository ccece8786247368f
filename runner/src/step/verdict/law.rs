//! Laws: no order, repetition or loss of states changes a verdict, as long as the last states come through.

use std::collections::BTreeSet;

use proptest::prelude::{Just, Strategy, any, prop};
use proptest::{prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::tests::rendered;
use super::{Judgement, judge};
use crate::outcome::Outcome;
use crate::step::facts::Facts;
use crate::step::facts::examples::{
    JOB, Seen, all, condition, container, deleting, ended, ended_as, facts, running, says, see, terminated, waiting,
};
use crate::step::waits::WaitKind;

const PODS: [&str; 3] = ["a", "b", "c"];

/// How a pod goes.
#[derive(Debug, Clone)]
enum Life {
    Exits(i32),
    OutOfMemory(i32),
    NotStarted,
    PutOut(i32),
    Deleted,
    Evicted,
    Refused,
    Unknown,
    InitFails,
    /// It goes before anybody saw its end.
    Vanishes,
}

/// What becomes of the last pod and of its Job.
#[derive(Debug, Clone)]
enum Fate {
    /// The Job says what its pods did.
    Said,
    /// The same, and then the Job goes with its pods.
    SaidAndGone,
    Deadline,
    Policy,
    /// The Job says nothing.
    Silent,
    /// The last pod does not begin.
    Stuck(&'static str),
    /// The last pod is deleted and does not end.
    NodeLost,
    /// Somebody deletes the Job while the last pod runs.
    Deleted,
    /// Another container runs on.
    Sidecar(i32),
}

#[derive(Debug, Clone)]
struct Story {
    failures: Vec<Life>,
    last: Life,
    fate: Fate,
    /// Refused the first try to pull its image.
    pulls_twice: bool,
    /// Older clusters do not say beforehand how a Job will end.
    has_targets: bool,
}

/// A state, and whether it is one of those that have to come through.
type Told = (Seen, bool);

fn failure() -> impl Strategy<Value = Life> {
    prop_oneof![
        (1..256).prop_map(Life::Exits),
        (1..256).prop_map(Life::OutOfMemory),
        (0..256).prop_map(Life::PutOut),
        prop::sample::select(vec![
            Life::NotStarted,
            Life::Deleted,
            Life::Evicted,
            Life::Refused,
            Life::Unknown,
            Life::InitFails,
            Life::Vanishes,
        ]),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    let last = prop_oneof![Just(Life::Exits(0)), failure()];
    let fate = prop_oneof![
        (0..3).prop_map(Fate::Sidecar),
        prop::sample::select(vec!["ErrImagePull", "CreateContainerConfigError", "CreateContainerError"])
            .prop_map(Fate::Stuck),
        prop::sample::select(vec![
            Fate::Said,
            Fate::Said,
            Fate::SaidAndGone,
            Fate::Deadline,
            Fate::Policy,
            Fate::Silent,
            Fate::NodeLost,
            Fate::Deleted,
        ]),
    ];
    (prop::collection::vec(failure(), 0..3), last, fate, any::<[bool; 2]>()).prop_map(
        |(failures, last, fate, [pulls_twice, has_targets])| Story { failures, last, fate, pulls_twice, has_targets },
    )
}

/// Writes the states of a story down, in their order and with growing versions.
#[derive(Default)]
struct Scribe {
    version: u64,
    jobs: Vec<Told>,
    pods: Vec<Told>,
    job: Value,
    has_targets: bool,
}

impl Scribe {
    fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn job(&mut self, more: Value, is_last: bool) {
        self.job = all([self.job.clone(), more]);
        let version = self.next();
        self.jobs.push((Seen::Job(version, self.job.clone()), is_last));
    }

    fn pod(&mut self, name: &'static str, more: Value, is_last: bool) {
        let version = self.next();
        self.pods.push((Seen::Pod(version, name, more), is_last));
    }

    /// From its creation to its end.
    fn live(&mut self, name: &'static str, life: &Life, pulls_twice: bool) {
        self.pod(name, json!({"spec": {"nodeName": null}}), false);
        if let Life::Refused = life {
            return self.pod(name, json!({"status": {"phase": "Failed", "reason": "OutOfcpu", "message": "no"}}), true);
        }
        self.pod(name, waiting("ContainerCreating", ""), false);
        if pulls_twice {
            self.pod(name, waiting("ErrImagePull", "timeout"), false);
        }
        if let Life::InitFails = life {
            let failed = json!({
                "spec": {"initContainers": [{"name": "setup"}]},
                "status": {"phase": "Failed", "initContainerStatuses": [container("setup", terminated(2, "Error", ""))]},
            });
            return self.pod(name, all([waiting("PodInitializing", ""), failed]), true);
        }
        self.pod(name, running(), false);
        match life {
            Life::Exits(code) => self.pod(name, ended(*code), true),
            Life::OutOfMemory(code) => self.pod(name, ended_as(*code, "OOMKilled", ""), true),
            Life::NotStarted => self.pod(name, ended_as(128, "StartError", "no such file"), true),
            Life::PutOut(code) => {
                let why = condition("DisruptionTarget", "True", "PreemptionByScheduler", "preempted");
                self.pod(name, all([running(), why.clone()]), false);
                self.pod(name, all([running(), why.clone(), deleting()]), false);
                let over = json!({"status": {"phase": "Failed"}});
                self.pod(name, all([ended(*code), over, why, deleting()]), true);
            }
            Life::Deleted => {
                self.pod(name, all([running(), deleting()]), false);
                self.pod(name, all([killed(), deleting()]), true);
                self.pods.push((Seen::PodGone(name), true));
            }
            Life::Evicted => {
                self.pod(name, all([ended(137), json!({"status": {"reason": "Evicted", "message": "low"}})]), true);
            }
            Life::Unknown => self.pod(name, ended_as(137, "ContainerStatusUnknown", "not found"), true),
            Life::Vanishes => {
                if let Some(last) = self.pods.last_mut() {
                    last.1 = true;
                }
                self.pods.push((Seen::PodGone(name), true));
            }
            Life::Refused | Life::InitFails => {}
        }
    }

    fn say(&mut self, target: &str, end: &str, reason: &str, message: &str) {
        if !self.has_targets {
            return self.job(says(end, reason, message), true);
        }
        self.job(says(target, reason, message), false);
        let mut both = says(target, reason, message);
        let end = says(end, reason, message)["status"]["conditions"][0].clone();
        both["status"]["conditions"].as_array_mut().unwrap().push(end);
        self.job(both, true);
    }
}

fn killed() -> Value {
    let end = json!({"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": "2026-01-01T10:10:02Z"}});
    json!({"status": {"phase": "Failed", "containerStatuses": [container("step", end)]}})
}

fn write_down(story: &Story) -> Scribe {
    let mut scribe = Scribe {
        job: json!({"spec": {"backoffLimit": story.failures.len()}}),
        has_targets: story.has_targets,
        ..Scribe::default()
    };
    let is_silent =
        !matches!(story.fate, Fate::Said | Fate::SaidAndGone | Fate::Deadline | Fate::Policy | Fate::Deleted);
    scribe.job(json!({"status": {"active": 1}}), is_silent);
    for (name, life) in PODS.into_iter().zip(&story.failures) {
        scribe.live(name, life, story.pulls_twice);
    }
    let name = PODS[story.failures.len()];
    let backoff = ("FailureTarget", "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    match &story.fate {
        Fate::Said | Fate::SaidAndGone => {
            scribe.live(name, &story.last, story.pulls_twice);
            let (target, end, reason, message) = match story.last {
                Life::Exits(0) => ("SuccessCriteriaMet", "Complete", "CompletionsReached", ""),
                _ => backoff,
            };
            scribe.say(target, end, reason, message);
            if let Fate::SaidAndGone = story.fate {
                let version = scribe.next();
                scribe.jobs.push((Seen::JobDeleted(version, scribe.job.clone()), true));
                scribe.pods.push((Seen::PodGone(name), true));
            }
        }
        Fate::Deadline => {
            scribe.pod(name, running(), false);
            scribe.pod(name, all([running(), deleting()]), false);
            scribe.pod(name, all([killed(), deleting()]), true);
            scribe.say("FailureTarget", "Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
        }
        Fate::Policy => {
            scribe.live(name, &Life::Exits(42), story.pulls_twice);
            let message =
                format!("Container step for pod team/{name} failed with exit code 42 matching FailJob rule at index 0");
            scribe.say("FailureTarget", "Failed", "PodFailurePolicy", &message);
        }
        Fate::Silent => scribe.live(name, &story.last, story.pulls_twice),
        Fate::Stuck(reason) => {
            scribe.pod(name, waiting("ContainerCreating", ""), false);
            scribe.pod(name, waiting(reason, "no"), true);
            scribe.pod(name, waiting("ContainerCreating", ""), true);
        }
        Fate::NodeLost => {
            scribe.pod(name, running(), false);
            scribe.pod(name, all([running(), deleting()]), true);
        }
        Fate::Deleted => {
            scribe.pod(name, running(), false);
            let version = scribe.next();
            scribe.jobs.push((Seen::JobDeleted(version, scribe.job.clone()), true));
            scribe.pod(name, all([running(), deleting()]), false);
            scribe.pod(name, all([ended(0), deleting()]), true);
            scribe.pods.push((Seen::PodGone(name), true));
        }
        Fate::Sidecar(code) => {
            let statuses = [container("proxy", json!({"running": {}})), container("step", terminated(*code, "", ""))];
            scribe.pod(name, running(), false);
            scribe.pod(name, json!({"status": {"phase": "Running", "containerStatuses": statuses}}), true);
        }
    }
    scribe
}

/// The judgement when nothing has taken too long, and when everything has.
fn judgements(facts: &Facts) -> [String; 2] {
    let all = WaitKind::ALL.into_iter().collect();
    [BTreeSet::new(), all].map(|expired| rendered(&judge(facts, &expired)))
}

fn outcome(facts: &Facts) -> Option<Outcome> {
    match judge(facts, &BTreeSet::new()) {
        Judgement::Decided(decision) => Some(decision.verdict.outcome),
        Judgement::Open(_) => None,
    }
}

proptest! {
    #[test]
    fn no_order_repetition_or_loss_changes_a_verdict(
        story in story(),
        fates in prop::collection::vec((0_usize..3, any::<[u16; 2]>()), 64),
    ) {
        let Scribe { jobs, pods, .. } = write_down(&story);
        let told: Vec<Told> = jobs.into_iter().chain(pods).collect();
        let expected = judgements(&facts(told.iter().map(|(seen, _)| seen)));
        let mut mixed: Vec<(u16, &Seen)> = Vec::new();
        for ((seen, is_last), (copies, places)) in told.iter().zip(&fates) {
            let copies = if *is_last { (*copies).max(1) } else { *copies };
            mixed.extend(places.iter().take(copies).map(|place| (*place, seen)));
        }
        mixed.sort_by_key(|(place, _)| *place);
        prop_assert_eq!(judgements(&facts(mixed.iter().map(|(_, seen)| *seen))), expected);
    }

    /// Jobs and pods come in two streams; whichever is ahead, nothing is decided too early.
    #[test]
    fn the_first_decision_is_the_last_one(story in story(), is_job_next in prop::collection::vec(any::<bool>(), 64)) {
        let is_gone = matches!(story.fate, Fate::SaidAndGone | Fate::Deleted);
        let Scribe { jobs, pods, .. } = write_down(&story);
        let expected = outcome(&facts(jobs.iter().chain(&pods).map(|(seen, _)| seen)));
        let (mut jobs, mut pods) = (jobs.iter(), pods.iter());
        let mut facts = Facts::new(Some(JOB.to_owned()));
        for is_job_next in is_job_next.into_iter().filter(|_| !is_gone) {
            let next = if is_job_next { jobs.next().or_else(|| pods.next()) } else { pods.next().or_else(|| jobs.next()) };
            let Some((seen, _)) = next else { break };
            see(&mut facts, seen);
            if let Some(decided) = outcome(&facts) {
                prop_assert_eq!(Some(decided), expected);
                break;
            }
        }
    }
}
