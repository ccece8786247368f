//! A node that rotates a log while it is followed, and reads it as the kubelet of Kubernetes 1.34 does.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

/// A log: which lines lie in which of its files.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) lines: Vec<(Timestamp, String)>,
    /// Where each file begins.
    files: Vec<usize>,
}

/// A connection that follows it.
#[derive(Debug)]
pub(super) struct Follow {
    since: Option<Timestamp>,
    file: usize,
    /// The next line.
    line: usize,
    /// How many files it was told of.
    heard: usize,
    /// Bytes that are on their way.
    wire: Vec<u8>,
    /// How many arrived before them.
    arrived: usize,
    /// Lines that it never read, and the byte behind which a reader knows: where a file came again.
    skipped: Vec<(Range<usize>, Option<usize>)>,
}

impl Node {
    pub(super) fn new() -> Self {
        Node { lines: Vec::new(), files: vec![0] }
    }

    /// Writes a line so many nanoseconds later. Every third line says the same.
    pub(super) fn write(&mut self, later: i64) {
        let before = self.lines.last().map_or("2026-01-01T00:00:00.9Z".parse().unwrap(), |(at, _)| *at);
        let index = self.lines.len();
        let text = if index % 3 == 2 { "again".to_owned() } else { index.to_string() };
        self.lines.push((before + SignedDuration::from_nanos(later), text));
    }

    /// Begins a file. No node does that in the middle of a nanosecond, nor for so little that one would be over.
    pub(super) fn rotate(&mut self) {
        self.files.push(self.lines.len());
        self.write(1);
        self.write(1);
    }

    fn newest(&self) -> usize {
        self.files.len() - 1
    }

    /// Lines of a file.
    fn file(&self, file: usize) -> Range<usize> {
        self.files[file]..self.files.get(file + 1).copied().unwrap_or(self.lines.len())
    }

    pub(super) fn open(&self, since: Option<Timestamp>) -> Follow {
        let file = self.newest();
        let line = self.files[file];
        Follow { since, file, line, heard: file, wire: Vec::new(), arrived: 0, skipped: Vec::new() }
    }
}

impl Follow {
    /// Reads all there is. At the end of a file it takes up the newest one, once for each it was told of.
    pub(super) fn read(&mut self, node: &Node) {
        self.send(node);
        while self.heard < node.newest() {
            self.heard += 1;
            let comes_again = self.file == node.newest();
            if self.file + 1 < node.newest() {
                self.skipped.push((node.file(self.file).end..node.file(node.newest()).start, None));
            }
            self.file = node.newest();
            self.line = node.file(self.file).start;
            self.send(node);
            if comes_again {
                let sent = self.arrived + self.wire.len();
                self.skipped.iter_mut().for_each(|(_, known)| *known = known.or(Some(sent)));
            }
        }
    }

    /// Reads its file to the end.
    fn send(&mut self, node: &Node) {
        let end = node.file(self.file).end;
        for (at, text) in &node.lines[self.line..end] {
            if self.since.is_none_or(|since| *at >= since) {
                self.wire.extend_from_slice(format!("{at:.9} {text}\n").as_bytes());
            }
        }
        self.line = end;
    }

    /// The next bytes.
    pub(super) fn receive(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.wire.len());
        self.arrived += count;
        self.wire.drain(..count).collect()
    }

    /// What it left out when it was cut here, and no reader can know.
    pub(super) fn untold(&self) -> impl Iterator<Item = Range<usize>> {
        self.skipped
            .iter()
            .filter(|(_, known)| known.is_none_or(|known| known > self.arrived))
            .map(|(lines, _)| lines.clone())
    }
}
