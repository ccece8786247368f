//! The reading side of a log, with the kubelet's own rules for stamps, parts and `since`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use jiff::Timestamp;

use super::{Log, Reach, Wanted};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes read at once; also about the size of a chunk of the answer.
const BLOCK: u64 = 64 * 1024;
/// Width of a stamp: `2026-01-01T00:00:00.000000000Z`.
const STAMP: usize = 30;
/// The stamp, a space, the tag and another.
const HEADER: usize = STAMP + 3;

/// Reads a log. Blocking reads, as the writer's: they come out of the page cache.
pub(super) fn open(
    log: &Log,
    wanted: Wanted,
) -> io::Result<impl Stream<Item = Result<Bytes, io::Error>> + Send + use<>> {
    let mut reach = log.reach.clone();
    let (mut file, first) = open_newest(log, &mut reach)?;
    let position = match wanted.tail {
        Some(lines) => tail_start(&mut file, first.length, lines)?,
        None => 0,
    };
    file.seek(SeekFrom::Start(position))?;
    let state = Reading {
        file,
        number: first.file,
        heard: first.file,
        position,
        pending: Vec::new(),
        starts_line: true,
        left: wanted.limit,
        // Without follow the log is what it is now.
        end: (!wanted.follows).then_some(first),
        reach,
        lost: log.lost.clone(),
        log: log.clone(),
        wanted,
    };
    Ok(unfold(Some(state), async |state| {
        let mut state = state?;
        match state.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(state))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// The newest file, and how far it had been written.
fn open_newest(log: &Log, reach: &mut watch::Receiver<Reach>) -> io::Result<(File, Reach)> {
    loop {
        let newest = *reach.borrow_and_update();
        match File::open(log.file(newest.file)) {
            Ok(file) => return Ok((file, newest)),
            // It was replaced in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound && reach.borrow().file != newest.file => {}
            Err(error) => return Err(error),
        }
    }
}

struct Reading {
    file: File,
    /// Which of the log's files it is.
    number: u64,
    /// Up to which file it was told that there is a new one.
    heard: u64,
    position: u64,
    /// The beginning of a record whose end has not been read.
    pending: Vec<u8>,
    starts_line: bool,
    left: Option<u64>,
    end: Option<Reach>,
    reach: watch::Receiver<Reach>,
    lost: CancellationToken,
    log: Log,
    wanted: Wanted,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            if self.lost.is_cancelled() {
                return std::future::pending().await;
            }
            let reach = self.end.unwrap_or_else(|| *self.reach.borrow_and_update());
            let length = if reach.file == self.number { reach.length } else { self.file.metadata()?.len() };
            if self.position < length {
                let chunk = self.read(length)?;
                if !chunk.is_empty() {
                    return Ok(Some(chunk));
                }
                continue;
            }
            // Of a container that has ended the kubelet reads this file to its end, and no other.
            if reach.is_ended || self.end.is_some() {
                return Ok(None);
            }
            if self.heard < reach.file {
                self.take_up_newest()?;
                continue;
            }
            tokio::select! {
                changed = self.reach.changed() => if changed.is_err() { return Ok(None) },
                () = self.lost.cancelled() => {}
            }
        }
    }

    /// Goes on in the newest file. The kubelet does so once for each file it was told of, and from the beginning: who reads
    /// too slowly never gets some of them, and gets the newest several times.
    fn take_up_newest(&mut self) -> io::Result<()> {
        self.heard = self.heard.saturating_add(1);
        let (file, newest) = open_newest(&self.log, &mut self.reach)?;
        (self.file, self.number, self.position) = (file, newest.file, 0);
        self.pending.clear();
        Ok(())
    }

    /// Reads the next block and gives what of it is wanted.
    fn read(&mut self, length: u64) -> io::Result<Bytes> {
        let count = length.saturating_sub(self.position).min(BLOCK);
        let read = Read::by_ref(&mut self.file).take(count).read_to_end(&mut self.pending)?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let mut block = std::mem::take(&mut self.pending);
        let whole = block.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last.saturating_add(1));
        self.pending = block.split_off(whole);
        let mut out = Vec::with_capacity(block.len());
        for record in block.split_inclusive(|byte| *byte == b'\n') {
            self.show(record, &mut out);
            if self.left == Some(0) {
                break;
            }
        }
        Ok(out.into())
    }

    fn show(&mut self, record: &[u8], out: &mut Vec<u8>) {
        let Some((header, text)) = record.split_at_checked(HEADER) else { return };
        let is_partial = header.get(STAMP.saturating_add(1)) == Some(&b'P');
        let stamp = header.get(..STAMP).unwrap_or_default();
        // Records that are left out count too: the rest of a long line whose first part is too old has no stamp.
        let starts_line = std::mem::replace(&mut self.starts_line, !is_partial);
        if self.wanted.since.is_some_and(|since| read_stamp(stamp).is_some_and(|stamp| stamp < since)) {
            return;
        }
        // The line end is part of a whole record; a part has none of its own.
        let text = if is_partial { text.strip_suffix(b"\n").unwrap_or(text) } else { text };
        if self.wanted.has_stamps && starts_line {
            self.push(stamp, out);
            self.push(b" ", out);
        }
        self.push(text, out);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let taken = match &mut self.left {
            None => bytes,
            Some(left) => {
                let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(u64::try_from(fits).unwrap_or(u64::MAX));
                bytes.get(..fits).unwrap_or_default()
            }
        };
        out.extend_from_slice(taken);
    }
}

fn read_stamp(stamp: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(stamp).ok()?.parse().ok()
}

/// Where the last `lines` records begin.
fn tail_start(file: &mut File, length: u64, lines: u64) -> io::Result<u64> {
    let mut position = length;
    let mut ends = 0_u64;
    while position > 0 {
        let start = position.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        Read::by_ref(file).take(position.saturating_sub(start)).read_to_end(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            // The end of the record before the first that is wanted.
            if ends == lines {
                return Ok(start.saturating_add(u64::try_from(index).unwrap_or(u64::MAX)).saturating_add(1));
            }
            ends = ends.saturating_add(1);
        }
        position = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::super::Writer;
    use super::*;
    use crate::clock::Clock;

    async fn read(log: &Log, wanted: Wanted) -> String {
        let chunks: Vec<_> = Box::pin(open(log, wanted).unwrap()).map(Result::unwrap).collect().await;
        String::from_utf8_lossy(&chunks.concat()).into_owned()
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        clock: Clock,
        writer: Writer,
        log: Log,
    }

    fn fixture() -> Fixture {
        limited(None)
    }

    fn limited(limit: Option<u64>) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::starting_at("2026-01-01T00:00:00.5Z".parse().unwrap());
        let (writer, log) = Writer::create(folder.path().join("logs/step.log"), clock.clone(), limit).unwrap();
        Fixture { _folder: folder, clock, writer, log }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_come_back_as_they_were_written() {
        let Fixture { _folder, clock: _, mut writer, log } = fixture();
        writer.write(b"a\n\nb").unwrap();
        writer.write(b"c\nend").unwrap();
        drop(writer);
        assert_eq!(read(&log, Wanted::default()).await, "a\n\nbc\nend");
        let stamp = "2026-01-01T00:00:00.500000000Z";
        let stamped = Wanted { has_stamps: true, ..Wanted::default() };
        assert_eq!(read(&log, stamped).await, format!("{stamp} a\n{stamp} \n{stamp} bc\n{stamp} end"));
        assert_eq!(read(&log, Wanted { tail: Some(2), ..Wanted::default() }).await, "bc\nend");
        assert_eq!(read(&log, Wanted { tail: Some(0), ..Wanted::default() }).await, "");
        assert_eq!(read(&log, Wanted { limit: Some(4), ..Wanted::default() }).await, "a\n\nb");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_line_has_one_stamp_and_comes_whole() {
        let Fixture { _folder, clock: _, mut writer, log } = fixture();
        let long = "x".repeat(40 * 1024);
        for piece in long.as_bytes().chunks(1000) {
            writer.write(piece).unwrap();
        }
        writer.write(b"\nshort\n").unwrap();
        drop(writer);
        let stamped = read(&log, Wanted { has_stamps: true, ..Wanted::default() }).await;
        let lines: Vec<&str> = stamped.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), STAMP + 1 + long.len());
        // The kubelet counts records: the tail of a long line is its last part.
        let tail = read(&log, Wanted { tail: Some(2), ..Wanted::default() }).await;
        assert_eq!(tail, format!("{}\nshort\n", "x".repeat(40 * 1024 - 2 * 16 * 1024)));
    }

    #[tokio::test(start_paused = true)]
    async fn since_leaves_out_what_is_older() {
        let Fixture { _folder, clock, mut writer, log } = fixture();
        writer.write(b"old\n").unwrap();
        clock.sleep(std::time::Duration::from_secs(2)).await;
        writer.write(b"new\n").unwrap();
        drop(writer);
        let since = "2026-01-01T00:00:01Z".parse().ok();
        assert_eq!(read(&log, Wanted { since, ..Wanted::default() }).await, "new\n");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_long_line_whose_beginning_is_too_old_has_no_stamp() {
        let Fixture { _folder, clock, mut writer, log } = fixture();
        writer.write("x".repeat(20 * 1024).as_bytes()).unwrap();
        clock.sleep(std::time::Duration::from_secs(2)).await;
        writer.write(b"y\nnext\n").unwrap();
        drop(writer);
        let wanted = Wanted { since: "2026-01-01T00:00:01Z".parse().ok(), has_stamps: true, ..Wanted::default() };
        let rest = format!("{}y\n2026-01-01T00:00:02.500000000Z next\n", "x".repeat(4 * 1024));
        assert_eq!(read(&log, wanted).await, rest);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotated_log_shows_its_newest_file() {
        // A record of one letter has 35 bytes.
        let Fixture { _folder: folder, clock: _, mut writer, log } = limited(Some(80));
        writer.write(b"a\nb\n").unwrap();
        writer.write(b"c\n").unwrap();
        assert_eq!(read(&log, Wanted::default()).await, "c\n");
        // Several files at once; a record that is larger than a file has one to itself.
        let long = "x".repeat(100);
        writer.write(format!("d\ne\n{long}\n").as_bytes()).unwrap();
        assert_eq!(read(&log, Wanted::default()).await, format!("{long}\n"));
        writer.write(b"f\ng\n").unwrap();
        drop(writer);
        assert_eq!(read(&log, Wanted { follows: true, ..Wanted::default() }).await, "f\ng\n");
        assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_a_rotated_log_reads_on_unless_more_files_came_than_one() {
        let Fixture { _folder, clock, mut writer, log } = limited(Some(80));
        writer.write(b"a\nb\n").unwrap();
        let follow = read(&log, Wanted { follows: true, ..Wanted::default() });
        let write = async {
            let pause = || clock.sleep(std::time::Duration::from_secs(5));
            pause().await;
            writer.write(b"c\nd\n").unwrap();
            pause().await;
            // Three files: one that nobody opens, and one that is opened twice for that.
            writer.write(b"e\nf\ng\n").unwrap();
            pause().await;
            // The container ends when a new file has come: nobody looks at that.
            writer.write(b"h\ni\n").unwrap();
            drop(writer);
        };
        assert_eq!(tokio::join!(follow, write).0, "a\nb\nc\nd\ng\ng\nh\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_gets_what_is_written_later_and_then_the_end() {
        let Fixture { _folder, clock, mut writer, log } = fixture();
        writer.write(b"first\n").unwrap();
        let follow = read(&log, Wanted { follows: true, ..Wanted::default() });
        let write = async move {
            clock.sleep(std::time::Duration::from_secs(5)).await;
            writer.write(b"second\n").unwrap();
            clock.sleep(std::time::Duration::from_secs(5)).await;
            drop(writer);
        };
        let (text, ()) = tokio::join!(follow, write);
        assert_eq!(text, "first\nsecond\n");
    }
}
