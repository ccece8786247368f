//! What `check` found as tests: a suite for each workflow file.
//!
//! Each problem is a test: an error has failed, a warning has passed and says its words as output, for it stops nothing. A
//! file without problems is one test that has passed. Where nothing could be judged there is one suite with a test that
//! broke.

use std::io;

use model::problem::{Problem, Severity};

use super::{Case, CaseResult, Suite, Words, document};
use crate::report::checked::{Checked, CheckedFile, FilePath, words};

/// The report.
///
/// # Errors
/// When it cannot be written into memory.
pub fn junit(checked: &Checked) -> io::Result<String> {
    let mut suites: Vec<Suite> = checked.files().iter().map(of_file).collect();
    if !checked.failures().is_empty() {
        suites.push(of_failures(checked.failures()));
    }
    document("runner check", &suites)
}

fn of_file(file: &CheckedFile) -> Suite {
    let name = FilePath::new(&file.name).to_string();
    let mut cases: Vec<Case> = file.problems.iter().map(|problem| of_problem(problem, &name)).collect();
    if cases.is_empty() {
        cases.push(Case {
            class: name.clone(),
            name: "no problems".to_owned(),
            place: Some((name.clone(), None)),
            time: None,
            result: CaseResult::Passed,
            output: String::new(),
        });
    }
    Suite::new(name, cases)
}

fn of_failures(failures: &[Problem]) -> Suite {
    let cases = failures.iter().map(|failure| Case {
        class: "runner".to_owned(),
        name: failure.code.clone(),
        place: None,
        time: None,
        result: CaseResult::Broke(told(failure)),
        output: String::new(),
    });
    Suite::new("runner".to_owned(), cases.collect())
}

fn of_problem(problem: &Problem, workflow: &str) -> Case {
    let file = problem.file.as_deref().map_or_else(|| workflow.to_owned(), |file| FilePath::new(file).to_string());
    let name = [problem.code.as_str(), problem.path.as_str()].join(" ").trim_end().to_owned();
    let words = told(problem);
    let (result, output) = match problem.severity {
        Severity::Error => (CaseResult::Failed(words), String::new()),
        Severity::Warning | Severity::Info => (CaseResult::Passed, words.text),
    };
    Case { class: file.clone(), name, place: Some((file, problem.line)), time: None, result, output }
}

fn told(problem: &Problem) -> Words {
    let place = match (&problem.file, problem.line, problem.column) {
        (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
        _ => problem.step.as_ref().map(|step| format!("step `{step}`: ")).unwrap_or_default(),
    };
    let head = format!("{place}{}[{}]: ", problem.severity.as_str(), problem.code);
    Words { code: problem.code.clone(), message: problem.message.clone(), text: head + &words(problem).join("\n") }
}
