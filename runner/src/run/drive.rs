//! The life of one step: its conditions, its attempts and the pauses between them, up to its end.
//!
//! What comes after an attempt [`Attempts`] says; whether there is a place for it the loop of the run says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::workflow::{Condition, ContinueOn, Step, StepKind};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::attempts::{Attempts, Next};
use super::prepare::invalid;
use super::resume::Taken;
use super::values::{Given, step_at};
use super::{Context, since};
use crate::condition::{Answer, Asking, ConditionError};
use crate::event::{EventKind, JobName, StepEnd};
use crate::host::Shell;
use crate::interpolate::{Scope, StepValues};
use crate::journal::{ERROR_LOG, Entry};
use crate::outcome::{Outcome, Reason, RunStatus, StepStatus, Verdict};
use crate::step::waits::WaitKind;
use crate::step::{Cleanup, Printed, Stop, TimeLimit};

/// A step that has ended.
#[derive(Debug)]
pub(super) struct StepDone {
    pub(super) place: usize,
    pub(super) end: StepEnd,
    /// Whether a condition of its own kept it from beginning.
    pub(super) by_condition: bool,
    /// What is left to do for its last attempt.
    pub(super) cleanup: Option<Cleanup>,
}

/// What a step tells the loop of the run on its way.
#[derive(Debug)]
pub(super) enum Word {
    /// It waits for its next attempt.
    Pauses(usize),
    /// The wait is over: it needs a place.
    GoesOn(usize),
    /// An attempt has ended and another follows: this is left to do for it.
    Cleanup(Box<Cleanup>),
}

/// What the loop of the run gives to a step.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Whether it shall stop.
    pub(super) stop: watch::Receiver<Stop>,
    /// Whether it shall be left as it is, for a later process.
    pub(super) left: watch::Receiver<bool>,
    /// Rings when there is a place for its next attempt.
    pub(super) turn: Arc<Notify>,
    pub(super) words: mpsc::UnboundedSender<Word>,
    /// The status of the run so far, for a handler; none: it is a step.
    pub(super) status: Option<RunStatus>,
}

/// An attempt that has ended.
pub(super) struct Made {
    pub(super) verdict: Verdict,
    pub(super) printed: Printed,
    pub(super) job: Option<JobName>,
    pub(super) kept: bool,
    pub(super) log: Option<PathBuf>,
    pub(super) cleanup: Option<Cleanup>,
    /// Its output was captured by an earlier process and is written nowhere.
    pub(super) output_is_gone: bool,
    /// When it ended: what is waited for after that is not its time.
    pub(super) at: Instant,
}

impl Made {
    /// An attempt that came to nothing.
    pub(super) fn nothing(verdict: Verdict) -> Made {
        let printed = Printed::default();
        let (job, log, cleanup, at) = (None, None, None, Instant::now());
        Made { verdict, printed, job, kept: false, log, cleanup, output_is_gone: false, at }
    }
}

impl Context {
    pub(super) fn step_at(&self, place: usize) -> Option<&Step> {
        step_at(self.run.effective.workflow(), place)
    }

    /// One step, to its end. None: it was left as it is.
    pub(super) async fn drive(self: Arc<Self>, place: usize, line: Line) -> Option<StepDone> {
        let began = Instant::now();
        let Some(step) = self.step_at(place) else {
            let end = StepEnd::without_attempt(StepStatus::Failed, "there is no such step".to_owned());
            return Some(StepDone { place, end, by_condition: false, cleanup: None });
        };
        let done = |end, by_condition, cleanup| Some(StepDone { place, end, by_condition, cleanup });
        let failed = |verdict: Verdict| done(StepEnd::of(verdict, began.elapsed()), false, None);
        let scope = match self.values.of(&self.run.effective, place, line.status) {
            Ok(scope) => Arc::new(scope),
            Err(words) => return failed(Verdict::new(invalid(), words)),
        };
        let mut attempts = match Attempts::of(step, |text| scope.of_step(step).text(text)) {
            Ok(attempts) => attempts,
            Err(error) => return failed(Verdict::new(invalid(), error.to_string())),
        };
        let Taken { mut number, mut open, mut ended, lasted } = self.taken(step, &scope, &mut attempts).await;
        if number == 1 && open.is_none() && ended.is_none() {
            match self.may_begin(step, &scope, line.stop.clone()).await {
                Ok(None) => {}
                Ok(Some(unmet)) => return done(StepEnd::without_attempt(StepStatus::Skipped, unmet), true, None),
                Err(end) => return done(StepEnd { took: Some(began.elapsed()), ..end }, false, None),
            }
        }
        loop {
            let mut made = match ended.take() {
                Some(made) => made,
                None => self.attempt(step, &scope, number, open.take(), line.stop.clone()).await,
            };
            let next = self.next(step, &scope, &mut attempts, &mut made, number, &line).await;
            let wait = match next {
                Next::Retry(wait) | Next::Repeat(wait) if *line.stop.borrow() == Stop::No => wait,
                _ => {
                    let took = lasted.saturating_add(made.at.duration_since(began));
                    return Some(self.end(place, step, made, took));
                }
            };
            if let Some(cleanup) = made.cleanup.take() {
                drop(line.words.send(Word::Cleanup(Box::new(cleanup))));
            }
            let after = made.verdict.outcome.clone();
            number = number.saturating_add(1);
            match self.pause(place, step, number, wait, &after, line.clone()).await {
                Pause::Over => {}
                Pause::Left => return None,
                Pause::Stopped(verdict) => {
                    // The last attempt stands; what was to repair it does not come.
                    made.verdict = verdict;
                    return Some(self.end(place, step, made, lasted.saturating_add(began.elapsed())));
                }
            }
        }
    }

    /// What its policies say comes after an attempt. A condition that cannot be evaluated becomes the verdict.
    async fn next(
        &self,
        step: &Step,
        scope: &Scope,
        attempts: &mut Attempts,
        made: &mut Made,
        number: u32,
        line: &Line,
    ) -> Next {
        let condition = match attempts.after(&made.verdict.outcome) {
            Next::Ask(condition) => condition,
            next => return next,
        };
        // What the step gave may be what is asked about.
        let mut own = scope.clone();
        own.add_step(step, self.given(step, made).values);
        match self.ask(Some(step), &own, std::slice::from_ref(&condition), line.stop.clone()).await {
            None => Next::End,
            Some(Ok(answer)) => attempts.answer(answer == Answer::Met),
            Some(Err(error)) => {
                made.verdict = condition_failed(&error);
                made.verdict.notes.push(format!("attempt {number} had ended"));
                Next::End
            }
        }
    }

    /// Asks the preconditions of a step. The text says which is not met; an error is the end of the step.
    async fn may_begin(
        &self,
        step: &Step,
        scope: &Scope,
        stop: watch::Receiver<Stop>,
    ) -> Result<Option<String>, StepEnd> {
        if step.preconditions.is_empty() {
            return Ok(None);
        }
        match self.ask(Some(step), scope, &step.preconditions, stop.clone()).await {
            Some(Ok(Answer::Met)) => Ok(None),
            Some(Ok(Answer::NotMet(unmet))) => Ok(Some(unmet.to_string())),
            Some(Err(error)) => {
                let end = StepEnd::of(condition_failed(&error), Duration::ZERO);
                Err(StepEnd { last_lines: error.last_lines, ..end })
            }
            None => Err(StepEnd::of(crate::step::stopped_verdict(*stop.borrow()), Duration::ZERO)),
        }
    }

    /// Asks conditions, of a step or of the run; none: the run was stopped meanwhile.
    pub(super) async fn ask(
        &self,
        step: Option<&Step>,
        scope: &Scope,
        conditions: &[Condition],
        mut stop: watch::Receiver<Stop>,
    ) -> Option<Result<Answer, ConditionError>> {
        let workflow = self.run.effective.workflow();
        let (folder, on_host) = match step {
            Some(step) => {
                let folder = self.folder_of(step, scope);
                let on_host = self.scope_on_host(step, scope, &folder);
                (folder, on_host)
            }
            None => (self.run.folder.clone(), scope.clone()),
        };
        let shell = Shell::of(step, workflow).map(|word| on_host.text(word));
        let (positional, environment) = (on_host.positional(), on_host.variables());
        let asking = Asking {
            shell: &shell,
            positional: &positional,
            folder: &folder,
            environment: &environment,
            mask: &self.shared.events.mask(),
            text: &|text| on_host.text(text),
            command: &|text| on_host.dotted(text),
        };
        tokio::select! {
            answer = asking.ask(conditions) => Some(answer),
            () = crate::step::stopped(&mut stop, Stop::RunTimeout) => None,
        }
    }

    /// Makes one attempt.
    async fn attempt(
        self: &Arc<Self>,
        step: &Step,
        scope: &Arc<Scope>,
        number: u32,
        open: Option<crate::journal::RecordedAttempt>,
        stop: watch::Receiver<Stop>,
    ) -> Made {
        let spent = open.as_ref().map_or(Duration::ZERO, |open| since(open.began));
        let seconds = step.timeout_sec.filter(|seconds| *seconds > 0);
        let limit = seconds.map(|seconds| TimeLimit::new(Duration::from_secs(seconds), spent));
        let made = match step.kind {
            StepKind::Command => match self.prepare_process(step, scope, number, limit).await {
                Err(verdict) => Made::nothing(verdict),
                Ok(attempt) => {
                    let log = attempt.log.file.clone();
                    let (verdict, printed) = attempt.run(stop).await;
                    Made { printed, log: Some(log), ..Made::nothing(verdict) }
                }
            },
            StepKind::Kubernetes => {
                let is_created = open.as_ref().and_then(|open| open.job()).is_some_and(|job| job.uid.is_some());
                let prepared = match &open {
                    Some(open) if is_created => self.take_up(step, scope, open, limit).await,
                    open => self.prepare_job(step, scope, number, limit, open.as_ref()).await,
                };
                match prepared {
                    // A Job that an earlier process intended may have come to be.
                    Err(verdict) => {
                        let cleanup = match &open {
                            Some(open) => self.owed(step, open, crate::step::Owed::LookFor).await,
                            None => None,
                        };
                        Made { cleanup, ..Made::nothing(verdict) }
                    }
                    Ok(attempt) => {
                        let (job, log) = (attempt.job.clone(), attempt.log.file.clone());
                        let ended = attempt.run(stop.clone()).await;
                        let (kept, at) = (ended.cleanup.is_kept(), Instant::now());
                        let cleanup = match self.cleaned_within() {
                            Some(limit) => ended.cleanup.wait(limit, stop).await,
                            None => Some(ended.cleanup),
                        };
                        let nothing = Made::nothing(ended.verdict);
                        Made { printed: ended.printed, job: Some(job), kept, log: Some(log), cleanup, at, ..nothing }
                    }
                }
            }
        };
        if step.output.is_some()
            && let Some(output) = &made.printed.output
        {
            // The journal never holds a secret.
            let output = Some(output.clone()).filter(|output| !self.shared.events.mask().is_in(output));
            self.shared.remember(Entry::OutputCaptured { step: step.name.clone(), output }).await;
        }
        made
    }

    /// Waits for the next attempt, and then for a place.
    async fn pause(
        &self,
        place: usize,
        step: &Step,
        next: u32,
        wait: Duration,
        after: &Outcome,
        mut line: Line,
    ) -> Pause {
        let retrying = EventKind::StepRetrying { next, wait, after: in_words(after) };
        self.shared.events.attempt(&Arc::from(step.name.as_str()), next.saturating_sub(1), retrying);
        drop(line.words.send(Word::Pauses(place)));
        let its_turn = async {
            tokio::time::sleep(wait).await;
            drop(line.words.send(Word::GoesOn(place)));
            line.turn.notified().await;
        };
        tokio::select! {
            biased;
            () = crate::step::stopped(&mut line.stop, Stop::RunTimeout) => {
                Pause::Stopped(crate::step::stopped_verdict(*line.stop.borrow()))
            }
            () = is_left(&mut line.left) => Pause::Left,
            () = its_turn => Pause::Over,
        }
    }

    /// The step has ended with this attempt.
    fn end(&self, place: usize, step: &Step, made: Made, took: Duration) -> StepDone {
        self.values.put(place, self.given(step, &made));
        let Made { verdict, printed, job, kept, log, cleanup, output_is_gone: _, at: _ } = made;
        let excused = step.continue_on.as_ref().is_some_and(|on| excuses(on, &verdict, printed.is_line_found));
        let mut end = StepEnd::of(verdict, took);
        end.excused = excused;
        end.job = job;
        end.kept = kept;
        end.log = log.filter(|log| log.exists());
        if end.status == StepStatus::Failed {
            end.last_lines = printed.last_lines;
        }
        StepDone { place, end, by_condition: false, cleanup }
    }

    /// What the step gives to others by this attempt.
    pub(super) fn given(&self, step: &Step, made: &Made) -> Given {
        let path = |path: &PathBuf| path.display().to_string();
        let workflow = self.run.effective.workflow();
        let is_apart = step.kind == StepKind::Command
            && step.log_output.or(workflow.log_output) == Some(model::workflow::LogOutput::Separate);
        let error_log = made.log.as_ref().filter(|_| is_apart).map(|log| log.with_extension(ERROR_LOG));
        Given {
            values: StepValues {
                output: made.printed.output.clone(),
                stdout: made.log.as_ref().map(path),
                stderr: error_log.as_ref().map(path),
                exit_code: made.verdict.outcome.exit_code(),
            },
            output_is_gone: made.output_is_gone,
        }
    }

    /// How long dependents wait for the pods of a step to be gone; none: they do not.
    fn cleaned_within(&self) -> Option<Duration> {
        Some(self.shared.waits.get(WaitKind::Cleanup)).filter(|limit| !limit.is_zero())
    }
}

/// Comes when the run shall be left as it is.
async fn is_left(left: &mut watch::Receiver<bool>) {
    // The loop that could say so may be gone.
    if left.wait_for(|left| *left).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How a pause between two attempts ended.
enum Pause {
    Over,
    Left,
    Stopped(Verdict),
}

/// Whether `continue_on` excuses a failure.
pub(super) fn excuses(on: &ContinueOn, verdict: &Verdict, is_line_found: bool) -> bool {
    let code = verdict.outcome.exit_code();
    let listed = code.is_some_and(|code| on.exit_code.iter().any(|listed| i32::from(*listed) == code));
    verdict.outcome.status() == StepStatus::Failed && (on.failed || listed || is_line_found)
}

/// How an attempt ended, in a few words, as `exit 42`.
fn in_words(outcome: &Outcome) -> String {
    match (outcome.reason(), outcome.exit_code()) {
        (None | Some(Reason::Exit), Some(code)) => format!("exit {code}"),
        (Some(reason), Some(code)) => format!("{reason}, exit {code}"),
        (Some(reason), None) => reason.to_string(),
        (None, None) => "an end".to_owned(),
    }
}

fn condition_failed(error: &ConditionError) -> Verdict {
    let mut verdict = Verdict::new(Outcome::failed(None, Reason::Condition), error.to_string());
    verdict.hint = error.help.map(str::to_owned);
    verdict
}
