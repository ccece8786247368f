//! One step while it is read: its kind, id, name, and which keys can stand in it.

use model::layer::Position;
use model::path;
use model::problem::{CoreProblem, Severity, code};
use model::workflow::{STEP, STEP_TYPES, Step, StepKind};
use serde_json::Value;

use super::super::texts::{Finder, Text};
use crate::suggest;
use crate::typed::{Spot, Walk};
use crate::yaml::{Content, Entry, Span, cut, push};

/// Words that cannot be an id, in any case.
const RESERVED_IDS: &[&str] = &["env", "params", "args", "stdout", "stderr", "output", "outputs"];
/// Actions that make a Kubernetes step.
const ACTIONS: &[&str] = &["k8s.run", "kubernetes.run", "k8s", "kubernetes"];
/// Step types of other executors.
const OTHER_TYPES: &[&str] = &[
    "archive",
    "chat",
    "container",
    "dag",
    "docker",
    "ftp",
    "gha",
    "github_action",
    "harness",
    "http",
    "jq",
    "mail",
    "parallel",
    "postgres",
    "redis",
    "router",
    "s3",
    "sftp",
    "sql",
    "sqlite",
    "ssh",
    "subworkflow",
    "template",
];

/// One step while it is read.
pub(super) struct Reading<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) at: &'a str,
    pub(super) source: u32,
    pub(super) span: Span,
    pub(super) kubernetes: bool,
    /// A step of a kind that is not supported: what belongs to it is not judged.
    pub(super) is_foreign: bool,
    pub(super) action: Option<&'a Entry>,
    pub(super) config: Option<&'a Entry>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(entries: &'a [Entry], at: &'a str, source: u32, span: Span) -> Self {
        let mut reading =
            Reading { entries, at, source, span, kubernetes: false, is_foreign: false, action: None, config: None };
        reading.action = reading.entry("action");
        let keys = if reading.action.is_some() { ["with", "config"] } else { ["config", "with"] };
        reading.config = keys.iter().find_map(|key| reading.entry(key));
        reading
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        match &self.entry(key)?.value.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where the value of `key` stands.
    pub(super) fn place(&self, key: &str) -> Option<Position> {
        self.entry(key).map(|entry| entry.value.span.position(self.source))
    }

    pub(super) fn push(&self, problems: &mut Vec<CoreProblem>, problem: CoreProblem, key: &str, span: Span) {
        let at = if key.is_empty() { self.at.to_owned() } else { path::key(self.at, key) };
        push(problems, problem.at(at, Some(span.position(self.source))));
    }

    /// Where the step runs, from `type` or `action`.
    pub(super) fn kind(&mut self, problems: &mut Vec<CoreProblem>) -> StepKind {
        // Beside `action` it is `config` that cannot stand, which is said there.
        if let (None, Some(config), Some(with)) = (self.action, self.entry("config"), self.entry("with")) {
            let problem =
                CoreProblem::error(code::EXCLUSIVE, "`with` is the same as `config`; only one can stand here")
                    .help("move the keys of one into the other")
                    .related(Some(config.key_span.position(self.source)), "`config` is here");
            self.push(problems, problem, "with", with.key_span);
        }
        if let Some(action) = self.action {
            self.kubernetes = self.action_kind(action, problems);
        } else if let Some(entry) = self.entry("type") {
            self.kubernetes = self.type_kind(entry, problems);
        }
        self.is_foreign = !self.kubernetes
            && (self.action.is_some() || self.text("type").is_some_and(|text| OTHER_TYPES.contains(&text.trim())));
        if self.kubernetes { StepKind::Kubernetes } else { StepKind::Command }
    }

    pub(super) fn action_kind(&self, action: &Entry, problems: &mut Vec<CoreProblem>) -> bool {
        for key in ["type", "command", "config", "script", "shell"] {
            if let Some(entry) = self.entry(key) {
                let problem = CoreProblem::error(code::EXCLUSIVE, format!("`{key}` cannot stand beside `action`"))
                    .help("with `action`, config and command stand under `with`")
                    .related(Some(action.key_span.position(self.source)), "`action` is here");
                self.push(problems, problem, key, entry.key_span);
            }
        }
        match action.value.scalar() {
            Some(text) if ACTIONS.contains(&text.trim()) => true,
            Some(text) => {
                let problem =
                    CoreProblem::error(code::UNSUPPORTED, format!("the action `{}` is not supported", cut(text)))
                        .help("write `action: k8s.run`");
                self.push(problems, problem, "action", action.value.span);
                // Taken as what it most probably is, so that its config is checked, too.
                suggest::nearest(text, ACTIONS.iter().copied()).is_some()
            }
            None => {
                let problem =
                    CoreProblem::error(code::TYPE, format!("`action` must be text, found {}", action.value.found()));
                self.push(problems, problem, "action", action.key_span);
                false
            }
        }
    }

    pub(super) fn type_kind(&self, entry: &Entry, problems: &mut Vec<CoreProblem>) -> bool {
        let Content::Text(text) = &entry.value.content else {
            let problem = CoreProblem::error(code::TYPE, format!("`type` must be text, found {}", entry.value.found()))
                .help("write `type: k8s`, or remove the key for a command step");
            self.push(problems, problem, "type", entry.value.span);
            return self.config.is_some();
        };
        match text.trim() {
            "k8s" | "kubernetes" => return true,
            "" | "command" | "shell" => return false,
            other if OTHER_TYPES.contains(&other) => {
                let problem =
                    CoreProblem::error(code::UNSUPPORTED, format!("the step type `{other}` is not supported"))
                        .help("a step is `k8s`, or a command of this machine");
                self.push(problems, problem, "type", entry.value.span);
                return false;
            }
            _ => {}
        }
        let words = STEP_TYPES.iter().map(|word| word.text);
        let problem = CoreProblem::error(
            code::ENUM,
            format!("`{}` is no step type, expected one of `k8s`, `kubernetes`, `command`, `shell`", cut(text)),
        );
        let meant = words
            .clone()
            .find(|word| word.eq_ignore_ascii_case(text.trim()))
            .or_else(|| suggest::nearest(text.trim(), words));
        let kubernetes = meant.map_or(self.config.is_some(), |meant| meant == "k8s" || meant == "kubernetes");
        let problem = match meant {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
            None => problem.help("write `type: k8s`, or remove the key for a command step"),
        };
        self.push(problems, problem, "type", entry.value.span);
        kubernetes
    }

    pub(super) fn id(&self, problems: &mut Vec<CoreProblem>) -> Option<String> {
        let entry = self.entry("id")?;
        let field = STEP.field("id")?;
        let value =
            Walk::new(self.source, self.at, problems).value(&field.kind, &entry.value, "id", Spot::of(entry))?;
        let id = value.as_str()?;
        let mut chars = id.chars();
        let fits = chars.next().is_some_and(|first| first.is_ascii_alphabetic())
            && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
            && id.len() <= 40;
        if !fits {
            let problem = CoreProblem::error(
                code::FORMAT,
                format!("`{}` is no id: a letter, then letters, digits and `_`, at most 40", cut(id)),
            );
            let proposal: String = id
                .chars()
                .map(|character| if character.is_ascii_alphanumeric() { character } else { '_' })
                .skip_while(|character| !character.is_ascii_alphabetic())
                .take(40)
                .collect();
            let problem = if proposal.is_empty() {
                problem.help("choose another id; any text can be the `name`")
            } else {
                problem.help(format!("write `{proposal}`; any text can be the `name`")).fix(proposal)
            };
            self.push(problems, problem, "id", entry.value.span);
        } else if RESERVED_IDS.contains(&id.to_ascii_lowercase().as_str()) {
            let problem =
                CoreProblem::error(code::RESERVED, format!("the id `{id}` has a meaning of its own in `${{…}}`"))
                    .help(format!("write `{id}_step`"));
            self.push(problems, problem, "id", entry.value.span);
        }
        Some(id.to_owned())
    }

    pub(super) fn name(&self, id: Option<&str>, problems: &mut Vec<CoreProblem>) -> Option<String> {
        let Some(entry) = self.entry("name") else { return id.map(str::to_owned) };
        let field = STEP.field("name")?;
        let value = Walk::new(self.source, self.at, problems).value(&field.kind, &entry.value, "name", Spot::of(entry));
        match value {
            Some(Value::String(name)) => Some(self.checked_name(&name, entry.value.span, "name", problems)),
            _ => id.map(str::to_owned),
        }
    }

    /// The `name` of a handler: it is checked, and has no effect.
    pub(super) fn no_name(&self, handler: &str, problems: &mut Vec<CoreProblem>) {
        let Some(entry) = self.entry("name") else { return };
        self.name(None, problems);
        let problem = CoreProblem::warning(
            code::IGNORED,
            format!("`name` has no effect here: the handler is called `{handler}`"),
        );
        self.push(problems, problem, "name", entry.key_span);
    }

    pub(super) fn checked_name(&self, name: &str, span: Span, key: &str, problems: &mut Vec<CoreProblem>) -> String {
        if !(1..=255).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            let problem = CoreProblem::error(
                code::FORMAT,
                format!("`{}` is no step name: 1 to 255 characters, no control characters", cut(name)),
            )
            .help("choose another name");
            problems.push(problem.at(path::join(self.at, key), Some(span.position(self.source))));
        }
        name.to_owned()
    }

    /// The key that says what runs, and its place. What cannot stand together is said in [`Self::plain_keys`].
    pub(super) fn command(&self) -> Option<(&'a Entry, String)> {
        if self.action.is_some() {
            let with = self.entry("with")?;
            let entry = with.value.entry("command")?;
            return Some((entry, path::key(&path::key(self.at, "with"), "command")));
        }
        let keys: &[&str] = if self.kubernetes { &["command"] } else { &["command", "run", "script"] };
        let entry = keys.iter().find_map(|key| self.entry(key))?;
        Some((entry, path::key(self.at, &entry.key)))
    }

    /// Every other key: known, of its type, and allowed for this kind of step.
    pub(super) fn plain_keys(
        &self,
        step: &mut Step,
        finder: &Finder,
        found: &mut Vec<Text>,
        problems: &mut Vec<CoreProblem>,
    ) {
        for entry in self.entries {
            let key = entry.key.as_str();
            if matches!(key, "id" | "name" | "type" | "action" | "config" | "with" | "command" | "run" | "depends") {
                continue;
            }
            if self.kubernetes && matches!(key, "script" | "shell" | "shell_args") {
                continue;
            }
            if matches!(key, "output" | "stdout" | "stderr") && matches!(entry.value.content, Content::Mapping(_)) {
                let problem =
                    CoreProblem::error(code::UNSUPPORTED, format!("the mapping form of `{key}` is not supported"))
                        .help(format!("write `{key}: {}`", if key == "output" { "NAME" } else { "PATH" }));
                self.push(problems, problem, key, entry.value.span);
                continue;
            }
            let mut walk = Walk::new(self.source, self.at, problems);
            let place = path::key("", key);
            let Some(field) = walk.known(&STEP, entry, &place) else { continue };
            if walk.value(&field.kind, &entry.value, &place, Spot::of(entry)).is_some() {
                self.value(entry, step, problems);
                if key != "script" {
                    self.find_texts(entry, &path::key(self.at, key), step.kind, finder, found);
                }
            }
        }
        self.values_together(step, problems);
        if self.kubernetes { self.kubernetes_only(problems) } else { self.command_only(problems) }
    }

    pub(super) fn kubernetes_only(&self, problems: &mut Vec<CoreProblem>) {
        for key in ["script", "shell", "shell_args", "run"] {
            let Some(entry) = self.entry(key) else { continue };
            if self.action.is_some() && matches!(key, "script" | "shell") {
                // Already said: it cannot stand beside `action`.
                continue;
            }
            let problem = CoreProblem::error(code::UNSUPPORTED, format!("a Kubernetes step has no `{key}`"))
                .help("write `command: [sh, -c, \"…\"]`");
            self.push(problems, problem, key, entry.key_span);
        }
        if let Some(entry) = self.entry("signal_on_stop") {
            let problem = CoreProblem {
                severity: Severity::Warning,
                ..CoreProblem::error(code::IGNORED, "`signal_on_stop` has no effect on a Kubernetes step")
            };
            self.push(problems, problem, "signal_on_stop", entry.key_span);
        }
    }

    /// Whether an unknown key probably means one of those that run something.
    fn misspells_what_runs(&self) -> bool {
        let known = STEP.fields.iter().map(|field| field.key);
        self.entries.iter().any(|entry| {
            STEP.field(&entry.key).is_none()
                && matches!(
                    suggest::key(&entry.key, known.clone()),
                    suggest::Meant::Key("command" | "run" | "script" | "action" | "type")
                )
        })
    }

    pub(super) fn command_only(&self, problems: &mut Vec<CoreProblem>) {
        let mut present = ["command", "run", "script"].iter().filter_map(|key| self.entry(key));
        match (present.next(), present.next()) {
            (None, _) => {
                // A config alone has its problem already: most probably `type: k8s` is missing. So has a misspelt key.
                if self.is_foreign || self.config.is_some() || self.misspells_what_runs() {
                    return;
                }
                let problem = CoreProblem::error(code::REQUIRED, "the step has nothing to run").help("add a `command`");
                problems.push(problem.at(self.at, Some(self.span.position(self.source))));
            }
            (Some(first), Some(second)) => {
                let problem = CoreProblem::error(
                    code::EXCLUSIVE,
                    format!("`{}` cannot stand beside `{}`", second.key, first.key),
                )
                .help(if second.key == "script" { "another interpreter: `shell: python3`" } else { "keep one of them" })
                .related(Some(first.key_span.position(self.source)), "the other one is here");
                self.push(problems, problem, &second.key, second.key_span);
            }
            _ => {}
        }
    }
}
