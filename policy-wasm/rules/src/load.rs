//! Reading the sources: the workflow, the layers of its configs, and every problem that needs no merged config.
//!
//! base.yaml is read first, then the workflow file; each gives what it can, whatever is wrong with the other.

mod command;
mod graph;
mod steps;
mod variables;

use std::collections::{BTreeMap, HashMap, HashSet};

use model::layer::{Layer, Origin, Position};
use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{HANDLER_NAMES, WORKFLOW_FILE, Workflow, WorkflowType};
use serde_json::Value;

use crate::typed::{Spot, Walk};
use crate::yaml::{self, Content, Entry, Node, cut};

/// One text to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Name as the user knows it; the workflow's name is taken from it when the file has none.
    pub name: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// What it is for.
    pub role: Role,
}

/// What a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// base.yaml: lies under the workflow file.
    Base,
    /// The workflow file.
    Workflow,
}

/// What reading gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The workflow; none when there is no workflow file that can be read as a mapping with steps.
    pub workflow: Option<Workflow>,
    /// base, dag, then one for each step that has a config.
    pub layers: Vec<Layer>,
    /// Every problem found, in the order in which it was found.
    pub problems: Vec<CoreProblem>,
}

/// What the files hold so far; later sources win.
#[derive(Default)]
struct Loading {
    workflow: Workflow,
    name: Option<(String, Position)>,
    layers: Vec<Layer>,
    parameters: variables::Parameters,
    /// Where names and dependencies of `workflow.steps` stand, one for each.
    places: Vec<graph::Places>,
    /// Names and ids that the files give; a name that is made up differs from all of them.
    taken: HashSet<String>,
    /// For each kind of step the number at which the search for a free name goes on.
    next_name: HashMap<String, usize>,
    /// How many dependencies the groups of a chain have made.
    chained: usize,
    problems: Vec<CoreProblem>,
}

/// Reads sources, in this order; `arguments` are parameters given from outside, `NAME=VALUE` or a positional value.
pub fn load(sources: &[Source<'_>], arguments: &[&str]) -> Loaded {
    let mut loading = Loading::default();
    let mut readable = false;
    for (index, source) in sources.iter().enumerate() {
        let number = index as u32;
        let Some(document) = yaml::read(source.text, number, &mut loading.problems) else {
            if loading.problems.iter().all(|problem| problem.position.is_none_or(|at| at.source != number)) {
                empty(&mut loading, source, number);
            } else if source.role == Role::Base {
                loading.layers.push(unreadable(Origin::Base));
            }
            continue;
        };
        if matches!(document.content, Content::Null) {
            empty(&mut loading, source, number);
            continue;
        }
        let Content::Mapping(entries) = &document.content else {
            let (wanted, help) = match source.role {
                Role::Base => ("a mapping", "begin with `kubernetes:`"),
                Role::Workflow => ("a mapping with the key `steps`", "begin with `steps:`"),
            };
            let message = format!("the file must be {wanted}, found {}", document.found());
            let position = Some(document.span.position(number));
            loading.problems.push(CoreProblem::error(code::TYPE, message).at("", position).help(help));
            if source.role == Role::Base {
                loading.layers.push(unreadable(Origin::Base));
            }
            continue;
        };
        match source.role {
            Role::Base => loading.base(entries, number),
            Role::Workflow => {
                readable = true;
                loading.workflow_file(&document, source.name, number);
            }
        }
    }
    loading.finish(readable, arguments)
}

/// A file without a document. An empty base.yaml says nothing; an empty workflow file has no steps.
fn empty(loading: &mut Loading, source: &Source<'_>, number: u32) {
    if source.role == Role::Workflow {
        let start = Position { source: number, line: 1, column: 1, offset: 0, length: 0 };
        loading.problems.push(
            CoreProblem::error(code::REQUIRED, "the file is empty: `steps` is missing")
                .at("steps", Some(start))
                .help("add steps: `steps: [{id: hello, command: echo hello}]`"),
        );
    }
}

impl Loading {
    fn base(&mut self, entries: &[Entry], source: u32) {
        for entry in entries {
            if matches!(entry.key.as_str(), "steps" | "name") {
                self.problems.push(
                    CoreProblem::error(code::UNSUPPORTED, format!("`{}` cannot stand in base.yaml", entry.key))
                        .at(entry.key.clone(), Some(entry.key_span.position(source)))
                        .help("move it to the workflow file"),
                );
                continue;
            }
            self.root_key(entry, source, &Origin::Base);
        }
    }

    fn workflow_file(&mut self, document: &Node, file: &str, source: u32) {
        for entry in document.entries() {
            match entry.key.as_str() {
                "steps" => {}
                "name" => self.workflow_name(entry, source),
                _ => self.root_key(entry, source, &Origin::Dag),
            }
        }
        if self.name.is_none() && document.entry("name").is_none() {
            self.name_from_file(file, source);
        }
        match document.entry("steps") {
            Some(entry) => self.steps(entry, source),
            None => self.problems.push(
                CoreProblem::error(code::REQUIRED, "`steps` is missing")
                    .at("steps", Some(document.span.position(source)))
                    .help("add at least one step: `steps: [{id: hello, command: echo hello}]`"),
            ),
        }
    }

    fn root_key(&mut self, entry: &Entry, source: u32, origin: &Origin) {
        let key = entry.key.as_str();
        let span = entry.key_span.position(source);
        match key {
            "kubernetes" => {
                let layer = self.layer(entry, source, "kubernetes", origin.clone());
                self.layers.extend(layer);
            }
            "tags" => self.problems.push(
                CoreProblem::warning(code::DEPRECATED, "`tags` is the old name of `labels`")
                    .at("tags", Some(span))
                    .help("write `labels`"),
            ),
            "worker_selector" if entry.value.scalar() == Some("local") => {
                self.problems.push(
                    CoreProblem::warning(code::IGNORED, "`worker_selector` has no effect here")
                        .at("worker_selector", Some(span)),
                );
            }
            _ => {}
        }
        if key == "kubernetes" || (key == "worker_selector" && entry.value.scalar() == Some("local")) {
            return;
        }
        let mut walk = Walk::new(source, "", &mut self.problems);
        let place = path::key("", key);
        if key == "type" && matches!(entry.value.scalar(), Some("agent" | "build")) {
            let problem = CoreProblem::error(
                code::UNSUPPORTED,
                format!("workflows of the type `{}` are not supported", entry.value.scalar().unwrap_or_default()),
            )
            .help("write `type: graph` or `type: chain`");
            return walk.refuse(problem, &place, entry.value.span);
        }
        let Some(field) = walk.known(&WORKFLOW_FILE, entry, &place) else { return };
        let Some(value) = walk.value(&field.kind, &entry.value, &place, Spot::of(entry)) else { return };
        match key {
            "type" => {
                self.workflow.workflow_type = if value == "chain" { WorkflowType::Chain } else { WorkflowType::Graph };
            }
            "description" => self.workflow.description = value.as_str().map(str::to_owned),
            "labels" | "tags" => self.labels(&entry.value),
            "max_active_steps" => self.workflow.max_active_steps = value.as_i64(),
            "params" => self.parameters.read(&entry.value, source, &mut self.problems),
            "env" => {
                let read = variables::env(&entry.value, "env", source, &mut self.problems);
                self.workflow.env.extend(read);
            }
            "consts" => self.consts(&entry.value, source),
            "handler_on" => self.handlers(&entry.value, source),
            _ => {}
        }
    }

    fn labels(&mut self, node: &Node) {
        let labels = match &node.content {
            Content::List(items) => items.iter().filter_map(Node::scalar).map(str::to_owned).collect(),
            Content::Mapping(entries) => entries
                .iter()
                .map(|entry| format!("{}={}", entry.key, entry.value.scalar().unwrap_or_default()))
                .collect(),
            _ => node
                .scalar()
                .into_iter()
                .flat_map(|text| text.split(','))
                .map(|label| label.trim().to_owned())
                .filter(|label| !label.is_empty())
                .collect::<Vec<_>>(),
        };
        // Key by key the workflow's win: an entry of the same key is replaced.
        let key = |label: &str| label.split_once('=').map_or_else(|| label.to_owned(), |(key, _)| key.to_owned());
        let known = &mut self.workflow.labels;
        let mut places: HashMap<String, usize> =
            known.iter().enumerate().map(|(index, label)| (key(label), index)).collect();
        for label in labels {
            match places.get(&key(&label)).and_then(|index| known.get_mut(*index)) {
                Some(known) => *known = label,
                None => {
                    places.insert(key(&label), known.len());
                    known.push(label);
                }
            }
        }
    }

    fn consts(&mut self, node: &Node, source: u32) {
        for entry in node.entries() {
            match entry.value.scalar() {
                Some(text) => {
                    self.workflow.consts.insert(entry.key.clone(), text.to_owned());
                }
                None => self.problems.push(
                    CoreProblem::error(
                        code::TYPE,
                        format!(
                            "`{}` must be text, a number or a boolean, found {}",
                            cut(&entry.key),
                            entry.value.found()
                        ),
                    )
                    .at(path::key("consts", &entry.key), Some(entry.value.span.position(source))),
                ),
            }
        }
    }

    fn handlers(&mut self, node: &Node, source: u32) {
        for (key, name) in HANDLER_NAMES {
            // Anything but a mapping has its problem from the table.
            if let Some(entry) = node.entry(key).filter(|entry| matches!(entry.value.content, Content::Mapping(_))) {
                self.handler(entry, name, source);
            }
        }
    }

    /// A block of the Kubernetes config as a layer; none: it counts as absent.
    fn layer(&mut self, entry: &Entry, source: u32, path: &str, origin: Origin) -> Option<Layer> {
        if matches!(entry.value.content, Content::Null) {
            return None;
        }
        self.config(&entry.value, Spot::of(entry), source, path, origin)
    }

    fn config(&mut self, node: &Node, spot: Spot, source: u32, path: &str, origin: Origin) -> Option<Layer> {
        if !matches!(node.content, Content::Mapping(_)) {
            let problem = CoreProblem::error(
                code::TYPE,
                format!("`{}` must be a mapping, found {}", crate::typed::last_key(path), node.found()),
            )
            .at(path, Some(node.span.position(source)))
            .help("write indented `key: value` lines below it");
            self.problems.push(problem);
            return Some(unreadable(origin));
        }
        let mut walk = Walk::new(source, path, &mut self.problems);
        let value = walk.value(&model::config::CONFIG, node, "", spot).unwrap_or(Value::Null);
        let walked = walk.walked;
        Some(Layer {
            origin,
            value,
            positions: walked.positions,
            left_out: walked.left_out,
            variables: walked.variables,
        })
    }

    fn workflow_name(&mut self, entry: &Entry, source: u32) {
        let position = entry.value.span.position(source);
        let mut walk = Walk::new(source, "", &mut self.problems);
        let Some(field) = WORKFLOW_FILE.field("name") else { return };
        let Some(Value::String(name)) = walk.value(&field.kind, &entry.value, "name", Spot::of(entry)) else { return };
        if let Some(problem) = name_problem(&name) {
            self.problems.push(problem.at("name", Some(position)));
        }
        self.name = Some((name, position));
    }

    fn name_from_file(&mut self, file: &str, source: u32) {
        let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
        // Standard input is called `<stdin>`.
        let base = base.trim_matches(['<', '>']);
        let stem = base.strip_suffix(".yaml").or_else(|| base.strip_suffix(".yml")).unwrap_or(base);
        let position = Position { source, line: 1, column: 1, offset: 0, length: 0 };
        if let Some(mut problem) = name_problem(stem) {
            problem.message = format!("the file name makes no workflow name: {}", problem.message);
            self.problems.push(problem.at("name", Some(position)).help("set `name:` in the file"));
        }
        self.name = Some((stem.to_owned(), position));
    }

    fn finish(mut self, readable: bool, arguments: &[&str]) -> Loaded {
        self.workflow.name = self.name.take().map(|(name, _)| name).unwrap_or_default();
        self.workflow.params = std::mem::take(&mut self.parameters).resolve(arguments, &mut self.problems);
        self.assign_ranks();
        let rank = |name: &str| HANDLER_NAMES.iter().position(|(_, handler)| *handler == name);
        self.workflow.handlers.sort_by_key(|handler| rank(&handler.name));
        graph::connect(&mut self.workflow, &self.places, &mut self.problems);
        Loaded { workflow: readable.then_some(self.workflow), layers: self.layers, problems: self.problems }
    }

    /// Every Kubernetes step gets base, dag and its own layer.
    fn assign_ranks(&mut self) {
        let shared: Vec<u32> = self
            .layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| matches!(layer.origin, Origin::Base | Origin::Dag))
            .map(|(rank, _)| rank as u32)
            .collect();
        let Workflow { steps, handlers, .. } = &mut self.workflow;
        for step in steps.iter_mut().chain(handlers) {
            if step.kind == model::workflow::StepKind::Kubernetes {
                let own = std::mem::take(&mut step.ranks);
                step.ranks = shared.iter().copied().chain(own).collect();
            }
        }
    }
}

/// The layer of a block that cannot be read: it may have given what others then seem to lack.
fn unreadable(origin: Origin) -> Layer {
    Layer {
        origin,
        value: Value::Object(serde_json::Map::new()),
        positions: BTreeMap::new(),
        left_out: vec!["image".to_owned()],
        variables: Vec::new(),
    }
}

/// Why a text is no workflow name; none: it is one.
fn name_problem(name: &str) -> Option<CoreProblem> {
    let fits = (1..=40).contains(&name.chars().count())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'))
        && !matches!(name, "." | "..");
    (!fits).then(|| {
        CoreProblem::error(
            code::FORMAT,
            format!("`{}` is no workflow name: 1 to 40 letters, digits, `-`, `_` and `.`", cut(name)),
        )
        .help("choose another name")
    })
}
