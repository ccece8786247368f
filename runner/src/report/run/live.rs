//! A run on a terminal: log lines go by, and below them a line for each step that runs says what it does.
//!
//! Everything between two drawings is gathered and written at once, with the screen below it: nothing flickers, and a
//! thousand events cost what one costs. The tree is made here; indicatif keeps it at the bottom of the screen.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::plain::{WIDEST_NAME, prefix};
use super::progress::{Progress, Retry, StepProgress};
use super::text::{Glyphs, between, cut, last_part, log_line, pad, running, shorten, width, without_end};
use super::tree::final_tree;
use super::words::{DIM, Words, short_wait};
use super::{RunStreams, Sink, Size, SizeNow};
use crate::event::{AttemptState, Event, EventKind};
use crate::outcome::StepStatus;
use crate::report::{RED, YELLOW, escape_line};

/// Between two drawings: not quite 15 a second, which looks immediate and costs a slow connection little.
const FRAME: Duration = Duration::from_millis(67);

/// How often running times are looked at while nothing happens. They have whole seconds; four looks a second keep them
/// from jumping.
const LOOK: Duration = Duration::from_millis(250);

/// Text that is gathered before it is drawn at once, in bytes: it would go by unread, but memory is bounded.
const MOST_GATHERED: usize = 1024 * 1024;

/// Characters of a log line that are shown. One line of a megabyte would fill the terminal's memory; the file has it.
const LONGEST_LINE: usize = 4000;

/// Below this width a row has no room for the state beside the name.
const NARROW: usize = 60;

/// Shows a run on a terminal.
pub(super) struct Live {
    stdout: Sink,
    screen: Screen,
    size: SizeNow,
    bar: ProgressBar,
    /// What the bar shows when it is drawn.
    frame: Arc<Mutex<String>>,
    glyphs: Glyphs,
    progress: Progress,
    words: Words,
    /// What goes above the tree with the next drawing.
    above: String,
    /// Of the log text in it.
    permits: Vec<OwnedSemaphorePermit>,
    /// The step and pod whose line is in the middle; what is left of it is not shown.
    inside: Option<(Arc<str>, Option<Arc<str>>)>,
    /// Whether something has happened since the last drawing.
    stale: bool,
    looked: Option<Timestamp>,
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Live").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Live {
    pub(super) fn new(streams: RunStreams) -> Live {
        let RunStreams { stdout, stderr, size, glyphs } = streams;
        let screen = Screen { written: Arc::new(Mutex::new(Written::new(stderr))), size: size.clone() };
        let frame = Arc::new(Mutex::new(String::new()));
        let shown = frame.clone();
        // The style of a bar is a template; of this one the whole text comes from here.
        let style = ProgressStyle::with_template("{frame}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let style = style.with_key("frame", move |_: &ProgressState, line: &mut dyn fmt::Write| {
            let _ = line.write_str(&lock(&shown));
        });
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        Live {
            stdout,
            screen,
            size,
            bar,
            frame,
            glyphs,
            progress: Progress::default(),
            words: Words::default(),
            above: String::new(),
            permits: Vec::new(),
            inside: None,
            stale: true,
            looked: None,
        }
    }

    pub(super) fn show(&mut self, mut event: Event) {
        let time = event.time;
        let line = self.words.line(&event);
        match &mut event.kind {
            EventKind::StepLog { pod, pod_number, text, partial, permit } => {
                if let Some(step) = &event.step {
                    log(self, step, pod, *pod_number, text, *partial);
                }
                self.permits.extend(permit.take());
            }
            EventKind::Note { .. }
            | EventKind::Warning { .. }
            | EventKind::Fatal { .. }
            | EventKind::Stopping { .. }
            | EventKind::StepGap { .. } => self.say(line),
            // What goes well is seen by the counts; a failure should not wait for the end.
            EventKind::StepEnded(end) if end.status == StepStatus::Failed => self.say(line),
            // Told by the tree below, and by the final one.
            EventKind::StepEnded(_)
            | EventKind::RunStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::StepState { .. }
            | EventKind::StepRetrying { .. }
            | EventKind::StepWaiting { .. }
            | EventKind::Leftover(_)
            | EventKind::Resumable { .. }
            | EventKind::RunEnded { .. } => {}
        }
        self.progress.take(event);
        self.stale = true;
        if self.above.len() > MOST_GATHERED {
            self.draw(time);
        }
    }

    /// Puts a line above the tree.
    fn say(&mut self, line: Option<String>) {
        if let Some(line) = line {
            self.above.push_str(&line.replace('\n', "\r\n"));
            self.above.push_str("\r\n");
        }
    }

    /// Draws what has changed, not before it is due.
    pub(super) fn tick(&mut self, now: Timestamp) {
        if self.idle(now).is_zero() {
            self.draw(now);
        }
    }

    /// How long it takes until a drawing is due.
    pub(super) fn idle(&self, now: Timestamp) -> Duration {
        let Some(looked) = self.looked else { return Duration::ZERO };
        // A clock that was set back must not stop the screen.
        if now < looked {
            return Duration::ZERO;
        }
        let wanted = if self.stale { FRAME } else { LOOK };
        wanted.saturating_sub(between(looked, now))
    }

    fn draw(&mut self, now: Timestamp) {
        self.looked = Some(now);
        self.stale = false;
        let lines = frame(&self.progress, self.glyphs, (self.size)(), now);
        let frame = self.screen.coloured(lines.join("\n"));
        if self.above.is_empty() && *lock(&self.frame) == frame {
            return;
        }
        *lock(&self.frame) = frame;
        if self.above.is_empty() {
            self.bar.force_draw();
        } else {
            let above = self.screen.coloured(std::mem::take(&mut self.above));
            // Not by the bar's own `println`: it fills lines up with spaces and breaks them, which spoils what is copied
            // from the terminal.
            self.bar.suspend(|| self.screen.put(&above));
        }
        self.screen.write();
        self.permits.clear();
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        lock(&self.frame).clear();
        let above = self.screen.coloured(std::mem::take(&mut self.above));
        self.bar.suspend(|| self.screen.put(&above));
        self.bar.finish_and_clear();
        self.screen.write();
        self.permits.clear();
        if self.progress.has_steps_to_tell() {
            let columns = usize::from((self.size)().columns);
            self.stdout.text(final_tree(&self.progress, self.glyphs, Some(columns)));
        }
        self.stdout.end()
    }
}

/// Puts the lines of a log above the tree, and the last of them beside its step.
fn log(live: &mut Live, step: &Arc<str>, pod: &Option<Arc<str>>, pod_number: u32, text: &[u8], partial: bool) {
    let mut inside = live.inside.take().is_some_and(|(of, from)| of == *step && from == *pod);
    // A quarter of the line, at most, for the name: the text is more.
    let most = usize::from((live.size)().columns / 4).clamp(8, WIDEST_NAME);
    let prefix = prefix(&live.progress, step, pod_number, live.glyphs, Some(most));
    let mut last = None;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        // The beginning of this line was shown, as much as is shown of any line.
        if !std::mem::take(&mut inside) {
            let line = String::from_utf8_lossy(without_end(line));
            let line = log_line(shorten(&line, LONGEST_LINE, live.glyphs).as_bytes());
            live.above.push_str(&prefix);
            live.above.push_str(&line);
            live.above.push_str("\r\n");
        }
        if !line.trim_ascii().is_empty() {
            last = Some(line);
        }
    }
    if partial && !text.ends_with(b"\n") {
        live.inside = Some((step.clone(), pod.clone()));
    }
    if let (Some(line), Some(step)) = (last, live.progress.step(step)) {
        step.last_line = last_part(without_end(line));
    }
}

/// The lines of the live tree, each no wider than the terminal; never so many that log lines have no room.
fn frame(progress: &Progress, glyphs: Glyphs, size: Size, now: Timestamp) -> Vec<String> {
    let (rows, columns) = (usize::from(size.rows), usize::from(size.columns));
    if !progress.has_begun() {
        return Vec::new();
    }
    let active: Vec<&StepProgress> = progress.steps().filter(|step| step.is_active()).collect();
    let mut lines = vec![header(progress, glyphs, columns, now)];
    // A third of the screen is for the log. The header and one row are shown even where nothing has room.
    let room = (rows * 2 / 3).max(2) - 1;
    let shown = if active.len() <= room { active.len() } else { room.saturating_sub(1) };
    let more = active.len() - shown;
    let visible = visible(active, shown);
    let layout = Layout::of(&visible, columns, now);
    for (number, step) in visible.iter().enumerate() {
        let last = more == 0 && number + 1 == shown;
        lines.push(layout.row(step, last, glyphs, now));
    }
    if more > 0 {
        let more = format!("{}{} and {more} more", glyphs.branch(true), glyphs.ellipsis());
        lines.push(cut(&more, columns, glyphs).into_owned());
    }
    lines
}

/// The first steps, in file order, when not all have room. One that waits for something goes before one that does not:
/// what is stuck must not be what is hidden.
fn visible(mut steps: Vec<&StepProgress>, most: usize) -> Vec<&StepProgress> {
    let mut waiting = steps.iter().filter(|step| !step.waits.is_empty()).count().min(most);
    let mut others = most - waiting;
    steps.retain(|step| {
        let left = if step.waits.is_empty() { &mut others } else { &mut waiting };
        let has_room = *left > 0;
        *left = left.saturating_sub(1);
        has_room
    });
    steps
}

/// `nightly · 12 s · 3 running, 12 waiting, 40 done (2 failed)`.
fn header(progress: &Progress, glyphs: Glyphs, columns: usize, now: Timestamp) -> String {
    let counts = progress.counts();
    let done = counts.succeeded + counts.failed + counts.skipped + counts.aborted;
    let took = running(progress.started.map(|started| between(started, now)).unwrap_or_default());
    let words =
        format!("{took}{}{} running, {} waiting, {done} done", glyphs.dot(), counts.running, counts.not_started);
    let failed = if counts.failed > 0 { format!(" ({} failed)", counts.failed) } else { String::new() };
    let name = escape_line(&progress.workflow) + glyphs.dot();
    let room = columns.saturating_sub(width(&words) + width(&failed));
    if room == 0 && !failed.is_empty() {
        return cut(&format!("{words}{failed}"), columns, glyphs).into_owned();
    }
    // The numbers are more than the name.
    let name = if width(&name) <= room { name } else { String::new() };
    format!("{name}{}{RED}{failed}{RED:#}", cut(&words, columns, glyphs))
}

/// How wide the columns of the rows are.
struct Layout {
    name: usize,
    state: usize,
    time: usize,
    columns: usize,
}

impl Layout {
    /// Columns before the name.
    const BRANCH: usize = 3;

    /// Fewest columns of a time, so that rows do not move when the first minute passes: of `59 s`.
    const TIME: usize = 4;

    fn of(steps: &[&StepProgress], columns: usize, now: Timestamp) -> Layout {
        let widest =
            |width: &dyn Fn(&StepProgress) -> usize| steps.iter().map(|step| width(step)).max().unwrap_or_default();
        let narrow = columns < NARROW;
        Layout {
            name: widest(&|step| width(&step.name)).min(if narrow { 12 } else { 24 }),
            state: if narrow { 0 } else { widest(&|step| state(step).len()) },
            time: widest(&|step| time(step, now).len()).max(Layout::TIME),
            columns,
        }
    }

    fn row(&self, step: &StepProgress, last: bool, glyphs: Glyphs, now: Timestamp) -> String {
        let name = pad(&cut(&step.name, self.name, glyphs), self.name);
        let time = format!("{:>1$}", time(step, now), self.time);
        let mut used = Layout::BRANCH + self.name + 2 + self.time;
        let mut row = format!("{}{name}", glyphs.branch(last));
        if self.state > 0 {
            let _ = write!(row, "  {DIM}{}{DIM:#}", pad(state(step), self.state));
            used += 2 + self.state;
        }
        let _ = write!(row, "  {time}");
        let (detail, style) = detail(step, self.state == 0, now);
        let room = self.columns.saturating_sub(used + 2);
        if !detail.is_empty() && room > 0 {
            let _ = write!(row, "  {style}{}{style:#}", cut(&detail, room, glyphs));
        }
        if used > self.columns {
            return cut(&row, self.columns, glyphs).into_owned();
        }
        row
    }
}

/// The word for what a step does.
fn state(step: &StepProgress) -> &'static str {
    match step.state {
        _ if step.end.is_some() => "cleaning up",
        _ if step.retry.is_some() => StepStatus::Retrying.as_str(),
        _ if step.suspended => "suspended",
        None => AttemptState::Creating.as_str(),
        Some(AttemptState::Draining) => "ending",
        // Its end is not there yet: it waits for its next attempt.
        Some(AttemptState::Finished | AttemptState::Cleaned) => "between attempts",
        Some(state) => state.as_str(),
    }
}

/// How long the attempt has run by now; after its end, how long something has been waited for.
fn time(step: &StepProgress, now: Timestamp) -> String {
    let from = match step.end {
        Some(_) => step.waits.iter().map(|wait| wait.since).min(),
        None => step.started,
    };
    running(from.map(|from| between(from, now)).unwrap_or_default())
}

/// What a step waits for, or else what it last said. `with_state`: there is no other place for its state.
fn detail(step: &StepProgress, with_state: bool, now: Timestamp) -> (String, anstyle::Style) {
    let waits: Vec<String> = step.waits.iter().map(|wait| short_wait(wait, now)).collect();
    if !waits.is_empty() {
        return (waits.join("; "), YELLOW);
    }
    if let Some(retry) = &step.retry {
        let Retry { next, until, after } = retry;
        let due = if *until > now { format!(" in {}", running(between(now, *until))) } else { " is due".to_owned() };
        return (format!("attempt {next}{due}, after {after}"), YELLOW);
    }
    let runs = step.state == Some(AttemptState::Running) && !step.suspended;
    if with_state && (!runs || step.last_line.is_empty()) {
        return (state(step).to_owned(), DIM);
    }
    let attempt = if step.attempt > 1 { format!("attempt {}  ", step.attempt) } else { String::new() };
    (format!("{attempt}{}", step.last_line).trim_end().to_owned(), DIM)
}

/// The lower end of a terminal, as indicatif sees one. What it writes is gathered and written at once.
#[derive(Clone)]
struct Screen {
    written: Arc<Mutex<Written>>,
    size: SizeNow,
}

struct Written {
    sink: Sink,
    gathered: String,
}

impl Written {
    fn new(sink: Sink) -> Written {
        Written { sink, gathered: String::new() }
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Screen {
    /// Text with colours as the terminal wants it.
    fn coloured(&self, text: String) -> String {
        lock(&self.written).sink.coloured(text)
    }

    /// Adds to what is written next.
    fn put(&self, text: &str) {
        lock(&self.written).gathered.push_str(text);
    }

    /// Writes what was gathered.
    fn write(&self) {
        let mut written = lock(&self.written);
        let gathered = std::mem::take(&mut written.gathered);
        written.sink.bytes(gathered.as_bytes());
    }

    fn move_cursor(&self, by: usize, to: char) -> io::Result<()> {
        if by > 0 {
            self.put(&format!("\x1b[{by}{to}"));
        }
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        (self.size)().columns
    }

    fn height(&self) -> u16 {
        (self.size)().rows
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.put(s);
        self.put("\r\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.put(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        // Not yet: clearing and drawing go out together.
        Ok(())
    }
}

/// A lock whose holder panicked still guards text that can be drawn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use indicatif::InMemoryTerm;
    use tokio::sync::Semaphore;

    use super::super::canned::{
        Kept, at, begun, end, ended, failing, log, of, over, piece, pull, started, state, succeeded, unattempted,
    };
    use super::*;
    use crate::outcome::{Outcome, Reason, RunStatus, Verdict};

    /// A terminal that both streams end at; counts how often something is written.
    #[derive(Clone)]
    struct Terminal {
        screen: InMemoryTerm,
        writes: Arc<AtomicUsize>,
    }

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A terminal makes a line end of its own of `\n`.
            let text = std::str::from_utf8(bytes).unwrap().replace('\n', "\r\n");
            self.screen.write_str(&text)?;
            self.writes.fetch_add(1, Ordering::Relaxed);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Terminal {
        fn new(rows: u16, columns: u16) -> (Terminal, Live) {
            let terminal = Terminal { screen: InMemoryTerm::new(rows, columns), writes: Arc::default() };
            let sink = || Sink::new(Box::new(terminal.clone()), true, false);
            let streams = RunStreams::new(sink(), sink(), true, move || Size { rows, columns });
            let live = Live::new(streams);
            (terminal, live)
        }

        fn writes(&self) -> usize {
            self.writes.load(Ordering::Relaxed)
        }
    }

    /// What a terminal shows of a run at a moment.
    fn screen(rows: u16, columns: u16, events: Vec<Event>, milliseconds: i64) -> String {
        let (terminal, mut live) = Terminal::new(rows, columns);
        for event in events {
            live.show(event);
        }
        live.tick(at(milliseconds));
        terminal.screen.contents()
    }

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("step-{number}")).collect()
    }

    /// Of some steps two have ended and the others run; the last but one waits.
    fn busy(count: usize) -> Vec<Event> {
        let names = names(count);
        let mut events = vec![begun(&names.iter().map(String::as_str).chain(["onExit"]).collect::<Vec<_>>())];
        for (number, name) in names.iter().enumerate() {
            events.push(of(1_000, name, started(name)));
            match number {
                0 => events.push(of(3_000, name, succeeded(name, 2_000))),
                1 => {
                    let verdict =
                        Verdict::new(Outcome::failed(None, Reason::Deadline), "the deadline of the Job passed");
                    events.push(of(3_000, name, ended(end(name, 2_000, verdict))));
                }
                _ if number + 2 == count => {
                    events.push(of(2_000, name, state(AttemptState::Pending, None)));
                    events.push(of(3_000, name, pull(3_000, "ErrImagePull: rpc error: code = NotFound")));
                }
                _ => {
                    events.push(of(2_000, name, state(AttemptState::Running, Some("p"))));
                    events.push(of(3_000, name, log(1, format!("{name} works\n"))));
                }
            }
        }
        events
    }

    #[test]
    fn five_steps_on_a_wide_terminal() {
        assert_eq!(
            screen(24, 120, busy(5), 65_000),
            "step-2: failed after 2 s: deadline, exit -: the deadline of the Job passed
step-3 │ step-3 works
step-5 │ step-5 works
nightly · 1 m 05 s · 3 running, 0 waiting, 2 done (1 failed)
├─ step-3  running  1 m 04 s  step-3 works
├─ step-4  pending  1 m 04 s  pull 1 m 02 s of 2 m: ErrImagePull: rpc error: code = NotFound
└─ step-5  running  1 m 04 s  step-5 works"
        );
    }

    #[test]
    fn fifty_steps_on_a_wide_terminal() {
        let shown = screen(15, 120, busy(50), 4_000);
        assert_eq!(
            shown.split_once("nightly").unwrap().1,
            " · 4 s · 48 running, 0 waiting, 2 done (1 failed)
├─ step-3   running   3 s  step-3 works
├─ step-4   running   3 s  step-4 works
├─ step-5   running   3 s  step-5 works
├─ step-6   running   3 s  step-6 works
├─ step-7   running   3 s  step-7 works
├─ step-8   running   3 s  step-8 works
├─ step-9   running   3 s  step-9 works
├─ step-49  pending   3 s  pull 1 s of 2 m: ErrImagePull: rpc error: code = NotFound
└─ … and 40 more"
        );
        assert_eq!(shown.lines().count(), 15);
    }

    #[test]
    fn a_thousand_steps_on_a_narrow_terminal() {
        assert_eq!(
            screen(12, 40, busy(1000), 4_000),
            "step-996  │ step-996 works
step-997  │ step-997 works
step-998  │ step-998 works
step-1000 │ step-1000 works
4 s · 998 running, 0 waiting, 2 done (1…
├─ step-3     3 s  step-3 works
├─ step-4     3 s  step-4 works
├─ step-5     3 s  step-5 works
├─ step-6     3 s  step-6 works
├─ step-7     3 s  step-7 works
├─ step-999   3 s  pull 1 s of 2 m: Err…
└─ … and 992 more"
        );
    }

    #[test]
    fn what_a_step_does_is_told_by_its_state() {
        let suspended = EventKind::StepState { state: AttemptState::Pending, pod: None, suspended: true };
        let mut again = of(9_000, "again", started("again"));
        again.attempt = Some(2);
        let api = crate::event::Waiting { kind: "api", words: String::new(), since: at(1_000), until: None };
        let events = || {
            vec![
                begun(&["created", "held", "ends", "retries", "again", "a-name-that-is-too-long-for-a-row", "later"]),
                of(0, "created", started("created")),
                of(0, "held", started("held")),
                of(0, "held", suspended_again(&suspended)),
                of(0, "ends", started("ends")),
                of(0, "ends", state(AttemptState::Draining, None)),
                of(0, "retries", started("retries")),
                of(0, "retries", state(AttemptState::Finished, None)),
                of(0, "a-name-that-is-too-long-for-a-row", started("x")),
                of(0, "a-name-that-is-too-long-for-a-row", state(AttemptState::Running, None)),
                of(0, "a-name-that-is-too-long-for-a-row", EventKind::StepWaiting { waits: vec![api.clone()] }),
            ]
        };
        let mut wide = events();
        wide.push(again);
        wide.push(of(9_000, "again", state(AttemptState::Running, None)));
        wide.push(of(9_000, "later", unattempted(StepStatus::Succeeded, "")));
        wide.push(of(9_000, "later", pull(8_000, "")));
        assert_eq!(
            screen(24, 80, wide, 10_000),
            "nightly · 10 s · 6 running, 0 waiting, 1 done
├─ created                   creating          10 s
├─ held                      suspended         10 s
├─ ends                      ending            10 s
├─ retries                   between attempts  10 s
├─ again                     running            1 s  attempt 2
├─ a-name-that-is-too-long…  running           10 s  api 9 s
└─ later                     cleaning up        2 s  pull 2 s of 2 m"
        );
        assert_eq!(
            screen(24, 40, events(), 10_000),
            "10 s · 5 running, 2 waiting, 0 done
├─ created       10 s  creating
├─ held          10 s  suspended
├─ ends          10 s  ending
├─ retries       10 s  between attempts
└─ a-name-that…  10 s  api 9 s"
        );
    }

    /// Events cannot be cloned.
    fn suspended_again(kind: &EventKind) -> EventKind {
        match kind {
            EventKind::StepState { state, pod, suspended } => {
                EventKind::StepState { state: *state, pod: pod.clone(), suspended: *suspended }
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_log_cannot_destroy_the_screen() {
        let (terminal, mut live) = Terminal::new(12, 60);
        live.show(begun(&["a", "b"]));
        live.show(of(0, "a", started("a")));
        live.show(of(0, "a", state(AttemptState::Running, None)));
        live.tick(at(0));
        live.show(of(1, "a", log(1, "\x1b[2J\x1b[Hgone\x07\n")));
        live.show(of(1, "a", log(1, " 10%\r 20%\r\n\x1b[1Aup\n")));
        live.show(of(1, "a", log(1, "colours \x1b[31mred\x1b[0m\n日本\ttab\n\n")));
        live.tick(at(100));
        live.show(of(200, "a", log(1, "\x1b[?25l 30%\r 40%")));
        live.tick(at(300));
        assert_eq!(
            terminal.screen.contents(),
            "a │ \\u{1b}[2J\\u{1b}[Hgone\\u{7}
a │  10%\\u{d} 20%
a │ \\u{1b}[1Aup
a │ colours red
a │ 日本      tab
a │
a │ \\u{1b}[?25l 30%\\u{d} 40%
nightly · 0 s · 1 running, 1 waiting, 0 done
└─ a  running   0 s  40%"
        );
    }

    #[test]
    fn what_cannot_wait_goes_above_the_tree() {
        let about = |kind| Event { time: at(0), step: None, attempt: None, kind };
        let events = vec![
            begun(&["a"]),
            about(EventKind::Note { text: "a note".to_owned() }),
            of(0, "a", EventKind::Warning { text: "a warning".to_owned() }),
            of(0, "a", EventKind::StepGap { pod: "p".into(), last: "10:00".into(), next: Some("10:01".into()) }),
            about(EventKind::Stopping { at_once: false }),
            about(EventKind::Fatal { text: "no more".to_owned(), help: Some("one\ntwo".to_owned()) }),
        ];
        assert_eq!(
            screen(24, 100, events, 0),
            "note: a note
warning: a: a warning
warning: a: lines may be missing from the log of pod p, after 10:00 and before 10:01
stopping: Jobs are deleted, pods get their grace period; again to kill them
error: no more
  help: one
  help: two
nightly · 0 s · 0 running, 1 waiting, 0 done"
        );
    }

    #[test]
    fn of_a_line_in_pieces_the_beginning_is_shown() {
        let events = vec![
            begun(&["a", "b"]),
            of(0, "a", piece(&format!("begin{}", "x".repeat(5_000)))),
            of(0, "b", log(1, "other\n")),
            of(0, "a", piece("middle")),
            of(0, "a", log(1, "end\nnext\n")),
        ];
        let shown = screen(100, 200, events, 0).replace('\n', "");
        assert!(shown.starts_with("a │ beginxxx"), "{shown}");
        // Another step has spoken, so that the rest of the line has a name again.
        assert!(shown.ends_with("b │ othera │ middlea │ nextnightly · 0 s · 0 running, 2 waiting, 0 done"), "{shown}");
        assert!(shown.len() < 4_200, "{}", shown.len());
    }

    #[test]
    fn the_live_part_vanishes_and_the_final_tree_stays() {
        let (terminal, mut live) = Terminal::new(24, 90);
        for (number, event) in failing().into_iter().enumerate() {
            live.show(event);
            live.tick(at(i64::try_from(number).unwrap() * 100));
        }
        live.finish().unwrap();
        assert_eq!(
            terminal.screen.contents(),
            "migrate   │ one
migrate   │ two
report    │ first
report/2  │ \\u{1b}[2Jsecond
report/2  │ last
report: failed after 7 s: pod-failure-policy, exit 42: pod failure rule 0
nightly · failed · 12 s · run 0198c0de
├─ ✔ migrate     4 s     batch/migrate-q7k2
├─ ✘ report      7 s     batch/report-q7k2   pod-failure-policy, exit 42
│     pod failure rule 0
│     Container step for pod batch/report-q7k2-x failed with exit code 42 matching FailJob
│     rule
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
  job batch/report-q7k2: the server refused: Forbidden"
                .lines()
                .skip(2)
                .chain(["    kubectl --context prod -n batch delete job report-q7k2"])
                .collect::<Vec<_>>()
                .join("\n")
        );
    }

    #[test]
    fn many_events_are_drawn_at_most_fifteen_times_a_second() {
        let (terminal, mut live) = Terminal::new(24, 80);
        live.show(begun(&["a"]));
        live.show(of(0, "a", started("a")));
        for millisecond in 0..2_000 {
            for number in 0..10 {
                live.show(of(millisecond, "a", log(1, format!("line {number} of {millisecond}\n"))));
            }
            live.tick(at(millisecond));
        }
        assert!((28..=30).contains(&terminal.writes()), "{}", terminal.writes());
    }

    #[test]
    fn what_has_not_changed_is_not_drawn() {
        let (terminal, mut live) = Terminal::new(24, 80);
        live.show(begun(&["a"]));
        live.show(of(0, "a", started("a")));
        for millisecond in 0..3_000 {
            live.tick(at(millisecond));
        }
        assert_eq!(terminal.writes(), 3, "once for each second");
        assert_eq!(live.idle(at(2_999)), Duration::from_millis(1));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_the_screen() {
        let (terminal, mut live) = Terminal::new(24, 80);
        live.show(begun(&["a"]));
        live.tick(at(100_000));
        live.show(of(0, "a", started("a")));
        live.tick(at(50_000));
        assert_eq!(terminal.writes(), 2);
    }

    #[test]
    fn a_permit_is_held_until_its_text_is_shown() {
        let semaphore = Arc::new(Semaphore::new(1));
        let (_, mut live) = Terminal::new(24, 80);
        live.show(begun(&["a"]));
        live.tick(at(0));
        let mut event = of(1, "a", log(1, "text\n"));
        if let EventKind::StepLog { permit, .. } = &mut event.kind {
            *permit = Some(semaphore.clone().try_acquire_owned().unwrap());
        }
        live.show(event);
        live.tick(at(10));
        assert_eq!(semaphore.available_permits(), 0);
        live.tick(at(100));
        assert_eq!(semaphore.available_permits(), 1);
    }

    #[test]
    fn a_megabyte_of_text_is_not_gathered() {
        let (terminal, mut live) = Terminal::new(24, 80);
        live.show(begun(&["a"]));
        let text = "a line of a log\n".repeat(1_000);
        for _ in 0..100 {
            live.show(of(0, "a", log(1, &text)));
        }
        assert_eq!(terminal.writes(), 3, "once for each megabyte, prefixes included");
        assert!(live.above.len() < MOST_GATHERED);
    }

    #[test]
    fn a_terminal_of_one_character_does_no_harm() {
        // The emulator of the other tests does not come so small.
        for glyphs in [true, false] {
            let (stdout, stderr) = (Kept::default(), Kept::default());
            let sink = |kept: &Kept| Sink::new(Box::new(kept.clone()), true, true);
            let size = || Size { rows: 1, columns: 1 };
            let mut live = Live::new(RunStreams::new(sink(&stdout), sink(&stderr), glyphs, size));
            for event in busy(5) {
                live.show(event);
                live.tick(at(1_000));
            }
            live.show(of(2_000, "日本", started("日本")));
            live.tick(at(9_000));
            live.finish().unwrap();
            assert!(stderr.text().contains("step-3") && stdout.text().contains("step-3"));
        }
    }

    #[test]
    fn a_terminal_of_any_size_is_enough() {
        for (rows, columns) in [(2, 7), (2, 200), (3, 20), (50, 10), (200, 300)] {
            let (terminal, mut live) = Terminal::new(rows, columns);
            let events = busy(50).into_iter().chain([over(9_000, RunStatus::Failed, 1)]);
            for event in events {
                live.show(event);
                live.tick(at(1_000));
            }
            live.tick(at(9_000));
            live.finish().unwrap();
            assert!(terminal.screen.contents().lines().count() <= usize::from(rows), "{rows}x{columns}");
        }
    }
}
