//! The final tree: every step with its end, what went wrong and what to do about it, then the counts and what was left.

use std::fmt::Write as _;

use super::progress::{Counts, Progress, StepProgress};
use super::text::{Glyphs, broken, human, log_line, pad, shorten, width};
use super::words::{DIM, GREEN, job_name, message, reason_and_code, run_style, status_words, step_style, why};
use crate::event::StepEnd;
use crate::outcome::StepStatus;
use crate::report::{RED, RESET, YELLOW, escape_line};

/// Columns up to which names are aligned. A single name that is longer moves its own row only.
const WIDEST_NAME: usize = 40;

/// Characters of a line of a log that are shown. A line may have a megabyte; the file has all of it.
const LONGEST_LOG_LINE: usize = 500;

/// Columns up to which the summaries behind the Jobs are aligned.
const WIDEST_JOB: usize = 48;

/// Columns before the sign of a row and between it and the name.
const BEFORE: usize = 4;

/// Between the columns.
const GAP: &str = "   ";

/// The tree of a run that has ended, with colours. `columns`: those of the terminal; none: it is no terminal.
pub(super) fn final_tree(progress: &Progress, glyphs: Glyphs, columns: Option<usize>) -> String {
    let mut tree = title(progress, glyphs);
    let rows: Vec<Row> = progress.steps().map(|step| Row::new(step, glyphs)).collect();
    let widths = Widths::of(&rows);
    let count = rows.len();
    for (number, row) in rows.iter().enumerate() {
        row.write(&mut tree, &widths, number + 1 == count, glyphs, columns);
    }
    let _ = writeln!(tree, "{}", counts(&progress.counts()));
    leftovers(&mut tree, progress);
    if let Some(command) = &progress.resume {
        let _ = writeln!(tree, "take it up again with: {}", escape_line(command));
    }
    tree
}

/// `nightly · failed · 12 s · run 0198c0de-…`.
fn title(progress: &Progress, glyphs: Glyphs) -> String {
    let (status, took) = match progress.ended {
        Some(end) => {
            let style = run_style(end.status);
            (format!("{style}{}{style:#}", end.status), Some(human(end.took)))
        }
        // Whoever was to say so is gone.
        None => ("not ended".to_owned(), None),
    };
    let run = format!("run {}", escape_line(&progress.run));
    let parts: Vec<String> =
        [Some(escape_line(&progress.workflow)), Some(status), took, Some(run)].into_iter().flatten().collect();
    parts.join(glyphs.dot()) + "\n"
}

/// A step as it is shown.
struct Row<'a> {
    step: &'a StepProgress,
    status: StepStatus,
    took: String,
    job: String,
    summary: String,
}

/// How wide the columns are.
struct Widths {
    name: usize,
    took: usize,
    /// Of the Jobs that something stands behind.
    job: usize,
}

impl Widths {
    fn of(rows: &[Row<'_>]) -> Widths {
        let widest = |width: &dyn Fn(&Row<'_>) -> usize| rows.iter().map(width).max().unwrap_or_default();
        Widths {
            name: widest(&|row| width(&row.step.name)).min(WIDEST_NAME),
            took: widest(&|row| width(&row.took)),
            job: widest(&|row| if row.summary.is_empty() { 0 } else { width(&row.job) }).min(WIDEST_JOB),
        }
    }
}

impl<'a> Row<'a> {
    fn new(step: &'a StepProgress, glyphs: Glyphs) -> Row<'a> {
        let status = step.status();
        let end = step.end.as_deref();
        let job = end.and_then(|end| end.job.as_ref()).or(step.job.as_ref());
        Row {
            step,
            status,
            took: end.and_then(|end| end.took).map(human).unwrap_or_default(),
            job: job.map(job_name).unwrap_or_default(),
            summary: summary(step, status, glyphs),
        }
    }

    fn write(&self, tree: &mut String, widths: &Widths, last: bool, glyphs: Glyphs, columns: Option<usize>) {
        let mark = Mark::of(self.status, glyphs);
        let (row, below) = self.placed(widths, columns.map(|columns| columns.saturating_sub(mark.width + BEFORE)));
        let _ = writeln!(tree, "{}{} {}", glyphs.branch(last), mark.shown, row.trim_end());
        let trunk = format!("{}   ", glyphs.trunk(last));
        for line in below {
            let _ = writeln!(tree, "{trunk}{line}");
        }
        let room = columns.map(|columns| columns.saturating_sub(width(&trunk)));
        for line in details(self.step, self.status, glyphs, room) {
            let _ = writeln!(tree, "{trunk}{line}");
        }
    }

    /// The row, and what stands below it because there is no room. The first way that fits is taken.
    fn placed(&self, widths: &Widths, room: Option<usize>) -> (String, Vec<String>) {
        let fits = |row: &str| room.is_none_or(|room| width(row) <= room);
        let row = |parts: &[&str]| parts.join(GAP).trim_end().to_owned();
        let name = pad(&self.step.name, room.map_or(widths.name, |room| widths.name.min(room / 3)));
        let took = pad(&self.took, widths.took);

        if !self.job.is_empty() && !self.summary.is_empty() {
            let aligned = row(&[&name, &took, &pad(&self.job, widths.job), &self.summary]);
            if fits(&aligned) {
                return (aligned, Vec::new());
            }
        }
        let parts: Vec<&str> =
            [self.job.as_str(), self.summary.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
        let whole = row(&[&[name.as_str(), took.as_str()][..], &parts].concat());
        if fits(&whole) {
            return (whole, Vec::new());
        }
        // Of a Job that went well and is gone the name is worth no line of its own.
        let gone = self.status == StepStatus::Succeeded && self.summary.is_empty();
        let job = (!self.job.is_empty() && !gone).then(|| format!("job: {}", self.job));
        let short = row(&[&name, &took, &self.summary]);
        if fits(&short) {
            return (short, job.into_iter().collect());
        }
        let summary = (!self.summary.is_empty()).then(|| self.summary.clone());
        (row(&[&name, &took]), summary.into_iter().chain(job).collect())
    }
}

/// The sign of a status, or its word.
struct Mark {
    shown: String,
    width: usize,
}

impl Mark {
    fn of(status: StepStatus, glyphs: Glyphs) -> Mark {
        /// Columns of the longest word.
        const WORD: usize = "not started".len();
        let style = step_style(status);
        if !glyphs.unicode {
            let shown = format!("{style}{}{style:#}", pad(status_words(status), WORD));
            return Mark { shown, width: WORD };
        }
        let sign = match status {
            StepStatus::Succeeded => "✔",
            StepStatus::Failed => "✘",
            StepStatus::Aborted | StepStatus::NotStarted => "○",
            StepStatus::Skipped => "⊘",
            StepStatus::Running | StepStatus::Retrying => "…",
        };
        Mark { shown: format!("{style}{sign}{style:#}"), width: 1 }
    }
}

/// What stands behind the Job.
fn summary(step: &StepProgress, status: StepStatus, glyphs: Glyphs) -> String {
    let mut parts = Vec::new();
    // Where there is no sign, the word stands before the name already.
    let word = |why: String| match (glyphs.unicode, why.is_empty()) {
        (true, true) => status_words(status).to_owned(),
        (true, false) => format!("{}: {why}", status_words(status)),
        (false, _) => why,
    };
    match (&step.end, status) {
        (Some(end), StepStatus::Failed) => {
            let excused = if end.excused { "excused: " } else { "" };
            parts.push(format!("{excused}{}", reason_and_code(end)));
        }
        (Some(end), StepStatus::Succeeded) => {
            parts.extend(end.excused.then(|| format!("excused: {}", reason_and_code(end))));
        }
        (Some(end), _) => parts.push(word(why(end))),
        (None, _) => parts.push(word(String::new())),
    }
    if step.attempt > 1 {
        parts.push(format!("{} attempts", step.attempt));
    }
    if step.end.as_ref().is_some_and(|end| end.kept) {
        parts.push("job kept".to_owned());
    }
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// The lines below a step. Words are broken to the room there is; what may be copied, as commands and paths, is not.
fn details(step: &StepProgress, status: StepStatus, glyphs: Glyphs, room: Option<usize>) -> Vec<String> {
    let Some(end) = &step.end else { return Vec::new() };
    let mut lines = Vec::new();
    let went_wrong = status == StepStatus::Failed || status == StepStatus::Aborted && end.verdict.is_some();
    if went_wrong {
        lines.extend(message(end).lines().flat_map(|line| broken(&escape_line(line), room)));
    }
    if let Some(verdict) = &end.verdict {
        let notes = verdict.notes.iter().map(|note| format!("note: {}", escape_line(note)));
        lines.extend(notes.flat_map(|note| broken(&note, room)));
        if went_wrong {
            let hint = verdict.hint.iter().flat_map(|hint| hint.lines());
            lines.extend(hint.map(|line| format!("help: {}", escape_line(line))));
        }
    }
    if went_wrong {
        log(&mut lines, end, glyphs);
    }
    lines
}

/// The last lines of the log, and where the others are.
fn log(lines: &mut Vec<String>, end: &StepEnd, glyphs: Glyphs) {
    for line in &end.last_lines {
        let text = String::from_utf8_lossy(line);
        let text = log_line(shorten(&text, LONGEST_LOG_LINE, glyphs).as_bytes());
        lines.push(format!("{DIM}{}{DIM:#} {text}", glyphs.bar()).trim_end().to_owned());
    }
    lines.extend(end.log.iter().map(|log| format!("log: {}", escape_line(&log.display().to_string()))));
}

/// `1 succeeded, 1 failed, 1 aborted`.
fn counts(counts: &Counts) -> String {
    let parts: Vec<String> = [
        (counts.succeeded, "succeeded", GREEN),
        (counts.failed, "failed", RED),
        (counts.skipped, "skipped", DIM),
        (counts.aborted, "aborted", YELLOW),
        (counts.running, "running", anstyle::Style::new()),
        (counts.not_started, "not started", DIM),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, word, style)| format!("{style}{count} {word}{style:#}"))
    .collect();
    if parts.is_empty() { "no steps".to_owned() } else { parts.join(", ") }
}

fn leftovers(tree: &mut String, progress: &Progress) {
    if progress.leftovers.is_empty() {
        return;
    }
    let _ = writeln!(tree, "{YELLOW}left over{RESET}:");
    for leftover in &progress.leftovers {
        let thing = format!("{} {}/{}", leftover.kind, leftover.namespace, leftover.name);
        let _ = writeln!(tree, "  {}: {}", escape_line(&thing), escape_line(&leftover.reason));
        if !leftover.command.is_empty() {
            let _ = writeln!(tree, "    {}", escape_line(&leftover.command));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::canned::{begun, end, ended, failing, leftover, of, over, started, succeeded, unattempted};
    use super::*;
    use crate::event::Event;
    use crate::outcome::{Outcome, Reason, RunStatus, Verdict};

    const SIGNS: Glyphs = Glyphs { unicode: true };
    const WORDS: Glyphs = Glyphs { unicode: false };

    fn tree(events: Vec<Event>, glyphs: Glyphs, columns: Option<usize>) -> String {
        let mut progress = Progress::default();
        events.into_iter().for_each(|event| progress.take(event));
        anstream::adapter::strip_str(&final_tree(&progress, glyphs, columns)).to_string()
    }

    fn attempt(number: u32, mut event: Event) -> Event {
        event.attempt = Some(number);
        event
    }

    #[test]
    fn of_each_end_the_tree_says_what_it_was() {
        let with = |outcome, message: &str| Verdict::new(outcome, message);
        let mut kept = end("kept", 1_000, with(Outcome::Succeeded, ""));
        kept.kept = true;
        if let Some(verdict) = &mut kept.verdict {
            verdict.notes.push("pod 2 of 2".to_owned());
        }
        let mut excused = end("excused", 900, with(Outcome::failed(Some(3), Reason::Exit), "the program ended with 3"));
        excused.status = StepStatus::Succeeded;
        excused.excused = true;
        let cases = [
            ("well", succeeded("well", 62_000)),
            ("kept", ended(kept)),
            ("excused", ended(excused)),
            (
                "pull",
                ended(end("pull", 120_000, with(Outcome::failed(None, Reason::ImagePull), "not\x1b found\nat all"))),
            ),
            ("late", ended(end("late", 3_720_000, with(Outcome::TimedOut, "the step's time limit of 1 h 2 m passed")))),
            ("gone", ended(end("gone", 5_000, with(Outcome::Lost, "the Job was deleted")))),
            ("stopped", ended(end("stopped", 5_000, with(Outcome::Cancelled { reason: Reason::Cancelled }, "SIGINT")))),
            ("unwanted", unattempted(StepStatus::Skipped, "precondition 1 is not met")),
            ("downstream", unattempted(StepStatus::Aborted, "upstream pull failed")),
            ("unclear", unattempted(StepStatus::Failed, "the condition `x` cannot be evaluated")),
            ("nobody", unattempted(StepStatus::Aborted, "")),
        ];
        let names: Vec<&str> = cases.iter().map(|(name, _)| *name).chain(["running", "never", "onExit"]).collect();
        let mut events = vec![begun(&names)];
        events.extend(
            cases.into_iter().map(|(name, kind)| attempt(if name == "late" { 3 } else { 1 }, of(1, name, kind))),
        );
        events.push(of(2, "running", started("running")));
        events.push(over(3_725_000, RunStatus::Aborted, 130));
        assert_eq!(
            tree(events, SIGNS, None),
            "nightly · aborted · 1 h 02 m · run 0198c0de
├─ ✔ well         1 m 02 s   batch/well-q7k2
├─ ✔ kept         1 s        batch/kept-q7k2      job kept
│     note: pod 2 of 2
├─ ✔ excused      0.9 s      batch/excused-q7k2   excused: exit 3
├─ ✘ pull         2 m 00 s   batch/pull-q7k2      image-pull, exit -
│     not\\u{1b} found
│     at all
│     log: /state/0198c0de/logs/pull.1.log
├─ ✘ late         1 h 02 m   batch/late-q7k2      timeout, exit 124, 3 attempts
│     the step's time limit of 1 h 2 m passed
│     log: /state/0198c0de/logs/late.1.log
├─ ✘ gone         5 s        batch/gone-q7k2      lost, exit -
│     the Job was deleted
│     log: /state/0198c0de/logs/gone.1.log
├─ ○ stopped      5 s        batch/stopped-q7k2   aborted: cancelled
│     SIGINT
│     log: /state/0198c0de/logs/stopped.1.log
├─ ⊘ unwanted                skipped: precondition 1 is not met
├─ ○ downstream              aborted: upstream pull failed
├─ ✘ unclear                 exit -
│     the condition `x` cannot be evaluated
├─ ○ nobody                  aborted
├─ … running                 batch/running-q7k2   running
└─ ○ never                   not started
3 succeeded, 4 failed, 1 skipped, 3 aborted, 1 running, 1 not started
"
        );
    }

    #[test]
    fn without_signs_there_are_words() {
        assert_eq!(
            tree(failing(), WORDS, None),
            "nightly - failed - 12 s - run 0198c0de
|- succeeded   migrate     4 s     batch/migrate-q7k2
|- failed      report      7 s     batch/report-q7k2   pod-failure-policy, exit 42
|     pod failure rule 0
|     Container step for pod batch/report-q7k2-x failed with exit code 42 matching FailJob rule
|     note: pod 2 of 2
|     help: the rule stands in `podFailurePolicy`
|     help: leave it out to have the Job try again
|     |         opening
|     | cannot open /data\\u{1b}[2J
|     |
|     log: /state/0198c0de/logs/report.1.log
|- aborted     publish             upstream report failed
`- succeeded   onFailure   0.3 s   batch/onFailure-q7k2
2 succeeded, 1 failed, 1 aborted
left over:
  job batch/report-q7k2: the server refused: Forbidden
    kubectl --context prod -n batch delete job report-q7k2
"
        );
    }

    #[test]
    fn on_a_narrow_terminal_the_job_and_long_words_stand_below() {
        assert_eq!(
            tree(failing(), SIGNS, Some(44)),
            "nightly · failed · 12 s · run 0198c0de
├─ ✔ migrate     4 s     batch/migrate-q7k2
├─ ✘ report      7 s
│     pod-failure-policy, exit 42
│     job: batch/report-q7k2
│     pod failure rule 0
│     Container step for pod
│     batch/report-q7k2-x failed with exit
│     code 42 matching FailJob rule
│     note: pod 2 of 2
│     help: the rule stands in `podFailurePolicy`
│     help: leave it out to have the Job try again
│     │         opening
│     │ cannot open /data\\u{1b}[2J
│     │
│     log: /state/0198c0de/logs/report.1.log
├─ ○ publish
│     aborted: upstream report failed
└─ ✔ onFailure   0.3 s
2 succeeded, 1 failed, 1 aborted
left over:
  job batch/report-q7k2: the server refused: Forbidden
    kubectl --context prod -n batch delete job report-q7k2
"
        );
    }

    #[test]
    fn a_run_that_nobody_ended_says_so() {
        let events = vec![begun(&["a"]), of(1, "a", started("a")), of(2, "other", leftover("other"))];
        assert_eq!(
            tree(events, SIGNS, None),
            "nightly · not ended · run 0198c0de
└─ … a      batch/a-q7k2   running
1 running
left over:
  job batch/other-q7k2: the server refused: Forbidden
    kubectl --context prod -n batch delete job other-q7k2
"
        );
        assert_eq!(
            tree(vec![begun(&[]), over(0, RunStatus::Succeeded, 0)], SIGNS, None),
            "nightly · succeeded · 0.0 s · run 0198c0de\nno steps\n"
        );
    }

    #[test]
    fn of_a_very_long_log_line_both_ends_are_shown() {
        let mut lost = end("a", 1, Verdict::new(Outcome::Lost, ""));
        lost.last_lines = vec![format!("begin{}end", "x".repeat(1_000_000)).into()];
        let shown = tree(vec![begun(&["a"]), of(1, "a", ended(lost))], SIGNS, None);
        let line = shown.lines().find(|line| line.contains("begin")).unwrap();
        assert!(line.ends_with("xend") && line.contains("x … x") && line.chars().count() < 520, "{line}");
    }

    #[test]
    fn ends_have_colours() {
        let mut progress = Progress::default();
        failing().into_iter().for_each(|event| progress.take(event));
        let shown = final_tree(&progress, SIGNS, None);
        assert!(shown.contains("├─ \x1b[1m\x1b[32m✔\x1b[0m migrate"), "{shown:?}");
        assert!(shown.contains("\x1b[31mcannot open\x1b[0m /data"), "{shown:?}");
    }
}
