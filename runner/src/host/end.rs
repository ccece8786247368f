//! Following a program to its end: its output, its stop, its exit code.
//!
//! ```text
//! running ──end──► leaving ──pipes closed, or 5 s──► ended
//!    │                ▲
//!   stop ─► stopping ─┤ end
//!              │ time over, or stop at once
//!              ▼      │
//!            killed ──┘ end, or 5 s
//! ```

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use process_group::{Signal, ended};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Chunk, Process, Stream};
use crate::step::Stop;

/// How long is waited for the pipes of a program that has ended: something that it started in the background may hold
/// them for ever.
pub const AFTER_END: Duration = Duration::from_secs(5);

/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;
/// Bytes that a pipe holds at most on Linux without special rights (`/proc/sys/fs/pipe-max-size`).
const LARGEST_PIPE: usize = 1024 * 1024;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its code; 128 + n when signal n ended it. None: nobody saw it end, as of a program that cannot be killed.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How far its stop had come when it ended; [`Stop::No`]: it ended by itself.
    pub stop: Stop,
    /// Something that it started still held a pipe, 5 s after the end: what that prints later is lost.
    pub is_held: bool,
}

/// How a program is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopping {
    signal: Signal,
    /// Between the signal and SIGKILL.
    grace: Duration,
    /// After SIGKILL, and for the pipes.
    after_end: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The signal was sent; SIGKILL follows.
    Stopping {
        until: Instant,
    },
    Killed {
        until: Instant,
    },
}

impl Process {
    /// Follows the program to its end. `stop` becomes `signal` to its group, and SIGKILL `grace` later, or at once.
    /// What it prints goes to `chunks`; a slow reader slows the program and nothing else, one that has gone away does not.
    ///
    /// What runs in the background when the program ends by itself is left alone; after a stop nothing of the group is.
    ///
    /// # Cancellation
    /// The group is killed.
    pub async fn follow(
        self,
        chunks: mpsc::Sender<Chunk>,
        stop: watch::Receiver<Stop>,
        signal: Signal,
        grace: Duration,
    ) -> End {
        self.follow_with(chunks, stop, Stopping { signal, grace, after_end: AFTER_END }).await
    }

    async fn follow_with(self, chunks: mpsc::Sender<Chunk>, mut stop: watch::Receiver<Stop>, how: Stopping) -> End {
        // The group stands last: it is dropped, and killed, before the child gives its number away.
        let Process { mut child, output, error, _program, group } = self;
        let leave = CancellationToken::new();
        let mut phase = Phase::Running;
        let mut end: Option<Instant> = None;
        let mut asked = Stop::No;
        let mut was_held = false;
        let (has_ended, is_open) = {
            let mut exit = pin!(ended(&mut child));
            let mut reading = pin!(pass_on(Pipes { output: Some(output), error }, chunks, leave.clone()));
            let mut is_open = true;
            loop {
                if end.is_some() && !is_open {
                    break (true, false);
                }
                tokio::select! {
                    () = &mut exit, if end.is_none() => {
                        end = Some(Instant::now());
                        asked = stop_of(phase);
                    }
                    () = &mut reading, if is_open => is_open = false,
                    wish = wish(&mut stop, phase) => {
                        let now = Instant::now();
                        phase = match wish {
                            Stop::AtOnce => {
                                group.signal(Signal::KILL);
                                Phase::Killed { until: after(now, how.after_end) }
                            }
                            Stop::No | Stop::RunTimeout | Stop::Gently => {
                                group.signal(how.signal);
                                Phase::Stopping { until: after(now, how.grace) }
                            }
                        };
                        if end.is_some() && wish == Stop::AtOnce {
                            break (true, is_open);
                        }
                    }
                    () = over(phase) => match phase {
                        Phase::Stopping { .. } => {
                            group.signal(Signal::KILL);
                            phase = Phase::Killed { until: after(Instant::now(), how.after_end) };
                        }
                        Phase::Running | Phase::Killed { .. } => break (end.is_some(), is_open),
                    },
                    // What lies in the pipes by now is still read.
                    () = past(end, how.after_end), if is_open && !leave.is_cancelled() => {
                        was_held = true;
                        leave.cancel();
                    }
                }
            }
        };
        // It is still in the process table, so that the number of the group is its own.
        if phase == Phase::Running {
            group.release()
        } else {
            group.kill()
        }
        let is_held = is_open || was_held;
        if !has_ended {
            return End { exit_code: None, signal: None, stop: stop_of(phase), is_held };
        }
        let status = child.wait().await;
        let (exit_code, signal) = status.map_or((None, None), codes);
        End { exit_code, signal, stop: asked, is_held }
    }
}

fn stop_of(phase: Phase) -> Stop {
    match phase {
        Phase::Running => Stop::No,
        Phase::Stopping { .. } => Stop::Gently,
        Phase::Killed { .. } => Stop::AtOnce,
    }
}

fn codes(status: ExitStatus) -> (Option<i32>, Option<i32>) {
    let signal = status.signal();
    (status.code().or(signal.map(|number| number.saturating_add(128))), signal)
}

/// Comes when the program shall be stopped further than it is; never when nobody asks any more.
async fn wish(stop: &mut watch::Receiver<Stop>, phase: Phase) -> Stop {
    let reached = stop_of(phase);
    let wish = stop.wait_for(|wish| *wish > reached).await.map(|wish| *wish);
    match wish {
        Ok(wish) => wish,
        Err(_) => std::future::pending().await,
    }
}

/// So much later. A file may name any number of seconds; no clock goes that far.
fn after(start: Instant, time: Duration) -> Instant {
    /// A year.
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    start.checked_add(time.min(LONGEST)).unwrap_or(start)
}

/// Comes when the time of a phase is over.
async fn over(phase: Phase) {
    match phase {
        Phase::Running => std::future::pending().await,
        Phase::Stopping { until } | Phase::Killed { until } => sleep_until(until).await,
    }
}

async fn past(end: Option<Instant>, time: Duration) {
    match end {
        None => std::future::pending().await,
        Some(end) => sleep_until(after(end, time)).await,
    }
}

/// The reading ends of what a program prints to; none: closed.
struct Pipes {
    output: Option<pipe::Receiver>,
    error: Option<pipe::Receiver>,
}

/// Hands on what comes until all pipes are closed; once it is to leave, until nothing more lies in them.
async fn pass_on(mut pipes: Pipes, chunks: mpsc::Sender<Chunk>, leave: CancellationToken) {
    let mut block = vec![0; BLOCK];
    let mut rest = LARGEST_PIPE.saturating_mul(2);
    loop {
        // First the place, then the piece: what is not read yet slows the program. Without a reader it is thrown away.
        let place = chunks.reserve().await.ok();
        let chunk = if leave.is_cancelled() {
            pipes.lying(&mut block)
        } else {
            tokio::select! {
                chunk = pipes.next(&mut block) => chunk,
                () = leave.cancelled() => continue,
            }
        };
        let Some(chunk) = chunk else { return };
        if leave.is_cancelled() {
            rest = rest.saturating_sub(chunk.bytes.len());
            if rest == 0 {
                return;
            }
        }
        if let Some(place) = place {
            place.send(chunk);
        }
    }
}

impl Pipes {
    /// The next piece of either; none: both are closed.
    async fn next(&mut self, block: &mut [u8]) -> Option<Chunk> {
        loop {
            let stream = tokio::select! {
                Some(()) = readable(self.output.as_ref()) => Stream::Output,
                Some(()) = readable(self.error.as_ref()) => Stream::Error,
                else => return None,
            };
            if let Some(chunk) = self.read(stream, block) {
                return Some(chunk);
            }
        }
    }

    /// What lies in either; none: nothing.
    fn lying(&mut self, block: &mut [u8]) -> Option<Chunk> {
        [Stream::Output, Stream::Error].into_iter().find_map(|stream| self.read(stream, block))
    }

    /// A piece of one, if there is any. One that has ended is closed.
    fn read(&mut self, stream: Stream, block: &mut [u8]) -> Option<Chunk> {
        let place = match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        };
        match place.as_ref()?.try_read(block) {
            Ok(0) => *place = None,
            Ok(count) => {
                let bytes = Bytes::copy_from_slice(block.get(..count).unwrap_or_default());
                return Some(Chunk { stream, bytes });
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => *place = None,
        }
        None
    }
}

/// Comes when there is something to read, or the end; with none when there is no pipe.
async fn readable(pipe: Option<&pipe::Receiver>) -> Option<()> {
    // An error shows itself when it is read.
    drop(pipe?.readable().await);
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Process {
        /// As [`Process::follow`], with another limit in place of 5 s.
        pub(in crate::host) async fn follow_within(
            self,
            chunks: mpsc::Sender<Chunk>,
            stop: watch::Receiver<Stop>,
            grace: Duration,
            after_end: Duration,
        ) -> End {
            self.follow_with(chunks, stop, Stopping { signal: Signal::TERM, grace, after_end }).await
        }
    }

    #[test]
    fn a_signal_is_a_code_above_128() {
        assert_eq!(codes(ExitStatus::from_raw(3 << 8)), (Some(3), None));
        assert_eq!(codes(ExitStatus::from_raw(15)), (Some(143), Some(15)));
    }
}
