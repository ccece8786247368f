//! One attempt of a host step: one process of this machine, from its start to its end.
//!
//! Its log goes where that of a container goes, its end becomes a verdict of the same kind. Starting, stopping and reading
//! are [`crate::host`]'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::log_sink::{LogSink, LogTarget, Printed};
use super::stop::{Cause, cause};
use super::{Shared, Stop, TimeLimit};
use crate::event::{AttemptState, EventKind};
use crate::host::{Chunk, End, Launch, Process, Signal, StartError, Stream};
use crate::journal::Entry;
use crate::outcome::{Outcome, Reason, Verdict};
use crate::step::Owed;

/// Pieces of output that wait to be read.
const WAITING: usize = 4;

/// One attempt, ready to be made.
#[derive(Debug)]
pub struct HostAttempt {
    /// Name of the step.
    pub step: Arc<str>,
    /// From 1.
    pub number: u32,
    /// What runs.
    pub launch: Launch,
    /// The first signal of a stop.
    pub signal: Signal,
    /// Between that and SIGKILL.
    pub grace: Duration,
    /// Its time limit; none: it has none.
    pub limit: Option<TimeLimit>,
    /// Where its log goes.
    pub log: LogTarget,
    /// What all attempts share.
    pub shared: Arc<Shared>,
}

impl HostAttempt {
    /// Makes the attempt, to the end of the process.
    ///
    /// # Cancellation
    /// The process is killed, with its group.
    pub async fn run(self, stop: watch::Receiver<Stop>) -> (Verdict, Printed) {
        let HostAttempt { step, number, launch, signal, grace, limit, log, shared } = self;
        let tell = |kind| shared.events.attempt(&step, number, kind);
        tell(EventKind::StepStarted { job: None, log: log.file.clone() });
        shared.remember(Entry::ProcessIntended { step: step.to_string(), attempt: number }).await;
        let mut sink = LogSink::new(step.clone(), number, shared.clone(), log, 0);
        let (verdict, printed) = match launch.start() {
            Err(error) => (not_started(&error), sink.finish(None, true)),
            Ok(process) => {
                let started = process.identity();
                shared
                    .remember(Entry::ProcessStarted { step: step.to_string(), attempt: number, process: started })
                    .await;
                tell(EventKind::StepState { state: AttemptState::Running, pod: None, suspended: false });
                let (end, stopped) = follow(process, &mut sink, stop, signal, grace, limit).await;
                let verdict = verdict(end, stopped);
                let printed = sink.finish(None, true);
                let verdict = if stopped.is_some() { verdict } else { printed.judged(verdict) };
                (verdict, printed)
            }
        };
        let (step_name, owed) = (step.to_string(), Owed::Nothing);
        let ended = Entry::AttemptEnded { step: step_name, attempt: number, verdict: verdict.clone(), owed };
        shared.remember(ended).await;
        tell(EventKind::StepState { state: AttemptState::Finished, pod: None, suspended: false });
        (verdict, printed)
    }
}

/// Follows the process to its end. Returns also who stopped it, if anybody did.
async fn follow(
    process: Process,
    sink: &mut LogSink,
    mut stop: watch::Receiver<Stop>,
    signal: Signal,
    grace: Duration,
    limit: Option<TimeLimit>,
) -> (End, Option<Cause>) {
    let (chunks, mut printed) = mpsc::channel::<Chunk>(WAITING);
    // Its own limit stops it as well as somebody who stops the run.
    let (pass_on, asked) = watch::channel(Stop::No);
    let reading = async {
        while let Some(Chunk { stream, bytes }) = printed.recv().await {
            sink.push(stream, None, bytes, false).await;
        }
        for stream in [Stream::Output, Stream::Error] {
            sink.end_stream(stream, None).await;
        }
    };
    let following = async {
        let mut end = std::pin::pin!(process.follow(chunks, asked, signal, grace));
        let why = tokio::select! {
            biased;
            end = &mut end => return (end, None),
            why = cause(&mut stop, limit) => why,
        };
        pass_on.send_replace((*stop.borrow()).max(Stop::Gently));
        let end = tokio::select! {
            end = &mut end => end,
            () = super::stopped(&mut stop, Stop::AtOnce) => {
                pass_on.send_replace(Stop::AtOnce);
                end.await
            }
        };
        // It may have ended by itself just before.
        let why = (end.stop > Stop::No || end.exit_code.is_none()).then_some(why);
        (end, why)
    };
    let (ended, ()) = tokio::join!(following, reading);
    ended
}

/// The verdict on a process that cannot be started.
pub(crate) fn not_started(error: &StartError) -> Verdict {
    let mut verdict = Verdict::new(Outcome::failed(None, Reason::StartError), error.to_string());
    verdict.hint = error.help().map(str::to_owned);
    verdict
}

fn verdict(end: End, stopped: Option<Cause>) -> Verdict {
    let mut verdict = match (stopped, end.exit_code) {
        (Some(cause), _) => cause.verdict(),
        (None, Some(0)) => Verdict::new(Outcome::Succeeded, ""),
        (None, Some(code)) => {
            let words = match end.signal {
                Some(signal) => format!("killed by signal {signal}"),
                // The code is shown beside it.
                None => String::new(),
            };
            Verdict::new(Outcome::failed(Some(code), Reason::Exit), words)
        }
        (None, None) => Verdict::new(Outcome::Lost, "nobody saw how the process ended"),
    };
    if end.is_held {
        let note = "something it left in the background held its output open; what that prints later is lost";
        verdict.notes.push(note.to_owned());
    }
    if stopped.is_some() && end.exit_code.is_none() {
        verdict.notes.push("the process could not be killed, and may still run".to_owned());
    }
    verdict
}
