//! A kubelet's side: records of a log file, and the answer it makes of them.

use jiff::Timestamp;

/// The longest record, as container runtimes write them.
const RECORD: usize = 16 * 1024;

/// A log file.
#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    records: Vec<Record>,
    /// What each line added: its stamp, its text, where its records begin.
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Record {
    at: Timestamp,
    stamp: String,
    text: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) stamp: String,
    pub(super) text: Vec<u8>,
    start: usize,
}

impl Server {
    /// Adds a line with its line end, or the last one without. Each record after its first is stamped `later` nanoseconds
    /// after the one before.
    pub(super) fn add(&mut self, stamp: &str, text: &[u8], later: i64) {
        let start = self.records.len();
        let body = text.strip_suffix(b"\n").unwrap_or(text);
        let mut at: Timestamp = stamp.parse().unwrap();
        let mut parts: Vec<Vec<u8>> = body.chunks(RECORD).map(<[u8]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        if text.ends_with(b"\n") {
            parts.last_mut().unwrap().push(b'\n');
        }
        for text in parts {
            let stamp = if self.records.len() == start { stamp.to_owned() } else { at.to_string() };
            self.records.push(Record { at, stamp, text });
            at += jiff::SignedDuration::from_nanos(later);
        }
        self.lines.push(Line { stamp: stamp.to_owned(), text: text.to_vec(), start });
    }

    /// What a reader gets while the file begins with line `first` and ends before line `end`: the kubelet's own loop.
    pub(super) fn answer(&self, since: Option<Timestamp>, first: usize, end: usize) -> Vec<u8> {
        if let Some(since) = since {
            assert_eq!(since.subsec_nanosecond(), 0, "the server answers by whole seconds");
        }
        let start = |line: usize| self.lines.get(line).map_or(self.records.len(), |line| line.start);
        let mut answer = Vec::new();
        let mut is_new_line = true;
        for record in &self.records[start(first)..start(end).max(start(first))] {
            if since.is_none_or(|since| record.at >= since) {
                if is_new_line {
                    answer.extend_from_slice(record.stamp.as_bytes());
                    answer.push(b' ');
                }
                answer.extend_from_slice(&record.text);
            }
            // Also when the record was left out: the rest of a line that began before has no stamp.
            is_new_line = record.text.last().is_none_or(|byte| *byte == b'\n');
        }
        answer
    }
}
