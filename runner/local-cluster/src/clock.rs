//! The cluster's clock: every stamp it writes and every wait of its controllers comes from here.
//!
//! Waits are tokio timers, so a test that pauses tokio's time drives a virtual clock; a scaled clock lets real processes
//! meet a back-off of ten seconds in milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The time of the cluster. Clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// What the node's clock is ahead (or, negative, behind) of the API server's, in milliseconds.
    node_offset_ms: Arc<AtomicI64>,
}

#[derive(Clone, Debug)]
enum Source {
    /// The machine's clock.
    System,
    /// Starts at `anchor` and follows tokio's time, `speed` times as fast.
    Virtual { anchor: Timestamp, start: Instant, speed: f64 },
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self::with(Source::System)
    }

    /// A clock that shows `anchor` now and then follows tokio's time, also a paused one.
    #[must_use]
    pub fn starting_at(anchor: Timestamp) -> Self {
        Self::with(Source::Virtual { anchor, start: Instant::now(), speed: 1.0 })
    }

    /// A clock that starts with the machine's time and runs `speed` times as fast: with 100, ten seconds of the cluster
    /// last a tenth of a second. A speed that is no positive number counts as 1.
    #[must_use]
    pub fn scaled(speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self::with(Source::Virtual { anchor: Timestamp::now(), start: Instant::now(), speed })
    }

    fn with(source: Source) -> Self {
        Self { source, node_offset_ms: Arc::new(AtomicI64::new(0)) }
    }

    /// The API server's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::now(),
            Source::Virtual { anchor, start, speed } => {
                later(*anchor, start.elapsed().mul_f64(*speed)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The node's time: stamps of log lines and of containers. The API server's, unless [`Clock::offset_node`] said otherwise.
    #[must_use]
    pub fn node_now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.node_offset_ms.load(Ordering::Relaxed));
        let now = self.now();
        now.checked_add(offset).unwrap_or(now)
    }

    /// Puts the node's clock ahead of the API server's by `offset` from now on; a negative one puts it behind.
    pub fn offset_node(&self, offset: SignedDuration) {
        let millis =
            i64::try_from(offset.as_millis()).unwrap_or(if offset.is_negative() { i64::MIN } else { i64::MAX });
        self.node_offset_ms.store(millis, Ordering::Relaxed);
    }

    /// Waits until `duration` of this clock has passed.
    pub async fn sleep(&self, duration: Duration) {
        // Beyond what a stamp can hold there is nothing to wait for.
        match later(self.now(), duration) {
            Some(then) => self.sleep_until(then).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until this clock shows `then`.
    pub async fn sleep_until(&self, then: Timestamp) {
        // In a loop: a timer of the machine may fire early by a fraction, and the machine's clock may have been set.
        loop {
            let left = until(self.now(), then);
            if left.is_zero() {
                return;
            }
            let real = match &self.source {
                Source::System => left,
                Source::Virtual { speed, .. } => {
                    Duration::try_from_secs_f64(left.as_secs_f64() / speed).unwrap_or(left)
                }
            };
            // tokio's timers have a resolution of one millisecond.
            tokio::time::sleep(real.max(Duration::from_millis(1))).await;
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

/// `stamp` plus `duration`; `None` beyond the year 9999.
pub(crate) fn later(stamp: Timestamp, duration: Duration) -> Option<Timestamp> {
    stamp.checked_add(SignedDuration::try_from(duration).ok()?).ok()
}

/// The time from `now` until `then`, zero when it has passed.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// The stamp as object metadata holds it: whole seconds.
pub(crate) fn seconds(stamp: Timestamp) -> String {
    Timestamp::from_second(stamp.as_second()).unwrap_or(stamp).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_follows_the_paused_time_of_tokio() {
        let anchor: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(anchor);
        clock.sleep(Duration::from_secs(4 * 3600)).await;
        assert_eq!(seconds(clock.now()), "2026-01-01T04:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_scaled_clock_is_that_much_faster() {
        let clock = Clock::scaled(100.0);
        let start = Instant::now();
        clock.sleep(Duration::from_secs(10)).await;
        assert!(start.elapsed() < Duration::from_millis(110), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_node_may_disagree_with_the_server() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        clock.offset_node(SignedDuration::from_secs(-30));
        assert_eq!(seconds(clock.node_now()), "2025-12-31T23:59:30Z");
        assert_eq!(seconds(clock.now()), "2026-01-01T00:00:00Z");
    }
}
