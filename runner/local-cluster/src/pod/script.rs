//! Containers of tests: a script in place of a process, driven by the cluster's clock alone.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use super::Desired;
use super::container::{Context, Ending, Update};
use super::disruption::{Disruption, disrupt};
use super::worker::never_ran;
use crate::clock::Clock;
use crate::log::{Log, Writer};

/// What a container of a test does, step by step. It ends with code 0 after the last, unless a step ends it.
#[derive(Clone, Debug, Default)]
pub struct Script {
    steps: Vec<Step>,
    ignores_stop: bool,
    stop_code: Option<i32>,
}

#[derive(Clone, Debug)]
enum Step {
    Waiting { reason: String, message: String, lasting: Option<Duration> },
    Print(Bytes),
    Sleep(Duration),
    Forever,
    Warn { reason: String, message: String },
    Disrupted(Disruption),
    End { exit_code: i32, reason: &'static str, message: Option<String> },
}

impl Step {
    /// Whether the container has to run for it.
    fn runs(&self) -> bool {
        match self {
            Self::Waiting { .. } | Self::Warn { .. } | Self::Disrupted(_) => false,
            Self::End { reason, .. } => !never_ran(reason),
            Self::Print(_) | Self::Sleep(_) | Self::Forever => true,
        }
    }
}

impl Script {
    /// A container that ends with code 0 at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Before it runs: it waits with this reason and message, for so long or for ever.
    #[must_use]
    pub fn waiting(self, reason: &str, message: &str, lasting: Option<Duration>) -> Self {
        self.then(Step::Waiting { reason: reason.to_owned(), message: message.to_owned(), lasting })
    }

    /// An Event about the pod says this, for example `FailedMount`.
    #[must_use]
    pub fn warn(self, reason: &str, message: &str) -> Self {
        self.then(Step::Warn { reason: reason.to_owned(), message: message.to_owned() })
    }

    /// This happens to the pod; the script goes on until it is stopped.
    #[must_use]
    pub fn disrupted(self, how: Disruption) -> Self {
        self.then(Step::Disrupted(how))
    }

    /// Prints these bytes.
    #[must_use]
    pub fn print(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Print(bytes.into()))
    }

    /// Does nothing for so long.
    #[must_use]
    pub fn sleep(self, time: Duration) -> Self {
        self.then(Step::Sleep(time))
    }

    /// Runs until it is stopped.
    #[must_use]
    pub fn forever(self) -> Self {
        self.then(Step::Forever)
    }

    /// Ends with this code.
    #[must_use]
    pub fn exit(self, exit_code: i32) -> Self {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        self.then(Step::End { exit_code, reason, message: None })
    }

    /// Is killed by this signal.
    #[must_use]
    pub fn signal(self, number: i32) -> Self {
        self.exit(number.saturating_add(128))
    }

    /// Is killed for want of memory, and ends with this code (137 in most cases).
    #[must_use]
    pub fn out_of_memory(self, exit_code: i32) -> Self {
        self.then(Step::End { exit_code, reason: "OOMKilled", message: None })
    }

    /// Ends with any code, reason and message, for example 128, `StartError` and the runtime's words.
    #[must_use]
    pub fn terminated(self, exit_code: i32, reason: &'static str, message: &str) -> Self {
        let message = (!message.is_empty()).then(|| message.to_owned());
        self.then(Step::End { exit_code, reason, message })
    }

    /// Does not end when asked to; it is killed at the end of its grace period (137).
    #[must_use]
    pub fn ignoring_stop(mut self) -> Self {
        self.ignores_stop = true;
        self
    }

    /// Ends with this code, not 143, when asked to stop.
    #[must_use]
    pub fn stopping_with(mut self, exit_code: i32) -> Self {
        self.stop_code = Some(exit_code);
        self
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Plays a script; `None` when it was to stop before it ran.
pub(super) async fn run(
    context: &Context,
    script: Script,
    mut log: Writer,
    reader: Log,
    desired: &mut watch::Receiver<Desired>,
) -> Option<(Timestamp, Ending)> {
    let clock = context.shared.clock.clone();
    let mut reader = Some(reader);
    let mut started = None;
    let stop_code = script.stop_code.unwrap_or(143);
    for step in script.steps {
        if step.runs()
            && let Some(reader) = reader.take()
        {
            context.shared.logs.add(&context.uid, &context.container.name, reader);
            started = Some(context.now());
            context.send(Update::Running { since: context.now() }).await;
        }
        let lasting = match step {
            Step::Print(bytes) => {
                // A full disk loses lines of a test; the test will say so.
                drop(log.write(&bytes));
                continue;
            }
            Step::Warn { reason, message } => {
                context.send(Update::Warning { reason, message }).await;
                continue;
            }
            Step::Disrupted(how) => {
                // A pod that is gone cannot be disrupted any more.
                drop(disrupt(&context.shared, &context.key, how));
                continue;
            }
            Step::End { exit_code, reason, message } => {
                let started = started.unwrap_or(Timestamp::UNIX_EPOCH);
                return Some((started, Ending { exit_code, reason, message }));
            }
            Step::Waiting { reason, message, lasting } => {
                context.send(Update::Waiting { reason, message }).await;
                lasting
            }
            Step::Sleep(time) => Some(time),
            Step::Forever => None,
        };
        let pause = async {
            match lasting {
                Some(time) => clock.sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            () = stop(desired) => {
                let started = started?;
                if !script.ignores_stop {
                    return Some((started, Ending::of_code(stop_code)));
                }
                kill(&clock, desired).await;
                return Some((started, Ending::of_code(137)));
            }
        }
    }
    let started = match reader {
        None => started?,
        Some(reader) => {
            context.shared.logs.add(&context.uid, &context.container.name, reader);
            let now = context.now();
            context.send(Update::Running { since: now }).await;
            now
        }
    };
    Some((started, Ending::of_code(0)))
}

/// Returns when the container is to stop.
pub(super) async fn stop(desired: &mut watch::Receiver<Desired>) {
    // Without a sender nobody wants it any more.
    drop(desired.wait_for(|desired| *desired != Desired::Run).await);
}

/// Returns at the end of the grace period, which may be shortened meanwhile.
pub(super) async fn kill(clock: &Clock, desired: &mut watch::Receiver<Desired>) {
    loop {
        let Desired::Stop(deadline) = *desired.borrow_and_update() else { return };
        tokio::select! {
            () = clock.sleep_until(deadline) => return,
            changed = desired.changed() => if changed.is_err() { return },
        }
    }
}
