//! Generated workflows, with failures, retries, repetitions, skips and handlers, get exactly the states, attempts and codes
//! that a small reference predicts.
//!
//! `workflow` is what is generated and how it is written as a file, `generate` makes it of numbers, `reference` predicts,
//! `play` asks the engine; `examples` hold the reference to what the documentation tells.

mod examples;
mod generate;
mod play;
mod reference;
mod workflow;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use model::problem::Severity;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use runner::outcome::StepStatus;

use generate::generate;
use play::{Played, play};
use reference::{Prediction, predict};
use workflow::Workflow;

/// Workflows that are played.
const CASES: u32 = 1_000;
/// Threads that play them; each has a seed of its own.
const THREADS: u32 = 4;
/// Numbers that a workflow is made of, at most: a large one takes about as many.
const NUMBERS: usize = 250;

fn numbers() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..NUMBERS)
}

/// Always the same numbers for the same seed.
fn seeded(seed: u8, cases: u32) -> TestRunner {
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

/// The differences between what was predicted and what was found, a line each; empty: there are none.
fn differences(expected: &Prediction, found: &Prediction) -> String {
    let mut text = String::new();
    for (name, expected) in &expected.steps {
        let found = &found.steps[name];
        if expected != found {
            writeln!(text, "{name}: expected {expected:?}, found {found:?}").unwrap();
        }
    }
    let run = |prediction: &Prediction| format!("{} with exit code {}", prediction.status, prediction.exit_code);
    if run(expected) != run(found) {
        writeln!(text, "the run: expected {}, found {}", run(expected), run(found)).unwrap();
    }
    text
}

#[test]
fn a_thousand_workflows_get_the_states_that_the_reference_predicts() {
    // Runs that had as many steps at once as they may.
    let full = AtomicU32::new(0);
    let play_some = |seed: u32| {
        let played = seeded(seed as u8, CASES / THREADS).run(&numbers(), |numbers| {
            let workflow = generate(&numbers);
            let Played { found, most_at_once } = play(&workflow);
            let differences = differences(&predict(&workflow), &found);
            prop_assert!(differences.is_empty(), "{differences}");
            if let Some(limit) = workflow.max_active_steps.filter(|limit| *limit > 0) {
                let limit = limit as usize;
                prop_assert!(most_at_once <= limit, "{most_at_once} steps ran at once, {limit} may");
                full.fetch_add(u32::from(most_at_once == limit), Ordering::Relaxed);
            }
            Ok(())
        });
        match played {
            Ok(()) => None,
            Err(TestError::Fail(why, numbers)) => {
                Some(format!("seed {seed}: {why}\n{}{numbers:?}", generate(&numbers).written()))
            }
            Err(error) => Some(format!("seed {seed}: {error}")),
        }
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                scope.spawn({
                    let play_some = &play_some;
                    move || play_some(seed)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(full.load(Ordering::Relaxed) >= CASES / 10, "{full:?} runs came to their limit");
}

/// What the thousand workflows hold, as far as they shall hold it; a generator that makes nothing but successes would be
/// right about everything.
fn kinds_of(workflow: &Workflow, prediction: &Prediction) -> Vec<String> {
    let mut kinds = vec![format!("run {}", prediction.status)];
    kinds.extend(prediction.steps.values().map(|fate| format!("step {}", fate.status)));
    let retried = prediction.steps.values().filter(|fate| fate.attempts > 1).count();
    kinds.extend((retried > 0).then(|| "more attempts".to_owned()));
    for (place, step) in workflow.steps.iter().enumerate() {
        let fate = prediction.steps[&workflow.name(place)];
        let mut add = |kind: &str| kinds.push(kind.to_owned());
        match (fate.status, fate.code) {
            (StepStatus::Failed, None) => add("failure without a code"),
            (StepStatus::Failed, Some(124)) => add("time limit"),
            (StepStatus::Succeeded, code) if fate.attempts > 0 && code != Some(0) => add("marked as success"),
            (StepStatus::Succeeded, _) if fate.attempts == 0 => add("skip marked as success"),
            _ => {}
        }
        if step.retry.as_ref().is_some_and(|retry| retry.codes.is_some()) && fate.attempts > 1 {
            add("retry by code");
        }
        if step.repeat.is_some() && fate.attempts > 1 {
            add("repetition");
        }
        if workflow.upstream(place).len() > 1 {
            add("several upstreams");
        }
    }
    kinds.extend(workflow.handlers.keys().map(|handler| {
        let fate = prediction.steps[handler.name()];
        format!("{} {}", handler.name(), fate.status)
    }));
    kinds
}

#[test]
fn generated_files_are_valid_and_hold_all_kinds_of_ends() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..THREADS {
        let counts = std::cell::RefCell::new(&mut counts);
        seeded(seed as u8, CASES / THREADS)
            .run(&numbers(), |numbers| {
                let workflow = generate(&numbers);
                let file = workflow.written();
                let source = rules::Source { name: "dag.yaml", text: &file, role: rules::Role::Workflow };
                let problems = rules::load(&[source], &[]).problems;
                let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
                prop_assert!(errors.is_empty(), "{errors:#?}\n{file}");
                for kind in kinds_of(&workflow, &predict(&workflow)) {
                    *counts.borrow_mut().entry(kind).or_default() += 1;
                }
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let expected = [
        "run succeeded",
        "run partially_succeeded",
        "run failed",
        "run aborted",
        "step succeeded",
        "step failed",
        "step skipped",
        "step aborted",
        "step not_started",
        "more attempts",
        "failure without a code",
        "time limit",
        "marked as success",
        "skip marked as success",
        "retry by code",
        "repetition",
        "several upstreams",
        "onInit failed",
        "onSuccess failed",
        "onFailure succeeded",
        "onAbort succeeded",
        "onExit skipped",
    ];
    let rare: Vec<&str> = expected.into_iter().filter(|kind| counts.get(*kind).copied().unwrap_or(0) < 10).collect();
    assert!(rare.is_empty(), "too few of {rare:?} in {counts:#?}");
}
