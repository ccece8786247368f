//! What every fault must hold, in one function.

use std::collections::BTreeMap;
use std::time::Duration;

use runner::event::JobName;
use runner::outcome::{Outcome, Reason};
use runner::report::ExitCode;

use super::seen::Seen;
use super::{golden_folder, lines, minutes};

/// The server ends a watch so long after it began: another one is no retry.
const WATCH: Duration = Duration::from_secs(290);

/// What is to be seen of a run.
#[derive(Debug, Clone)]
#[must_use = "nothing is compared before `Seen::expect`"]
pub struct Expected {
    exit_code: ExitCode,
    within: Duration,
    outcomes: BTreeMap<String, Outcome>,
    logs: BTreeMap<String, Vec<u8>>,
    /// Where the file holds something else than the screen.
    files: BTreeMap<String, Vec<u8>>,
    more: BTreeMap<&'static str, isize>,
    kept: usize,
    leftovers: usize,
    in_any_order: bool,
}

impl Expected {
    /// Every step succeeds within a minute.
    pub fn succeeded() -> Expected {
        Expected {
            exit_code: ExitCode::Success,
            within: minutes(1),
            outcomes: BTreeMap::new(),
            logs: BTreeMap::new(),
            files: BTreeMap::new(),
            more: BTreeMap::new(),
            kept: 0,
            leftovers: 0,
            in_any_order: false,
        }
    }

    /// Step `a` ends so within a minute, and the program with 1.
    pub fn ended(outcome: Outcome) -> Expected {
        Expected { exit_code: ExitCode::Failed, ..Expected::succeeded() }.outcome("a", outcome)
    }

    /// Step `a` fails with the code of its container, or for another reason without one.
    pub fn failed(code: impl Into<Option<i32>>, reason: Reason) -> Expected {
        Expected::ended(Outcome::failed(code.into(), reason))
    }

    /// Nobody can know how step `a` ended.
    pub fn lost() -> Expected {
        Expected::ended(Outcome::Lost)
    }

    /// Nothing runs, and the program ends with this.
    pub fn nothing_runs(exit_code: ExitCode) -> Expected {
        Expected { exit_code, ..Expected::succeeded() }
    }

    /// This step ends so.
    pub fn outcome(mut self, step: &str, outcome: Outcome) -> Expected {
        self.outcomes.insert(step.to_owned(), outcome);
        self
    }

    /// The program ends with this.
    pub fn exit(mut self, exit_code: ExitCode) -> Expected {
        self.exit_code = exit_code;
        self
    }

    /// The run ends within this time.
    pub fn within(mut self, bound: Duration) -> Expected {
        self.within = bound;
        self
    }

    /// The log of this step is exactly this, each line once and in order; the log of a step that is not named is empty.
    pub fn log(mut self, step: &str, text: impl AsRef<[u8]>) -> Expected {
        self.logs.insert(step.to_owned(), text.as_ref().to_vec());
        self
    }

    /// The file of this step's log holds this, which is not what was shown.
    pub fn file(mut self, step: &str, text: impl AsRef<[u8]>) -> Expected {
        self.files.insert(step.to_owned(), text.as_ref().to_vec());
        self
    }

    /// The log of step `a` is `line 1` to `line` n.
    pub fn lines(self, count: usize) -> Expected {
        self.log("a", lines(1..=count))
    }

    /// The fault forces so many more requests of a kind, as `get pods/log`, than the undisturbed run has; or so many
    /// fewer.
    pub fn more(mut self, kind: &'static str, count: isize) -> Expected {
        self.more.insert(kind, count);
        self
    }

    /// So many Jobs stay because their steps want it.
    pub fn kept(mut self, count: usize) -> Expected {
        self.kept = count;
        self
    }

    /// So many Jobs, or pods, cannot be removed, or may still come; each is named, with the command that removes it or
    /// that looks at it.
    pub fn leftovers(mut self, count: usize) -> Expected {
        self.leftovers = count;
        self
    }

    /// Steps that run side by side may be told in any order: the golden file says how often there is each line, whichever
    /// step it is about.
    pub fn in_any_order(mut self) -> Expected {
        self.in_any_order = true;
        self
    }

    /// How often there is a request of each kind.
    fn requests(&self, seen: &Seen) -> BTreeMap<String, isize> {
        let jobs = isize::try_from(seen.jobs.len()).unwrap();
        let watches = 1 + isize::try_from(seen.took.as_millis() / WATCH.as_millis()).unwrap();
        let undisturbed = [
            ("list jobs", 1),
            ("list pods", 1),
            ("watch jobs", watches),
            ("watch pods", watches),
            ("create jobs", jobs),
            ("delete jobs", jobs - isize::try_from(self.kept).unwrap()),
            // The stream, and the closing read.
            ("get pods/log", 2 * jobs),
        ];
        let mut requests: BTreeMap<String, isize> =
            undisturbed.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
        for (kind, more) in &self.more {
            *requests.entry((*kind).to_owned()).or_default() += more;
        }
        requests.retain(|_, count| *count != 0);
        requests
    }
}

impl Seen {
    /// Holds what every fault must hold: an end in time; outcomes, and an exit code that is never 0 for a failure; every
    /// log line once and in order; no request without need; nothing left without a word; and the words.
    ///
    /// # Panics
    /// When one of these does not hold.
    #[track_caller]
    pub fn expect(&self, expected: Expected) {
        let transcript = &self.transcript;
        let say = |what: &str| format!("{}: {what}\n--- the screen\n{transcript}---", self.test);
        assert!(self.took <= expected.within, "{}", say(&format!("took {:?} of {:?}", self.took, expected.within)));

        let code = self.end.exit_code;
        assert_eq!(code, expected.exit_code, "{}", say("exit code"));
        for (step, end) in &self.steps {
            let outcome = end.verdict.as_ref().map(|verdict| &verdict.outcome);
            let wanted = expected.outcomes.get(step).or(match expected.exit_code {
                ExitCode::Success => Some(&Outcome::Succeeded),
                _ => None,
            });
            assert_eq!(outcome, wanted, "{}", say(&format!("outcome of `{step}`")));
            if outcome.is_some_and(|outcome| *outcome != Outcome::Succeeded) {
                assert_ne!(code.number(), 0, "{}", say("a failure never ends with 0"));
            }
        }
        for step in expected.outcomes.keys() {
            assert!(self.steps.contains_key(step), "{}", say(&format!("`{step}` has no end")));
        }

        let in_files = expected.logs.iter().chain(&expected.files).map(|(step, text)| (step.clone(), text.clone()));
        let in_files: BTreeMap<String, Vec<u8>> = in_files.collect();
        for (which, found, wanted) in [("shown", &self.logs, &expected.logs), ("written", &self.files, &in_files)] {
            for step in found.keys().chain(wanted.keys()) {
                let found = found.get(step).map(Vec::as_slice).unwrap_or_default();
                let wanted = wanted.get(step).map(Vec::as_slice).unwrap_or_default();
                assert!(found == wanted, "{}", say(&difference(which, step, found, wanted)));
            }
        }

        let requests = self.requests.iter().map(|(kind, count)| (kind.clone(), isize::try_from(*count).unwrap()));
        assert_eq!(requests.collect::<BTreeMap<_, _>>(), expected.requests(self), "{}", say("requests (left: found)"));

        let left = self.left().unwrap_or_else(|what| panic!("{}", say(&what)));
        assert_eq!(
            left.unnamed.len(),
            expected.kept,
            "{}",
            say(&format!("Jobs that nobody names: {:?}", left.unnamed))
        );
        assert_eq!(left.named, expected.leftovers, "{}", say("leftovers"));

        let mut golden = transcript.clone();
        if expected.in_any_order {
            golden = self.counted();
        }
        if let Err(error) = crate::golden(&golden_folder().join(format!("{}.txt", self.test)), &golden) {
            panic!("{error:#}");
        }
    }
}

impl Seen {
    /// The lines of the transcript without the names of steps and Jobs, sorted, each with how often it is there.
    fn counted(&self) -> String {
        let mut text = self.transcript.clone();
        for JobName { name, .. } in &self.jobs {
            text = text.replace(name, "JOB");
        }
        for step in self.steps.keys() {
            text = text.replace(step, "STEP");
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('…')) {
            // Of log lines many are left out, whichever.
            let counted = if line.contains(" │ ") { "log lines" } else { line };
            *counts.entry(counted).or_default() += usize::from(counted == line);
        }
        counts.iter().filter(|(_, count)| **count > 0).map(|(line, count)| format!("{count:>5} × {line}\n")).collect()
    }
}

/// Where two logs differ.
fn difference(which: &str, step: &str, found: &[u8], wanted: &[u8]) -> String {
    let at = found.iter().zip(wanted).take_while(|(found, wanted)| found == wanted).count();
    let from = at.saturating_sub(40);
    let part = |text: &[u8]| {
        let end = text.len().min(from + 120);
        String::from_utf8_lossy(&text[from.min(end)..end]).into_owned()
    };
    let (length, wants) = (found.len(), wanted.len());
    format!(
        "log of `{step}` as {which} ({length} bytes, {wants} wanted) differs at byte {at}\n  found  {:?}\n  wanted {:?}",
        part(found),
        part(wanted)
    )
}
