//! Following the log of an attempt: one stream a pod, one pod after the other, every line once.
//!
//! The end of a stream is not the end of a log: as long as the container runs it is opened again at the last line, and
//! after the container's end one closing read proves that nothing is missing. No error of a log is a verdict.

use std::collections::HashSet;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::facts::{Facts, StepPhase};
use super::log_sink::{LogSink, LogTarget, Printed};
use super::log_stream::{LogReader, Piece, Position};
use super::waits::WaitKind;
use super::{Shared, at};
use crate::cluster::{Cluster, FailureKind, LogChunk};
use crate::event::EventKind;
use crate::host::Stream;
use crate::journal::{Entry, LogHistory, LogPosition};

/// After a clean end of the stream: for the container's end to be seen.
const END_SEEN: Duration = Duration::from_secs(2);
/// So many times *drain*, a minute by default, are given after the container's end without a new line: a node that is new,
/// or busy, may not serve logs yet, and connections break.
pub(super) const NOT_READY: u32 = 6;
/// How long lines wait that may be old.
const SEARCH: Duration = Duration::from_secs(2);
/// A log that waits no longer for its turn is of no interest.
const UNTOLD: Duration = Duration::from_secs(1);
/// How often the journal is told how far the log is in its file, while it grows.
const NOTED: Duration = Duration::from_secs(1);

/// What is needed to follow the log of an attempt.
pub(super) struct Follow {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) facts: watch::Receiver<Facts>,
    /// Set when no further pod is to be expected.
    pub(super) decided: CancellationToken,
    pub(super) step: Arc<str>,
    pub(super) attempt: u32,
    pub(super) shared: Arc<Shared>,
}

/// A log that was read.
#[derive(Default)]
pub(super) struct Logged {
    /// Where it went; none: nobody waited for its end.
    sink: Option<LogSink>,
    /// Why it may not be complete.
    missing: Vec<String>,
}

impl Logged {
    /// What came of it. `pod`: the one that decided.
    pub(super) fn finish(self, pod: Option<&str>) -> Printed {
        let Some(sink) = self.sink else { return Printed::default() };
        let mut printed = sink.finish(pod, self.missing.is_empty());
        printed.notes.extend(self.missing);
        printed
    }
}

/// A pod whose log is due.
struct DuePod {
    uid: String,
    name: Arc<str>,
    number: u32,
}

/// How a connection ended.
enum Broke {
    /// As a complete one ends.
    Cleanly,
    /// With an error, or silence.
    Badly,
    /// The container had ended, and the stream did not within *drain*.
    Drained,
}

impl Follow {
    /// Reads the logs of all pods to their ends, behind what an earlier process has read.
    pub(super) async fn run(mut self, target: LogTarget, earlier: LogHistory) -> Logged {
        // A captured output is one value: its beginning is not to be had from a file in which secrets are hidden.
        let earlier = if target.output.is_some() { LogHistory::default() } else { earlier };
        let LogHistory { whole: mut read, mut open, length } = earlier;
        let mut sink = LogSink::new(self.step.clone(), self.attempt, self.shared.clone(), target, length);
        let mut missing = Vec::new();
        while let Some(pod) = self.next_pod(&read).await {
            read.insert(pod.uid.clone());
            let slot = self.slot(&pod.uid).await;
            let from = open.take_if(|(uid, _)| *uid == pod.uid).map(|(_, position)| position).unwrap_or_default();
            if let Err(why) = self.pod(&pod, from, &mut sink).await {
                missing.push(format!("log may be incomplete: {why}"));
            }
            drop(slot);
        }
        if open.is_some() {
            missing.push("log may be incomplete: the pod was deleted".to_owned());
        }
        Logged { sink: Some(sink), missing }
    }

    /// The next pod in order whose container runs or has run; none: there will be none.
    async fn next_pod(&mut self, read: &HashSet<String>) -> Option<DuePod> {
        let decided = self.decided.clone();
        loop {
            {
                let facts = self.facts.borrow_and_update();
                let due =
                    facts.pods().into_iter().find(|pod| !read.contains(pod.uid) && pod.step != StepPhase::NotBegun);
                if let Some(pod) = due {
                    return Some(DuePod { uid: pod.uid.to_owned(), name: Arc::from(pod.name), number: pod.number });
                }
            }
            tokio::select! {
                biased;
                changed = self.facts.changed() => changed.ok()?,
                () = decided.cancelled() => return None,
            }
        }
    }

    /// A place among the logs that are read. One that has ended is read at once, however many others are followed. The
    /// semaphores are never closed.
    async fn slot(&self, uid: &str) -> Option<OwnedSemaphorePermit> {
        let mut slot = pin!(async {
            tokio::select! {
                biased;
                slot = self.shared.log_slots.clone().acquire_owned() => slot.ok(),
                () = self.end_of(uid) => self.shared.ended_log_slots.clone().acquire_owned().await.ok(),
            }
        });
        if let Ok(slot) = tokio::time::timeout(UNTOLD, &mut slot).await {
            return slot;
        }
        let text = "its log is read later: as many others are followed as may be at once".to_owned();
        self.shared.events.attempt(&self.step, self.attempt, EventKind::Note { text });
        slot.await
    }

    /// Reads the log of one pod. The error says why it may be incomplete.
    async fn pod(&mut self, pod: &DuePod, from: Position, sink: &mut LogSink) -> Result<(), String> {
        let mut reader = LogReader::resume(from);
        // When the journal is told of what is in the file and not in the journal.
        let mut noted = Noted { length: sink.length(), due: None };
        let mut pieces = Vec::new();
        let mut backoff = self.cluster.log_backoff();
        // Since when nothing more has come, although the container has ended.
        let mut idle: Option<Instant> = None;
        let mut told_unavailable = false;
        let read = loop {
            let ended = self.has_ended(&pod.uid);
            if ended {
                idle.get_or_insert_with(Instant::now);
            }
            let is_over = idle.is_some_and(|since| since.elapsed() >= self.limit(WaitKind::Drain) * NOT_READY);
            let since = reader.connect();
            let opened =
                self.cluster.open_log(&self.namespace, &pod.name, since, !ended, self.limit(WaitKind::Silence)).await;
            let mut connection = match opened {
                Ok(connection) => connection,
                Err(failure) => {
                    let final_answer = match failure.kind {
                        FailureKind::Forbidden | FailureKind::Unauthorized => true,
                        FailureKind::NotFound => self.is_gone(&pod.uid),
                        _ => false,
                    };
                    if failure.kind == FailureKind::Forbidden {
                        self.tell_of_missing_right(&failure.words);
                    }
                    if self.never_ran(&pod.uid) {
                        break Ok(());
                    }
                    // While the container runs the node may get ready; after its end only for a while.
                    if final_answer || is_over {
                        break Err(match failure.kind {
                            FailureKind::NotFound => "the pod was deleted".to_owned(),
                            _ => failure.words,
                        });
                    }
                    tokio::time::sleep(failure.wait(&mut backoff)).await;
                    continue;
                }
            };
            // When the container's end was seen while the stream was open: what is left of *drain*.
            let mut drained = None;
            let mut unavailable = None;
            let mut doubt_ends: Option<Instant> = None;
            let broke = loop {
                let chunk = tokio::select! {
                    chunk = connection.next() => chunk,
                    () = self.end_of(&pod.uid), if !ended && drained.is_none() => {
                        drained = Some(Instant::now() + self.limit(WaitKind::Drain));
                        continue;
                    }
                    () = at(drained) => break Broke::Drained,
                    // What is held back is in no file: it comes again, if it must.
                    () = at(noted.due), if sink.is_written() => {
                        self.note(pod, reader.position(), sink, false).await;
                        noted.is_done(sink.length());
                        continue;
                    }
                    () = at(doubt_ends) => {
                        doubt_ends = None;
                        reader.give_up(&mut pieces);
                        unavailable = self.pass_on(pod, &mut pieces, sink).await.or(unavailable);
                        continue;
                    }
                };
                match chunk {
                    Ok(LogChunk::Bytes(bytes)) => {
                        reader.receive(bytes, &mut pieces);
                        let ends = doubt_ends.unwrap_or_else(|| Instant::now() + SEARCH);
                        doubt_ends = reader.is_in_doubt().then_some(ends);
                        // An answer that brings only what was passed on before, and breaks again, is no progress.
                        if !pieces.is_empty() {
                            backoff.reset();
                            idle = None;
                        }
                    }
                    Ok(LogChunk::End) => break Broke::Cleanly,
                    Err(_) => break Broke::Badly,
                }
                unavailable = self.pass_on(pod, &mut pieces, sink).await.or(unavailable);
                noted.grows(sink.length());
            };
            reader.disconnect(&mut pieces);
            unavailable = self.pass_on(pod, &mut pieces, sink).await.or(unavailable);
            if let Some(words) = unavailable {
                if self.never_ran(&pod.uid) {
                    break Ok(());
                }
                // What came is no log but the node's own words.
                if !mem::replace(&mut told_unavailable, true) {
                    let text = format!("log unavailable, it is asked for again: {words}");
                    self.shared.events.attempt(&self.step, self.attempt, EventKind::Note { text });
                }
                if is_over {
                    break Err(words);
                }
                tokio::time::sleep(backoff.wait()).await;
                continue;
            }
            match broke {
                Broke::Cleanly if ended => break Ok(()),
                Broke::Cleanly => {
                    // Its end is either known within two seconds, and the closing read follows, or the stream was cut. A
                    // stream that ends again and again without anything new is asked for ever less often.
                    let _ = tokio::time::timeout(backoff.wait().max(END_SEEN), self.end_of(&pod.uid)).await;
                }
                Broke::Drained => {}
                Broke::Badly if is_over => break Err("its end could not be read".to_owned()),
                Broke::Badly => tokio::time::sleep(backoff.wait()).await,
            }
        };
        match &read {
            Ok(()) => reader.finish(&mut pieces),
            Err(_) => reader.abandon(&mut pieces),
        }
        self.pass_on(pod, &mut pieces, sink).await;
        sink.end_stream(Stream::Output, Some((&pod.name, pod.number))).await;
        self.note(pod, reader.position(), sink, true).await;
        read
    }

    /// Tells the journal how far the log is in the file.
    async fn note(&self, pod: &DuePod, position: Position, sink: &LogSink, whole: bool) {
        let (step, attempt, pod, length) = (self.step.to_string(), self.attempt, pod.uid.clone(), sink.length());
        let at = LogPosition { step, attempt, pod, position, length, whole };
        self.shared.remember(Entry::LogPosition(at)).await;
    }

    fn tell_of_missing_right(&self, words: &str) {
        if !self.shared.told_of_logs.swap(true, Ordering::Relaxed) {
            let text = format!(
                "logs cannot be read: {words}; a Role needs the rule {{apiGroups: [\"\"], resources: [pods/log], verbs: [get]}}"
            );
            self.shared.events.run(EventKind::Warning { text });
        }
    }

    /// Passes pieces to the file and the screen. Returns the node's words where there is no log.
    async fn pass_on(&self, pod: &DuePod, pieces: &mut Vec<Piece>, sink: &mut LogSink) -> Option<String> {
        let mut unavailable = None;
        for piece in pieces.drain(..) {
            match piece {
                Piece::Text { text, partial } => {
                    sink.push(Stream::Output, Some((&pod.name, pod.number)), text, partial).await;
                }
                Piece::Gap { last, next } => {
                    let (last, next) = (last.to_string(), next.map(|stamp| stamp.to_string()));
                    let gap = EventKind::StepGap { pod: pod.name.clone(), last, next };
                    self.shared.events.attempt(&self.step, self.attempt, gap);
                }
                Piece::Unavailable { text } => unavailable = Some(text),
            }
        }
        unavailable
    }

    fn limit(&self, kind: WaitKind) -> Duration {
        self.shared.waits.get(kind)
    }

    /// Whether nothing more comes: the container has ended, or nobody waits for its end any longer.
    fn has_ended(&self, uid: &str) -> bool {
        self.decided.is_cancelled() || has_ended(&self.facts.borrow(), uid)
    }

    fn never_ran(&self, uid: &str) -> bool {
        self.facts.borrow().pods().iter().any(|pod| pod.uid == uid && pod.never_ran)
    }

    fn is_gone(&self, uid: &str) -> bool {
        self.facts.borrow().pods().iter().any(|pod| pod.uid == uid && pod.is_gone)
    }

    /// Comes when the container has ended, or when nothing more is to be expected of it.
    async fn end_of(&self, uid: &str) {
        let mut facts = self.facts.clone();
        let ended = facts.wait_for(|facts| has_ended(facts, uid));
        tokio::select! {
            _ = ended => {}
            () = self.decided.cancelled() => {}
        }
    }
}

fn has_ended(facts: &Facts, uid: &str) -> bool {
    facts.pods().iter().any(|pod| pod.uid == uid && (pod.step == StepPhase::Ended || pod.is_over || pod.is_gone))
}

/// What the journal knows of a log that grows.
struct Noted {
    /// Bytes of the file that it knows of.
    length: u64,
    /// When it is told of more.
    due: Option<Instant>,
}

impl Noted {
    fn grows(&mut self, length: u64) {
        if length != self.length {
            self.due.get_or_insert_with(|| Instant::now() + NOTED);
        }
    }

    fn is_done(&mut self, length: u64) {
        *self = Noted { length, due: None };
    }
}
