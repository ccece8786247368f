//! The core policy: the host's side of the world `core`.
//!
//! The component that ships with the runner and a replacement from somebody else come the same way, so both are
//! believed in as little: every text is read into the types of `model`, and what does not fit is an error.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use model::MODEL_VERSION;
use model::layer::{Layer, MergeStep, Merged};
use model::problem::CoreProblem;
use model::review::{Failure, Phase};
use model::workflow::Workflow;
use rayon::prelude::*;
use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use wasmtime::Store;

use self::bindings::exports::runner::policy::rules as wit;
use super::engine::{Component, Session};
use super::failure::{malformed, too_large};
use super::file::Sha256Digest;
use super::limits::{Guard, Limits};
use super::load_error::LoadError;
use super::words::{Bytes, Count, Short};
use super::world::{CORE_INTERFACE, Interface};

/// Steps that one call is asked about at most. A call has a fixed price of some 50 µs; a thousand steps take some 50 ms
/// and 30 MB, so that a large file keeps all cores busy and the memory small.
const STEPS_A_CALL: usize = 500;

/// Bytes of an answer after which an instance is given back at once, and one that is asked later starts anew.
const LARGE_ANSWER: usize = 4 << 20;

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated; `wit/core.wit` has the documentation")]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "core",
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

/// Documented in `wit/core.wit`; `report` is not called here, its native twin in `model` is.
const INTERFACE: Interface = Interface {
    world: "core",
    name: CORE_INTERFACE,
    version: "0.1.0",
    functions: &[
        ("describe", "func() -> record { name: string, version: string, model: string }"),
        (
            "load",
            "func(sources: list<record { name: string, text: string, role: enum { base, workflow } }>, \
             arguments: list<string>) -> record { workflow: option<string>, layers: string, problems: string }",
        ),
        ("merge", "func(layers: string, steps: string) -> result<string, string>"),
        ("check", "func(phase: enum { load, submit }, steps: string) -> result<string, string>"),
        ("report", "func(answers: string) -> result<string, string>"),
        ("schema", "func() -> string"),
    ],
};

/// The component that holds the rules of the file. Cloning is cheap; calls may run in parallel.
#[derive(Clone)]
pub struct CorePolicy {
    component: Component,
    instances: bindings::CorePre<Guard>,
    description: Arc<CoreDescription>,
    limits: Limits,
}

/// What a core policy says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreDescription {
    /// Its name; the one that ships with the runner is `core`.
    pub name: String,
    /// Version of its rules.
    pub version: String,
    /// Version of the JSON shapes it speaks, `major.minor`.
    pub model: String,
}

/// One text to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Name as the user knows it.
    pub name: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// What it is for.
    pub role: Role,
}

/// What a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// base.yaml.
    Base,
    /// The workflow file.
    Workflow,
}

/// What reading the sources gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The workflow; absent when none can be built.
    pub workflow: Option<Workflow>,
    /// Base, dag, then one for each step that has a config.
    pub layers: Vec<Layer>,
    /// What is wrong, except in merged configs.
    pub problems: Vec<CoreProblem>,
}

/// A core policy without a valid answer: the workflow counts as unreadable, nothing may run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// It trapped, went over a limit, or its answer is malformed.
    #[error("core policy `{file}` could not be asked: {failure}")]
    Failed {
        /// The component.
        file: String,
        /// What happened.
        failure: Failure,
    },
    /// It refused an argument: a fault of the host, or the two do not understand each other.
    #[error("core policy `{file}` refused the arguments of `{function}`: {reason}")]
    Refused {
        /// The component.
        file: String,
        /// The function.
        function: &'static str,
        /// What the component says.
        reason: String,
    },
}

impl CoreError {
    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            CoreError::Failed { failure, .. } => failure.help.as_deref(),
            CoreError::Refused { .. } => None,
        }
    }
}

impl CorePolicy {
    /// Checks world, imports and signatures, asks the component who it is, and refuses another major version of the
    /// JSON shapes.
    ///
    /// # Errors
    /// When the component is not a core policy for this host.
    pub fn load(component: &Component, limits: Limits) -> Result<CorePolicy, LoadError> {
        INTERFACE.check(component)?;
        let file = || component.file().to_owned();
        let unusable = |failure| LoadError::Describe { file: file(), failure };
        let instances = component
            .prepare()
            .and_then(bindings::CorePre::new)
            .map_err(|error| unusable(Failure::new(error.root_cause().to_string())))?;
        let (answer, _) = component.call("describe", &limits, |store| {
            instances.instantiate(&mut *store)?.runner_policy_rules().call_describe(store)
        });
        let wit::Description { name, version, model } = answer.map_err(|error| unusable(error.failure("describe")))?;
        if major(&model) != major(MODEL_VERSION) {
            return Err(LoadError::Model { file: file(), expected: MODEL_VERSION, found: Short(&model).to_string() });
        }
        let description = Arc::new(CoreDescription { name, version, model });
        Ok(CorePolicy { component: component.clone(), instances, description, limits })
    }

    /// What it says about itself.
    pub fn description(&self) -> &CoreDescription {
        &self.description
    }

    /// The component it comes from.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// SHA-256 of the component.
    pub fn sha256(&self) -> Sha256Digest {
        self.component.sha256()
    }

    /// What one call may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// An instance of its own for the questions about one file, or about some of its steps: what the component was
    /// asked before cannot change an answer, but spares it reading its own answers again.
    pub fn open(&self) -> OpenCore<'_> {
        OpenCore { core: self, place: None }
    }

    /// [`OpenCore::load_sources`] in an instance of its own.
    ///
    /// # Errors
    /// When the core policy gives no valid answer. Mistakes of the user are in [`Loaded::problems`].
    pub fn load_sources(&self, sources: &[Source<'_>], arguments: &[String]) -> Result<Loaded, CoreError> {
        self.open().load_sources(sources, arguments)
    }

    /// Merges layers into effective configs, one for each of `steps`, in their order. Many steps go in several calls
    /// side by side, each in an instance of its own.
    ///
    /// # Errors
    /// When the core policy gives no valid answer.
    pub fn merge(&self, layers: &[Layer], steps: &[MergeStep]) -> Result<Vec<Merged>, CoreError> {
        if is_one_call(layers, steps) {
            return Ok(self.open().merge(layers, steps)?.0);
        }
        let answers = self.in_calls(steps, |some| {
            let (layers, steps) = needed(layers, some);
            Ok(self.open().merge(&layers, &steps)?.0)
        })?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// [`CorePolicy::merge`], and what [`CorePolicy::check`] says of the configs.
    ///
    /// # Errors
    /// When the core policy gives no valid answer.
    pub fn merge_and_check(
        &self,
        phase: Phase,
        layers: &[Layer],
        steps: &[MergeStep],
    ) -> Result<(Vec<Merged>, Vec<CoreProblem>), CoreError> {
        if is_one_call(layers, steps) {
            return self.open().merge_and_check_at_once(phase, layers, steps);
        }
        let answers = self.in_calls(steps, |some| {
            let (layers, steps) = needed(layers, some);
            self.open().merge_and_check_at_once(phase, &layers, &steps)
        })?;
        let (mut merged, mut problems) = (Vec::with_capacity(steps.len()), Vec::new());
        for (some_merged, some_problems) in answers {
            merged.extend(some_merged);
            problems.extend(some_problems);
        }
        Ok((merged, problems))
    }

    /// Checks effective configs, many in several calls side by side.
    ///
    /// # Errors
    /// When the core policy gives no valid answer.
    pub fn check(&self, phase: Phase, steps: &[Merged]) -> Result<Vec<CoreProblem>, CoreError> {
        let check = |some: &[Merged]| self.open().check(phase, &self.write("check", some)?);
        if steps.len() <= STEPS_A_CALL {
            return check(steps);
        }
        Ok(self.in_calls(steps, check)?.into_iter().flatten().collect())
    }

    /// The answers about some steps after the other, whichever call ends first. `ask` must not wait for others of the
    /// same pool of threads: while it does it would hold its instance.
    fn in_calls<S: Sync, A: Send>(
        &self,
        steps: &[S],
        ask: impl Fn(&[S]) -> Result<A, CoreError> + Send + Sync,
    ) -> Result<Vec<A>, CoreError> {
        steps.par_chunks(STEPS_A_CALL).map(ask).collect()
    }

    /// JSON Schema of the workflow file, as text.
    ///
    /// # Errors
    /// When the core policy gives no valid answer.
    pub fn schema(&self) -> Result<String, CoreError> {
        const FUNCTION: &str = "schema";
        let text = self.open().call(FUNCTION, |core, store| core.call_schema(store))?;
        self.check_length(FUNCTION, text.len())?;
        self.read_object::<Value>(FUNCTION, "answer", &text)?;
        Ok(text)
    }

    /// The text of an answer that may be a refusal.
    fn accepted(&self, function: &'static str, answer: Result<String, String>) -> Result<String, CoreError> {
        let text = answer.map_err(|reason| CoreError::Refused {
            file: self.file(),
            function,
            reason: Short(&reason).to_string(),
        })?;
        self.check_length(function, text.len())?;
        Ok(text)
    }

    fn write<T: Serialize + ?Sized>(&self, function: &str, argument: &T) -> Result<String, CoreError> {
        serde_json::to_string(argument)
            .map_err(|error| self.failed(Failure::new(format!("no arguments for `{function}`: {error}"))))
    }

    fn read<T: DeserializeOwned>(&self, function: &str, field: &str, text: &str) -> Result<T, CoreError> {
        serde_json::from_str(text).map_err(|error| self.failed(malformed(function, format_args!("`{field}`: {error}"))))
    }

    fn read_object<T: DeserializeOwned>(&self, function: &str, field: &str, text: &str) -> Result<T, CoreError> {
        // The reader takes a list for an object whose fields all have defaults.
        if !text.trim_start().starts_with('{') {
            return Err(self.failed(malformed(function, format_args!("`{field}`: expected an object"))));
        }
        self.read(function, field, text)
    }

    fn read_problems(&self, function: &str, field: &str, text: &str) -> Result<Vec<CoreProblem>, CoreError> {
        let limit = self.limits.answer_problems;
        let mut reader = serde_json::Deserializer::from_str(text);
        let problems = reader.deserialize_seq(UpTo(limit)).and_then(|problems| reader.end().map(|()| problems));
        match problems {
            Ok(Some(problems)) => Ok(problems),
            Ok(None) => Err(self.failed(too_large(function, format_args!("{} problems", Count(limit))))),
            Err(error) => Err(self.failed(malformed(function, format_args!("`{field}`: {error}")))),
        }
    }

    fn check_length(&self, function: &str, length: usize) -> Result<(), CoreError> {
        if length as u64 > self.limits.answer_bytes {
            let limit = Bytes(self.limits.answer_bytes);
            return Err(self.failed(too_large(function, format_args!("{limit} of text"))));
        }
        Ok(())
    }

    fn failed(&self, failure: Failure) -> CoreError {
        CoreError::Failed { file: self.file(), failure }
    }

    fn file(&self) -> String {
        self.component.file().to_owned()
    }
}

/// An instance of the core policy for the questions about one file. Whoever holds one keeps others from theirs, so it
/// must not be held while something else is waited for.
pub struct OpenCore<'a> {
    core: &'a CorePolicy,
    /// Taken by the first call.
    place: Option<Place<'a>>,
}

/// An instance and what it lives in.
struct Place<'a> {
    session: Session<'a>,
    /// Made by the first call, under its limits.
    instance: Option<bindings::Core>,
}

impl OpenCore<'_> {
    /// Reads the sources, in this order. `arguments` are parameters given from outside, `NAME=VALUE` or a value.
    ///
    /// # Errors
    /// When the core policy gives no valid answer. Mistakes of the user are in [`Loaded::problems`].
    pub fn load_sources(&mut self, sources: &[Source<'_>], arguments: &[String]) -> Result<Loaded, CoreError> {
        const FUNCTION: &str = "load";
        let core = self.core;
        let sources: Vec<wit::Source<'_>> = sources.iter().map(Source::lowered).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let raw = self.call(FUNCTION, |core, store| core.call_load(store, &sources, &arguments))?;
        let wit::Loaded { workflow, layers, problems } = raw;
        let length = workflow.as_ref().map_or(0, String::len) + layers.len() + problems.len();
        core.check_length(FUNCTION, length)?;
        if length > LARGE_ANSWER {
            // What the component needed for it is several times as much; it is not held while the host needs the same.
            self.place = None;
        }
        Ok(Loaded {
            workflow: workflow.map(|text| core.read_object(FUNCTION, "workflow", &text)).transpose()?,
            layers: core.read(FUNCTION, "layers", &layers)?,
            problems: core.read_problems(FUNCTION, "problems", &problems)?,
        })
    }

    /// [`CorePolicy::merge_and_check`], for few steps in this instance.
    ///
    /// # Errors
    /// When the core policy gives no valid answer.
    pub fn merge_and_check(
        mut self,
        phase: Phase,
        layers: &[Layer],
        steps: &[MergeStep],
    ) -> Result<(Vec<Merged>, Vec<CoreProblem>), CoreError> {
        if is_one_call(layers, steps) {
            return self.merge_and_check_at_once(phase, layers, steps);
        }
        self.place = None;
        self.core.merge_and_check(phase, layers, steps)
    }

    fn merge_and_check_at_once<L: Serialize>(
        &mut self,
        phase: Phase,
        layers: &[L],
        steps: &[MergeStep],
    ) -> Result<(Vec<Merged>, Vec<CoreProblem>), CoreError> {
        let (merged, text) = self.merge(layers, steps)?;
        let problems = self.check(phase, &text)?;
        Ok((merged, problems))
    }

    /// The configs, and the text they were read from.
    fn merge<L: Serialize>(&mut self, layers: &[L], steps: &[MergeStep]) -> Result<(Vec<Merged>, String), CoreError> {
        const FUNCTION: &str = "merge";
        let core = self.core;
        let (layers, argument) = (core.write(FUNCTION, layers)?, core.write(FUNCTION, steps)?);
        let raw = self.call(FUNCTION, |core, store| core.call_merge(store, &layers, &argument))?;
        let text = core.accepted(FUNCTION, raw)?;
        let merged: Vec<Merged> = core.read(FUNCTION, "answer", &text)?;
        // Whoever takes the answer pairs it with the steps by position.
        if !merged.iter().map(|merged| &merged.step).eq(steps.iter().map(|step| &step.step)) {
            return Err(core.failed(malformed(FUNCTION, "its steps are not those it was given")));
        }
        Ok((merged, text))
    }

    fn check(&mut self, phase: Phase, steps: &str) -> Result<Vec<CoreProblem>, CoreError> {
        const FUNCTION: &str = "check";
        let core = self.core;
        let phase = match phase {
            Phase::Load => wit::Phase::Load,
            Phase::Submit => wit::Phase::Submit,
        };
        let raw = self.call(FUNCTION, |core, store| core.call_check(store, phase, steps))?;
        core.read_problems(FUNCTION, "answer", &core.accepted(FUNCTION, raw)?)
    }

    fn call<R>(
        &mut self,
        function: &str,
        call: impl FnOnce(&wit::Guest, &mut Store<Guard>) -> wasmtime::Result<R>,
    ) -> Result<R, CoreError> {
        let OpenCore { core, place } = self;
        let Place { session, instance } =
            place.get_or_insert_with(|| Place { session: core.component.open(&core.limits), instance: None });
        let (answer, _) = session.call(function, |store| {
            let instance = match instance {
                Some(instance) => instance,
                None => instance.insert(core.instances.instantiate(&mut *store)?),
            };
            call(instance.runner_policy_rules(), store)
        });
        answer.map_err(|error| core.failed(error.failure(function)))
    }
}

/// Whether one call can hold all of it. A rank that names no layer is left to the core policy to refuse.
fn is_one_call(layers: &[Layer], steps: &[MergeStep]) -> bool {
    steps.len() <= STEPS_A_CALL || !steps.iter().flat_map(|step| &step.ranks).all(|rank| names(*rank, layers))
}

impl<'a> Source<'a> {
    fn lowered(&self) -> wit::Source<'a> {
        let role = match self.role {
            Role::Base => wit::Role::Base,
            Role::Workflow => wit::Role::Workflow,
        };
        wit::Source { name: self.name, text: self.text, role }
    }
}

fn names(rank: u32, layers: &[Layer]) -> bool {
    usize::try_from(rank).is_ok_and(|index| index < layers.len())
}

/// The layers that these steps name, each once, and the steps with the places where those now stand.
fn needed<'a>(layers: &'a [Layer], steps: &[MergeStep]) -> (Vec<&'a Layer>, Vec<MergeStep>) {
    let mut places = HashMap::new();
    let mut kept = Vec::new();
    let mut steps = steps.to_vec();
    for rank in steps.iter_mut().flat_map(|step| &mut step.ranks) {
        let Some(layer) = layers.get(*rank as usize) else { continue };
        *rank = *places.entry(*rank).or_insert_with(|| {
            kept.push(layer);
            kept.len() as u32 - 1
        });
    }
    (kept, steps)
}

/// Reads a list of problems, or nothing when there are more than this: counting them first would hold all of them.
struct UpTo(u64);

impl<'de> Visitor<'de> for UpTo {
    type Value = Option<Vec<CoreProblem>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of problems")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut problems = Vec::new();
        while problems.len() as u64 <= self.0 {
            match items.next_element()? {
                Some(problem) => problems.push(problem),
                None => return Ok(Some(problems)),
            }
        }
        // The rest is read over, so that a fault in it is still one.
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn major(version: &str) -> &str {
    version.split_once('.').map_or(version, |(major, _)| major)
}

#[cfg(test)]
mod tests {
    use model::layer::Origin;
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_take_along_only_the_layers_they_name() {
        let layer = |origin: Origin, number: i32| Layer {
            origin,
            value: json!({ "backoff_limit": number }),
            positions: Default::default(),
            left_out: Vec::new(),
            variables: Vec::new(),
        };
        let layers = [layer(Origin::Base, 0), layer(Origin::Dag, 1), layer(Origin::Step, 2), layer(Origin::Step, 3)];
        let step = |name: &str, ranks: &[u32]| MergeStep { step: name.to_owned(), ranks: ranks.to_vec() };
        let (kept, steps) = needed(&layers, &[step("b", &[1, 3]), step("c", &[1]), step("d", &[3, 1, 0])]);
        assert_eq!(kept, [&layers[1], &layers[3], &layers[0]]);
        assert_eq!(steps, [step("b", &[0, 1]), step("c", &[0]), step("d", &[1, 0, 2])]);
    }
}
