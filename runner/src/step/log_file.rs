//! The file of a log: what came is in it byte by byte, behind what an earlier process has written; its last lines are at
//! hand.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::journal::new_file;

/// Lines that are shown of the log of a failure.
const LAST_LINES: usize = 20;
/// Bytes of each of them.
const LAST_LINE_BYTES: usize = 4096;
/// Bytes of the end of a file that hold the last lines, if none of them is longer than what is shown.
const TAIL: u64 = (LAST_LINES * (LAST_LINE_BYTES + 1)) as u64;

/// The file of a log, and its last lines.
#[derive(Debug)]
pub struct LogFile {
    /// Made with the first byte: a step without output has no log.
    file: Option<File>,
    path: PathBuf,
    length: u64,
    last: LastLines,
    failed: bool,
}

impl LogFile {
    /// Goes on behind the first `length` bytes of what an earlier process has written; the rest comes again. Returns also
    /// why the file may not be complete.
    pub fn resume(path: PathBuf, length: u64) -> (LogFile, Vec<String>) {
        let mut log = LogFile { file: None, path, length: 0, last: LastLines::default(), failed: false };
        let mut notes = Vec::new();
        match log.take_up(length) {
            Ok(()) if log.length < length => {
                // Only a machine that went down loses what was written.
                notes.push(format!("log file is not complete: {} bytes of it were lost", length - log.length));
            }
            Ok(()) => {}
            Err(error) => {
                log.failed = true;
                notes.push(format!("log file is not complete: {error}"));
            }
        }
        (log, notes)
    }

    fn take_up(&mut self, length: u64) -> io::Result<()> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        self.length = file.metadata()?.len().min(length);
        file.set_len(self.length)?;
        file.seek(SeekFrom::Start(self.length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        self.last.take(&tail);
        self.file = Some(file);
        Ok(())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are in it.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes to its end.
    ///
    /// # Errors
    /// Once: nothing is written behind a hole.
    pub fn write(&mut self, text: &Bytes) -> io::Result<()> {
        self.last.take(text);
        if self.failed {
            return Ok(());
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(text),
            None => new_file(&self.path).and_then(|file| self.file.insert(file).write_all(text)),
        };
        match written {
            Ok(()) => self.length = self.length.saturating_add(text.len() as u64),
            Err(_) => self.failed = true,
        }
        written
    }

    /// Its last lines, without their line ends.
    pub fn last_lines(self) -> Vec<Bytes> {
        self.last.lines.into_iter().collect()
    }
}

/// The last lines of a log that was written before; none of one that cannot be read.
pub fn last_lines(path: &Path) -> Vec<Bytes> {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok::<_, io::Error>(tail)
    };
    let mut last = LastLines::default();
    last.take(&read().unwrap_or_default());
    last.lines.into_iter().collect()
}

/// The last lines of a text that comes in pieces.
#[derive(Debug, Default)]
struct LastLines {
    lines: VecDeque<Bytes>,
    /// The last line goes on with the next text.
    is_open: bool,
}

impl LastLines {
    fn take(&mut self, text: &[u8]) {
        let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let begin = lines.len().saturating_sub(LAST_LINES);
        if begin > 0 {
            lines.drain(..begin);
            self.lines.clear();
            self.is_open = false;
        }
        for line in lines {
            let whole = line.strip_suffix(b"\n").unwrap_or(line);
            let kept = whole.get(..LAST_LINE_BYTES).unwrap_or(whole);
            match self.lines.back_mut().filter(|_| self.is_open) {
                Some(open) => {
                    let room = LAST_LINE_BYTES.saturating_sub(open.len());
                    let more = kept.get(..room).unwrap_or(kept);
                    *open = [open.as_ref(), more].concat().into();
                }
                None => self.lines.push_back(Bytes::copy_from_slice(kept)),
            }
            self.is_open = !line.ends_with(b"\n");
        }
        while self.lines.len() > LAST_LINES {
            self.lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_whatever_came_together() {
        let folder = tempfile::tempdir().unwrap();
        for size in [1, 2, 3, 7, 1000] {
            let path = folder.path().join(size.to_string());
            let (mut file, notes) = LogFile::resume(path.clone(), 0);
            assert_eq!(notes, Vec::<String>::new());
            let text: String = (0..100).map(|n| format!("line {n}\n\n")).collect::<String>() + "end";
            for chunk in text.as_bytes().chunks(size) {
                file.write(&Bytes::copy_from_slice(chunk)).unwrap();
            }
            let written = last_lines(&path);
            assert_eq!(std::fs::read_to_string(path).unwrap(), text);
            let last = file.last_lines();
            assert_eq!(last.len(), 20);
            assert_eq!(&last[17..], ["line 99", "", "end"]);
            assert_eq!(last, written);
        }
    }

    #[test]
    fn what_the_journal_does_not_know_of_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let (mut file, notes) = LogFile::resume(path.clone(), 4);
        assert_eq!((notes, file.length()), (Vec::new(), 4));
        file.write(&Bytes::from("2\n")).unwrap();
        assert_eq!(file.last_lines(), ["one", "2"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n2\n");

        let (file, notes) = LogFile::resume(path, 10);
        assert_eq!(file.length(), 6);
        assert_eq!(notes, ["log file is not complete: 4 bytes of it were lost"]);
    }
}
