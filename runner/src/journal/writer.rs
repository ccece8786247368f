//! Writing the journal: lines that come together are written together, with one flush.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::entry::{Entry, Line};

/// An entry, and who waits until it is on disk: they hear why it is not, once a run.
type Queued = (Entry, oneshot::Sender<Option<io::Error>>);

/// The journal of a run, open for writing. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Journal {
    /// What is not written yet. Not bounded: whoever has put something here waits until it is written.
    queued: Arc<Mutex<Vec<Queued>>>,
    /// Held by whoever writes.
    writer: Arc<AsyncMutex<Writer>>,
    failed: Arc<AtomicBool>,
}

impl Journal {
    /// Writes behind line `seq`.
    pub(super) fn new(file: File, seq: u64) -> Journal {
        let failed = Arc::new(AtomicBool::new(false));
        let writer = Writer { file, seq, failed: failed.clone() };
        Journal { queued: Arc::default(), writer: Arc::new(AsyncMutex::new(writer)), failed }
    }

    /// Writes an entry and waits until it is on disk. When the disk fails the run goes on without a journal.
    ///
    /// # Errors
    /// The first time that it cannot be written: from then on nothing is, and nothing is told.
    ///
    /// # Cancellation
    /// The entry is written nevertheless, at the latest with the next one.
    pub async fn write(&self, entry: Entry) -> io::Result<()> {
        let (written, wait) = oneshot::channel();
        self.queued().push((entry, written));
        let mut writer = self.writer.clone().lock_owned().await;
        // Whoever held the file before may have written it with his own.
        let batch = mem::take(&mut *self.queued());
        if !batch.is_empty() {
            // It fails only when the program is about to end. That it waits on a thread for it also stops a paused clock.
            drop(tokio::task::spawn_blocking(move || writer.write_all(batch)).await);
        }
        wait.await.ok().flatten().map_or(Ok(()), Err)
    }

    /// Whether it could not be written: what has happened since then is not in it.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn queued(&self) -> MutexGuard<'_, Vec<Queued>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Writer {
    file: File,
    /// Of the last line.
    seq: u64,
    failed: Arc<AtomicBool>,
}

impl Writer {
    fn write_all(&mut self, batch: Vec<Queued>) {
        let mut text = Vec::new();
        for (entry, _) in &batch {
            self.seq += 1;
            // Entries have text keys only, and memory does not refuse to be written.
            let _ = serde_json::to_writer(&mut text, &Line { seq: self.seq, time: Timestamp::now(), entry });
            text.push(b'\n');
        }
        let mut failure = None;
        if !self.failed.load(Ordering::Relaxed)
            && let Err(error) = self.file.write_all(&text).and_then(|()| self.file.sync_data())
        {
            // After a torn line nothing more is written: it would be the last one that is read.
            self.failed.store(true, Ordering::Relaxed);
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
