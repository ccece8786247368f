//! Which tests there are, and how each runs: in a namespace of its own, beside others or alone, with the state of the
//! cluster in its failure.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use tests::{ClusterKind, Namespace};

use crate::expected;

/// Tests at once: they mostly wait for a cluster.
const AT_ONCE: usize = 6;
/// What anything may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A test.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    name: &'static str,
    run: fn(&Namespace),
    /// It does something to the whole cluster.
    is_alone: bool,
}

impl Test {
    pub(crate) const fn new(name: &'static str, run: fn(&Namespace)) -> Test {
        Test { name, run, is_alone: false }
    }

    /// A test during which no other runs.
    pub(crate) const fn alone(name: &'static str, run: fn(&Namespace)) -> Test {
        Test { name, run, is_alone: true }
    }
}

/// A list of tests, each named for its function.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { &[$($crate::suite::Test::new(stringify!($test), $test)),*] };
}
pub(crate) use tests;

/// Writers are the tests that want the cluster for themselves.
static CLUSTER: RwLock<()> = RwLock::new(());

thread_local! {
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<String> = RefCell::default();
}

/// Runs the tests that the command line asks for.
pub(crate) fn run(modules: &[(&str, &[Test])]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let kind = ClusterKind::of_environment();
    let mut expected = expected::all();
    let named = |(module, test): (&str, &Test)| format!("{module}::{}", test.name);
    let all: Vec<(String, Test)> =
        modules.iter().flat_map(|(module, tests)| tests.iter().map(|test| (named((module, test)), *test))).collect();
    for failure in &expected {
        let is_known = all.iter().any(|(name, _)| *name == failure.test);
        assert!(is_known, "expected-failures.yaml names `{}`, and there is no such test", failure.test);
    }
    expected.retain(|failure| failure.cluster == kind);
    // What is expected to fail shall not fill the screen.
    std::panic::set_hook(Box::new(|panic| PANIC.set(panic.to_string())));
    let trials = all.into_iter().map(|(name, test)| {
        let reason = expected.iter().find(|failure| failure.test == name).map(|failure| failure.reason.clone());
        Trial::test(name, move || one(test, reason))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn one(test: Test, expected: Option<String>) -> Result<(), Failed> {
    let _turn: Box<dyn std::any::Any> = if test.is_alone {
        Box::new(CLUSTER.write().unwrap_or_else(PoisonError::into_inner))
    } else {
        Box::new(CLUSTER.read().unwrap_or_else(PoisonError::into_inner))
    };
    let namespace = Namespace::open(test.name).map_err(|error| format!("{error:#}"))?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (test.run)(&namespace);
        nothing_is_left(&namespace);
    }));
    match (outcome, expected) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(reason)) => {
            Err(format!("it passes; take it out of expected-failures.yaml, where it says: {reason}").into())
        }
        (Err(_), Some(reason)) => {
            eprintln!("{} fails as expected: {reason}", test.name);
            Ok(())
        }
        (Err(_), None) => Err(format!("{}\n{}", PANIC.take(), namespace.state()).into()),
    }
}

/// No Job outlives a run; one that a test wants to keep is removed by that test.
fn nothing_is_left(namespace: &Namespace) {
    until("all Jobs are gone", || namespace.list("jobs").is_ok_and(|jobs| jobs.is_empty()));
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    assert!(within(PATIENCE, holds), "it never came: {what}");
}

/// Whether something holds in time.
pub(crate) fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
