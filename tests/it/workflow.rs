//! What a workflow means when it runs: one folder a case, and what its user sees at the end.
//!
//! A case is a folder of `tests/workflow/`: `dag.yaml`, whatever files it needs, perhaps `arguments.txt` (an argument a
//! line) and `environment.txt` (`NAME=value` a line), and `expected.txt`: exit code, final tree, logs, and what was said on
//! standard error. The file begins with a comment that says which rule it shows.

use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use anyhow::{Context as _, Result, ensure};
use regex_lite::Regex;
use tests::{Runner, Workdir, folders, golden, root};

/// Files of a case that are not its user's.
const OWN: [&str; 3] = ["arguments.txt", "environment.txt", "expected.txt"];
/// Cases that run at once: most of them wait for something.
const AT_ONCE: usize = 6;

#[test]
fn each_workflow_means_what_its_case_says() -> Result<()> {
    let cases = Mutex::new(folders(&root().join("tests/workflow"))?);
    let failures = Mutex::new(Vec::new());
    let count = cases.lock().unwrap().len();
    ensure!(count > 40, "only {count} cases");
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().pop() else { break };
                    if let Err(error) = run(&case) {
                        failures.lock().unwrap().push(format!("{}: {error:#}", case.display()));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn run(case: &Path) -> Result<()> {
    let workdir = Workdir::new()?;
    for entry in fs::read_dir(case)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if !OWN.contains(&name.as_str()) {
            workdir.write(&name, fs::read(entry.path())?)?;
        }
    }
    let dag = fs::read_to_string(case.join("dag.yaml")).context("dag.yaml")?;
    ensure!(dag.starts_with("# "), "the file does not say what it shows");
    let lines = |name: &str| fs::read_to_string(case.join(name)).unwrap_or_default();
    let mut runner = Runner::new(&workdir)?.args(["exec", "--local", "--quiet", "--run-id", "r", "dag.yaml"]);
    for line in lines("environment.txt").lines() {
        let (name, value) = line.split_once('=').context("environment.txt")?;
        runner = runner.env(name, value);
    }
    let ran = runner.args(lines("arguments.txt").lines()).run()?;
    let logs = Runner::new(&workdir)?.args(["runs", "logs", "r"]).run()?;
    let mut found = format!("exit {}\n", ran.code.context("a signal ended it")?);
    found += &ran.stdout;
    if !logs.stdout.is_empty() {
        found += &format!("\nlogs:\n{}", logs.stdout);
    }
    if !ran.stderr.is_empty() {
        found += &format!("\nstandard error:\n{}", ran.stderr);
    }
    golden(&case.join("expected.txt"), &without_chance(&found, &workdir))
}

/// The text without folders and times.
fn without_chance(text: &str, workdir: &Workdir) -> String {
    static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\d+\.\d s|\d+ m \d\d s|\d+ s)( +|$)").unwrap());
    let text = text.replace(&workdir.path().display().to_string(), "FOLDER");
    let (tree, rest) = text.split_once("\nlogs:\n").unwrap_or((&text, ""));
    let is_row = |line: &&str| line.contains(" · ") || line.starts_with('├') || line.starts_with('└');
    let lines = tree.lines().map(|line| match Some(line).filter(is_row) {
        Some(row) => TIME.replace_all(row, "TIME  ").trim_end().to_owned(),
        None => line.to_owned(),
    });
    let tree: Vec<String> = lines.collect();
    let logs = if rest.is_empty() { String::new() } else { format!("\nlogs:\n{rest}") };
    format!("{}\n{logs}", tree.join("\n"))
}
