//! Taking a run up where an earlier process left it, and leaving it for a later one.
//!
//! Steps enter the same machine as in an undisturbed run, with what the journal knows of them; nothing is judged here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::task::JoinSet;

use super::{Context, Graph, RunEnd, Settled, Signal, StepDone};
use crate::cluster::{Expected, Target as ClusterTarget};
use crate::event::{EventKind, StepEnd};
use crate::journal::{Entry, RecordedAttempt, StepEnded, StepHistory};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus, Verdict};
use crate::report::ExitCode;
use crate::step::log_file::last_lines;
use crate::step::{Attempt, Begin, Cleanup, Owed, Stop, Target};

/// A step that ended in an earlier process.
pub(super) struct Restored {
    pub(super) place: usize,
    pub(super) end: StepEnd,
    /// What is still owed for it.
    pub(super) cleanup: Option<Cleanup>,
}

impl Context {
    /// What an earlier process knew of a step.
    pub(super) fn recorded(&self, step: &str) -> Option<&StepHistory> {
        self.run.earlier.as_ref()?.step(step)
    }

    /// The signal by which an earlier process was being stopped.
    pub(super) fn stopped_before(&self) -> Option<Signal> {
        self.run.earlier.as_ref()?.stopped
    }

    /// Clusters and namespaces with Jobs that an earlier process began and did not clean.
    pub(super) fn begun_places(&self) -> impl Iterator<Item = (ClusterTarget, String)> + '_ {
        let steps = self.run.earlier.iter().flat_map(|earlier| &earlier.steps);
        let attempts = steps.flat_map(|step| step.attempts.iter().filter(|attempt| !attempt.cleaned));
        attempts.map(|attempt| (attempt.target.clone(), attempt.job.namespace.clone()))
    }

    /// Puts the ends of steps into the graph, and what follows from them.
    pub(super) async fn restore(&self, graph: &mut Graph) -> Vec<Restored> {
        let mut restored = Vec::new();
        for (step, place) in self.run.effective.workflow().steps.iter().zip(0..) {
            let Some(known) = self.recorded(&step.name).filter(|known| known.decided().is_some()) else { continue };
            let Some(end) = known.shown(self.folder.path()) else { continue };
            let settled = graph.restore(place, end.status, false);
            let cleanup = match known.last_attempt().and_then(|attempt| Some((attempt, attempt.owed()?))) {
                Some((attempt, owed)) => self.owed(&Arc::from(step.name.as_str()), attempt, owed).await,
                None => None,
            };
            restored.push(Restored { place, end, cleanup });
            for Settled { step, status, message } in settled {
                let end = StepEnd::without_attempt(status, message);
                self.remember_end(step, &end).await;
                restored.push(Restored { place: step, end, cleanup: None });
            }
        }
        restored
    }

    async fn remember_end(&self, place: usize, end: &StepEnd) {
        if let Some(step) = self.run.effective.workflow().steps.get(place) {
            self.shared.remember(Entry::StepEnded(StepEnded::of(&step.name, end))).await;
        }
    }

    /// The steps that an earlier process began and that have not ended: they run.
    pub(super) fn begin(&self, graph: &mut Graph) -> Vec<usize> {
        let is_open = |name: &str| self.recorded(name).is_some_and(|known| known.open_attempt().is_some());
        let steps = self.run.effective.workflow().steps.iter().zip(0..);
        let open: Vec<usize> = steps.filter(|(step, _)| is_open(&step.name)).map(|(_, place)| place).collect();
        open.iter().for_each(|place| graph.begin(*place));
        open
    }

    /// An attempt whose Job an earlier process created. It was reviewed before that; it is not reviewed again.
    pub(super) async fn take_up(&self, name: &Arc<str>, open: &RecordedAttempt) -> Result<Attempt, Verdict> {
        let reached = self.clusters.reach(&open.target, &open.job.namespace, true).await;
        let (cluster, watched) = reached.map_err(|error| {
            let mut verdict = Verdict::new(Outcome::failed(None, Reason::NoCluster), error.to_string());
            verdict.hint = error.help();
            verdict
        })?;
        let begin = Begin::TakeUp { uid: open.uid.clone().unwrap_or_default(), log: Box::new(open.log.clone()) };
        Ok(Attempt {
            step: name.clone(),
            number: open.number,
            begin,
            job: open.job.clone(),
            target: open.target.clone(),
            policy: open.cleanup,
            grace: open.grace,
            log: self.folder.log(name, open.number),
            cluster,
            watched,
            shared: self.shared.clone(),
        })
    }

    /// The end of a step whose last attempt was decided by an earlier process, which did not come to say so.
    pub(super) async fn decided(&self, place: usize, open: &RecordedAttempt, took: Duration) -> StepDone {
        let name = self.run.effective.workflow().steps.get(place).map(|step| step.name.as_str()).unwrap_or_default();
        let name: Arc<str> = Arc::from(name);
        let verdict = open.ended.as_ref().map(|(verdict, _)| verdict.clone());
        let mut end = StepEnd::of(verdict.unwrap_or_else(|| Verdict::new(Outcome::Lost, "")), took);
        let log = self.folder.log(&name, open.number);
        end.job = Some(open.job.clone());
        end.kept = matches!(open.ended, Some((_, Owed::Keep | Owed::Suspend)));
        if end.status == StepStatus::Failed {
            end.last_lines = last_lines(&log);
        }
        end.log = log.exists().then_some(log);
        let cleanup = match open.owed() {
            Some(owed) => self.owed(&name, open, owed).await,
            None => None,
        };
        StepDone { place, end, cleanup }
    }

    /// What an earlier process owed for an attempt. That its cluster is away now is told.
    pub(super) async fn owed(&self, name: &Arc<str>, attempt: &RecordedAttempt, owed: Owed) -> Option<Cleanup> {
        let (cluster, watched) = match self.clusters.reach(&attempt.target, &attempt.job.namespace, true).await {
            Ok(reached) => reached,
            Err(error) => {
                let text = format!("Job `{}` was not removed: {error}", attempt.job.name);
                self.shared.events.step(name, EventKind::Warning { text });
                return None;
            }
        };
        let attempted = watched.attempt(&attempt.job.name);
        let expected = match &attempt.uid {
            Some(uid) => Expected::Uid(uid.clone()),
            None => Expected::Digest(vec![attempt.digest.clone()]),
        };
        let target = Target {
            step: name.clone(),
            attempt: attempt.number,
            cluster,
            namespace: attempt.job.namespace.clone(),
            name: attempt.job.name.clone(),
            grace: attempt.grace,
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

    /// Leaves the run alone. Jobs go on; deletions that have begun are waited for, until somebody asks not to.
    pub(super) async fn detach(
        &self,
        mut steps: JoinSet<StepDone>,
        mut cleanups: JoinSet<()>,
        mut signals: impl Stream<Item = Signal> + Unpin,
    ) -> RunEnd {
        // An attempt leaves its Job where it is, and the journal knows how far it came.
        steps.shutdown().await;
        let cleaned = async { while cleanups.join_next().await.is_some() {} };
        tokio::select! {
            () = cleaned => {}
            _ = signals.next() => {}
        }
        RunEnd { status: RunStatus::Detached, exit_code: ExitCode::Detached }
    }
}
