//! Who ends an attempt before its own end, and what the verdict is then.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::at;
use crate::outcome::{Outcome, Reason, Verdict};

/// Whether attempts shall stop. It only ever gets graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// They run.
    No,
    /// The run's time limit has passed: Jobs are deleted, pods end by themselves.
    RunTimeout,
    /// Somebody stops the run: the same.
    Gently,
    /// Pods are killed, nothing is waited for.
    AtOnce,
}

/// The time limit of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    limit: Duration,
    /// None: no clock goes that far.
    end: Option<Instant>,
}

impl TimeLimit {
    /// From now on; `spent`: what an earlier process has used of it.
    pub fn new(limit: Duration, spent: Duration) -> TimeLimit {
        TimeLimit { limit, end: Instant::now().checked_add(limit.saturating_sub(spent)) }
    }
}

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its own time limit has passed.
    Timeout(Duration),
    /// That of the run has.
    RunTimeout,
    /// Somebody stops the run.
    Cancelled,
}

impl Cause {
    /// Of a stop that is in force.
    pub(super) fn of(stop: Stop) -> Cause {
        match stop {
            Stop::RunTimeout => Cause::RunTimeout,
            Stop::No | Stop::Gently | Stop::AtOnce => Cause::Cancelled,
        }
    }

    pub(super) fn verdict(self) -> Verdict {
        match self {
            Cause::Timeout(limit) => {
                Verdict::new(Outcome::TimedOut, format!("its time limit of {} s has passed", limit.as_secs()))
            }
            Cause::RunTimeout => {
                let outcome = Outcome::Cancelled { reason: Reason::RunTimeout };
                Verdict::new(outcome, "the time limit of the run has passed")
            }
            Cause::Cancelled => Verdict::new(Outcome::Cancelled { reason: Reason::Cancelled }, "the run was cancelled"),
        }
    }
}

/// The verdict on a step that a stop keeps from its next attempt.
pub(crate) fn stopped_verdict(stop: Stop) -> Verdict {
    Cause::of(stop).verdict()
}

/// Comes when an attempt shall stop.
pub(super) async fn cause(stop: &mut watch::Receiver<Stop>, limit: Option<TimeLimit>) -> Cause {
    let over = async {
        at(limit.and_then(|limit| limit.end)).await;
        limit.map(|limit| limit.limit).unwrap_or_default()
    };
    tokio::select! {
        biased;
        () = stopped(stop, Stop::RunTimeout) => Cause::of(*stop.borrow()),
        limit = over => Cause::Timeout(limit),
    }
}

/// Comes when attempts shall stop, at least so gravely.
pub(crate) async fn stopped(stop: &mut watch::Receiver<Stop>, gravely: Stop) {
    // A sender that is gone stops nothing.
    if stop.wait_for(|stop| *stop >= gravely).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_who_asks_is_named() {
        let (ask, mut stop) = watch::channel(Stop::No);
        // An earlier process has used more than all of it.
        let limit = TimeLimit::new(Duration::from_secs(5), Duration::from_secs(7));
        assert_eq!(cause(&mut stop, Some(limit)).await, Cause::Timeout(Duration::from_secs(5)));
        ask.send(Stop::RunTimeout).unwrap();
        assert_eq!(cause(&mut stop, Some(limit)).await, Cause::RunTimeout);
        ask.send(Stop::AtOnce).unwrap();
        assert_eq!(cause(&mut stop, None).await, Cause::Cancelled);
        let never = TimeLimit::new(Duration::MAX, Duration::ZERO);
        assert_eq!(never.end, None);
    }
}
