//! Reading the sources: the workflow, the layers of its configs, and every problem that needs no merged config.
//!
//! base.yaml is read first, then the workflow file; each gives what it can, whatever is wrong with the other.

mod attempts;
mod command;
mod conditions;
mod defaults;
mod graph;
mod parameters;
mod references;
mod root;
mod secrets;
mod shell;
mod steps;
mod texts;
mod variables;

use std::collections::{BTreeMap, HashMap, HashSet};

use model::layer::{Layer, Origin, Position};
use model::problem::{CoreProblem, code};
use model::workflow::{HANDLER_NAMES, WORKFLOW_FILE, Workflow};
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
    parameters: parameters::Parameters,
    defaults: defaults::Defaults,
    /// Texts with variables, but for those of the layers.
    texts: Vec<texts::Text>,
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
        std::mem::take(&mut self.defaults).resolve(&mut self.workflow, &mut self.problems);
        graph::connect(&mut self.workflow, &self.places, &mut self.problems);
        references::check(&self.workflow, &self.layers, std::mem::take(&mut self.texts), &mut self.problems);
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::workflow::{Condition, ContinueOn, Count, LogOutput, Repeat, SecretProvider, Step};

    /// Reads a file that must be right.
    #[track_caller]
    fn right(base: &str, text: &str, arguments: &[&str]) -> Workflow {
        let sources = [
            Source { name: "base.yaml", text: base, role: Role::Base },
            Source { name: "dag.yaml", text, role: Role::Workflow },
        ];
        let loaded = load(&sources, arguments);
        assert_eq!(loaded.problems, [], "{text}");
        loaded.workflow.expect("a workflow")
    }

    fn step<'a>(workflow: &'a Workflow, name: &str) -> &'a Step {
        workflow.step(name).unwrap_or_else(|| panic!("no step {name}"))
    }

    fn params(workflow: &Workflow) -> Vec<(Option<&str>, &str)> {
        workflow.params.iter().map(|param| (param.name.as_deref(), param.value.as_str())).collect()
    }

    #[test]
    fn what_the_file_does_not_say_is_absent() {
        let workflow = right("", "steps: [echo a]", &[]);
        let json = serde_json::to_value(&workflow).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "steps", "type"]);
        assert_eq!(serde_json::from_value::<Workflow>(json).unwrap(), workflow);
    }

    #[test]
    fn every_key_reaches_the_model() {
        let workflow = right(
            "",
            "{group: g, dotenv: a.env, working_dir: /w, shell: bash -e, shell_args: [-u], log_dir: /l,
              log_output: separate, timeout_sec: 1, max_clean_up_time_sec: 2, max_output_size: 3,
              hist_retention_days: 4, hist_retention_runs: 5, max_active_steps: 6, preconditions: test -f a,
              secrets: [{name: S, provider: kubernetes, options: {secret_name: n, secret_key: k, namespace: s}}],
              steps: [{id: a, description: d, command: x, output: $OUT, stdout: o, stderr: e, log_output: merged,
                shell: [sh], shell_args: [-x], working_dir: w, signal_on_stop: SIGINT, timeout_sec: 7,
                preconditions: [{condition: $A, expected: 're:^b', negate: true}],
                continue_on: {failure: true, exit_code: 3, output: [x], mark_success: true},
                retry_policy: {limit: 2, interval_sec: $W, backoff: true, exit_code: [1]},
                repeat_policy: {condition: $A, expected: b, limit: 9}}]}",
            &[],
        );
        let a = step(&workflow, "a");
        assert_eq!(workflow.dotenv.as_deref(), Some(["a.env".to_owned()].as_slice()));
        assert_eq!((workflow.shell.concat(), workflow.shell_args.concat()), ("bash-e".to_owned(), "-u".to_owned()));
        assert_eq!(
            (workflow.timeout_sec, workflow.max_clean_up_time_sec, workflow.max_output_size),
            (Some(1), Some(2), Some(3))
        );
        assert_eq!(
            (workflow.hist_retention_days, workflow.hist_retention_runs, workflow.max_active_steps),
            (Some(4), Some(5), Some(6))
        );
        assert_eq!(workflow.log_output, Some(LogOutput::Separate));
        let secret = &workflow.secrets[0];
        assert_eq!((secret.provider, secret.key.as_str()), (SecretProvider::Kubernetes, "n/k"));
        assert_eq!(secret.options.namespace.as_deref(), Some("s"));
        assert_eq!(a.output.as_deref(), Some("OUT"));
        assert_eq!(
            (a.stdout.as_deref(), a.stderr.as_deref(), a.log_output),
            (Some("o"), Some("e"), Some(LogOutput::Merged))
        );
        assert_eq!((a.signal_on_stop.as_deref(), a.timeout_sec), (Some("SIGINT"), Some(7)));
        let condition = Condition { condition: "$A".to_owned(), expected: Some("re:^b".to_owned()), negate: true };
        assert_eq!(a.preconditions, [condition]);
        let continue_on = ContinueOn {
            failed: true,
            skipped: false,
            exit_code: vec![3],
            output: vec!["x".to_owned()],
            mark_success: true,
        };
        assert_eq!(a.continue_on, Some(continue_on));
        let retry = a.retry_policy.as_ref().unwrap();
        assert_eq!((&retry.limit, &retry.interval_sec), (&Count::Number(2), &Count::Text("$W".to_owned())));
        assert_eq!((retry.backoff, retry.exit_code.as_deref()), (Some(2.0), Some([1].as_slice())));
        let repeat = a.repeat_policy.as_ref().unwrap();
        assert_eq!((repeat.repeat, &repeat.limit), (Some(Repeat::Until), &Some(Count::Number(9))));
    }

    #[test]
    fn when_a_step_repeats_is_filled_in() {
        let repeat = |policy: &str| {
            let workflow = right("", &format!("steps: [{{id: a, command: x, repeat_policy: {policy}}}]"), &[]);
            step(&workflow, "a").repeat_policy.clone().unwrap().repeat
        };
        for (policy, expected) in [
            ("{repeat: while, condition: x}", Some(Repeat::While)),
            ("{repeat: until, exit_code: 1}", Some(Repeat::Until)),
            ("{repeat: true}", Some(Repeat::While)),
            ("{condition: x}", Some(Repeat::While)),
            ("{condition: x, expected: y}", Some(Repeat::Until)),
            ("{exit_code: [1]}", Some(Repeat::While)),
            ("{interval_sec: 1}", None),
            ("{repeat: false, condition: x}", None),
        ] {
            assert_eq!(repeat(policy), expected, "{policy}");
        }
    }

    #[test]
    fn defaults_give_what_a_step_lacks() {
        let workflow = right(
            "defaults: {timeout_sec: 1, continue_on: failed, env: [A=base]}",
            "defaults: {timeout_sec: 2, env: [A=1], retry_policy: {limit: 1, interval_sec: 1}, signal_on_stop: SIGINT, preconditions: p}
handler_on: {exit: {command: x, preconditions: q}}
steps:
  - {id: a, command: x, env: [B=2], preconditions: q}
  - {id: b, command: x, timeout_sec: 0, continue_on: {failed: false}, repeat_policy: {repeat: false}}
  - {id: c, type: k8s, config: {image: i}}",
            &[],
        );
        let env = |step: &Step| step.env.iter().map(|one| format!("{}={}", one.name, one.value)).collect::<Vec<_>>();
        let conditions = |step: &Step| step.preconditions.iter().map(|one| one.condition.clone()).collect::<Vec<_>>();
        let [a, b, c, exit] = ["a", "b", "c", "onExit"].map(|name| step(&workflow, name));
        assert_eq!(
            (env(a), conditions(a)),
            (vec!["A=1".to_owned(), "B=2".to_owned()], vec!["p".to_owned(), "q".to_owned()])
        );
        assert_eq!((a.timeout_sec, a.continue_on.as_ref().map(|on| on.failed)), (Some(2), Some(true)));
        assert_eq!((b.timeout_sec, b.continue_on.as_ref().map(|on| on.failed)), (Some(0), Some(false)));
        assert!(a.retry_policy.is_some() && c.retry_policy.is_some());
        assert_eq!((a.signal_on_stop.as_deref(), c.signal_on_stop.as_deref()), (Some("SIGINT"), None));
        assert_eq!((conditions(exit), exit.timeout_sec), (vec!["p".to_owned(), "q".to_owned()], Some(2)));
        assert!(exit.retry_policy.is_none() && exit.continue_on.is_none());
    }

    #[test]
    fn base_is_added_to_or_replaced() {
        let workflow = right(
            "{dotenv: a, shell: zsh, shell_args: [-a], params: [x, {N: 1, M: 2}], secrets: [{name: A, provider: env, key: A}], preconditions: p}",
            "{dotenv: [b], shell: bash, shell_args: [-b], params: [y, N=3], secrets: [{name: B, provider: env, key: B}], preconditions: [], steps: [echo]}",
            &[],
        );
        assert_eq!(workflow.dotenv.as_deref().map(<[String]>::concat).as_deref(), Some("ab"));
        assert_eq!((workflow.shell.concat(), workflow.shell_args.concat()), ("bash".to_owned(), "-a-b".to_owned()));
        assert_eq!(params(&workflow), [(None, "x"), (None, "y"), (Some("N"), "3"), (Some("M"), "2")]);
        assert_eq!(workflow.secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["B"]);
        assert_eq!(workflow.preconditions, []);
        assert_eq!(right("dotenv: a", "{dotenv: [], steps: [echo]}", &[]).dotenv, Some(Vec::new()));
    }

    #[test]
    fn parameters_keep_their_text_and_order() {
        let workflow = right("", r#"{params: '{"Z": 1.10, "A": "x y", "N": null}', steps: [echo]}"#, &[]);
        assert_eq!(params(&workflow), [(Some("Z"), "1.10"), (Some("A"), "x y"), (Some("N"), "")]);
        let workflow = right("", r#"{params: '["A=1 2", "b c", 5]', steps: [echo]}"#, &[]);
        assert_eq!(params(&workflow), [(None, "b c"), (None, "5"), (Some("A"), "1 2")]);
        let workflow = right("", "{params: 'A=1 \"b c\" 1B=2', steps: [echo]}", &["x", "A=3", "z"]);
        assert_eq!(params(&workflow), [(None, "x"), (None, "z"), (Some("A"), "3")]);
    }

    #[test]
    fn a_required_parameter_without_value_is_told_to_whoever_runs() {
        let text = "{params: [{name: N, required: true, type: integer}, {name: M, required: true, default: x}], steps: [echo]}";
        let missing = right("", text, &[]).missing_parameters();
        assert_eq!(missing.len(), 1);
        assert_eq!((missing[0].code.as_str(), missing[0].path.as_str()), (code::REQUIRED, "params[0]"));
        assert!(right("", text, &["N=3"]).missing_parameters().is_empty());
    }

    #[test]
    fn outputs_are_looked_for_upstream_in_time_that_grows_with_the_file() {
        let mut text = "steps:\n".to_owned();
        for step in 0..3_000 {
            let below = if step == 0 { String::new() } else { format!(", depends: s{}", step - 1) };
            text.push_str(&format!("  - {{id: s{step}, command: [x, \"${{s{}.output}}\"]{below}}}\n", step / 2));
        }
        let sources = [Source { name: "dag.yaml", text: &text, role: Role::Workflow }];
        let loaded = load(&sources, &[]);
        let codes: Vec<&str> = loaded.problems.iter().map(|problem| problem.code.as_str()).collect();
        // Only the first one uses its own.
        assert_eq!(codes, [code::NOT_UPSTREAM]);
    }
}
