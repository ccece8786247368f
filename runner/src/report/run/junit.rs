//! A run as tests: a suite for the workflow, a test for each step and for each handler that was due.
//!
//! A step that failed has failed; where nobody knows how it ended, or it could not even be tried, its test broke. What was
//! skipped, or aborted because of another step, was not run.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::words::{message, reason_and_code, why};
use crate::event::{Event, EventKind, StepEnd};
use crate::outcome::{Reason, StepStatus};
use crate::report::junit::{Case, CaseResult, Suite, Words, document};

/// Collects the ends of steps.
#[derive(Debug, Default)]
pub(super) struct RunSuite {
    workflow: String,
    order: Vec<Arc<str>>,
    handlers: Vec<Arc<str>>,
    ends: HashMap<Arc<str>, Box<StepEnd>>,
}

impl RunSuite {
    /// Looks at an event, in the order in which they happened.
    pub(super) fn note(&mut self, event: &Event) {
        match (&event.kind, &event.step) {
            (EventKind::RunStarted { workflow, steps, handlers, .. }, _) => {
                self.workflow = workflow.clone();
                self.order.clone_from(steps);
                self.handlers.clone_from(handlers);
            }
            (EventKind::StepEnded(end), Some(step)) => {
                self.ends.insert(step.clone(), end.clone());
            }
            _ => {}
        }
    }

    /// The document.
    ///
    /// # Errors
    /// When it cannot be written into memory.
    pub(super) fn document(&self) -> io::Result<String> {
        // A handler that was not due is no test.
        let due = self.handlers.iter().filter(|handler| self.ends.contains_key(*handler));
        let cases = self.order.iter().chain(due).map(|step| self.case(step)).collect();
        document("runner exec", &[Suite::new(self.workflow.clone(), cases)])
    }

    fn case(&self, step: &Arc<str>) -> Case {
        let end = self.ends.get(step);
        let result = match end {
            None => CaseResult::Skipped("not started".to_owned()),
            Some(end) => result(end),
        };
        let notes = end.and_then(|end| end.verdict.as_ref()).map(|verdict| verdict.notes.join("\n"));
        Case {
            class: self.workflow.clone(),
            name: step.to_string(),
            place: None,
            time: end.and_then(|end| end.took),
            result,
            output: notes.unwrap_or_default(),
        }
    }
}

fn result(end: &StepEnd) -> CaseResult {
    match end.status {
        // A failure that the workflow excuses does not turn a test red.
        _ if end.excused => CaseResult::Passed,
        StepStatus::Succeeded => CaseResult::Passed,
        StepStatus::Skipped => CaseResult::Skipped(why(end)),
        StepStatus::Aborted if end.verdict.is_none() => CaseResult::Skipped(why(end)),
        StepStatus::NotStarted => CaseResult::Skipped("not started".to_owned()),
        StepStatus::Failed | StepStatus::Aborted | StepStatus::Running | StepStatus::Retrying => {
            let reason = end.verdict.as_ref().and_then(|verdict| verdict.outcome.reason());
            let words = words(end, reason);
            if reason.is_some_and(says_nothing_of_the_step) {
                CaseResult::Broke(words)
            } else {
                CaseResult::Failed(words)
            }
        }
    }
}

fn words(end: &StepEnd, reason: Option<Reason>) -> Words {
    let mut lines = vec![message(end).to_owned()];
    lines.extend(end.verdict.as_ref().and_then(|verdict| verdict.hint.clone()).map(|hint| format!("help: {hint}")));
    lines.extend(end.last_lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
    lines.extend(end.log.as_ref().map(|log| format!("log: {}", log.display())));
    lines.retain(|line| !line.is_empty());
    Words {
        code: reason.map_or_else(|| "failed".to_owned(), |reason| reason.to_string()),
        message: reason_and_code(end),
        text: lines.join("\n"),
    }
}

/// Whether the cluster, not the step, is why it ended.
fn says_nothing_of_the_step(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Lost
            | Reason::NoCluster
            | Reason::CreateRefused
            | Reason::NameConflict
            | Reason::ClusterUnreachable
            | Reason::Cancelled
            | Reason::RunTimeout
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run::canned::failing;

    #[test]
    fn each_step_is_a_test() {
        let mut suite = RunSuite::default();
        failing().iter().for_each(|event| suite.note(event));
        let document = suite.document().unwrap();
        let elements: Vec<&str> = document.lines().map(str::trim).filter(|line| line.starts_with('<')).collect();
        assert_eq!(
            elements,
            [
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                r#"<testsuites name="runner exec" tests="4" failures="1" errors="0" skipped="1" time="11.6">"#,
                r#"<testsuite name="nightly" tests="4" failures="1" errors="0" skipped="1" time="11.6">"#,
                r#"<testcase classname="nightly" name="migrate" time="4"/>"#,
                r#"<testcase classname="nightly" name="report" time="7.3">"#,
                r#"<failure type="pod-failure-policy" message="pod-failure-policy, exit 42">pod failure rule 0"#,
                "<system-out>pod 2 of 2</system-out>",
                "</testcase>",
                r#"<testcase classname="nightly" name="publish" time="0">"#,
                r#"<skipped message="upstream report failed"/>"#,
                "</testcase>",
                r#"<testcase classname="nightly" name="onFailure" time="0.3"/>"#,
                "</testsuite>",
                "</testsuites>",
            ]
        );
        assert!(document.contains("log: /state/0198c0de/logs/report.1.log</failure>"), "{document}");
    }
}
