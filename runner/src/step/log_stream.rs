//! A container's log as the Kubernetes API sends it: stamps off, lines whole, no line lost or doubled at a cut.
//!
//! In go the bytes of one connection after the other, out come [`Piece`]s. A line is passed on when it is whole, so that a
//! cut inside it costs nothing: the next answer brings it again from its beginning. That answer starts at a whole second,
//! with lines passed on before; the last of them is searched, and what stands behind it is new. Order of arrival
//! counts, never the greatest stamp: a node's clock may step back. Nothing here reads, waits or knows the time.

use std::mem;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

mod kubelet;
mod past;
mod piece;
mod position;
mod search;
mod stamp;
#[cfg(test)]
mod tests;

pub use piece::Piece;
pub use position::Position;
pub use stamp::{Stamp, StampError};

use kubelet::is_unavailable;
use past::Past;
use piece::Batch;
use search::{Finding, Search};

/// The longest line, stamp included, that is passed on whole. 1 MiB: what a stream may hold in memory.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// The allocation kept from line to line for those that lie across chunks: container runtimes' longest part, twice.
const KEPT: usize = 32 * 1024;

/// Reads the log of one container, over all its connections. Holds about [`LINE_LIMIT`] bytes at most; twice that when a
/// connection was cut inside a line of that length.
#[derive(Debug)]
pub struct LogReader {
    position: Position,
    phase: Phase,
    /// The line that has not ended yet, with its stamp, at most [`LINE_LIMIT`].
    unfinished: BytesMut,
    /// The line in which an earlier connection was cut, until it came again.
    cut: BytesMut,
    /// Inside a line that is too long to be kept.
    long: Option<Long>,
    past: Past,
    /// Whether lines may be lost where the last one is not found.
    may_have_lost: bool,
}

#[derive(Debug)]
enum Phase {
    /// The answer has not come to the last line.
    Searching(Search),
    /// Lines are new.
    Reading {
        /// But for so many without a stamp, which came behind the last line before and come again.
        unstamped: u64,
    },
}

#[derive(Debug)]
enum Long {
    /// Its text goes on, without the next `skip` bytes, passed on before.
    Pass { skip: u64 },
    /// As [`Long::Pass`], but it has no stamp: no resume can find a place in it.
    PassUnstamped,
    /// It was passed on before.
    Drop,
}

impl LogReader {
    /// Reads from the beginning.
    pub fn new() -> Self {
        Self::resume(Position::default())
    }

    /// Reads on behind a position, of this process or an earlier one.
    pub fn resume(position: Position) -> Self {
        let phase = Phase::beginning(&position);
        let (unfinished, cut, past) = (BytesMut::new(), BytesMut::new(), Past::default());
        Self { position, phase, unfinished, cut, long: None, past, may_have_lost: true }
    }

    /// Where reading stands: behind all that was given out.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether the last line has not been found in the answer yet. While it lasts, [`Self::give_up`] has a meaning.
    pub fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching(_))
    }

    /// Begins a connection. Returns its `sinceTime`, a whole second; `None`: from the beginning.
    ///
    /// It is earlier than the last line, by as much as costs little: lines that a clock stepping back during the cut stamped
    /// before it would be left out by the server.
    #[must_use = "an answer from elsewhere would be a gap"]
    pub fn connect(&mut self) -> Option<Timestamp> {
        self.keep_cut();
        self.unfinished.clear();
        self.long = None;
        self.phase = Phase::beginning(&self.position);
        self.may_have_lost = true;
        let last = self.position.stamp().and_then(Stamp::second)?;
        Some(self.past.earliest().map_or(last, |earliest| earliest.min(last)))
    }

    /// The connection before ended cleanly, and so shortly ago that the log was rotated once at most: the server had read
    /// the file to its end. If the last line is not found in this answer nothing is lost: it is in that file.
    pub fn follows_at_once(&mut self) {
        self.may_have_lost = false;
        if let Phase::Searching(search) = &mut self.phase {
            search.keep_all();
        }
    }

    /// Takes the next bytes of the connection, cut anywhere.
    pub fn receive(&mut self, bytes: Bytes, out: &mut Vec<Piece>) {
        let mut batch = Batch::new(bytes.len().saturating_add(self.unfinished.len()), out);
        let mut from = 0_usize;
        while let Some(rest @ [_, ..]) = bytes.get(from..) {
            let end = memchr::memchr(b'\n', rest);
            let length = end.map_or(rest.len(), |end| end.saturating_add(1));
            let line = rest.get(..length).unwrap_or_default();
            // What the line may still have, its line end not counted.
            let room = LINE_LIMIT.saturating_sub(self.unfinished.len());
            let fits = end.unwrap_or(length) <= room;
            if self.long.is_some() {
                self.go_on(bytes.slice(from..from.saturating_add(length)), batch.out);
            } else if !fits {
                let (beginning, _) = line.split_at_checked(room).unwrap_or((line, &[]));
                self.unfinished.extend_from_slice(beginning);
                self.begin_long(&mut batch);
                from = from.saturating_add(room);
                continue;
            } else if end.is_some() && self.unfinished.is_empty() {
                self.take_line(line, &mut batch);
            } else {
                self.unfinished.extend_from_slice(line);
                if end.is_some() {
                    self.take_unfinished(&mut batch);
                }
            }
            from = from.saturating_add(length);
        }
        batch.flush(&mut self.position);
        self.past.note(self.position.stamp(), bytes.len());
    }

    /// The last line will not come any more: what has a later stamp is passed on, behind a gap. For the caller, who has a
    /// clock. Only after a step back of the node's clock does anything wait for this; else the first line that is new
    /// proves the gap. Without effect unless [`Self::is_searching`].
    pub fn give_up(&mut self, out: &mut Vec<Piece>) {
        let mut batch = Batch::new(0, out);
        if let Phase::Searching(search) = &mut self.phase
            && search.give_up()
        {
            self.pass_gap(None, &mut batch);
        }
        batch.flush(&mut self.position);
    }

    /// The connection ended, cleanly or not. An unfinished line stays: it comes again, or [`Self::finish`] passes it on.
    pub fn disconnect(&mut self, out: &mut Vec<Piece>) {
        let line = &self.unfinished;
        if line.is_empty() || Stamp::may_begin(line) || Stamp::take_off(line, None).is_some() {
            return;
        }
        // Words of the kubelet itself, which end an answer without a line end and do not come again.
        let mut batch = Batch::new(line.len(), out);
        if !self.is_searching() && !is_unavailable(line) {
            self.unfinished.extend_from_slice(b"\n");
        }
        self.take_unfinished(&mut batch);
        batch.flush(&mut self.position);
    }

    /// The log is over, and the last answer was read to its end: an unfinished line is whole, and a last line that was
    /// not found is a gap.
    pub fn finish(&mut self, out: &mut Vec<Piece>) {
        self.end(out);
        if let (Phase::Searching(_), Some(last), true) = (&self.phase, self.position.stamp(), self.may_have_lost) {
            out.push(Piece::Gap { last: *last, next: None });
        }
        self.phase = Phase::Reading { unstamped: 0 };
    }

    /// The log is over for us, and the last answer was not read to its end: what came is kept. That something may be
    /// missing is for the caller to say.
    pub fn abandon(&mut self, out: &mut Vec<Piece>) {
        self.end(out);
        self.phase = Phase::Reading { unstamped: 0 };
    }

    fn end(&mut self, out: &mut Vec<Piece>) {
        let mut batch = Batch::new(0, out);
        self.keep_cut();
        if self.is_searching() {
            self.take_unfinished(&mut batch);
        }
        if let Phase::Searching(search) = &self.phase
            && search.holds_lines()
        {
            self.pass_gap(None, &mut batch);
        }
        let cut = mem::take(&mut self.cut);
        if let Some((stamp, text)) = Stamp::take_off(&cut, None) {
            self.pass(stamp, text, &mut batch);
        }
        self.take_unfinished(&mut batch);
        batch.flush(&mut self.position);
    }

    /// Keeps a new line that has not ended, unless more of it was kept at an earlier cut.
    fn keep_cut(&mut self) {
        if self.is_searching() {
            return;
        }
        if self.cut.starts_with(&self.unfinished) {
            self.unfinished.clear();
        } else if Stamp::take_off(&self.unfinished, None).is_some() {
            mem::swap(&mut self.cut, &mut self.unfinished);
            self.unfinished.clear();
        }
    }

    fn take_unfinished(&mut self, batch: &mut Batch<'_>) {
        let mut line = mem::take(&mut self.unfinished);
        self.take_line(&line, batch);
        if line.capacity() <= KEPT {
            line.clear();
            self.unfinished = line;
        }
    }

    /// Takes a line with its line end, or what there is of the last one.
    fn take_line(&mut self, line: &[u8], batch: &mut Batch<'_>) {
        let Some((stamp, text)) = Stamp::take_off(line, self.position.stamp()) else {
            return self.take_unstamped(line, batch);
        };
        if let Phase::Searching(search) = &mut self.phase {
            match search.look(stamp, text, &self.position) {
                Finding::Old => return,
                Finding::Unclear => return search.hold(line, search::room(self.unfinished.len())),
                Finding::Last => return self.take_last(text, batch),
                Finding::New => self.pass_gap(Some(stamp), batch),
            }
        }
        self.pass(stamp, text, batch);
    }

    fn take_unstamped(&mut self, line: &[u8], batch: &mut Batch<'_>) {
        if line.is_empty() || (!line.ends_with(b"\n") && Stamp::may_begin(line)) {
            return;
        }
        if is_unavailable(line) {
            batch.flush(&mut self.position);
            let text = String::from_utf8_lossy(line).trim_end().to_owned();
            batch.out.push(Piece::Unavailable { text });
            return;
        }
        match &mut self.phase {
            Phase::Searching(search) => search.hold(line, search::room(self.unfinished.len())),
            Phase::Reading { unstamped } if *unstamped > 0 => *unstamped = unstamped.saturating_sub(1),
            Phase::Reading { .. } => {
                batch.push(line);
                self.position.unstamped = self.position.unstamped.saturating_add(1);
            }
        }
    }

    /// The search found the last line: if a part of it was passed on, the rest follows.
    fn take_last(&mut self, text: &[u8], batch: &mut Batch<'_>) {
        self.phase = Phase::Reading { unstamped: self.position.unstamped };
        if let Some(last) = &self.position.last
            && last.passed > 0
        {
            self.long = Some(Long::Pass { skip: last.passed });
            self.go_on(Bytes::copy_from_slice(text), batch.out);
            self.position.sign(text);
            // Without its line end it is the end of the log.
            self.long = None;
        }
    }

    /// Passes on a line that is new, or what there is of the last one.
    fn pass(&mut self, stamp: Stamp, text: &[u8], batch: &mut Batch<'_>) {
        let passed = if text.ends_with(b"\n") { 0 } else { length(text) };
        if text.is_empty() {
            return;
        }
        if let Phase::Reading { unstamped } = &mut self.phase {
            *unstamped = 0;
        }
        self.cut.clear();
        self.position.advance(stamp, passed);
        batch.push_stamped(text);
    }

    /// Tells that the last line is lost, and passes on what was held.
    fn pass_gap(&mut self, next: Option<Stamp>, batch: &mut Batch<'_>) {
        let Phase::Searching(search) = mem::replace(&mut self.phase, Phase::Reading { unstamped: 0 }) else { return };
        batch.flush(&mut self.position);
        let has_lost = self.may_have_lost || search.has_dropped();
        let held = search.into_held();
        let lines = || held.split_inclusive(|byte| *byte == b'\n');
        let first = lines().find_map(|line| Stamp::take_off(line, None)).map(|(stamp, _)| stamp);
        if let Some(last) = self.position.stamp().filter(|_| has_lost) {
            batch.out.push(Piece::Gap { last: *last, next: first.or(next) });
        }
        self.cut.clear();
        self.position.unstamped = 0;
        for line in lines() {
            self.take_line(line, batch);
        }
    }

    /// The unfinished line has become too long to be kept: decides what becomes of it by its beginning.
    fn begin_long(&mut self, batch: &mut Batch<'_>) {
        let line = mem::take(&mut self.unfinished).freeze();
        let Some((stamp, text)) = Stamp::take_off(&line, self.position.stamp()) else {
            self.long = Some(match self.phase {
                Phase::Searching(_) => Long::Drop,
                Phase::Reading { .. } => {
                    batch.flush(&mut self.position);
                    self.position.unstamped = self.position.unstamped.saturating_add(1);
                    batch.out.push(Piece::Text { text: line, partial: true });
                    Long::PassUnstamped
                }
            });
            return;
        };
        let text = line.slice_ref(text);
        if let Phase::Searching(search) = &mut self.phase {
            match search.look(stamp, &text, &self.position) {
                Finding::Old => {
                    self.long = Some(Long::Drop);
                    return;
                }
                Finding::Unclear => {
                    search.forget();
                    self.long = Some(Long::Drop);
                    return;
                }
                Finding::Last => {
                    self.phase = Phase::Reading { unstamped: self.position.unstamped };
                    let passed = self.position.last.as_ref().map_or(0, |last| last.passed);
                    self.long = Some(if passed == 0 { Long::Drop } else { Long::Pass { skip: passed } });
                    self.go_on(text.clone(), batch.out);
                    self.position.sign(&text);
                    return;
                }
                Finding::New => self.pass_gap(Some(stamp), batch),
            }
        }
        batch.flush(&mut self.position);
        self.cut.clear();
        if let Phase::Reading { unstamped } = &mut self.phase {
            *unstamped = 0;
        }
        self.position.advance(stamp, length(&text));
        self.position.sign(&text);
        self.long = Some(Long::Pass { skip: 0 });
        batch.out.push(Piece::Text { text, partial: true });
    }

    /// The next bytes of a long line, up to its line end.
    fn go_on(&mut self, mut bytes: Bytes, out: &mut Vec<Piece>) {
        let is_end = bytes.ends_with(b"\n");
        match &mut self.long {
            Some(Long::Drop) => bytes.clear(),
            Some(Long::Pass { skip }) => {
                // The line end is never skipped: it was not passed on.
                let most = bytes.len().saturating_sub(usize::from(is_end));
                let skipped = usize::try_from(*skip).unwrap_or(most).min(most);
                *skip = skip.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
                bytes = bytes.slice(skipped..);
                if let Some(last) = &mut self.position.last {
                    last.passed = if is_end { 0 } else { last.passed.saturating_add(length(&bytes)) };
                }
            }
            Some(Long::PassUnstamped) | None => {}
        }
        if !bytes.is_empty() {
            out.push(Piece::Text { text: bytes, partial: true });
        }
        if is_end {
            self.long = None;
        }
    }
}

impl Default for LogReader {
    fn default() -> Self {
        Self::new()
    }
}

impl Phase {
    /// How an answer that starts in the second of the position begins.
    fn beginning(position: &Position) -> Self {
        match position.last {
            Some(_) => Phase::Searching(Search::default()),
            None => Phase::Reading { unstamped: position.unstamped },
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
