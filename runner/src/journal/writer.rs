//! Writing the journal: a thread of its own, many lines with one flush.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::entry::{Entry, Line};

/// Lines that may wait to be written; whoever has more waits itself.
const QUEUE: usize = 1024;

/// An entry, and who waits until it is on disk: they hear why it is not, once a run.
type Queued = (Entry, oneshot::Sender<Option<io::Error>>);

/// The journal of a run, open for writing. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Journal {
    queue: mpsc::Sender<Queued>,
    failed: Arc<AtomicBool>,
}

impl Journal {
    /// Starts the thread that writes behind line `seq`; it ends with the last clone.
    pub(super) fn new(file: File, seq: u64) -> Journal {
        let (queue, queued) = mpsc::channel(QUEUE);
        let failed = Arc::new(AtomicBool::new(false));
        let told = failed.clone();
        std::thread::spawn(move || write_all(file, seq, queued, &told));
        Journal { queue, failed }
    }

    /// Writes an entry and waits until it is on disk. When the disk fails the run goes on without a journal.
    ///
    /// # Errors
    /// The first time that it cannot be written: from then on nothing is, and nothing is told.
    ///
    /// # Cancellation
    /// The entry is written nevertheless.
    pub async fn write(&self, entry: Entry) -> io::Result<()> {
        let (written, wait) = oneshot::channel();
        if self.queue.send((entry, written)).await.is_err() {
            return Ok(());
        }
        wait.await.ok().flatten().map_or(Ok(()), Err)
    }

    /// Whether it could not be written: what has happened since then is not in it.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

fn write_all(mut file: File, mut seq: u64, mut queued: mpsc::Receiver<Queued>, failed: &AtomicBool) {
    while let Some(first) = queued.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = queued.try_recv() {
            batch.push(next);
        }
        let mut text = Vec::new();
        for (entry, _) in &batch {
            seq += 1;
            // Entries have text keys only, and memory does not refuse to be written.
            let _ = serde_json::to_writer(&mut text, &Line { seq, time: Timestamp::now(), entry });
            text.push(b'\n');
        }
        let mut failure = None;
        if !failed.load(Ordering::Relaxed)
            && let Err(error) = file.write_all(&text).and_then(|()| file.sync_data())
        {
            // After a torn line nothing more is written: it would be the last one that is read.
            failed.store(true, Ordering::Relaxed);
            failure = Some(error);
        }
        for (_, written) in batch {
            // Whoever was cancelled no longer listens.
            let _ = written.send(failure.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::folder::RunFolder;
    use super::*;

    #[tokio::test]
    async fn lines_are_on_disk_when_writing_returns() {
        let state = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(state.path(), &"r1".parse().unwrap()).unwrap();
        let journal = folder.journal().unwrap();
        journal.write(Entry::RunResumed).await.unwrap();
        let writes = (0..100).map(|_| {
            let journal = journal.clone();
            async move { journal.write(Entry::Detached).await.unwrap() }
        });
        futures_util::future::join_all(writes).await;
        let text = fs::read_to_string(folder.path().join("journal.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 101);
        assert!(lines.iter().zip(1..).all(|(line, seq)| line["seq"] == seq), "{text}");
        assert_eq!(lines[0]["event"], "run-resumed");
        assert!(!journal.has_failed());
    }

    #[tokio::test]
    async fn a_full_disk_is_told_once() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let journal = Journal::new(full, 0);
        assert_eq!(journal.write(Entry::Detached).await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(journal.has_failed());
        journal.write(Entry::Detached).await.unwrap();
    }
}
