//! A run as lines, for files, pipes and terminals that cannot draw: log text goes to standard output as it came.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::progress::Progress;
use super::text::{Glyphs, cut, log_line, pad, without_end};
use super::tree::final_tree;
use super::words::{Words, step_color};
use super::{RunStreams, Sink, SizeNow};
use crate::event::{Event, EventKind};
use crate::report::escape_line;

/// Columns up to which the names before log lines are aligned.
pub(super) const WIDEST_NAME: usize = 20;

/// Writes the lines.
pub(super) struct Plain {
    stdout: Sink,
    stderr: Sink,
    size: SizeNow,
    glyphs: Glyphs,
    quiet: bool,
    progress: Progress,
    words: Words,
    /// Whose line on standard output has no end yet: step and pod.
    open: Option<(Arc<str>, Option<Arc<str>>)>,
}

impl fmt::Debug for Plain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Plain").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Plain {
    pub(super) fn new(streams: RunStreams, quiet: bool) -> Plain {
        let RunStreams { stdout, stderr, size, glyphs } = streams;
        Plain {
            stdout,
            stderr,
            size,
            glyphs,
            quiet,
            progress: Progress::default(),
            words: Words::default(),
            open: None,
        }
    }

    pub(super) fn show(&mut self, event: Event) {
        match &event.kind {
            EventKind::StepLog { pod, pod_number, text, partial, permit: _ } => {
                if let Some(step) = event.step.as_ref().filter(|_| !self.quiet) {
                    self.log(step, pod, *pod_number, text, *partial);
                }
            }
            kind => {
                let told = match kind {
                    EventKind::Warning { .. } | EventKind::StepGap { .. } | EventKind::Fatal { .. } => true,
                    // The final tree has it; without one it would not be told.
                    EventKind::Leftover(_) | EventKind::Resumable { .. } => !self.quiet || !self.progress.has_begun(),
                    _ => !self.quiet,
                };
                if let Some(line) = self.words.line(&event).filter(|_| told) {
                    // Where both streams are one terminal, a line without end would run into this one.
                    if self.stdout.is_terminal() {
                        self.close();
                    }
                    self.stderr.text(line + "\n");
                }
            }
        }
        self.progress.take(event);
    }

    /// Writes log text with the name of its step before each line.
    fn log(&mut self, step: &Arc<str>, pod: &Option<Arc<str>>, number: u32, text: &[u8], partial: bool) {
        if text.is_empty() {
            return;
        }
        let mut continued = self.open.as_ref().is_some_and(|(open, of)| open == step && of == pod);
        if !continued {
            self.close();
        }
        let prefix = self.stdout.coloured(prefix(&self.progress, step, number, self.glyphs, None)).into_bytes();
        let mut shown = Vec::with_capacity(text.len() + text.len() / 4 + prefix.len());
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !continued {
                shown.extend_from_slice(&prefix);
            }
            continued = false;
            if self.stdout.is_terminal() {
                shown.extend_from_slice(self.stdout.coloured(log_line(without_end(line))).as_bytes());
                shown.extend(line.ends_with(b"\n").then_some(b'\n'));
            } else {
                shown.extend_from_slice(line);
            }
        }
        self.open = None;
        if !text.ends_with(b"\n") {
            if partial {
                self.open = Some((step.clone(), pod.clone()));
            } else {
                shown.push(b'\n');
            }
        }
        self.stdout.bytes(&shown);
    }

    /// Ends a line that has no end yet.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.stdout.bytes(b"\n");
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.close();
        if self.progress.has_steps_to_tell() {
            let columns = self.stdout.is_terminal().then(|| usize::from((self.size)().columns));
            self.stdout.text(final_tree(&self.progress, self.glyphs, columns));
        }
        self.stdout.end()
    }
}

/// What stands before a line of a log, with colours: the step, and which pod of its Job it is if not the first. `most`:
/// columns to which the name is cut; none: it is not.
pub(super) fn prefix(progress: &Progress, step: &str, pod_number: u32, glyphs: Glyphs, most: Option<usize>) -> String {
    let mut name = escape_line(step);
    let number = if pod_number > 1 { format!("/{pod_number}") } else { String::new() };
    if let Some(most) = most {
        name = cut(&name, most.saturating_sub(number.len()), glyphs).into_owned();
    }
    let name = pad(&(name + &number), progress.name_width(most.unwrap_or(WIDEST_NAME)));
    let style = step_color(progress.place(step));
    format!("{style}{name} {}{style:#} ", glyphs.bar())
}

#[cfg(test)]
mod tests {
    use super::super::canned::{Kept, begun, failing, log, of, over, piece, run, shown, started, state, succeeded};
    use super::super::{Output, RunReporter, Size};
    use super::*;
    use crate::event::AttemptState;
    use crate::outcome::RunStatus;

    fn plain(events: Vec<Event>) -> (String, String) {
        shown(Output::Plain, false, events)
    }

    /// Standard output up to the final tree.
    fn log_lines(events: Vec<Event>) -> String {
        let (stdout, _) = plain(events);
        stdout.split("nightly").next().unwrap().to_owned()
    }

    #[test]
    fn log_lines_and_the_tree_go_to_stdout() {
        let (stdout, _) = plain(failing());
        assert_eq!(
            stdout,
            "migrate   │ one
migrate   │ two
report    │ first
report/2  │ \u{fffd}\x1b[2Jsecond\r
report/2  │ last
nightly · failed · 12 s · run 0198c0de
├─ ✔ migrate     4 s     batch/migrate-q7k2
├─ ✘ report      7 s     batch/report-q7k2   pod-failure-policy, exit 42
│     pod failure rule 0
│     Container step for pod batch/report-q7k2-x failed with exit code 42 matching FailJob rule
│     note: pod 2 of 2
│     help: the rule stands in `podFailurePolicy`
│     help: leave it out to have the Job try again
│     │         opening
│     │ cannot open /data\\u{1b}[2J
│     │
│     log: /state/0198c0de/logs/report.1.log
├─ ○ publish             aborted: upstream report failed
└─ ✔ onFailure   0.3 s   batch/onFailure-q7k2
2 succeeded, 1 failed, 1 aborted
left over:
  job batch/report-q7k2: the server refused: Forbidden
    kubectl --context prod -n batch delete job report-q7k2
"
        );
    }

    #[test]
    fn changes_go_to_stderr_one_line_each() {
        let (_, stderr) = plain(failing());
        assert_eq!(
            stderr,
            "nightly: run 0198c0de in /state/0198c0de
migrate: started, job batch/migrate-q7k2
migrate: running, pod migrate-q7k2-x
migrate: succeeded in 4 s
report: started, job batch/report-q7k2
report: waiting for pull: ErrImagePull: not found (for 0 s, at most 2 m)
report: waiting for pull: ImagePullBackOff: Back-off pulling image (for 1 s, at most 2 m)
report: no longer waiting for pull
report: running, pod report-q7k2-x
report: running, pod report-q7k2-y
report: failed after 7 s: pod-failure-policy, exit 42: pod failure rule 0
publish: aborted: upstream report failed
onFailure: started, job batch/onFailure-q7k2
onFailure: succeeded in 0.3 s
left over: job batch/report-q7k2: the server refused: Forbidden; remove it with: kubectl --context prod -n batch delete job report-q7k2
nightly: failed after 12 s, exit 1
"
        );
    }

    #[test]
    fn quiet_leaves_the_tree_the_warnings_and_the_errors() {
        let mut events = failing();
        let text = "the events of the namespace\ncannot be \u{202e}listed".to_owned();
        events.insert(3, of(10, "migrate", EventKind::Warning { text }));
        events.insert(3, run(10, EventKind::Note { text: "a note".to_owned() }));
        events.push(run(20_000, EventKind::Stopping { at_once: true }));
        events.push(run(20_000, EventKind::Fatal { text: "no more".to_owned(), help: Some("one\ntwo".to_owned()) }));
        let (stdout, stderr) = shown(Output::Plain, true, events);
        assert!(stdout.starts_with("nightly · failed"), "{stdout}");
        assert!(stdout.ends_with("delete job report-q7k2\n"), "{stdout}");
        assert_eq!(
            stderr,
            "warning: migrate: the events of the namespace\\ncannot be \\u{202e}listed
error: no more
  help: one
  help: two
"
        );
    }

    #[test]
    fn a_line_in_pieces_stays_one_line_unless_another_step_speaks() {
        let together = vec![begun(&["a", "b"]), of(1, "a", piece("one ")), of(2, "a", log(1, "two\nthree\n"))];
        assert_eq!(log_lines(together), "a │ one two\na │ three\n");
        let between = vec![
            begun(&["a", "b"]),
            of(1, "a", piece("one ")),
            of(2, "b", log(1, "other\n")),
            of(3, "a", log(1, "two\n")),
            of(3, "a", piece("cut")),
        ];
        assert_eq!(log_lines(between), "a │ one \nb │ other\na │ two\na │ cut\n");
    }

    #[test]
    fn names_are_aligned_up_to_twenty_columns() {
        let events = vec![
            begun(&["a", "日本", "a-name-of-more-than-twenty-columns"]),
            of(1, "a", log(1, "one\n\n")),
            of(1, "日本", log(3, "two\n")),
            of(1, "a-name-of-more-than-twenty-columns", log(1, "three\n")),
        ];
        assert_eq!(
            log_lines(events),
            "a                    │ one
a                    │ 
日本/3               │ two
a-name-of-more-than-twenty-columns │ three
"
        );
    }

    #[test]
    fn on_a_terminal_log_text_is_not_obeyed() {
        let (stdout, stderr) = (Kept::default(), Kept::default());
        let sink = |kept: &Kept| Sink::new(Box::new(kept.clone()), true, true);
        let streams = RunStreams::new(sink(&stdout), sink(&stderr), false, || Size { rows: 24, columns: 80 });
        let mut reporter = RunReporter::new(Output::Plain, streams, false);
        reporter.show(begun(&["a"]));
        reporter.show(of(1, "a", log(1, "\x1b[31mred\r\n\x1b[2J\n")));
        assert_eq!(stdout.text(), "\x1b[36ma |\x1b[0m \x1b[31mred\x1b[0m\n\x1b[36ma |\x1b[0m \\u{1b}[2J\n");
        reporter.show(of(1, "a", piece("open")));
        reporter.show(of(1, "a", started("a")));
        assert!(stdout.text().ends_with("open\n"), "a line for stderr does not run into an open one");
    }

    #[test]
    fn attempts_and_suspensions_are_told() {
        let suspended = |suspended| EventKind::StepState { state: AttemptState::Pending, pod: None, suspended };
        let mut second = of(5, "a", started("a"));
        second.attempt = Some(2);
        let (stdout, stderr) = plain(vec![
            begun(&["a"]),
            of(1, "a", started("a")),
            of(2, "a", suspended(true)),
            of(3, "a", suspended(false)),
            of(4, "a", state(AttemptState::Running, None)),
            of(4, "a", state(AttemptState::Running, None)),
            second,
            of(6, "a", state(AttemptState::Running, Some("p"))),
            of(7, "a", EventKind::StepGap { pod: "p".into(), last: "10:00".into(), next: None }),
            of(7, "a", succeeded("a", 2_000)),
            over(2_000, RunStatus::Succeeded, 0),
        ]);
        assert_eq!(
            stderr,
            "nightly: run 0198c0de in /state/0198c0de
a: started, job batch/a-q7k2
a: suspended
a: no longer suspended
a: running
a: attempt 2 started, job batch/a-q7k2
a: running, pod p
warning: a: lines may be missing from the log of pod p, after 10:00
a: succeeded in 2 s
nightly: succeeded after 2 s, exit 0
"
        );
        assert!(stdout.contains("└─ ✔ a   2 s   batch/a-q7k2   2 attempts\n"), "{stdout}");
    }
}
