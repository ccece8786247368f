//! The fuzz targets without a fuzzer: every input that is kept under `fuzz/seeds/`, every case of the corpus, and the
//! same with bytes changed.

#[expect(unreachable_pub, reason = "the same file is a library for the fuzzer")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, Result};
use proptest::prelude::*;
use tests::{folders, root};

/// The kept inputs of a target, with their names.
fn seeds(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = root().join("fuzz/seeds").join(target);
    let mut seeds = Vec::new();
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        seeds.push((path.display().to_string(), fs::read(&path)?));
    }
    Ok(seeds)
}

/// The cases of the corpus as inputs of the target `load`.
fn cases() -> Result<Vec<(String, Vec<u8>)>> {
    let read = |path: std::path::PathBuf| fs::read_to_string(path).ok();
    folders(&root().join("tests/corpus"))?
        .into_iter()
        .map(|folder| {
            let workflow = fs::read_to_string(folder.join("dag.yaml"))?;
            let (base, arguments) = (read(folder.join("base.yaml")), read(folder.join("arguments.txt")));
            let joined = targets::load::joined(&workflow, base.as_deref(), arguments.as_deref());
            Ok((folder.display().to_string(), joined.into_bytes()))
        })
        .collect()
}

/// Gives every input to a target; names those that break it.
fn replay(target: fn(&[u8]), inputs: &[(String, Vec<u8>)]) {
    assert!(!inputs.is_empty(), "no inputs");
    let broken: Vec<&str> = inputs
        .iter()
        .filter(|(_, bytes)| catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err())
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(broken.is_empty(), "what must hold does not, of\n  {}", broken.join("\n  "));
}

#[test]
fn loading_holds_for_every_input_that_was_kept() -> Result<()> {
    replay(targets::load::run, &seeds("load")?);
    replay(targets::load::run, &cases()?);
    Ok(())
}

#[test]
fn quantities_hold_for_every_input_that_was_kept() -> Result<()> {
    replay(targets::quantity::run, &seeds("quantity")?);
    Ok(())
}

#[test]
fn templates_hold_for_every_input_that_was_kept() -> Result<()> {
    replay(targets::template::run, &seeds("template")?);
    Ok(())
}

/// A change of a few bytes: where (in thousandths of the text), how many go, and what comes.
fn change() -> impl Strategy<Value = (usize, usize, &'static str)> {
    const COMES: [&str; 24] = [
        "", " ", "\n", "\r", "\t", "  ", ":", ": ", "- ", "&a ", "*a", "<<: *a\n", "!!str ", "|\n", "\"", "'", "{",
        "}", "[", "]", "#", "${X}", "🚀", "\u{c}",
    ];
    (0..1_000_usize, 0..6_usize, proptest::sample::select(&COMES[..]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn loading_holds_for_cases_that_were_changed(
        case in 0..1_000_usize,
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        static CASES: std::sync::OnceLock<Vec<(String, Vec<u8>)>> = std::sync::OnceLock::new();
        let cases = CASES.get_or_init(|| cases().unwrap());
        let mut bytes = cases[case % cases.len()].1.clone();
        for (place, gone, comes) in changes {
            let from = bytes.len() * place / 1_000;
            let to = (from + gone).min(bytes.len());
            bytes.splice(from..to, comes.bytes());
        }
        targets::load::run(&bytes);
    }

    #[test]
    fn loading_holds_for_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        targets::load::run(&bytes);
    }

    #[test]
    fn quantities_hold_for_texts_like_them(
        text in r"[+-]?[0-9]{0,20}[._,]?[0-9]{0,6}([numkKMGTPEeibB ]{0,3}|[eE][+-]?[0-9]{1,4})(\n[0-9]{1,3}[numkMGTPE]i?)?",
    ) {
        targets::quantity::run(text.as_bytes());
    }

    #[test]
    fn templates_hold_for_texts_like_them(text in r"([$\\{}.:_+-]|\$\{A|é|[0-9a-z]){0,30}") {
        targets::template::run(text.as_bytes());
    }
}
