//! Noticing that the machine was asleep: connections are dead then, and nothing on them says so.
//!
//! The clock of the wall goes on during sleep, the one that waits are measured with does not, so that no wait is used up.
//! Somebody who sets the clock looks the same; it costs two lists.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Cluster;

/// The clock of the wall.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// How often is looked: a process that wakes up more often would keep a laptop warm.
const TICK: Duration = Duration::from_secs(5);
/// Shorter sleeps break no connection; clocks that are kept in step by a daemon jump less.
const SLEPT: SignedDuration = SignedDuration::from_secs(20);

/// Tells the cluster each time that the machine was asleep, for as long as it is polled.
pub(super) async fn notice(cluster: Cluster, clock: Clock) {
    let (mut wall, mut awake) = (clock(), Instant::now());
    let mut generation = cluster.inner.connection.generation();
    loop {
        tokio::time::sleep(TICK).await;
        let (now, waited) = (clock(), awake.elapsed());
        let slept = now.duration_since(wall) - SignedDuration::try_from(waited).unwrap_or(SignedDuration::MAX);
        (wall, awake) = (now, Instant::now());
        if slept > SLEPT {
            cluster.wake(generation).await;
        }
        generation = cluster.inner.connection.generation();
    }
}
