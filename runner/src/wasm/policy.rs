//! An organisation's policy: the host's side of the world `policy`.
//!
//! What a policy answers is believed in nothing: lengths, codes and promised JSON are checked here, and an answer that
//! is not valid is a failure, which denies. Each call has an instance of its own, so a policy has no memory.

use std::sync::Arc;

use model::problem::Severity;
use model::review::{self, Failure, Phase, ReviewProblem};
use serde_json::{Map, Value};
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower, WasmList};

use super::engine::Component;
use super::failure::{CallError, malformed, too_large};
use super::field::{DescriptionView, LayersView, Look, ProblemView};
use super::file::Sha256Digest;
use super::json;
use super::limits::{Guard, Limits, Usage};
use super::load_error::LoadError;
use super::words::{Bytes, Count, Short};
use super::world::{Interface, POLICY_INTERFACE};

pub(super) use self::bindings::exports::runner::policy::review as wit;

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated; `wit/policy.wit` has the documentation")]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "policy",
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

/// Documented in `wit/policy.wit`; a component built from another text is refused with both types.
const INTERFACE: Interface = Interface {
    world: "policy",
    name: POLICY_INTERFACE,
    version: "0.1.0",
    functions: &[
        (
            "describe",
            "func() -> record { name: string, version: string, summary: string, url: option<string>, shapes: bool, \
             settings-schema: option<string> }",
        ),
        (
            "check-settings",
            "func(settings: string) -> list<record { code: string, severity: enum { error, warning, info }, \
             message: string, path: string, help: option<string>, url: option<string>, fix: option<string> }>",
        ),
        (
            "shape",
            "func(request: record { phase: enum { load, submit }, workflow: string, step: string, config: string, \
             settings: string, open: list<string> }) -> record { defaults: string, overrides: string }",
        ),
        (
            "review",
            "func(request: record { phase: enum { load, submit }, workflow: string, step: string, config: string, \
             settings: string, open: list<string> }) -> list<record { code: string, severity: enum { error, warning, \
             info }, message: string, path: string, help: option<string>, url: option<string>, fix: option<string> }>",
        ),
    ],
};

/// Names that mean the runner itself in codes: `core/…`, `policy/…`.
const RESERVED_NAMES: [&str; 2] = ["core", "policy"];

/// A policy that has said who it is. Cloning is cheap; calls may run in parallel.
#[derive(Clone)]
pub struct Policy {
    callee: Callee,
    description: Arc<Description>,
}

/// What a policy says about itself, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its unique name, kebab-case; the prefix of its codes.
    pub name: String,
    /// Its version, free text.
    pub version: String,
    /// What it demands, in a sentence.
    pub summary: String,
    /// Page that explains it.
    pub url: Option<String>,
    /// Whether [`Policy::shape`] adds anything.
    pub shapes: bool,
    /// JSON Schema of its settings; absent: it takes none.
    pub settings_schema: Option<Map<String, Value>>,
}

/// What a policy is asked about: one step. The texts are JSON objects as the WIT interface describes them.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// When it is asked.
    pub phase: Phase,
    /// [`model::review::ReviewWorkflow`] as JSON.
    pub workflow: &'a str,
    /// [`model::review::ReviewStep`] as JSON.
    pub step: &'a str,
    /// The config: effective for `review`, without any policy's layers for `shape`; `{}` for a command step.
    pub config: &'a str,
    /// The policy's settings; `{}` when none are given.
    pub settings: &'a str,
    /// Paths whose value is not final.
    pub open: &'a [String],
}

/// What a policy adds to a step: objects in the shape of a config, `{}` adds nothing. Their keys are not judged here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layers {
    /// Lies under base.yaml.
    pub defaults: Map<String, Value>,
    /// Lies above the step.
    pub overrides: Map<String, Value>,
}

impl Policy {
    /// Checks world, imports and signatures, and asks the component who it is.
    ///
    /// # Errors
    /// When the component is not a policy for this host, or its description is not valid.
    pub fn load(component: &Component, limits: Limits) -> Result<Policy, LoadError> {
        INTERFACE.check(component)?;
        let unusable = |failure| LoadError::Describe { file: component.file().to_owned(), failure };
        let instances = component.prepare().map_err(|error| unusable(Failure::new(error.root_cause().to_string())))?;
        let callee = Callee { component: component.clone(), instances, limits };
        let description = callee.describe().map_err(unusable)?;
        Ok(Policy { callee, description: Arc::new(description) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// What it says about itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The component it comes from.
    pub fn component(&self) -> &Component {
        &self.callee.component
    }

    /// SHA-256 of the component.
    pub fn sha256(&self) -> Sha256Digest {
        self.callee.component.sha256()
    }

    /// What one call may use.
    pub fn limits(&self) -> Limits {
        self.callee.limits
    }

    /// What is wrong with the settings beyond their schema; paths are places inside the settings.
    ///
    /// # Errors
    /// When the policy gives no valid answer: its settings count as refused.
    pub fn check_settings(&self, settings: &str) -> Result<Vec<ReviewProblem>, Failure> {
        const FUNCTION: &str = "check-settings";
        let (answer, _) = self.callee.ask::<WasmList<ProblemView>, _, _>(FUNCTION, (settings,));
        self.problems(FUNCTION, answer?)
    }

    /// Defaults and overrides for one Kubernetes step. Empty, without a call, when the policy shapes nothing.
    ///
    /// # Errors
    /// When the policy gives no valid answer: the step is denied.
    pub fn shape(&self, request: &Request<'_>) -> Result<Layers, Failure> {
        const FUNCTION: &str = "shape";
        if !self.description.shapes {
            return Ok(Layers::default());
        }
        let open = request.open();
        let request = request.lowered(&open);
        let (answer, _) = self.callee.ask::<LayersView, _, _>(FUNCTION, (request,));
        let raw: wit::Layers = answer?;
        check_text(FUNCTION, &self.callee.limits, raw.defaults.len() + raw.overrides.len())?;
        let layer = |field: &str, text: &str| {
            json::object(text).map_err(|reason| malformed(FUNCTION, format_args!("`{field}`: {reason}")))
        };
        Ok(Layers { defaults: layer("defaults", &raw.defaults)?, overrides: layer("overrides", &raw.overrides)? })
    }

    /// What the policy objects to in one step. Empty: admitted.
    ///
    /// # Errors
    /// When the policy gives no valid answer: the step is denied.
    pub fn review(&self, request: &Request<'_>) -> Result<Vec<ReviewProblem>, Failure> {
        self.review_with_usage(request).0
    }

    /// The same, with what the call used.
    pub fn review_with_usage(&self, request: &Request<'_>) -> (Result<Vec<ReviewProblem>, Failure>, Usage) {
        const FUNCTION: &str = "review";
        let open = request.open();
        let request = request.lowered(&open);
        let (answer, usage) = self.callee.ask::<WasmList<ProblemView>, _, _>(FUNCTION, (request,));
        (answer.and_then(|raw| self.problems(FUNCTION, raw)), usage)
    }

    fn problems(&self, function: &str, raw: Vec<wit::Problem>) -> Result<Vec<ReviewProblem>, Failure> {
        let limits = &self.callee.limits;
        if raw.len() as u64 > limits.answer_problems {
            let (limit, found) = (Count(limits.answer_problems), Count(raw.len() as u64));
            return Err(too_large(function, format_args!("{limit} problems: {found}")));
        }
        check_text(function, limits, raw.iter().map(text_length).sum())?;
        let problems = raw.into_iter().enumerate().map(|(index, raw)| problem(function, index, raw));
        review::accept(&self.description.name, problems.collect::<Result<_, _>>()?)
    }
}

/// What every call needs.
#[derive(Clone)]
struct Callee {
    component: Component,
    instances: InstancePre<Guard>,
    limits: Limits,
}

impl Callee {
    fn describe(&self) -> Result<Description, Failure> {
        let (answer, _) = self.ask::<DescriptionView, _, _>("describe", ());
        description(answer?, &self.limits)
    }

    /// Calls a function in a fresh instance. When its answer cannot be copied, `View` tells which field it is.
    fn ask<View, Answer, Arguments>(&self, function: &str, arguments: Arguments) -> (Result<Answer, Failure>, Usage)
    where
        (View,): ComponentNamedList + Lift,
        (Answer,): ComponentNamedList + Lift,
        Arguments: ComponentNamedList + Lower + Clone,
        View: Look,
    {
        let (answer, usage) = self
            .component
            .call(function, &self.limits, |store| self.call::<Answer, _>(function, store, arguments.clone()));
        let answer = answer.map_err(|error| match error {
            CallError::Malformed(reason) => {
                // Both calls together keep to the time of one.
                let limits = Limits { time: self.limits.time.saturating_sub(usage.time), ..self.limits };
                let (place, _) = self.component.call(function, &limits, |store| {
                    let view = self.call::<View, _>(function, store, arguments)?;
                    Ok(view.fault(store))
                });
                match place {
                    Ok(Some(place)) => malformed(function, format_args!("{place}: {reason}")),
                    _ => malformed(function, reason),
                }
            }
            CallError::Failed(failure) => failure,
        });
        (answer, usage)
    }

    fn call<Answer, Arguments>(
        &self,
        function: &str,
        store: &mut Store<Guard>,
        arguments: Arguments,
    ) -> wasmtime::Result<Answer>
    where
        (Answer,): ComponentNamedList + Lift,
        Arguments: ComponentNamedList + Lower,
    {
        let missing = || wasmtime::Error::msg("no such function");
        let instance = self.instances.instantiate(&mut *store)?;
        let interface = instance.get_export_index(&mut *store, None, &INTERFACE.full_name()).ok_or_else(missing)?;
        let function = instance.get_export_index(&mut *store, Some(&interface), function).ok_or_else(missing)?;
        let function = instance.get_typed_func::<Arguments, (Answer,)>(&mut *store, &function)?;
        Ok(function.call(store, arguments)?.0)
    }
}

impl Request<'_> {
    fn open(&self) -> Vec<&str> {
        self.open.iter().map(String::as_str).collect()
    }

    /// The request as the component takes it.
    fn lowered<'a>(&'a self, open: &'a [&'a str]) -> wit::Request<'a> {
        let phase = match self.phase {
            Phase::Load => wit::Phase::Load,
            Phase::Submit => wit::Phase::Submit,
        };
        let Request { workflow, step, config, settings, .. } = *self;
        wit::Request { phase, workflow, step, config, settings, open }
    }
}

fn description(raw: wit::Description, limits: &Limits) -> Result<Description, Failure> {
    const FUNCTION: &str = "describe";
    let wit::Description { name, version, summary, url, shapes, settings_schema } = raw;
    let optional = [&url, &settings_schema].into_iter().flatten().map(String::len).sum::<usize>();
    check_text(FUNCTION, limits, name.len() + version.len() + summary.len() + optional)?;
    if !review::is_kebab_case(&name) {
        let name = Short(&name);
        return Err(malformed(FUNCTION, format_args!("`name`: `{name}` is not lower-case words joined by `-`")));
    }
    if RESERVED_NAMES.contains(&name.as_str()) {
        return Err(malformed(FUNCTION, format_args!("`name`: `{name}` is reserved")));
    }
    let settings_schema = settings_schema
        .map(|text| json::object(&text))
        .transpose()
        .map_err(|reason| malformed(FUNCTION, format_args!("`settings-schema`: {reason}")))?;
    Ok(Description { name, version, summary, url, shapes, settings_schema })
}

fn problem(function: &str, index: usize, raw: wit::Problem) -> Result<ReviewProblem, Failure> {
    let wit::Problem { code, severity, message, path, help, url, fix } = raw;
    let fix = fix
        .map(|text| json::value(&text))
        .transpose()
        .map_err(|reason| malformed(function, format_args!("problem {}, `fix`: {reason}", index + 1)))?;
    let severity = match severity {
        wit::Severity::Error => Severity::Error,
        wit::Severity::Warning => Severity::Warning,
        wit::Severity::Info => Severity::Info,
    };
    Ok(ReviewProblem { code, severity, message, path, help, url, fix })
}

fn text_length(problem: &wit::Problem) -> usize {
    let wit::Problem { code, severity: _, message, path, help, url, fix } = problem;
    let optional = [help, url, fix].into_iter().flatten().map(String::len).sum::<usize>();
    code.len() + message.len() + path.len() + optional
}

fn check_text(function: &str, limits: &Limits, length: usize) -> Result<(), Failure> {
    if length as u64 > limits.answer_bytes {
        return Err(too_large(function, format_args!("{} of text", Bytes(limits.answer_bytes))));
    }
    Ok(())
}
