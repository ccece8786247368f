//! The signals that ask this program to end.

use std::io;
use std::pin::Pin;

use futures_util::Stream;
use tokio::signal::unix::{SignalKind, signal};

use crate::run::Signal;

/// SIGINT, SIGTERM, SIGHUP and SIGQUIT as they come; from the call on they no longer end the process by themselves.
///
/// # Errors
/// When the system does not give them.
pub fn signals() -> io::Result<Pin<Box<dyn Stream<Item = Signal> + Send>>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(Box::pin(futures_util::stream::poll_fn(move |context| {
        let stops = [
            (&mut interrupt, Signal::Interrupt),
            (&mut terminate, Signal::Terminate),
            (&mut hangup, Signal::Terminate),
            (&mut quit, Signal::Detach),
        ];
        for (stream, meaning) in stops {
            if stream.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(Some(meaning));
            }
        }
        std::task::Poll::Pending
    })))
}
