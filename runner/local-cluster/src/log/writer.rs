//! The writing side of a log.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

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
    path: PathBuf,
    /// How many files there were before this one.
    number: u64,
    length: u64,
    /// A file does not grow beyond it, unless by its first record.
    limit: u64,
    reach: watch::Sender<Reach>,
}

impl Writer {
    /// Makes an empty log at `path`, with a limit for the size of each of its files.
    pub(crate) fn create(path: PathBuf, clock: Clock, limit: Option<u64>) -> io::Result<(Self, Log)> {
        if let Some(parent) = path.parent() {
            folder::make(parent)?;
        }
        let file = File::create(&path)?;
        let reach = watch::Sender::new(Reach::default());
        let log = Log { path: path.clone(), reach: reach.subscribe(), lost: CancellationToken::new() };
        let limit = limit.unwrap_or(u64::MAX);
        Ok((Self { file, clock, line: Vec::new(), path, number: 0, length: 0, limit, reach }, log))
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

    fn append(&mut self, mut records: &[u8]) -> io::Result<()> {
        while !records.is_empty() {
            let (now, later) = records.split_at(self.fitting(records));
            if now.is_empty() {
                self.rotate()?;
                continue;
            }
            self.file.write_all(now)?;
            self.length = self.length.saturating_add(u64::try_from(now.len()).unwrap_or(u64::MAX));
            self.announce(false);
            records = later;
        }
        Ok(())
    }

    /// How many bytes of these records still go into the file; at least one record into an empty one.
    fn fitting(&self, records: &[u8]) -> usize {
        let left = usize::try_from(self.limit.saturating_sub(self.length)).unwrap_or(usize::MAX);
        if records.len() <= left {
            return records.len();
        }
        let mut ends = records.split_inclusive(|byte| *byte == b'\n').scan(0_usize, |end, record| {
            *end = end.saturating_add(record.len());
            Some(*end)
        });
        let first = if self.length == 0 { ends.next().unwrap_or_default() } else { 0 };
        ends.take_while(|end| *end <= left).last().unwrap_or(first)
    }

    /// Begins the next file. Who reads the one before reads it to its end.
    fn rotate(&mut self) -> io::Result<()> {
        let next = self.number.saturating_add(1);
        self.file = File::create(super::file(&self.path, next))?;
        let before = super::file(&self.path, self.number);
        (self.number, self.length) = (next, 0);
        self.announce(false);
        fs::remove_file(before)
    }

    fn announce(&self, is_ended: bool) {
        self.reach.send_replace(Reach { file: self.number, length: self.length, is_ended });
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
        self.announce(true);
    }
}

/// A stamp as logs show it: RFC 3339 with nine digits.
pub(super) fn stamp(at: Timestamp) -> String {
    STAMPS.timestamp_to_string(&at)
}
