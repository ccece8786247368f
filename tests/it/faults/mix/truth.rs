//! What must hold of a run, known from the plan and from what the cluster remembers; nothing here asks the engine's own
//! judgement.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use runner::event::StepEnd;
use runner::outcome::{Outcome, Reason, StepStatus};
use runner::report::ExitCode;
use serde_json::Value;
use tests::faults::{Seen, Turn};

use super::plan::{Asked, Blow, Break, Deed, FAILING, Mishap, Plan, name};

/// How long calls are repeated, by default.
const API: u64 = 600_000;

/// What the cluster knows about a pod.
#[derive(Debug, Default)]
struct Pod {
    name: String,
    created: Option<Timestamp>,
    /// Of container `step`.
    end: Option<End>,
    /// It runs, or has run, for all that is known.
    began: Option<Timestamp>,
    phase: String,
    reason: String,
    is_disrupted: bool,
    was_deleted: bool,
}

#[derive(Debug, Clone, Copy)]
struct End {
    code: i64,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
}

/// What the cluster knows about a Job.
#[derive(Debug, Default)]
struct Job {
    is_complete: bool,
    is_failed: bool,
}

fn stamp(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn is_true(object: &Value, kinds: &[&str]) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["status"] == "True" && kinds.iter().any(|kind| condition["type"] == *kind))
}

/// The pods of a Job in the order of their creation.
fn pods(seen: &Seen, job: &str) -> Vec<Pod> {
    let mut pods: BTreeMap<String, Pod> = BTreeMap::new();
    for state in &seen.states_of_pods {
        if state["metadata"]["labels"]["batch.kubernetes.io/job-name"] != *job {
            continue;
        }
        let pod = pods.entry(state["metadata"]["uid"].to_string()).or_default();
        pod.name = state["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        pod.created = stamp(&state["metadata"]["creationTimestamp"]);
        pod.phase = state["status"]["phase"].as_str().unwrap_or_default().to_owned();
        pod.reason = state["status"]["reason"].as_str().unwrap_or_default().to_owned();
        pod.is_disrupted |= is_true(state, &["DisruptionTarget"]);
        pod.was_deleted |= state["metadata"].get("deletionTimestamp").is_some();
        let containers = state["status"]["containerStatuses"].as_array();
        let Some(step) = containers.into_iter().flatten().find(|container| container["name"] == "step") else {
            continue;
        };
        let running = stamp(&step["state"]["running"]["startedAt"]);
        pod.began = pod.began.or(running);
        if let Some(code) = step["state"]["terminated"]["exitCode"].as_i64() {
            let ended = &step["state"]["terminated"];
            pod.end = Some(End { code, started: stamp(&ended["startedAt"]), finished: stamp(&ended["finishedAt"]) });
        }
    }
    let mut pods: Vec<Pod> = pods.into_values().collect();
    pods.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
    pods
}

fn job(seen: &Seen, name: &str) -> Job {
    let mut job = Job::default();
    for state in seen.states_of_jobs.iter().filter(|state| state["metadata"]["name"] == *name) {
        job.is_complete |= is_true(state, &["Complete", "SuccessCriteriaMet"]);
        job.is_failed |= is_true(state, &["Failed", "FailureTarget"]);
    }
    job
}

/// Everything that must hold; the error says what does not.
pub(super) fn hold(plan: &Plan, seen: &Seen, deeds: &[Deed]) -> Result<(), String> {
    let truth = Truth { plan, seen, deeds };
    for step in 0..plan.steps.len() {
        truth.step(step).map_err(|what| format!("step `{}`: {what}", name(step)))?;
    }
    truth.exit_code()?;
    truth.left()?;
    truth.requests()?;
    truth.time()
}

struct Truth<'a> {
    plan: &'a Plan,
    seen: &'a Seen,
    deeds: &'a [Deed],
}

impl Truth<'_> {
    fn is_interrupted(&self) -> bool {
        self.plan.mishaps.iter().any(|mishap| matches!(mishap, Mishap::Interrupted { .. }))
    }

    /// Whether the cluster stayed away, or refused what was asked, for longer than calls are repeated. Windows of two
    /// mishaps may meet.
    fn is_away(&self) -> bool {
        let lasting = self.plan.mishaps.iter().map(|mishap| match mishap {
            Mishap::Away { lasting, .. } | Mishap::Refused { lasting, .. } | Mishap::Slow { lasting, .. } => *lasting,
            _ => 0,
        });
        // The last try before the end may meet the outage, and the next comes half a minute later.
        lasting.sum::<u64>() + 60_000 >= API
    }

    fn was_struck(&self, step: usize, blow: Option<Blow>) -> bool {
        self.deeds.iter().any(|deed| match deed {
            Deed::Struck(of, how) => *of == step && blow.is_none_or(|blow| blow == *how),
            Deed::JobDeleted(_) => false,
        })
    }

    fn was_deleted(&self, step: usize) -> bool {
        self.deeds.contains(&Deed::JobDeleted(step))
    }

    fn end(&self, step: usize) -> Result<&StepEnd, String> {
        self.seen.steps.get(&name(step)).ok_or_else(|| "has no end".to_owned())
    }

    fn step(&self, step: usize) -> Result<(), String> {
        let end = self.end(step)?;
        if !matches!(end.status, StepStatus::Succeeded | StepStatus::Failed | StepStatus::Skipped | StepStatus::Aborted)
        {
            return Err(format!("ends as {}", end.status));
        }
        let depends = self.plan.steps[step].depends(step);
        let is_due = depends.iter().all(|on| self.end(*on).is_ok_and(|end| end.status == StepStatus::Succeeded));
        let Some(verdict) = &end.verdict else {
            let is_excused = !is_due || self.is_interrupted();
            return if is_excused { Ok(()) } else { Err(format!("was never tried: {}", end.message)) };
        };
        if !is_due {
            return Err("was tried although a step it waits for did not succeed".to_owned());
        }
        self.order(step, &depends)?;
        if verdict.outcome.status() != end.status {
            return Err(format!("{:?} and {}", verdict.outcome, end.status));
        }
        let found = self.seen.job_of(&name(step)).map(|name| (job(self.seen, name), pods(self.seen, name)));
        let (job, pods) = found.unwrap_or_default();
        let told = || format!("{:?}; the cluster says {job:?}, {pods:?}", verdict.outcome);
        self.outcome(step, &verdict.outcome, &job, &pods).map_err(|what| format!("{what}: {}", told()))?;
        let is_incomplete = verdict.notes.iter().any(|note| note.starts_with("log may be incomplete"));
        if is_incomplete && !self.may_lose_log(step) {
            return Err(format!("nothing kept its log from being read: {:?}", verdict.notes));
        }
        let is_excused = is_incomplete || matches!(verdict.outcome, Outcome::Cancelled { .. });
        for pod in &pods {
            self.log(step, pod, is_excused).map_err(|what| format!("log of pod `{}`: {what}", pod.name))?;
        }
        let [shown, written] = [&self.seen.logs, &self.seen.files].map(|logs| logs.get(&name(step)));
        if shown != written { Err("its file holds something else than was shown".to_owned()) } else { Ok(()) }
    }

    /// Nothing begins before what it waits for has ended.
    fn order(&self, step: usize, depends: &[usize]) -> Result<(), String> {
        let place = |turn: Turn| self.seen.order.iter().position(|other| *other == turn);
        let began = place(Turn::Began(name(step)));
        let early = depends.iter().find(|on| place(Turn::Ended(name(**on))) >= began);
        early.map_or(Ok(()), |on| Err(format!("began before the end of `{}`", name(*on))))
    }

    fn outcome(&self, step: usize, outcome: &Outcome, job: &Job, pods: &[Pod]) -> Result<(), &'static str> {
        let program = &self.plan.steps[step];
        let is_touched =
            self.is_interrupted() || self.is_away() || self.was_struck(step, None) || self.was_deleted(step);
        if !is_touched {
            let wanted = match program.exit {
                0 => Outcome::Succeeded,
                code => Outcome::failed(Some(code), Reason::Exit),
            };
            return if *outcome == wanted { Ok(()) } else { Err("nobody touched it, and it did not end as it does") };
        }
        let is_own = |code: i64| code == i64::from(program.exit) || code == i64::from(FAILING);
        match outcome {
            Outcome::Succeeded => {
                let has_ended_well = pods.iter().any(|pod| pod.end.is_some_and(|end| end.code == 0));
                let gone_well = self.was_deleted(step) && !job.is_failed;
                let gone_well = gone_well && pods.iter().any(|pod| pod.phase == "Succeeded");
                match (has_ended_well, job.is_complete || gone_well) {
                    (true, true) => Ok(()),
                    (false, _) => Err("a success, and no container ended with 0"),
                    (true, false) => Err("a success without the Job's word"),
                }
            }
            _ if job.is_complete && !self.is_away() && !self.was_deleted(step) && !self.is_interrupted() => {
                Err("the Job is complete")
            }
            Outcome::Failed { exit_code: Some(code), reason: Reason::Exit } => {
                let last = pods.iter().filter_map(|pod| pod.end).max_by_key(|end| end.finished);
                match last {
                    _ if *code == 0 => Err("a failure with 0"),
                    Some(end) if end.code == i64::from(*code) && is_own(end.code) => Ok(()),
                    Some(end) if end.code == i64::from(*code) => Err("the code of a container that was stopped"),
                    _ => Err("a code that the last container did not end with"),
                }
            }
            Outcome::Failed { exit_code: None, reason } => {
                let has_cause = match reason {
                    Reason::Evicted => pods.iter().any(|pod| pod.reason == "Evicted"),
                    Reason::NodeShutdown => pods.iter().any(|pod| pod.reason == "Terminated"),
                    Reason::Disrupted => pods.iter().any(|pod| pod.is_disrupted || pod.was_deleted),
                    Reason::JobFailed => job.is_failed,
                    Reason::ClusterUnreachable => self.is_away(),
                    _ => false,
                };
                if has_cause { Ok(()) } else { Err("a failure without cause") }
            }
            Outcome::Lost => {
                let is_hidden = self.is_away() || self.was_deleted(step) || self.was_struck(step, Some(Blow::NodeLost));
                if is_hidden { Ok(()) } else { Err("lost, and nobody hid it") }
            }
            Outcome::Cancelled { reason: Reason::Cancelled } if self.is_interrupted() => Ok(()),
            _ => Err("an end that nothing led to"),
        }
    }

    /// Whether something may have kept the log of a step from being read to its end.
    fn may_lose_log(&self, step: usize) -> bool {
        let is_unreadable = self.plan.mishaps.iter().any(|mishap| match mishap {
            Mishap::LogRefused { step: of, .. } => self.plan.step(*of) == step,
            Mishap::Refused { what: Asked::Logs, .. } | Mishap::Away { .. } | Mishap::Slow { .. } => true,
            _ => false,
        });
        is_unreadable || self.was_struck(step, None) || self.was_deleted(step) || self.is_interrupted()
    }

    /// Every line once and in order; all of them, when nothing excuses that some are missing. Nothing takes lines out of
    /// reach here, but where that cannot be known it may be said that some may be missing.
    fn log(&self, step: usize, pod: &Pod, is_excused: bool) -> Result<(), String> {
        let program = &self.plan.steps[step];
        let shown = self.seen.logs_of_pods.get(&pod.name).map(Vec::as_slice).unwrap_or_default();
        let shown = std::str::from_utf8(shown).map_err(|error| error.to_string())?;
        let fails = shown.starts_with(&format!("{} fails", name(step)))
            || pod.end.is_some_and(|end| end.code == i64::from(FAILING));
        let writes = program.writes(step, fails);
        let whole: String = writes.iter().map(|(_, text)| text.as_str()).collect();
        if !whole.starts_with(shown) {
            let at = shown.bytes().zip(whole.bytes()).take_while(|(one, other)| one == other).count();
            let around =
                |text: &str| text.get(at.saturating_sub(30)..).unwrap_or_default().chars().take(60).collect::<String>();
            return Err(format!("at byte {at} {:?} and not {:?}", around(shown), around(&whole)));
        }
        // What was surely written: all of a program that ended by itself, else what came a second before its end.
        let code = if fails { FAILING } else { program.exit };
        let written = match pod.end {
            _ if is_excused => 0,
            Some(end) if end.code == i64::from(code) => whole.len(),
            Some(End { started: Some(started), finished: Some(finished), .. }) => {
                let lasted = finished.duration_since(started).as_millis();
                let sure = writes.iter().take_while(|(time, _)| i128::from(*time) + 2_000 <= lasted);
                sure.map(|(_, text)| text.len()).sum()
            }
            _ => 0,
        };
        if shown.len() < written {
            return Err(format!("{} of at least {written} bytes, and no word about it", shown.len()));
        }
        Ok(())
    }

    fn exit_code(&self) -> Result<(), String> {
        let all_well = self.seen.steps.values().all(|end| end.status == StepStatus::Succeeded);
        let is_cancelled = self.seen.steps.values().any(|end| {
            end.verdict.as_ref().is_some_and(|verdict| matches!(verdict.outcome, Outcome::Cancelled { .. }))
        });
        let code = self.seen.end.exit_code;
        let fits = match code {
            ExitCode::Interrupted => self.is_interrupted(),
            ExitCode::Success => all_well,
            ExitCode::Failed => !all_well && !is_cancelled,
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("the program ends with {code:?}")) }
    }

    /// Nothing stays without a word, and nothing at all without a reason.
    fn left(&self) -> Result<(), String> {
        let left = self.seen.left()?;
        if !left.unnamed.is_empty() {
            return Err(format!("Jobs that nobody names: {:?}", left.unnamed));
        }
        let second_signal = |mishap: &Mishap| matches!(mishap, Mishap::Interrupted { again: Some(_), .. });
        let is_unreachable = self.plan.mishaps.iter().any(|mishap| match mishap {
            Mishap::Away { .. } | Mishap::Slow { .. } => true,
            Mishap::Refused { what, .. } => {
                matches!(what, Asked::Delete | Asked::Lists | Asked::Watches | Asked::Create)
            }
            Mishap::WatchEnds { how, .. } => *how == Break::Stall,
            other => second_signal(other),
        });
        let is_stuck = self.deeds.iter().any(|deed| matches!(deed, Deed::Struck(_, Blow::NodeLost)));
        if left.named > 0 && !is_unreachable && !is_stuck {
            return Err(format!("{} left over, and nothing kept them", left.named));
        }
        Ok(())
    }

    /// What an undisturbed run asks, and what each mishap may add.
    fn requests(&self) -> Result<(), String> {
        let asked: usize = self.seen.requests.values().sum();
        let attempts = self.seen.attempts();
        let pods: u64 = self.plan.steps.iter().map(|step| step.backoff_limit + 1).sum();
        let undisturbed = 2 * attempts as u64 + 2 * pods + 4;
        let watches = 2 * (self.seen.took.as_secs() / 290);
        let more: u64 = self.plan.mishaps.iter().map(|mishap| self.cost(mishap)).sum();
        let most = undisturbed + watches + more;
        if asked as u64 <= most {
            Ok(())
        } else {
            Err(format!("{asked} requests of at most {most}: {:?}", self.seen.requests))
        }
    }

    /// Requests that a mishap may force.
    fn cost(&self, mishap: &Mishap) -> u64 {
        let steps = self.plan.steps.len() as u64;
        // Pauses grow to ten seconds for logs, and to thirty for all else.
        let tries = |lasting: u64, pause: u64| 8 + lasting / pause;
        match mishap {
            Mishap::WatchEnds { how: Break::Stall, .. } => 4 + steps * tries(300_000, 10_000),
            Mishap::WatchEnds { .. } | Mishap::WatchGone { .. } => 4,
            Mishap::Event { .. } => 4 + steps * tries(30_000, 10_000),
            Mishap::Refused { lasting, .. } => (2 + steps) * tries(*lasting, 10_000),
            Mishap::AnswerLost { .. } => 6,
            Mishap::LogEnds { .. } => 6,
            Mishap::LogRefused { lasting, .. } => tries(*lasting, 10_000),
            Mishap::Struck { .. } | Mishap::JobDeleted { .. } => 12 + tries(360_000, 10_000),
            Mishap::Away { lasting, .. } => (4 + steps) * tries(*lasting, 10_000),
            Mishap::Slow { lasting, by, .. } => (4 + steps) * tries(*lasting + *by, 10_000),
            Mishap::JobLate { .. } | Mishap::Held { .. } => tries(120_000, 10_000),
            Mishap::TokenExpires { .. } => 8 + 2 * steps,
            Mishap::Asleep { .. } => 8 + 2 * steps,
            Mishap::Interrupted { .. } => 4 * steps,
        }
    }

    /// The longest path through all programs, and what each mishap may add.
    fn time(&self) -> Result<(), String> {
        let programs = self.plan.steps.iter().map(|step| {
            let pods = step.backoff_limit + 1;
            // A Job waits ten seconds before its second pod, then twice as long each time.
            pods * (step.lasts() + step.pull + 1_000) + 10_000 * ((1 << pods) - 1)
        });
        let mishaps = self.plan.mishaps.iter().map(|mishap| match mishap {
            // Silence is broken after five minutes.
            Mishap::WatchEnds { .. } | Mishap::LogEnds { .. } => 330_000,
            Mishap::Event { .. } | Mishap::WatchGone { .. } => 60_000,
            Mishap::Refused { lasting, .. } | Mishap::LogRefused { lasting, .. } => *lasting + 120_000,
            Mishap::Away { lasting, .. } => *lasting + 120_000,
            Mishap::Slow { by, lasting, .. } => *lasting + 12 * *by + 120_000,
            Mishap::JobLate { by, .. } => *by + 10_000,
            Mishap::Held { lasting, .. } => *lasting + 10_000,
            // A node is waited for five minutes; a pod ends within its grace period.
            Mishap::Struck { .. } => 420_000,
            Mishap::JobDeleted { .. } | Mishap::Interrupted { .. } => 120_000,
            Mishap::AnswerLost { .. } | Mishap::TokenExpires { .. } | Mishap::Asleep { .. } => 30_000,
        });
        let most = Duration::from_millis(programs.sum::<u64>() + mishaps.sum::<u64>() + 60_000);
        let took = self.seen.took;
        if took <= most { Ok(()) } else { Err(format!("took {took:?} of {most:?}")) }
    }
}
