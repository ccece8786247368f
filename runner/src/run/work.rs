//! The loop of a run: it owns the graph and hears of everything. Steps that ended, pauses, Jobs that were removed, the
//! run's time limit, signals.
//!
//! The phases of a run follow each other: preconditions, `init`, the steps, one of `success`, `failure` and `abort`, `exit`.
//! What is asked to stop is always the phase in progress: the handlers of a cancelled run are not cancelled with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use model::workflow::StepKind;

use super::codes::Codes;
use super::drive::{Line, StepDone, Word};
use super::graph::{Graph, Settled};
use super::{Context, RunEnd, Signal, since};
use crate::condition::Answer;
use crate::event::{EventKind, StepEnd};
use crate::journal::{Entry, StepEnded};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus, Verdict};
use crate::report::ExitCode;
use crate::step::{Cleanup, Stop};

/// Handlers by their names.
const INIT: &str = "onInit";
const SUCCESS: &str = "onSuccess";
const FAILURE: &str = "onFailure";
const ABORT: &str = "onAbort";
const EXIT: &str = "onExit";

/// A run at work.
pub(super) struct Work<'a, S> {
    context: Arc<Context>,
    signals: &'a mut S,
    graph: Graph,
    tasks: JoinSet<Option<StepDone>>,
    places: HashMap<Id, (usize, AbortHandle)>,
    /// Of the steps that have begun: rings when there is a place for the next attempt.
    turns: HashMap<usize, Arc<Notify>>,
    words: mpsc::UnboundedReceiver<Word>,
    tell: mpsc::UnboundedSender<Word>,
    cleanups: JoinSet<()>,
    /// Asks the phase in progress to stop.
    stop: watch::Sender<Stop>,
    /// Asks what is left to do for steps that have ended to come to an end.
    hurry: watch::Sender<Stop>,
    left: watch::Sender<bool>,
    /// How far signals have gone.
    asked: Stop,
    first_signal: Option<Signal>,
    deadline: Option<Instant>,
    codes: Codes,
    kept: usize,
    /// The run has failed, whatever its steps say.
    has_failed: bool,
    /// A precondition of the run is not met.
    is_unwanted: bool,
    /// A handler was stopped.
    is_cut_off: bool,
}

/// Something that happened.
enum Happened {
    /// Steps have ended, at least one.
    Done(Vec<StepDone>),
    Asked,
    TimedOut,
    Other,
}

/// The loop is left before its end.
pub(super) enum Leave {
    /// The run goes on without this process.
    Detached(RunEnd),
    /// A third signal: nothing is waited for.
    Now,
}

impl<'a, S: Stream<Item = Signal> + Unpin> Work<'a, S> {
    pub(super) fn new(context: Arc<Context>, signals: &'a mut S) -> Work<'a, S> {
        let graph = Graph::new(context.run.effective.workflow(), context.run.max_active);
        let (tell, words) = mpsc::unbounded_channel();
        let first_signal = context.stopped_before();
        let asked = if first_signal.is_some() { Stop::Gently } else { Stop::No };
        Work {
            signals,
            graph,
            tasks: JoinSet::new(),
            places: HashMap::new(),
            turns: HashMap::new(),
            words,
            tell,
            cleanups: JoinSet::new(),
            stop: watch::Sender::new(asked),
            hurry: watch::Sender::new(asked),
            left: watch::Sender::new(false),
            asked,
            first_signal,
            deadline: None,
            codes: Codes::default(),
            kept: 0,
            has_failed: false,
            is_unwanted: false,
            is_cut_off: false,
            context,
        }
    }

    /// Works through all phases.
    pub(super) async fn run(mut self) -> RunEnd {
        match self.phases().await {
            Ok(()) => {}
            Err(Leave::Detached(end)) => return end,
            Err(Leave::Now) => self.abandon().await,
        }
        if self.kept > 0 && self.context.clusters.is_local() {
            let text = "Jobs that are kept go with the local cluster".to_owned();
            self.context.shared.events.run(EventKind::Note { text });
        }
        let signal = self.first_signal.filter(|_| self.is_unfinished());
        self.codes.run_end(self.status(), signal, self.context.run.exit_code_from.is_some())
    }

    async fn phases(&mut self) -> Result<(), Leave> {
        self.restore().await;
        if self.may_begin().await? && self.init().await? {
            self.steps().await?;
        }
        if self.first_signal.is_some() {
            self.abandon().await;
        }
        let outcome = match self.status() {
            RunStatus::Succeeded | RunStatus::PartiallySucceeded => SUCCESS,
            RunStatus::Aborted => ABORT,
            _ => FAILURE,
        };
        self.handler(outcome).await?;
        if outcome != ABORT && self.status() == RunStatus::Aborted {
            self.handler(ABORT).await?;
        }
        self.handler(EXIT).await?;
        while !self.cleanups.is_empty() {
            self.next().await?;
        }
        Ok(())
    }

    /// The status so far.
    fn status(&self) -> RunStatus {
        if self.is_unwanted || self.first_signal.is_some() && self.is_unfinished() {
            RunStatus::Aborted
        } else if self.has_failed {
            RunStatus::Failed
        } else {
            self.graph.status_of_run()
        }
    }

    fn is_unfinished(&self) -> bool {
        let is_open = |status| !matches!(status, StepStatus::Succeeded | StepStatus::Skipped);
        self.is_cut_off || self.graph.statuses().any(is_open)
    }

    /// Asks the preconditions of the run.
    async fn may_begin(&mut self) -> Result<bool, Leave> {
        let context = self.context.clone();
        let conditions = &context.run.effective.workflow().preconditions;
        if conditions.is_empty() || context.had_begun() || self.first_signal.is_some() {
            return Ok(self.first_signal.is_none() || context.had_begun());
        }
        let scope = context.values.of_run();
        let stopped = self.stop.subscribe();
        let mut asked = Box::pin(context.ask(None, scope, conditions, stopped));
        let answer = loop {
            tokio::select! {
                answer = &mut asked => break answer,
                happened = self.next() => drop(happened?),
            }
        };
        match answer {
            Some(Ok(Answer::Met)) => Ok(true),
            Some(Ok(Answer::NotMet(unmet))) => {
                context.shared.events.run(EventKind::Warning { text: format!("nothing runs: {unmet}") });
                self.is_unwanted = true;
                Ok(false)
            }
            Some(Err(error)) => {
                let help = error.help.map(str::to_owned);
                context.shared.events.run(EventKind::Fatal { text: error.to_string(), help });
                self.has_failed = true;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Runs `init`, and says whether steps may follow.
    async fn init(&mut self) -> Result<bool, Leave> {
        let ended = self.handler(INIT).await?;
        Ok(ended.is_none_or(|status| matches!(status, StepStatus::Succeeded | StepStatus::Skipped)))
    }

    /// Puts the ends of steps that an earlier process saw into the graph, and what follows from them.
    async fn restore(&mut self) {
        for place in 0..self.context.run.effective.workflow().steps.len() {
            let Some(StepDone { end, cleanup, .. }) = self.context.restored(place).await else { continue };
            let settled = self.graph.restore(place, status_before(&end), end.excused);
            self.told(place, end);
            self.clean(cleanup);
            self.settle(settled).await;
        }
    }

    /// Works through the graph.
    async fn steps(&mut self) -> Result<(), Leave> {
        let run = &self.context.run;
        let seconds = run.effective.workflow().timeout_sec.filter(|seconds| *seconds > 0);
        let spent = run.earlier.as_ref().map_or(Duration::ZERO, |earlier| since(earlier.started));
        let left = seconds.map(|seconds| Duration::from_secs(seconds).saturating_sub(spent));
        self.deadline = left.and_then(|left| Instant::now().checked_add(left));
        if self.first_signal.is_some() {
            // In an earlier process, or in `init`, which had ended well by then.
            self.graph.stop();
        }
        for place in self.context.begun() {
            self.graph.begin(place);
            self.spawn(place, None);
        }
        loop {
            for place in self.graph.start() {
                match self.turns.get(&place) {
                    Some(turn) => turn.notify_one(),
                    None => self.spawn(place, None),
                }
            }
            if self.tasks.is_empty() && self.graph.is_over() {
                break;
            }
            match self.next().await? {
                Happened::Done(done) => self.done(done).await,
                Happened::Asked => self.graph.stop(),
                Happened::TimedOut => {
                    let seconds = seconds.unwrap_or_default();
                    let text = format!("the time limit of the run, {seconds} s, has passed: its steps are stopped");
                    self.context.shared.events.run(EventKind::Warning { text });
                    self.has_failed = true;
                    self.graph.stop();
                    self.stop.send_if_modified(|stop| {
                        let is_later = *stop < Stop::RunTimeout;
                        if is_later {
                            *stop = Stop::RunTimeout;
                        }
                        is_later
                    });
                }
                Happened::Other => {}
            }
        }
        self.deadline = None;
        Ok(())
    }

    /// Steps have ended. All that follows is remembered at once: a flush for each would be what a run with a thousand
    /// short steps waits for.
    async fn done(&mut self, done: Vec<StepDone>) {
        let (mut ends, mut cleanups) = (Vec::new(), Vec::new());
        for StepDone { place, mut end, by_condition, cleanup } in done {
            let reason = end.verdict.as_ref().and_then(|verdict| verdict.outcome.reason());
            if reason == Some(Reason::Condition) {
                // Nobody knows what the others would rest on.
                self.graph.stop();
            }
            let settled = self.graph.end(place, end.status, end.excused);
            end.status = self.graph.status(place).unwrap_or(end.status);
            ends.push((place, end, by_condition));
            ends.extend(settled.into_iter().map(|settled| self.of_settled(settled)));
            cleanups.extend(cleanup);
        }
        self.ended(ends).await;
        cleanups.into_iter().for_each(|cleanup| self.clean(Some(cleanup)));
    }

    /// Runs a handler, if there is one, to its end. None: there is none, or nothing begins any more.
    async fn handler(&mut self, name: &str) -> Result<Option<StepStatus>, Leave> {
        let context = self.context.clone();
        let workflow = context.run.effective.workflow();
        let Some(handler) = workflow.handlers.iter().position(|handler| handler.name == name) else {
            return Ok(None);
        };
        let place = workflow.steps.len() + handler;
        let done = match context.restored(place).await {
            Some(done) => {
                self.told(place, done.end.clone());
                done
            }
            None if !self.is_due(name) => return Ok(None),
            None => {
                // What stopped the steps does not stop those that come after that.
                self.stop = watch::Sender::new(if is_after_stop(name) { Stop::No } else { self.asked });
                self.spawn(place, Some(self.status_for(name)));
                let done = loop {
                    // Nothing else is in progress.
                    if let Happened::Done(done) = self.next().await?
                        && let Some(done) = done.into_iter().find(|done| done.place == place)
                    {
                        break done;
                    }
                };
                self.ended(vec![(place, done.end.clone(), done.by_condition)]).await;
                done
            }
        };
        self.clean(done.cleanup);
        match done.end.status {
            StepStatus::Succeeded | StepStatus::Skipped => {}
            StepStatus::Aborted => self.is_cut_off = true,
            _ => self.has_failed = true,
        }
        Ok(Some(done.end.status))
    }

    /// Whether a handler may begin, or one that an earlier process began goes on.
    fn is_due(&self, name: &str) -> bool {
        let has_begun = || self.context.recorded(name).is_some_and(|known| known.open_attempt().is_some());
        match self.asked {
            Stop::No | Stop::RunTimeout => true,
            Stop::Gently => is_after_stop(name) || has_begun(),
            Stop::AtOnce => false,
        }
    }

    /// What a handler is told of the run.
    fn status_for(&self, handler: &str) -> RunStatus {
        if handler == INIT { RunStatus::Running } else { self.status() }
    }

    fn spawn(&mut self, place: usize, status: Option<RunStatus>) {
        let turn = Arc::new(Notify::new());
        self.turns.insert(place, turn.clone());
        let (stop, left, words) = (self.stop.subscribe(), self.left.subscribe(), self.tell.clone());
        let line = Line { stop, left, turn, words, status };
        let task = self.tasks.spawn(self.context.clone().drive(place, line));
        self.places.insert(task.id(), (place, task));
    }

    /// Waits for the next thing that happens, and does what does not depend on the phase.
    async fn next(&mut self) -> Result<Happened, Leave> {
        let deadline = self.deadline;
        tokio::select! {
            Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                let mut ended: Vec<StepDone> = self.joined(done).into_iter().collect();
                while let Some(done) = self.tasks.try_join_next_with_id() {
                    ended.extend(self.joined(done));
                }
                Ok(if ended.is_empty() { Happened::Other } else { Happened::Done(ended) })
            }
            Some(word) = self.words.recv() => {
                match word {
                    Word::Pauses(place) => self.graph.pause(place),
                    Word::GoesOn(place) => self.graph.go_on(place),
                    Word::Cleanup(cleanup) => self.clean(Some(*cleanup)),
                }
                Ok(Happened::Other)
            }
            Some(_) = self.cleanups.join_next(), if !self.cleanups.is_empty() => Ok(Happened::Other),
            Some(signal) = self.signals.next() => self.signal(signal).await,
            () = crate::step::at(deadline) => {
                self.deadline = None;
                Ok(Happened::TimedOut)
            }
        }
    }

    fn joined(&mut self, done: Result<(Id, Option<StepDone>), tokio::task::JoinError>) -> Option<StepDone> {
        match done {
            Ok((id, done)) => {
                self.places.remove(&id);
                done
            }
            Err(error) => {
                // A bug of ours, but the step must end: nobody knows how.
                let verdict = Verdict::new(Outcome::Lost, format!("it could not be driven: {error}"));
                let place = self.places.remove(&error.id()).map(|(place, _)| place).unwrap_or_default();
                let end = StepEnd::of(verdict, Duration::ZERO);
                Some(StepDone { place, end, by_condition: false, cleanup: None })
            }
        }
    }

    async fn signal(&mut self, signal: Signal) -> Result<Happened, Leave> {
        if signal == Signal::Detach {
            match self.context.cannot_detach(self.asked) {
                None => return Err(Leave::Detached(self.detach().await)),
                Some(text) => self.context.shared.events.run(EventKind::Warning { text }),
            }
            return Ok(Happened::Other);
        }
        self.asked = match self.asked {
            Stop::No | Stop::RunTimeout => Stop::Gently,
            Stop::Gently => Stop::AtOnce,
            // The third one: nothing is waited for, not even answers.
            Stop::AtOnce => return Err(Leave::Now),
        };
        self.context.shared.events.run(EventKind::Stopping { at_once: self.asked == Stop::AtOnce });
        if self.first_signal.is_none() {
            // Whoever takes the run up must go on with stopping it.
            self.context.shared.remember(Entry::Stopping { signal }).await;
            self.first_signal = Some(signal);
        }
        self.stop.send_replace(self.asked);
        self.hurry.send_replace(self.asked);
        Ok(Happened::Asked)
    }

    /// Leaves the run alone. Jobs go on; processes of this machine and deletions that have begun are waited for, until
    /// somebody asks not to.
    async fn detach(&mut self) -> RunEnd {
        self.left.send_replace(true);
        // An attempt leaves its Job where it is, and the journal knows how far it came.
        let is_job = |place| self.context.step_at(place).is_some_and(|step| step.kind == StepKind::Kubernetes);
        for (_, task) in self.places.values().filter(|(place, _)| is_job(*place)) {
            task.abort();
        }
        while !self.tasks.is_empty() || !self.cleanups.is_empty() {
            tokio::select! {
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Ok(Some(StepDone { place, mut end, by_condition, cleanup })) = done {
                        if end.excused && self.marks_success(place) {
                            end.status = StepStatus::Succeeded;
                        }
                        self.ended(vec![(place, end, by_condition)]).await;
                        self.clean(cleanup);
                    }
                }
                Some(_) = self.cleanups.join_next(), if !self.cleanups.is_empty() => {}
                _ = self.signals.next() => break,
            }
        }
        self.tasks.shutdown().await;
        RunEnd { status: RunStatus::Detached, exit_code: ExitCode::Detached }
    }

    fn marks_success(&self, place: usize) -> bool {
        let step = self.context.step_at(place);
        step.and_then(|step| step.continue_on.as_ref()).is_some_and(|on| on.mark_success)
    }

    /// Nothing that has not begun will begin: the run was stopped.
    async fn abandon(&mut self) {
        let settled = self.graph.abandon("the run was cancelled");
        self.settle(settled).await;
    }

    async fn settle(&mut self, settled: Vec<Settled>) {
        let ends = settled.into_iter().map(|settled| self.of_settled(settled)).collect();
        self.ended(ends).await;
    }

    /// The end of a step that will never start. What `continue_on` makes of a skip holds also for one from upstream.
    fn of_settled(&self, settled: Settled) -> (usize, StepEnd, bool) {
        let Settled { step, status, message } = settled;
        let status = self.graph.status(step).unwrap_or(status);
        (step, StepEnd::without_attempt(status, message), false)
    }

    fn clean(&mut self, cleanup: Option<Cleanup>) {
        if let Some(cleanup) = cleanup {
            self.cleanups.spawn(cleanup.run(self.hurry.subscribe()));
        }
    }

    /// Steps have ended, each with whether by its own condition: that is remembered, and then told.
    async fn ended(&mut self, ends: Vec<(usize, StepEnd, bool)>) {
        let context = &self.context;
        let entries = ends.iter().filter_map(|(place, end, by_condition)| {
            let step = context.step_at(*place)?;
            Some(StepEnded { by_condition: *by_condition, ..StepEnded::of(&step.name, end) })
        });
        let written = entries.map(|ended| context.shared.remember(Entry::StepEnded(ended)));
        futures_util::future::join_all(written).await;
        for (place, end, _) in ends {
            self.told(place, end);
        }
    }

    fn told(&mut self, place: usize, end: StepEnd) {
        let Some(step) = self.context.step_at(place) else { return };
        self.kept += usize::from(end.kept);
        self.codes.note(&end, self.context.run.exit_code_from.as_deref() == Some(step.name.as_str()));
        self.context.shared.events.step(&Arc::from(step.name.as_str()), EventKind::StepEnded(Box::new(end)));
    }
}

/// Whether a handler runs after somebody has stopped the run.
fn is_after_stop(name: &str) -> bool {
    name == ABORT || name == EXIT
}

/// The status of a step before `continue_on` made another of it.
fn status_before(end: &StepEnd) -> StepStatus {
    if end.excused { StepStatus::Failed } else { end.status }
}
