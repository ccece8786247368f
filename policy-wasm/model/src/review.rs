//! What a policy is asked and what it may answer, and when an answer is worth nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layer::Position;
use crate::problem::{Severity, code};
use crate::workflow::{Command, Step, StepKind, Workflow};

/// What a policy learns about the workflow: the document `workflow` of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ReviewWorkflow {
    /// Name of the workflow.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Id of the run, at submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

impl ReviewWorkflow {
    /// The document for `workflow`; `run_id` is known at submit only.
    pub fn new(workflow: &Workflow, run_id: Option<&str>) -> ReviewWorkflow {
        ReviewWorkflow {
            name: workflow.name.clone(),
            labels: workflow.labels.clone(),
            run_id: run_id.map(str::to_owned),
        }
    }
}

/// What a policy learns about a step: the document `step` of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewStep {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its unique name.
    pub name: String,
    /// Where it runs.
    pub kind: StepKind,
    /// What it runs. At submit variables are put in; the text of a command step stays as written, its shell expands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Names of the steps it waits for.
    #[serde(default)]
    pub depends: Vec<String>,
    /// Its place in the workflow file; absent in a test case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl From<&Step> for ReviewStep {
    fn from(step: &Step) -> ReviewStep {
        ReviewStep {
            id: step.id.clone(),
            name: step.name.clone(),
            kind: step.kind,
            command: step.command.clone(),
            depends: step.depends.clone(),
            position: Some(step.position),
        }
    }
}

/// When a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// When the file is read.
    Load,
    /// Just before the Job is created, on final values.
    Submit,
}

/// One objection of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewProblem {
    /// `<policy>/<rule>`, kebab-case.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Place inside the config; empty: the step.
    #[serde(default)]
    pub path: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Page that explains the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A value that would satisfy the rule at `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Value>,
}

/// Why a policy has no valid answer: it denies.
///
/// The text names function, cause, and where there is one the limit and its setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What the author of the policy, or whoever runs it, can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), help: None }
    }

    /// The problem that a failed policy counts as: whatever happened, the step is denied.
    pub fn problem(&self, policy: &str) -> ReviewProblem {
        ReviewProblem {
            code: code::POLICY_FAILED.to_owned(),
            severity: Severity::Error,
            message: format!("policy `{policy}` could not be asked: {}", self.message),
            path: String::new(),
            help: self.help.clone(),
            url: None,
            fix: None,
        }
    }
}

/// Longest path of a problem, in bytes: looking for its place takes time, and no config has one as long.
pub const LONGEST_PATH: usize = 1_024;

/// Accepts an answer of policy `policy` only when each problem has a code of its own.
///
/// # Errors
/// The first problem whose code is missing, malformed or another policy's (its text is kept for the author), or whose
/// path is longer than [`LONGEST_PATH`].
pub fn accept(policy: &str, problems: Vec<ReviewProblem>) -> Result<Vec<ReviewProblem>, Failure> {
    for problem in &problems {
        if problem.path.len() > LONGEST_PATH {
            return Err(Failure::new(format!(
                "`review` answered a problem with a path of {} bytes, more than {LONGEST_PATH}",
                problem.path.len()
            )));
        }
        let rule = problem.code.strip_prefix(policy).and_then(|rest| rest.strip_prefix('/'));
        let valid = rule.is_some_and(|rule| !rule.is_empty() && is_kebab_case(rule));
        if !valid {
            return Err(Failure {
                message: format!(
                    "`review` answered a problem with the code `{}`, not `{policy}/<rule>`; it says: {}",
                    problem.code, problem.message
                ),
                help: Some(format!("codes of this policy are `{policy}/` and a rule in kebab-case")),
            });
        }
    }
    Ok(problems)
}

/// Whether `name` is lower-case letters and digits in parts joined by `-`.
pub fn is_kebab_case(name: &str) -> bool {
    name.split('-').all(|part| {
        !part.is_empty() && part.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str, path: String) -> ReviewProblem {
        ReviewProblem { path, ..Failure::new("no").problem(code) }
    }

    #[test]
    fn only_problems_with_a_code_of_the_policy_and_a_path_of_a_config_are_accepted() {
        let accepts = |code: &str, path: String| {
            accept("p", vec![ReviewProblem { code: code.to_owned(), ..problem("p", path) }]).is_ok()
        };
        assert!(accepts("p/rule-1", "env[0].value".to_owned()));
        assert!(accepts("p/rule", "no such place".to_owned()));
        for code in ["", "p", "p/", "q/rule", "p/Rule", "p/a--b", "policy/failed", "core/type"] {
            assert!(!accepts(code, String::new()), "{code}");
        }
        assert!(!accepts("p/rule", ".".repeat(LONGEST_PATH + 1)));
    }
}
