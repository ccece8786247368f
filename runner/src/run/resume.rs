//! Taking a run up where an earlier process left it, and leaving it for a later one.
//!
//! Steps enter the same machine as in an undisturbed run, with what the journal knows of them; nothing is judged here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::workflow::Step;

use super::attempts::{Attempts, Next};
use super::drive::{Made, StepDone};
use super::prepare::no_cluster;
use super::values::Given;
use super::{Context, Signal, since};
use crate::cluster::{Expected, Target as ClusterTarget};
use crate::event::{EventKind, StepEnd};
use crate::interpolate::Scope;
use crate::journal::{Begun, Entry, RecordedAttempt, StepHistory};
use crate::outcome::{Outcome, Verdict};
use crate::step::{Attempt, Begin, Cleanup, Owed, Printed, Stop, Target, TimeLimit};

/// Where a step is taken up.
#[derive(Default)]
pub(super) struct Taken {
    /// Number of its next attempt, or of the one that goes on.
    pub(super) number: u32,
    /// The attempt that goes on.
    pub(super) open: Option<RecordedAttempt>,
    /// The attempt that has ended: it is to be said what follows it.
    pub(super) ended: Option<Made>,
    /// How long the step has lasted before.
    pub(super) lasted: Duration,
}

impl Context {
    /// What an earlier process knew of a step.
    pub(super) fn recorded(&self, step: &str) -> Option<&StepHistory> {
        self.run.earlier.as_ref()?.step(step)
    }

    /// Whether an earlier process came as far as a step.
    pub(super) fn had_begun(&self) -> bool {
        let begun = |step: &StepHistory| step.end.is_some() || !step.attempts.is_empty();
        self.run.earlier.as_ref().is_some_and(|earlier| earlier.steps.iter().any(begun))
    }

    /// The signal by which an earlier process was being stopped.
    pub(super) fn stopped_before(&self) -> Option<Signal> {
        self.run.earlier.as_ref()?.stopped
    }

    /// Clusters and namespaces with Jobs that an earlier process began and did not clean.
    pub(super) fn begun_places(&self) -> impl Iterator<Item = (ClusterTarget, String)> + '_ {
        let steps = self.run.earlier.iter().flat_map(|earlier| &earlier.steps);
        let attempts = steps.flat_map(|step| step.attempts.iter().filter(|attempt| !attempt.cleaned));
        attempts.filter_map(|attempt| attempt.job()).map(|job| (job.target.clone(), job.name.namespace.clone()))
    }

    /// A step that has ended in an earlier process, if that stays.
    pub(super) async fn restored(&self, place: usize) -> Option<StepDone> {
        let step = self.step_at(place)?;
        let known = self.recorded(&step.name).filter(|known| known.decided().is_some())?;
        let end = known.shown(self.folder.logs())?;
        let by_condition = known.end.as_ref().is_some_and(|end| end.by_condition);
        self.values.put(place, self.given_before(step, known, &end));
        let cleanup = match known.last_attempt().and_then(|attempt| Some((attempt, attempt.owed()?))) {
            Some((attempt, owed)) => self.owed(step, attempt, owed).await,
            None => None,
        };
        Some(StepDone { place, end, by_condition, cleanup })
    }

    /// What a step gave in an earlier process.
    fn given_before(&self, step: &Step, known: &StepHistory, end: &StepEnd) -> Given {
        let verdict = end.verdict.clone().unwrap_or_else(|| Verdict::new(Outcome::Lost, ""));
        let mut made = Made { log: end.log.clone(), ..Made::nothing(verdict) };
        made.printed.output = known.output.clone().flatten();
        made.output_is_gone = known.output == Some(None);
        self.given(step, &made)
    }

    /// The steps that an earlier process began and that have not ended.
    pub(super) fn begun(&self) -> Vec<usize> {
        let is_open = |name: &str| self.recorded(name).is_some_and(|known| known.open_attempt().is_some());
        let steps = self.run.effective.workflow().steps.iter().zip(0..);
        steps.filter(|(step, _)| is_open(&step.name)).map(|(_, place)| place).collect()
    }

    /// Where a step is taken up: its attempts are counted, and what an earlier process left running here is ended.
    pub(super) async fn taken(&self, step: &Step, scope: &Scope, attempts: &mut Attempts) -> Taken {
        let Some(known) = self.recorded(&step.name).filter(|known| !known.attempts.is_empty()) else {
            return Taken { number: 1, ..Taken::default() };
        };
        let last = known.attempts.len().saturating_sub(1);
        let goes_on = known.open_attempt().is_some();
        let mut taken = Taken::default();
        for (attempt, index) in known.attempts.iter().zip(0..) {
            taken.number = attempt.number.saturating_add(1);
            if index == 0 {
                taken.lasted = since(attempt.began);
            }
            if index < last {
                // That another one follows is recorded; this only counts.
                if let Some((verdict, _)) = &attempt.ended
                    && matches!(attempts.after(&verdict.outcome), Next::Ask(_))
                {
                    attempts.went_on();
                }
                continue;
            }
            if !goes_on {
                break;
            }
            taken.number = attempt.number;
            match (&attempt.ended, &attempt.begun) {
                (Some((verdict, owed)), _) => {
                    taken.ended = Some(self.made_before(step, scope, known, attempt, verdict.clone(), *owed).await);
                }
                (None, Begun::Job(_)) => taken.open = Some(attempt.clone()),
                (None, Begun::Process(_)) => {
                    let verdict = self.lost_process(attempt);
                    let (step_name, number, owed) = (step.name.clone(), attempt.number, Owed::Nothing);
                    let ended =
                        Entry::AttemptEnded { step: step_name, attempt: number, verdict: verdict.clone(), owed };
                    self.shared.remember(ended).await;
                    taken.ended = Some(self.made_before(step, scope, known, attempt, verdict, owed).await);
                }
            }
        }
        taken
    }

    /// A process that an earlier process of this program started is ended: nobody saw what it did meanwhile.
    fn lost_process(&self, attempt: &RecordedAttempt) -> Verdict {
        let was_running = attempt.end_process(self.run.id.as_str());
        let mut verdict =
            Verdict::new(Outcome::Lost, "the process that drove it has gone, so nobody knows how it ended".to_owned());
        if was_running {
            verdict.notes.push("its process was still running, and was killed".to_owned());
        }
        verdict
    }

    /// An attempt that has ended in an earlier process, which did not come to say what follows.
    async fn made_before(
        &self,
        step: &Step,
        scope: &Scope,
        known: &StepHistory,
        attempt: &RecordedAttempt,
        verdict: Verdict,
        owed: Owed,
    ) -> Made {
        let log = self.folder.log(&step.name, attempt.number);
        let lines = self.lines(step, scope);
        let mut made = Made {
            printed: Printed::recorded(&log, lines.ok().flatten(), known.output.clone().flatten()),
            job: attempt.job().map(|job| job.name.clone()),
            kept: matches!(owed, Owed::Keep | Owed::Suspend),
            log: Some(log),
            output_is_gone: known.output == Some(None),
            ..Made::nothing(verdict)
        };
        if let Some(owed) = attempt.owed() {
            made.cleanup = self.owed(step, attempt, owed).await;
        }
        made
    }

    /// An attempt whose Job an earlier process created. It was reviewed before that; it is not reviewed again.
    pub(super) async fn take_up(
        &self,
        step: &Step,
        scope: &Scope,
        open: &RecordedAttempt,
        limit: Option<TimeLimit>,
    ) -> Result<Attempt, Verdict> {
        let Some(job) = open.job() else {
            return Err(Verdict::new(Outcome::Lost, "its attempt was no Job"));
        };
        let reached = self.clusters.reach(&job.target, &job.name.namespace, true).await;
        let (cluster, watched) = reached.map_err(|error| no_cluster(&error))?;
        let begin = Begin::TakeUp { uid: job.uid.clone().unwrap_or_default(), log: Box::new(open.log.clone()) };
        Ok(Attempt {
            step: Arc::from(step.name.as_str()),
            number: open.number,
            begin,
            job: job.name.clone(),
            target: job.target.clone(),
            policy: job.cleanup,
            grace: job.grace,
            limit,
            log: self.log_target(step, scope, open.number)?,
            cluster,
            watched,
            shared: self.shared.clone(),
        })
    }

    /// What an earlier process owed for an attempt. That its cluster is away now is told.
    pub(super) async fn owed(&self, step: &Step, attempt: &RecordedAttempt, owed: Owed) -> Option<Cleanup> {
        let job = attempt.job()?;
        let name: Arc<str> = Arc::from(step.name.as_str());
        let (cluster, watched) = match self.clusters.reach(&job.target, &job.name.namespace, true).await {
            Ok(reached) => reached,
            Err(error) => {
                let text = format!("Job `{}` was not removed: {error}", job.name.name);
                self.shared.events.step(&name, EventKind::Warning { text });
                return None;
            }
        };
        let attempted = watched.attempt(&job.name.name);
        let expected = match &job.uid {
            Some(uid) => Expected::Uid(uid.clone()),
            None => Expected::Digest(vec![job.digest.clone()]),
        };
        let target = Target {
            step: name,
            attempt: attempt.number,
            cluster,
            namespace: job.name.namespace.clone(),
            name: job.name.name.clone(),
            grace: job.grace,
            expected,
            shared: self.shared.clone(),
        };
        Some(Cleanup::recorded(owed, target, attempted))
    }

    /// Why the run cannot be left alone; none: it can.
    pub(super) fn cannot_detach(&self, stop: Stop) -> Option<String> {
        let why = if stop > Stop::No {
            "the run is being stopped"
        } else if self.clusters.is_local() {
            "the local cluster ends with this process; Ctrl-C stops the run"
        } else if self.shared.journal.has_failed() {
            "the journal could not be written, so the run could not be taken up again; Ctrl-C stops it"
        } else if self.shared.in_cluster.load(Ordering::Relaxed) == 0 {
            "nothing of the run is in a cluster; Ctrl-C stops it"
        } else {
            return None;
        };
        Some(format!("not detached: {why}"))
    }
}
