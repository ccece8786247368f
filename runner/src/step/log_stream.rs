//! A container's log as the Kubernetes API sends it: stamps off, lines whole, no line lost or doubled at a cut.
//!
//! In go the bytes of one connection after the other, out come [`Piece`]s. A line is passed on when it is whole, so that a
//! cut inside it costs nothing: the next answer brings it again from its beginning. That answer starts at a whole second,
//! with lines passed on before; the last of them is searched, and what stands behind it is new. Where it is not found lines
//! may be lost, and that is told. Order of arrival counts, never the greatest stamp: a node's clock may step back. Nothing
//! here reads, waits or knows the time.

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
use search::{Begin, Finding, Search};

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
    /// The first line of a file that came again, for which a gap was told.
    told: Option<Stamp>,
}

#[derive(Debug)]
enum Phase {
    /// Lines may be old: the last one is awaited.
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
        let (unfinished, cut, mut past) = (BytesMut::new(), BytesMut::new(), Past::default());
        position.stamp().into_iter().for_each(|last| past.begin(last));
        Self { position, phase, unfinished, cut, long: None, past, told: None }
    }

    /// Where reading stands: behind all that was given out.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether lines wait because it is not known whether they are new. If that lasts, see [`Self::give_up`].
    pub fn is_in_doubt(&self) -> bool {
        matches!(&self.phase, Phase::Searching(search) if search.is_in_doubt())
    }

    fn is_searching(&self) -> bool {
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
        stamp::whole_second(self.past.earliest(self.position.stamp()?))
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
        self.past.note(&self.position, bytes.len());
    }

    /// The last line will not come any more: what waits is passed on. For the caller, who has a clock. Only where stamps
    /// stepped back does anything wait for this. Without effect unless [`Self::is_in_doubt`].
    pub fn give_up(&mut self, out: &mut Vec<Piece>) {
        let mut batch = Batch::new(0, out);
        if self.is_in_doubt() {
            self.decide(None, &mut batch);
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
    /// not found in it is lost.
    pub fn finish(&mut self, out: &mut Vec<Piece>) {
        let mut batch = Batch::new(0, out);
        self.keep_cut();
        if self.is_searching() {
            self.take_unfinished(&mut batch);
        }
        self.decide(None, &mut batch);
        self.end(batch);
    }

    /// The log is over for us, and the last answer was not read to its end: what is certainly new of it is kept. That
    /// something may be missing is for the caller to say.
    pub fn abandon(&mut self, out: &mut Vec<Piece>) {
        self.keep_cut();
        if self.is_searching() {
            self.unfinished.clear();
        }
        self.phase = Phase::Reading { unstamped: 0 };
        self.end(Batch::new(0, out));
    }

    fn end(&mut self, mut batch: Batch<'_>) {
        let cut = mem::take(&mut self.cut);
        if let Some((stamp, text)) = Stamp::take_off(&cut, None) {
            self.pass(stamp, text, &mut batch);
        }
        self.take_unfinished(&mut batch);
        self.decide(None, &mut batch);
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
        self.look_back(stamp, batch);
        if let Phase::Searching(search) = &mut self.phase {
            match search.look(stamp, text, &self.position, &self.past) {
                Finding::Old => return,
                Finding::Last => return self.take_last(text, batch),
                Finding::Unclear => {
                    if search.hold(line, self.unfinished.len()) {
                        return self.past.is_unclear(&stamp);
                    }
                    self.decide(Some(stamp), batch);
                }
                Finding::New => self.decide(Some(stamp), batch),
            }
        }
        self.pass(stamp, text, batch);
    }

    /// Begins a search where the stamps step back.
    fn look_back(&mut self, stamp: Stamp, batch: &mut Batch<'_>) {
        if !self.is_searching() && self.position.stamp().is_some_and(|last| stamp < *last) {
            // The search needs the last line's digest.
            batch.flush(&mut self.position);
            self.phase = Phase::Searching(Search::new(Begin::StepBack(stamp)));
        }
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
            Phase::Searching(search) => {
                if !search.hold(line, self.unfinished.len()) {
                    self.decide(None, batch);
                    self.take_unstamped(line, batch);
                }
            }
            Phase::Reading { unstamped } if *unstamped > 0 => *unstamped = unstamped.saturating_sub(1),
            Phase::Reading { .. } => {
                batch.push(line);
                self.position.unstamped = self.position.unstamped.saturating_add(1);
            }
        }
    }

    /// The search found the last line: if a part of it was passed on, the rest follows.
    fn take_last(&mut self, text: &[u8], batch: &mut Batch<'_>) {
        self.end_search(batch);
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

    /// What came before came again, up to the last line.
    fn end_search(&mut self, batch: &mut Batch<'_>) {
        self.past.is_clear();
        let found = Phase::Reading { unstamped: self.position.unstamped };
        let Phase::Searching(search) = mem::replace(&mut self.phase, found) else { return };
        let Begin::StepBack(first) = search.begin else { return };
        // A kubelet opens the newest file each time it hears that there is a new one, at the place of the file it has
        // read to the end. It sends a file twice when it hears of another one late; that other one it never opened.
        // <https://github.com/kubernetes/cri-client/blob/v0.34.4/pkg/logs/logs.go>, `ReadLogs`
        if self.told.replace(first) != Some(first) {
            let last = self.past.before(&first).and_then(Stamp::of).unwrap_or(first);
            batch.out.push(Piece::Gap { last, next: Some(first) });
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
        self.past.begin(&stamp);
        self.position.advance(stamp, passed);
        batch.push_stamped(text);
    }

    /// The search is over without the last line, or with `next`, which is new: what was held is passed on, behind a gap if
    /// the answer should have had the last line. Without effect unless there is a search.
    fn decide(&mut self, next: Option<Stamp>, batch: &mut Batch<'_>) {
        if !self.is_searching() {
            return;
        }
        let Phase::Searching(search) = mem::replace(&mut self.phase, Phase::Reading { unstamped: 0 }) else { return };
        self.past.is_clear();
        batch.flush(&mut self.position);
        let is_gap = search.begin == Begin::Answer;
        let held = search.into_held();
        let lines = || held.split_inclusive(|byte| *byte == b'\n');
        if is_gap {
            let first = lines().find_map(|line| Stamp::take_off(line, None)).map(|(stamp, _)| stamp);
            if let Some(last) = self.position.stamp() {
                batch.out.push(Piece::Gap { last: *last, next: first.or(next) });
            }
            self.cut.clear();
            self.position.unstamped = 0;
        }
        for line in lines() {
            match Stamp::take_off(line, None) {
                Some((stamp, text)) => self.pass(stamp, text, batch),
                None => self.take_unstamped(line, batch),
            }
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
        self.look_back(stamp, batch);
        if let Phase::Searching(search) = &mut self.phase {
            match search.look(stamp, &text, &self.position, &self.past) {
                Finding::Old => {
                    self.long = Some(Long::Drop);
                    return;
                }
                Finding::Unclear if search.begin == Begin::Answer => {
                    search.forget();
                    self.long = Some(Long::Drop);
                    return;
                }
                Finding::Last => {
                    self.end_search(batch);
                    let passed = self.position.last.as_ref().map_or(0, |last| last.passed);
                    self.long = Some(if passed == 0 { Long::Drop } else { Long::Pass { skip: passed } });
                    self.go_on(text.clone(), batch.out);
                    self.position.sign(&text);
                    return;
                }
                Finding::Unclear | Finding::New => self.decide(Some(stamp), batch),
            }
        }
        batch.flush(&mut self.position);
        self.cut.clear();
        if let Phase::Reading { unstamped } = &mut self.phase {
            *unstamped = 0;
        }
        self.past.begin(&stamp);
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
            Some(_) => Phase::Searching(Search::new(Begin::Answer)),
            None => Phase::Reading { unstamped: position.unstamped },
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
