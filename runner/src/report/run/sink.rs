//! A stream that may end early: a reader that goes away ends the output, and nothing else.

use std::fmt;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use anstream::adapter::strip_str;

/// How long is waited until a stream that does not block is tried again. A terminal that a program before us left in
/// that state refuses what it cannot take at once; 10 ms are not seen.
const FULL: Duration = Duration::from_millis(10);

/// A stream that is written to.
pub struct Sink {
    writer: Box<dyn Write + Send>,
    terminal: bool,
    color: bool,
    open: bool,
    failed: Option<io::Error>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sink")
            .field("terminal", &self.terminal)
            .field("color", &self.color)
            .field("open", &self.open)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Sink {
    /// A stream. `terminal`: whether control characters would be obeyed at its end. `color`: whether it has colours.
    pub fn new(writer: Box<dyn Write + Send>, terminal: bool, color: bool) -> Sink {
        Sink { writer, terminal, color, open: true, failed: None }
    }

    /// Whether control characters would be obeyed at its end.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Text with colours as this stream wants it.
    pub(super) fn coloured(&self, text: String) -> String {
        if self.color { text } else { strip_str(&text).to_string() }
    }

    /// Writes text with colours; where the stream wants none they are taken out.
    pub(super) fn text(&mut self, text: String) {
        let text = self.coloured(text);
        self.bytes(text.as_bytes());
    }

    /// Writes bytes as they are. After a failure nothing is written any more.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if !self.open || bytes.is_empty() {
            return;
        }
        if let Err(error) = write_all(&mut self.writer, bytes) {
            self.open = false;
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.failed = Some(error);
            }
        }
    }

    /// Whether everything was written, or its reader went away.
    pub(super) fn end(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}

fn write_all(writer: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => wait(error)?,
        }
    }
    loop {
        match writer.flush() {
            Ok(()) => return Ok(()),
            Err(error) => wait(error)?,
        }
    }
}

/// Waits where trying again helps, else gives the error back.
fn wait(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => {
            thread::sleep(FULL);
            Ok(())
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Answers each write with the next of a list, then takes everything.
    struct Scripted {
        answers: Vec<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = match self.answers.pop() {
                Some(answer) => answer?,
                None => bytes.len(),
            };
            self.taken.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(answers: Vec<io::Result<usize>>) -> (String, io::Result<()>) {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let mut sink = Sink::new(Box::new(Scripted { answers, taken: taken.clone() }), false, false);
        sink.bytes(b"one ");
        sink.text("\x1b[31mtwo\x1b[0m".to_owned());
        let end = sink.end();
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        (taken, end)
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_output_without_a_failure() {
        let (taken, end) = written(vec![Err(io::ErrorKind::BrokenPipe.into())]);
        assert_eq!(taken, "");
        assert!(end.is_ok());
    }

    #[test]
    fn a_full_disk_ends_the_output_and_is_told_at_the_end() {
        let (taken, end) = written(vec![Err(io::ErrorKind::StorageFull.into()), Ok(2)]);
        assert_eq!(taken, "on");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_stream_that_is_full_or_interrupted_is_tried_again() {
        let answers = vec![Err(io::ErrorKind::WouldBlock.into()), Ok(1), Err(io::ErrorKind::Interrupted.into())];
        let (taken, end) = written(answers);
        assert_eq!(taken, "one two");
        assert!(end.is_ok());
    }
}
