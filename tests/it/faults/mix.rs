//! Faults from all areas in one run, at moments made at random from a seed.
//!
//! What must hold is known without asking the engine: the cluster remembers how every container ended, and the scripts say
//! what each wrote and when. A seed that fails is made as small as it gets and printed as a file; the file goes to
//! `tests/faults/mix/`, where the plan stays what it is when the generator changes.

mod plan;
mod truth;

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tests::root;

use plan::Plan;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 300;
/// How many seeds, in place of [`SEEDS`].
const COUNT: &str = "FAULT_SEEDS";
/// The one seed that runs, with its screen.
const ONE: &str = "FAULT_SEED";
/// Smaller plans that are tried when one fails.
const TRIES: u32 = 60;
/// A plan takes less than a second. One that takes so long never lets the clock go on, and nobody can stop it.
const STUCK: Duration = Duration::from_secs(120);

/// The plan of a seed, and with it all that are smaller.
fn tree(seed: u64) -> impl ValueTree<Value = Plan> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    plan::plans().new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).unwrap()
}

/// Plays a plan; the error says what did not hold, and shows the screen.
fn play(plan: &Plan) -> Result<(), String> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let (seen, deeds) = plan.run();
        truth::hold(plan, &seen, &deeds).map_err(|what| format!("{what}\n--- the screen\n{}---", seen.transcript))
    }));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

/// Plays a plan; one that is stuck ends the process, because its thread cannot be stopped.
fn play_in_time(name: &str, plan: &Plan) -> Result<(), String> {
    let (done, waits) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waits.recv_timeout(STUCK) == Err(RecvTimeoutError::Timeout) {
                let plan = serde_json::to_string_pretty(plan).unwrap();
                // Past what the harness would keep until the end of the test.
                let _ = writeln!(std::io::stderr(), "{name} is stuck, and stops all tests; the plan:\n{plan}");
                std::process::exit(101);
            }
        });
        let played = play(plan);
        drop(done);
        played
    })
}

/// The smallest plan that still fails, and how.
fn smallest(mut tree: impl ValueTree<Value = Plan>, mut failure: String) -> (Plan, String) {
    let mut plan = tree.current();
    for _ in 0..TRIES {
        match play_in_time("a smaller plan", &tree.current()) {
            Err(what) => {
                (plan, failure) = (tree.current(), what);
                if !tree.simplify() {
                    break;
                }
            }
            Ok(()) if tree.complicate() => {}
            Ok(()) => break,
        }
    }
    (plan, failure)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("`{variable}` is no number: {text}")))
}

#[test]
fn mixed_faults_never_change_the_truth() {
    let (seeds, count) = match number(ONE) {
        Some(seed) => (AtomicU64::new(seed), seed + 1),
        None => (AtomicU64::new(0), number(COUNT).unwrap_or(SEEDS)),
    };
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = seeds.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    if let Err(failure) = play_in_time(&format!("{ONE}={seed}"), &tree(seed).current()) {
                        failed.lock().unwrap().push((seed, failure));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let Some((seed, failure)) = failed.iter().min_by_key(|(seed, _)| *seed).cloned() else { return };
    // To be read while smaller plans are tried.
    let _ = writeln!(std::io::stderr(), "{ONE}={seed}: {failure}");
    let (plan, failure) = smallest(tree(seed), failure);
    let mut others = String::new();
    for (other, failure) in failed.iter().filter(|(other, _)| *other != seed) {
        let _ = write!(others, "\n  {other}: {}", failure.lines().next().unwrap_or_default());
    }
    panic!(
        "seed {seed} of {} that fail: {failure}\nagain: {ONE}={seed} cargo test -p tests --test it mixed_faults\nas a fixed \
         case, tests/faults/mix/seed-{seed}.json:\n{}\nothers:{others}",
        failed.len(),
        serde_json::to_string_pretty(&plan).unwrap(),
    );
}

#[test]
fn mixed_faults_that_failed_once() {
    let folder = root().join("tests/faults/mix");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failed = String::new();
    for path in &paths {
        let plan: Plan = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        if let Err(failure) = play_in_time(&path.display().to_string(), &plan) {
            let _ = writeln!(failed, "{}: {failure}", path.display());
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(!paths.is_empty(), "no fixed case was found");
}

/// The oracle can say no: a run whose programs end otherwise than the plan says is refused.
#[test]
fn mixed_faults_are_held_against_what_the_containers_did() {
    let plan = tree(0).current();
    let (seen, deeds) = plan.run();
    truth::hold(&plan, &seen, &deeds).unwrap();
    let mut lies = 0;
    for step in 0..plan.steps.len() {
        let mut other = plan.clone();
        other.steps[step].exit = if other.steps[step].exit == 0 { 7 } else { 0 };
        lies += usize::from(truth::hold(&other, &seen, &deeds).is_err());
        let mut other = plan.clone();
        other.steps[step].prints.push((0, 1));
        lies += usize::from(truth::hold(&other, &seen, &deeds).is_err());
    }
    assert!(lies >= 2, "only {lies} lies were noticed");
}
