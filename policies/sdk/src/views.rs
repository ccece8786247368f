//! Typed views of what a policy is asked, and builders of what it answers.
//!
//! Unknown keys are ignored and unknown words are kept, so that a new field does not break a deployed policy.

use model::config::EffectiveConfig;
use model::problem::Severity;
use model::review::{Phase, ReviewStep, ReviewWorkflow};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is known about the workflow.
pub type Workflow = ReviewWorkflow;
/// What is known about the step.
pub type Step = ReviewStep;

/// What a policy is asked about: one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// When it is asked.
    pub phase: Phase,
    /// The workflow.
    pub workflow: Workflow,
    /// The step.
    pub step: Step,
    /// The effective config; empty for a command step.
    pub config: EffectiveConfig,
    /// The settings; an empty object when none are given.
    pub settings: Value,
    /// Paths whose value is not final. In phase load problems there are dropped and asked again.
    pub open: Vec<String>,
}

/// Settings that are not in the shape the policy wants.
#[derive(Debug)]
pub struct SettingsError {
    message: String,
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for SettingsError {}

impl Request {
    /// Reads the four documents of a request: workflow, step, config, settings.
    ///
    /// # Errors
    /// A document that is not in its shape.
    pub fn from_json(phase: Phase, texts: [&str; 4], open: Vec<String>) -> Result<Request, String> {
        fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
            serde_json::from_str(text).map_err(|error| format!("`{name}` of the request cannot be read: {error}"))
        }
        let [workflow, step, config, settings] = texts;
        Ok(Request {
            phase,
            workflow: read("workflow", workflow)?,
            step: read("step", step)?,
            config: read("config", config)?,
            settings: read("settings", settings)?,
            open,
        })
    }

    /// The settings as a type of the policy's own.
    ///
    /// # Errors
    /// When they are not in its shape; a settings schema keeps that from happening.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        T::deserialize(&self.settings).map_err(|error| SettingsError { message: error.to_string() })
    }
}

/// One objection.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// `<policy>/<rule>`, kebab-case.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment, values in backticks.
    pub message: String,
    /// Place inside the config; empty: the step.
    pub path: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Page that explains the rule.
    pub url: Option<String>,
    /// A value that would satisfy the rule at `path`.
    pub fix: Option<Value>,
}

impl Problem {
    /// An objection that denies the step.
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            code: code.into(),
            severity: Severity::Error,
            message: message.into(),
            path: String::new(),
            help: None,
            url: None,
            fix: None,
        }
    }

    /// An objection that is shown and stops nothing.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(code, message) }
    }

    /// The same at a place inside the config.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Problem {
        self.path = path.into();
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The same with a value that would do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Value>) -> Problem {
        self.fix = Some(fix.into());
        self
    }
}

/// How a policy takes part in merging.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    /// Lies under base.yaml: any layer of the file wins over it. A JSON object in the shape of a config.
    pub defaults: Value,
    /// Lies above the step: wins over every layer of the file. A JSON object in the shape of a config.
    pub overrides: Value,
}

impl Default for Layers {
    fn default() -> Layers {
        Layers { defaults: Value::Object(Map::new()), overrides: Value::Object(Map::new()) }
    }
}
