//! The writing side of a log.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use tokio::sync::watch;

use super::{Log, Reach};
use crate::clock::Clock;
use crate::folder;

/// The longest record; what container runtimes use.
const RECORD_LIMIT: usize = 16 * 1024;

/// Stamps with all nine digits, so that their width is fixed.
const STAMPS: DateTimePrinter = DateTimePrinter::new().precision(Some(9));

/// Writes what a container prints.
///
/// Writes block: they go to the page cache of a local disk, a hop to another thread for each would cost more.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    clock: Clock,
    /// The line that has not ended yet, at most [`RECORD_LIMIT`] bytes.
    line: Vec<u8>,
    length: u64,
    reach: watch::Sender<Reach>,
}

impl Writer {
    /// Makes an empty log at `path`.
    pub(crate) fn create(path: PathBuf, clock: Clock) -> io::Result<(Self, Log)> {
        if let Some(parent) = path.parent() {
            folder::make(parent)?;
        }
        let file = File::create(&path)?;
        let reach = watch::Sender::new(Reach::default());
        let log = Log { path, reach: reach.subscribe() };
        Ok((Self { file, clock, line: Vec::new(), length: 0, reach }, log))
    }

    /// Takes over bytes. What has a line end, or fills a record, can be read when this returns.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut records = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let mut text = text;
            while self.line.len().saturating_add(text.len()) > RECORD_LIMIT {
                let (now, later) = text.split_at(RECORD_LIMIT.saturating_sub(self.line.len()).min(text.len()));
                self.line.extend_from_slice(now);
                self.end_record(b'P', &mut records);
                text = later;
            }
            self.line.extend_from_slice(text);
            if ends {
                self.end_record(b'F', &mut records);
            }
        }
        self.append(&records)
    }

    fn end_record(&mut self, tag: u8, records: &mut Vec<u8>) {
        records.extend_from_slice(stamp(self.clock.node_now()).as_bytes());
        records.extend_from_slice(&[b' ', tag, b' ']);
        records.append(&mut self.line);
        records.push(b'\n');
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.file.write_all(records)?;
        self.length = self.length.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        self.reach.send_replace(Reach { length: self.length, is_ended: false });
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            // A last line without its end stays without, as with real runtimes.
            let mut records = Vec::new();
            self.end_record(b'P', &mut records);
            // Nobody is left to tell; the log ends a line early.
            drop(self.append(&records));
        }
        self.reach.send_replace(Reach { length: self.length, is_ended: true });
    }
}

/// A stamp as logs show it: RFC 3339 with nine digits.
pub(super) fn stamp(at: Timestamp) -> String {
    STAMPS.timestamp_to_string(&at)
}
