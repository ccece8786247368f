//! Laws of the state that a journal leaves: a cut anywhere loses nothing that was said, and a run that goes on behind a
//! cut ends as one that was never cut.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::outcome::{Reason, StepStatus};
use crate::run::Signal;

const STEPS: [&str; 3] = ["a", "b", "c"];

fn started() -> Entry {
    Entry::RunStarted {
        version: super::super::VERSION,
        run: "r1".to_owned(),
        workflow: "w".to_owned(),
        steps: STEPS.map(str::to_owned).to_vec(),
        handlers: Vec::new(),
        logs: None,
        local: false,
    }
}

fn intended(step: &str, attempt: u32) -> Entry {
    Entry::JobIntended {
        step: step.to_owned(),
        attempt,
        target: Target::default(),
        job: JobName { namespace: "default".to_owned(), name: format!("{step}-{attempt}") },
        digest: format!("digest of {step}"),
        cleanup: Policy::Delete,
        grace_seconds: 30,
    }
}

fn created(step: &str, attempt: u32) -> Entry {
    Entry::JobCreated { step: step.to_owned(), attempt, uid: format!("uid of {step}") }
}

fn read(step: &str, length: u64, whole: bool) -> Entry {
    let (step, pod, position) = (step.to_owned(), "pod".to_owned(), Position::default());
    Entry::LogPosition(LogPosition { step, attempt: 1, pod, position, length, whole })
}

fn decided(step: &str, outcome: Outcome, owed: Owed) -> Entry {
    Entry::AttemptEnded { step: step.to_owned(), attempt: 1, verdict: Verdict::new(outcome, "so it was"), owed }
}

fn ended(step: &str, outcome: Option<Outcome>) -> Entry {
    let status = outcome.as_ref().map_or(StepStatus::Aborted, Outcome::status);
    let verdict = outcome.map(|outcome| Verdict::new(outcome, "so it was"));
    let (step, message) = (step.to_owned(), String::new());
    Entry::StepEnded(StepEnded {
        step,
        status,
        excused: false,
        by_condition: false,
        verdict,
        message,
        took_ms: Some(1),
        kept: false,
    })
}

fn cleaned(step: &str) -> Entry {
    Entry::JobCleaned { step: step.to_owned(), attempt: 1, kept: false }
}

/// Everything that is said of a step that goes well or badly.
fn of_step(step: &str, outcome: &Outcome) -> Vec<Entry> {
    vec![
        intended(step, 1),
        created(step, 1),
        read(step, 10, false),
        read(step, 20, true),
        decided(step, outcome.clone(), Owed::Delete),
        ended(step, Some(outcome.clone())),
        cleaned(step),
    ]
}

fn history(entries: &[Entry]) -> History {
    let dated = entries
        .iter()
        .zip(0..)
        .map(|(entry, second)| Dated { time: Timestamp::from_second(second).unwrap(), entry: entry.clone() });
    History::of(dated).unwrap()
}

/// What counts: everything but the times.
fn known(history: &History) -> Vec<StepHistory> {
    let mut steps = history.steps.clone();
    steps.iter_mut().flat_map(|step| &mut step.attempts).for_each(|attempt| attempt.began = Timestamp::UNIX_EPOCH);
    steps
}

/// The steps of a run, each told in its own order, the steps mixed.
fn journals() -> impl Strategy<Value = Vec<Entry>> {
    let outcome =
        prop_oneof![Just(Outcome::Succeeded), Just(Outcome::failed(Some(3), Reason::Exit)), Just(Outcome::Lost),];
    let outcomes = proptest::collection::vec(outcome, STEPS.len());
    (outcomes, proptest::collection::vec(any::<Index>(), 3 * 7)).prop_map(|(outcomes, order)| {
        let mut left: Vec<std::vec::IntoIter<Entry>> =
            STEPS.iter().zip(&outcomes).map(|(step, outcome)| of_step(step, outcome).into_iter()).collect();
        let mut entries = vec![started()];
        for index in order {
            left.retain(|lines| lines.len() > 0);
            let next = index.index(left.len());
            entries.extend(left[next].next());
        }
        entries
    })
}

proptest! {
    #[test]
    fn a_run_that_goes_on_behind_a_cut_is_known_as_one_that_was_never_cut(
        entries in journals(),
        cuts in proptest::collection::vec(any::<Index>(), 1..4),
    ) {
        let mut cut: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(entries.len())).collect();
        cut.sort_unstable();
        let mut journal = Vec::new();
        let mut from = 0;
        for to in cut.into_iter().chain([entries.len()]) {
            journal.extend_from_slice(&entries[from..to]);
            if to < entries.len() {
                let left = history(&journal);
                journal.push(Entry::RunResumed);
                // Who takes it up says again what it intends where it does not know whether that was done.
                let is_unknown = |open: &RecordedAttempt| open.job().is_some_and(|job| job.uid.is_none());
                let again = left.steps.iter().filter(|step| step.open_attempt().is_some_and(is_unknown));
                journal.extend(again.map(|step| intended(&step.name, 1)));
            }
            from = to;
        }
        prop_assert_eq!(known(&history(&journal)), known(&history(&entries)));
    }

    #[test]
    fn whatever_was_begun_is_accounted_for_at_any_cut(entries in journals(), cut in any::<Index>()) {
        let cut = 1 + cut.index(entries.len());
        let history = history(&entries[..cut]).resumed();
        for step in &history.steps {
            let Some(attempt) = step.last_attempt() else {
                prop_assert!(step.end.is_none());
                continue;
            };
            // Its Job may be there, unless it is known to be gone: somebody looks after it.
            let is_looked_after = step.open_attempt().is_some() || attempt.owed().is_some();
            prop_assert!(is_looked_after || attempt.cleaned, "{:?}", step);
            prop_assert_eq!(step.open_attempt().is_some(), step.end.is_none());
        }
        prop_assert!(!history.is_over());
    }
}

#[test]
fn the_last_position_counts_and_pods_that_are_whole_are_not_read_again() {
    let lines = [started(), intended("a", 1), created("a", 1), read("a", 10, false), read("a", 25, false)];
    let log = |lines: &[Entry]| history(lines).steps[0].attempts[0].log.clone();
    let open = log(&lines);
    assert_eq!((open.length, open.open.unwrap().0.as_str(), open.whole.len()), (25, "pod", 0));
    let whole = log(&[&lines[..], &[read("a", 30, true)]].concat());
    assert_eq!((whole.length, whole.open, whole.whole.len()), (30, None, 1));
}

#[test]
fn a_run_that_ended_is_open_again_only_where_nobody_knows_how() {
    let lost = |owed| decided("a", Outcome::Lost, owed);
    let end = Entry::RunEnded { status: RunStatus::Failed, exit_code: 1 };
    let b = of_step("b", &Outcome::failed(Some(3), Reason::Exit));
    let run = |owed| {
        let a = [intended("a", 1), created("a", 1), lost(owed), ended("a", Some(Outcome::Lost))];
        [&[started()][..], &a, &b, &[ended("c", None), end.clone()]].concat()
    };
    for (owed, goes_on) in [(Owed::LeaveAlone, true), (Owed::Nothing, false)] {
        let before = history(&run(owed));
        assert!(!before.is_over());
        let after = before.resumed();
        let [a, b, c] = ["a", "b", "c"].map(|name| after.step(name).unwrap());
        assert_eq!((a.open_attempt().is_some(), a.attempts.len()), (goes_on, 1), "{owed:?}");
        assert!(a.end.is_none() && c.end.is_none() && b.end.is_some());
        assert_eq!(after.phase, Phase::Going);
    }
    let known = [&[started()][..], &b, &[end]].concat();
    assert!(history(&known).is_over());
}

#[test]
fn a_run_that_was_stopped_is_over_when_it_ended_and_still_stopped_when_it_did_not() {
    let stopping = Entry::Stopping { signal: Signal::Interrupt };
    let lines =
        [started(), intended("a", 1), created("a", 1), stopping.clone(), Entry::Stopping { signal: Signal::Terminate }];
    let history_of_dead = history(&lines).resumed();
    assert_eq!(history_of_dead.stopped, Some(Signal::Interrupt), "the first one counts");
    let lost = [decided("a", Outcome::Lost, Owed::LeaveAlone), ended("a", Some(Outcome::Lost))];
    let end = [Entry::RunEnded { status: RunStatus::Aborted, exit_code: 130 }];
    assert!(history(&[&lines[..], &lost, &end].concat()).is_over());
}

#[test]
fn what_could_not_be_removed_is_left_until_it_is() {
    let leftover = Leftover {
        kind: "job".to_owned(),
        namespace: "default".to_owned(),
        name: "a-1".to_owned(),
        reason: "forbidden".to_owned(),
        command: String::new(),
    };
    let left = Entry::Leftover { step: "a".to_owned(), attempt: 1, leftover };
    let before = [started(), intended("a", 1), created("a", 1), left];
    assert_eq!(history(&before).leftovers().count(), 1);
    assert_eq!(history(&[&before[..], &[cleaned("a")]].concat()).leftovers().count(), 0);
}

#[test]
fn a_journal_without_its_first_line_says_nothing() {
    let dated = Dated { time: Timestamp::UNIX_EPOCH, entry: Entry::Detached };
    assert_eq!(History::of([dated]), None);
    assert_eq!(History::of([]), None);
}
