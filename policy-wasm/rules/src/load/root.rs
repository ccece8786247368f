//! The root keys of base.yaml and the workflow file, but for `name` and `steps`.

use std::collections::HashMap;

use model::layer::Origin;
use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{HANDLER_NAMES, LogOutput, StepKind, WORKFLOW_FILE, WorkflowType};

use super::attempts::texts;
use super::texts::{Finder, Owner};
use super::{Loading, conditions, defaults, secrets, shell, variables};
use crate::typed::{Spot, Walk};
use crate::yaml::{Content, Entry, Node, cut, push};

impl Loading {
    pub(super) fn root_key(&mut self, entry: &Entry, source: u32, origin: &Origin) {
        let key = entry.key.as_str();
        let span = entry.key_span.position(source);
        match key {
            "kubernetes" => {
                let layer = self.layer(entry, source, "kubernetes", origin.clone());
                self.layers.extend(layer);
                return;
            }
            "worker_selector" if entry.value.scalar() == Some("local") => {
                self.problems.push(
                    CoreProblem::warning(code::IGNORED, "`worker_selector` has no effect here")
                        .at("worker_selector", Some(span)),
                );
                return;
            }
            "tags" => self.problems.push(
                CoreProblem::warning(code::DEPRECATED, "`tags` is the old name of `labels`")
                    .at("tags", Some(span))
                    .help("write `labels`"),
            ),
            _ => {}
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
        if walk.value(&field.kind, &entry.value, &place, Spot::of(entry)).is_none() {
            return;
        }
        self.root_value(entry, source);
        let finder = Finder { owner: Owner::Root, source };
        finder.key(key, StepKind::Command, &entry.value, &place, &mut self.texts);
    }

    /// The value of a key that is known and of its type; what is wrong inside has its problem.
    fn root_value(&mut self, entry: &Entry, source: u32) {
        let node = &entry.value;
        let problems = &mut self.problems;
        let workflow = &mut self.workflow;
        let text = || node.scalar().map(str::to_owned);
        let path_text = || text().filter(|text| !text.trim().is_empty());
        match entry.key.as_str() {
            "type" => {
                let chain = node.scalar() == Some("chain");
                workflow.workflow_type = if chain { WorkflowType::Chain } else { WorkflowType::Graph };
            }
            "description" => workflow.description = text(),
            "group" => workflow.group = text(),
            "labels" | "tags" => self.labels(node, &entry.key, source),
            "params" => self.parameters.read(node, source, problems),
            "env" => workflow.env.extend(variables::env(node, "env", source, problems)),
            "dotenv" => dotenv(workflow.dotenv.get_or_insert_default(), node),
            "secrets" => workflow.secrets = secrets::secrets(node, source, problems),
            "consts" => self.consts(node, source),
            "defaults" => self.default_keys(node, source),
            "preconditions" => {
                workflow.preconditions = conditions::preconditions(node, "preconditions", source, problems);
            }
            "handler_on" => self.handlers(node, source),
            "max_active_steps" => workflow.max_active_steps = defaults::seconds(entry),
            "timeout_sec" => workflow.timeout_sec = defaults::seconds(entry),
            "max_clean_up_time_sec" => workflow.max_clean_up_time_sec = defaults::seconds(entry),
            "max_output_size" => workflow.max_output_size = defaults::seconds(entry),
            "hist_retention_days" => workflow.hist_retention_days = defaults::seconds(entry),
            "hist_retention_runs" => workflow.hist_retention_runs = defaults::seconds(entry),
            "working_dir" => workflow.working_dir = path_text(),
            "log_dir" => workflow.log_dir = path_text(),
            "log_output" => workflow.log_output = log_output(node),
            "shell" => workflow.shell = shell::shell(node, "shell", source, problems),
            "shell_args" => workflow.shell_args.extend(texts(node)),
            _ => {}
        }
    }

    fn labels(&mut self, node: &Node, block: &str, source: u32) {
        let labels = match &node.content {
            Content::List(items) => items.iter().filter_map(Node::scalar).map(str::to_owned).collect(),
            Content::Mapping(entries) => entries
                .iter()
                .filter_map(|entry| {
                    let value = variables::scalar(entry, block, source, &mut self.problems)?;
                    Some(format!("{}={value}", entry.key))
                })
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
            let at = path::key("consts", &entry.key);
            let reached = |part: char| part.is_alphanumeric() || matches!(part, '_' | '-');
            if entry.key.is_empty() || !entry.key.chars().all(reached) {
                let problem = CoreProblem::error(
                    code::FORMAT,
                    format!("`{}` is no name of a constant: letters, digits, `_` and `-`", cut(&entry.key)),
                )
                .help("choose another name: `${consts.NAME}` must reach it");
                push(&mut self.problems, problem.at(at.clone(), Some(entry.key_span.position(source))));
            }
            match entry.value.scalar() {
                Some(text) => {
                    self.workflow.consts.insert(entry.key.clone(), text.to_owned());
                }
                None => push(
                    &mut self.problems,
                    CoreProblem::error(
                        code::TYPE,
                        format!(
                            "`{}` must be text, a number or a boolean, found {}",
                            cut(&entry.key),
                            entry.value.found()
                        ),
                    )
                    .at(at, Some(entry.value.span.position(source)))
                    .help(match entry.value.content {
                        Content::Null => "remove it, or write `\"\"`",
                        _ => "a list or mapping as one text needs quotes",
                    }),
                ),
            }
        }
    }

    /// The keys of `defaults`, each judged where it stands.
    fn default_keys(&mut self, node: &Node, source: u32) {
        let finder = Finder { owner: Owner::AllSteps, source };
        for entry in node.entries() {
            let key = entry.key.as_str();
            let at = path::key("defaults", key);
            // What a file says of a key replaces what base.yaml says.
            self.texts.retain(|text| text.owner != Owner::AllSteps || !path::is_within(&text.path, &at));
            self.defaults.read(entry, &at, source, &mut self.problems);
            finder.key(key, StepKind::Command, &entry.value, &at, &mut self.texts);
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
}

/// Adds the files of a key; `[]` switches off those of base.yaml, too.
fn dotenv(files: &mut Vec<String>, node: &Node) {
    let more = texts(node);
    if matches!(&node.content, Content::List(items) if items.is_empty()) {
        files.clear();
    }
    files.extend(more.into_iter().filter(|file| !file.trim().is_empty()));
}

/// The word of a `log_output` that is right.
pub(super) fn log_output(node: &Node) -> Option<LogOutput> {
    match node.scalar() {
        Some("merged") => Some(LogOutput::Merged),
        Some("separate") => Some(LogOutput::Separate),
        _ => None,
    }
}
