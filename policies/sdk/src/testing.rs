//! Native test cases: a policy is tested with plain `cargo test`, without wasm.
//!
//! A case is a YAML file: what is asked, and which problems are expected. `expect` lists them in order; a key that is
//! not written is not compared.

use std::fs;
use std::path::Path;

use model::problem::Severity;
use model::review::{Phase, ReviewStep, ReviewWorkflow};
use model::workflow::StepKind;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Policy, Problem, Request};

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// When the policy is asked; default: load.
    #[serde(default = "load")]
    phase: Phase,
    /// The workflow; default: one without a name.
    #[serde(default)]
    workflow: ReviewWorkflow,
    /// The step; default: a Kubernetes step called `step`.
    #[serde(default = "step")]
    step: ReviewStep,
    /// The effective config.
    #[serde(default = "empty")]
    config: Value,
    /// The settings.
    #[serde(default = "empty")]
    settings: Value,
    /// Paths whose value is not final.
    #[serde(default)]
    open: Vec<String>,
    /// The problems that must come, in this order.
    expect: Vec<Expected>,
}

/// An expected problem.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    code: String,
    severity: Option<Severity>,
    path: Option<String>,
    message: Option<String>,
    fix: Option<Value>,
}

fn load() -> Phase {
    Phase::Load
}

fn step() -> ReviewStep {
    ReviewStep {
        id: None,
        name: "step".to_owned(),
        kind: StepKind::Kubernetes,
        command: None,
        depends: Vec::new(),
        position: None,
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// Runs every `*.yaml` of a folder.
///
/// # Panics
/// When a case fails or cannot be read, with all that failed, and when there is no case at all.
#[expect(clippy::panic, reason = "a failed case fails the test it stands in")]
pub fn cases<P: Policy>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let mut paths: Vec<_> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => panic!("`{}` cannot be read: {error}", folder.display()),
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "`{}` holds no case", folder.display());
    let failures: Vec<String> =
        paths.iter().filter_map(|path| Some(format!("{}:\n{}", path.display(), case::<P>(path).err()?))).collect();
    assert!(failures.is_empty(), "{} of {} cases failed\n\n{}", failures.len(), paths.len(), failures.join("\n\n"));
}

fn case<P: Policy>(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    // By way of JSON: that is the form in which the documents cross.
    let document: Value = serde_yaml::from_str(&text).map_err(|error| error.to_string())?;
    let Case { phase, workflow, step, config, settings, open, expect } =
        serde_json::from_value(document).map_err(|error| error.to_string())?;
    let config = serde_json::from_value(config).map_err(|error| format!("`config`: {error}"))?;
    let found = P::review(&Request { phase, workflow, step, config, settings, open });
    let prefix = format!("{}/", P::NAME);
    if let Some(foreign) = found.iter().find(|problem| !problem.code.starts_with(&prefix)) {
        return Err(format!("the code `{}` does not begin with `{prefix}`", foreign.code));
    }
    let fits = expect.len() == found.len() && expect.iter().zip(&found).all(|(expected, found)| fits(expected, found));
    if fits { Ok(()) } else { Err(format!("expected {expect:#?}\nfound {found:#?}")) }
}

fn fits(expected: &Expected, found: &Problem) -> bool {
    let Expected { code, severity, path, message, fix } = expected;
    *code == found.code
        && severity.is_none_or(|severity| severity == found.severity)
        && path.as_ref().is_none_or(|path| *path == found.path)
        && message.as_ref().is_none_or(|message| *message == found.message)
        && fix.as_ref().is_none_or(|fix| Some(fix) == found.fix.as_ref())
}
