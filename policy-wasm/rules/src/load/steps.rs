//! Steps and handlers: their forms, order, commands and layers.

mod reading;
mod values;

use std::collections::{BTreeMap, HashSet};

use model::layer::{Layer, Origin};
use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{Command, STEP, Step, StepKind, WorkflowType};
use serde_json::Value;

use super::texts::{Finder, Owner};
use super::{Loading, command, graph};
use crate::typed::{Spot, Walk, config_key};
use crate::yaml::{Content, Entry, Node, Span, cut};
use reading::Reading;

/// Largest number of dependencies that the groups of a chain may make: two groups of 500 steps each make as many.
const MAX_CHAINED: usize = 250_000;
/// Keys without effect in a handler: it runs once.
const NOT_IN_HANDLERS: &[&str] = &["retry_policy", "repeat_policy", "continue_on"];

/// How a step is told: its mapping, where it stands, and a name that the form gives it.
struct Written<'a> {
    node: &'a Node,
    at: &'a str,
    source: u32,
    /// Name of the form: the key of the mapping form, or the name of a handler.
    given: Option<(&'a str, Span)>,
    /// Name of the handler that it is.
    handler: Option<&'static str>,
}

impl Loading {
    /// The root key `steps`: a list, or a mapping of name to step.
    pub(super) fn steps(&mut self, entry: &Entry, source: u32) {
        let position = entry.value.span.position(source);
        let chain = self.workflow.workflow_type == WorkflowType::Chain;
        given_names(&entry.value, &mut self.taken);
        match &entry.value.content {
            Content::List(items) if !items.is_empty() => {
                let mut before: Vec<String> = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    before = self.item(item, &path::index("steps", index), source, &before, false);
                }
            }
            Content::Mapping(entries) if !entries.is_empty() => {
                if let Some(problem) = one_step(entries) {
                    self.problems.push(problem.at("steps", Some(position)));
                    return;
                }
                if chain {
                    self.problems.push(
                        CoreProblem::error(code::EXCLUSIVE, "a chain needs a list of steps: a mapping has no order")
                            .at("steps", Some(entry.key_span.position(source)))
                            .help("write `steps:` as a list, or `type: graph`"),
                    );
                }
                for step in entries {
                    let at = path::key("steps", &step.key);
                    let given = Some((step.key.as_str(), step.key_span));
                    self.step(&Written { node: &step.value, at: &at, source, given, handler: None }, &[]);
                }
            }
            Content::List(_) | Content::Mapping(_) | Content::Null => self.problems.push(
                CoreProblem::error(code::REQUIRED, "`steps` is empty")
                    .at("steps", Some(entry.key_span.position(source)))
                    .help("add at least one step: `steps: [{id: hello, command: echo hello}]`"),
            ),
            _ => self.problems.push(
                CoreProblem::error(
                    code::TYPE,
                    format!("`steps` must be a list or a mapping, found {}", entry.value.found()),
                )
                .at("steps", Some(position))
                .help("write a list of steps: lines that begin with `- id: …`"),
            ),
        }
    }

    /// An item of the list: a step, or a group of steps. Answers the names that the next item of a chain waits for.
    fn item(&mut self, item: &Node, at: &str, source: u32, before: &[String], nested: bool) -> Vec<String> {
        match &item.content {
            Content::List(members) if !nested => {
                let names: Vec<String> = members
                    .iter()
                    .enumerate()
                    .flat_map(|(index, member)| self.item(member, &path::index(at, index), source, before, true))
                    .collect();
                if names.is_empty() { before.to_vec() } else { names }
            }
            _ => {
                let written = Written { node: item, at, source, given: None, handler: None };
                self.step(&written, before).into_iter().collect()
            }
        }
    }

    /// A handler: one step.
    pub(super) fn handler(&mut self, entry: &Entry, name: &'static str, source: u32) {
        let at = path::key("handler_on", &entry.key);
        let given = Some((name, entry.key_span));
        self.workflow.handlers.retain(|known| known.name != name);
        self.texts.retain(|text| text.owner != Owner::Handler(name));
        self.step(&Written { node: &entry.value, at: &at, source, given, handler: Some(name) }, &[]);
    }

    /// Reads one step and adds it. Answers its name; none: it is no step at all.
    fn step(&mut self, written: &Written<'_>, before: &[String]) -> Option<String> {
        let Written { node, at, source, given, handler } = *written;
        let text_form;
        let entries = match &node.content {
            Content::Mapping(entries) => entries.as_slice(),
            Content::Text(_) => {
                text_form =
                    [Entry { key: "command".to_owned(), is_odd: false, key_span: node.span, value: node.clone() }];
                &text_form
            }
            _ => {
                let nothing = given.filter(|_| matches!(node.content, Content::Null)).map(|(_, span)| span);
                self.problems.push(
                    CoreProblem::error(
                        code::TYPE,
                        format!("a step must be a mapping or a command, found {}", node.found()),
                    )
                    .at(at, Some(nothing.unwrap_or(node.span).position(source)))
                    .help(match (&node.content, given) {
                        (Content::List(_), None) => "a group cannot hold a group: write its steps here",
                        (_, Some(_)) => "write indented `key: value` lines below it, or a command behind it",
                        _ => "write `- id: hello` with the other keys indented below it",
                    }),
                );
                return None;
            }
        };
        let first_problem = self.problems.len();
        let mut reading = Reading::new(entries, at, source, node.span);
        let kind = reading.kind(&mut self.problems);
        let position = given.map_or(node.span, |(_, span)| span).position(source);
        let mut step = Step::new("", kind, at, position);
        step.id = reading.id(&mut self.problems);
        step.name = match given {
            Some((name, _)) if handler.is_some() => {
                reading.no_name(name, &mut self.problems);
                name.to_owned()
            }
            Some((name, span)) => {
                if let Some(entry) = reading.entry("name") {
                    let problem = CoreProblem::error(code::EXCLUSIVE, "`name` cannot stand here: the key is the name")
                        .help("remove `name`, or write `steps` as a list");
                    reading.push(&mut self.problems, problem, "name", entry.key_span);
                }
                reading.checked_name(name, span, "", &mut self.problems)
            }
            None => match reading.name(step.id.as_deref(), &mut self.problems) {
                Some(name) => name,
                None => self.free_name(&reading),
            },
        };
        let owner = handler.map_or(Owner::Step(self.workflow.steps.len()), Owner::Handler);
        let finder = Finder { owner, source };
        reading.plain_keys(&mut step, &finder, &mut self.texts, &mut self.problems);
        for key in NOT_IN_HANDLERS.iter().filter(|_| handler.is_some()) {
            if let Some(entry) = reading.entry(key) {
                let problem =
                    CoreProblem::warning(code::IGNORED, format!("`{key}` has no effect in a handler: it runs once"));
                reading.push(&mut self.problems, problem, key, entry.key_span);
            }
        }
        if handler.is_some() {
            (step.continue_on, step.retry_policy, step.repeat_policy) = (None, None, None);
        }
        let mut places = graph::Places { id: reading.place("id"), name: reading.place("name"), depends: Vec::new() };
        self.order(&reading, &mut step, &mut places, before, handler.is_some());
        step.command = self.command(&reading, kind, &finder);
        self.config_of(&reading, &mut step);
        self.misplaced(&reading, &mut step);
        for problem in self.problems.iter_mut().skip(first_problem) {
            problem.step.get_or_insert_with(|| step.name.clone());
        }
        let name = step.name.clone();
        if handler.is_some() {
            self.workflow.handlers.push(step);
        } else {
            self.workflow.steps.push(step);
            self.places.push(places);
        }
        Some(name)
    }

    /// The name of a step that has neither name nor id: kind and place, counted up while taken.
    fn free_name(&mut self, reading: &Reading<'_>) -> String {
        let kind = match reading.text("type").map(str::trim) {
            Some(kind @ ("k8s" | "kubernetes")) => kind,
            _ if reading.kubernetes => "k8s",
            _ if reading.entry("script").is_some() => "script",
            _ => "cmd",
        };
        // What lies between an earlier start and the number found there is taken.
        let next = self.next_name.entry(kind.to_owned()).or_default();
        let mut number = (self.workflow.steps.len() + 1).max(*next);
        loop {
            let name = format!("{kind}_{number}");
            number += 1;
            if self.taken.insert(name.clone()) {
                *next = number;
                return name;
            }
        }
    }

    /// `depends`, and what a chain puts in its place.
    fn order(
        &mut self,
        reading: &Reading<'_>,
        step: &mut Step,
        places: &mut graph::Places,
        before: &[String],
        handler: bool,
    ) {
        let chain = self.workflow.workflow_type == WorkflowType::Chain && !handler;
        let Some(entry) = reading.entry("depends") else {
            if chain && self.chained > MAX_CHAINED {
                // Said once.
            } else if chain && self.chained + before.len() > MAX_CHAINED {
                let problem = CoreProblem::error(
                    code::RANGE,
                    format!("groups of this chain make more than {MAX_CHAINED} dependencies"),
                )
                .help("put a step between two large groups");
                reading.push(&mut self.problems, problem, "", reading.span);
                self.chained = usize::MAX;
            } else if chain {
                self.chained += before.len();
                step.depends = before.to_vec();
            }
            return;
        };
        let at = path::key(reading.at, "depends");
        if chain || handler {
            let what = if handler { "a handler" } else { "a step of a chain" };
            self.problems.push(
                CoreProblem::error(code::EXCLUSIVE, format!("{what} cannot have `depends`"))
                    .at(at, Some(entry.key_span.position(reading.source)))
                    .help("remove `depends`: the order is given"),
            );
            return;
        }
        let Some(field) = STEP.field("depends") else { return };
        let mut walk = Walk::new(reading.source, reading.at, &mut self.problems);
        step.depends = match walk.value(&field.kind, &entry.value, "depends", Spot::of(entry)) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(names)) => {
                let left_out = &walk.walked.left_out;
                let name = |(index, name): (usize, &Value)| {
                    let wrong = left_out.contains(&path::index("depends", index));
                    let name = name.as_str().unwrap_or_default();
                    if wrong { graph::LEFT_OUT.to_owned() } else { name.to_owned() }
                };
                names.iter().enumerate().map(name).collect()
            }
            _ => Vec::new(),
        };
        places.depends = match &entry.value.content {
            Content::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (path::index(&at, index), item.span.position(reading.source)))
                .collect(),
            _ => vec![(at, entry.value.span.position(reading.source))],
        };
    }

    fn command(&mut self, reading: &Reading<'_>, kind: StepKind, finder: &Finder) -> Option<Command> {
        let kubernetes = kind == StepKind::Kubernetes;
        let (entry, at) = reading.command()?;
        reading.find_texts(entry, &at, kind, finder, &mut self.texts);
        let mut found = Vec::new();
        let command = if kubernetes {
            command::argv(&entry.value, &mut found)
        } else if entry.key == "script" {
            command::script(&entry.value, &mut found)
        } else {
            command::shell(&entry.value, &entry.key, &mut found)
        };
        for mut one in found {
            let item = match (&entry.value.content, one.item) {
                (Content::List(items), Some(index)) => items.get(index).map(|item| (index, item.span)),
                _ => None,
            };
            let (at, span) = match item {
                Some((index, span)) => (path::index(&at, index), span),
                None if matches!(entry.value.content, Content::Null) => (at.clone(), entry.key_span),
                None => (at.clone(), entry.value.span),
            };
            one.problem.path = at;
            one.problem.position = Some(span.position(reading.source));
            self.problems.push(one.problem);
        }
        command
    }

    /// Keys of the config that stand beside it have their problem; they count as set.
    fn misplaced(&mut self, reading: &Reading<'_>, step: &mut Step) {
        let keys = reading.entries.iter().map(|entry| entry.key.as_str());
        let misplaced: Vec<String> =
            keys.filter(|key| STEP.field(key).is_none()).filter_map(config_key).map(str::to_owned).collect();
        if misplaced.is_empty() || step.kind != StepKind::Kubernetes {
            return;
        }
        step.ranks.push(self.layers.len() as u32);
        self.layers.push(Layer {
            origin: Origin::Step,
            value: Value::Object(serde_json::Map::new()),
            positions: BTreeMap::new(),
            left_out: misplaced,
            variables: Vec::new(),
        });
    }

    /// The layer that the step's own config makes.
    fn config_of(&mut self, reading: &Reading<'_>, step: &mut Step) {
        let Some(entry) = reading.config else { return };
        let at = path::key(reading.at, &entry.key);
        if reading.is_foreign {
            // Another kind of step has another kind of config.
            return;
        }
        if step.kind == StepKind::Command {
            let allowed = reading.entry("run").is_some() && entry.key == "with";
            let mut stray: Vec<(String, &str, Span)> = Vec::new();
            if allowed {
                reading.shell_in_with(entry, step, &mut self.problems);
                let inner = entry.value.entries().iter();
                stray.extend(
                    inner
                        .filter(|inner| !matches!(inner.key.as_str(), "shell" | "shell_args"))
                        .map(|inner| (path::key(&at, &inner.key), inner.key.as_str(), inner.key_span)),
                );
            } else if !matches!(entry.value.content, Content::Null) {
                stray.push((at.clone(), &entry.key, entry.key_span));
            }
            for (path, key, span) in stray {
                self.problems.push(
                    CoreProblem::error(
                        code::UNKNOWN_FIELD,
                        format!("`{key}` has no meaning here: this is a command step"),
                    )
                    .at(path, Some(span.position(reading.source)))
                    .help("add `type: k8s` to run the step on Kubernetes"),
                );
            }
            return;
        }
        let without_command;
        let value = if reading.action.is_some() {
            without_command = Node {
                content: match &entry.value.content {
                    Content::Mapping(entries) => {
                        Content::Mapping(entries.iter().filter(|inner| inner.key != "command").cloned().collect())
                    }
                    other => other.clone(),
                },
                span: entry.value.span,
            };
            &without_command
        } else {
            &entry.value
        };
        if matches!(value.content, Content::Null) {
            return;
        }
        step.config_path = Some(at.clone());
        if let Some(layer) = self.config(value, Spot::of(entry), reading.source, &at, Origin::Step) {
            step.ranks.push(self.layers.len() as u32);
            self.layers.push(layer);
        }
    }
}

/// Says that the mapping under `steps` is one step and not a mapping of name to step; none: it may well be one.
///
/// Every key is a step's, and a value is no step's mapping. A single key may be the name of a step, as `run: make`,
/// unless no step is called so.
fn one_step(entries: &[Entry]) -> Option<CoreProblem> {
    const NEVER_NAMES: [&str; 5] = ["id", "name", "type", "action", "command"];
    let dash = entries.iter().find(|entry| entry.key.starts_with('-'));
    let key = |entry: &Entry| STEP.field(entry.key.trim_start_matches('-')).map(|field| field.key);
    let is_value = |entry: &Entry| !matches!(entry.value.content, Content::Mapping(_));
    let named = |entry: &Entry| key(entry).is_some_and(|key| NEVER_NAMES.contains(&key));
    if !entries.iter().all(|entry| key(entry).is_some())
        || !entries.iter().any(is_value)
        || entries.len() == 1 && !entries.iter().any(named)
    {
        return None;
    }
    let first = entries.first().and_then(key).unwrap_or("id");
    let message = "`steps` must be a list of steps or a mapping of name to step, found the keys of one step";
    let help = match dash {
        Some(entry) => format!("put a space after the dash: `- {first}: …`, not `{}: …`", cut(&entry.key)),
        None => format!("put `- ` before the first key of each step: `- {first}: …`"),
    };
    Some(CoreProblem::error(code::TYPE, message).help(help))
}

/// Collects every name and id that the steps are given.
fn given_names(steps: &Node, taken: &mut HashSet<String>) {
    match &steps.content {
        Content::List(items) => items.iter().for_each(|item| match &item.content {
            Content::List(_) => given_names(item, taken),
            _ => {
                let given = ["id", "name"].iter().filter_map(|key| item.entry(key)?.value.scalar());
                taken.extend(given.map(str::to_owned));
            }
        }),
        Content::Mapping(entries) => taken.extend(entries.iter().map(|entry| entry.key.clone())),
        _ => {}
    }
}
