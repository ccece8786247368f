//! Putting variables into texts. Nothing is executed, and what was put in is not read again.

use std::collections::BTreeMap;
use std::fmt;

use model::layer::Layer;
use model::path::value_at;
use model::template::{self, Operation, Part, Variable};
use model::workflow::{Command, Step, Workflow};
use serde_json::Value;

/// What `${LOG}` of a stream that a step does not have names: reading it gives nothing.
const NO_LOG: &str = "/dev/null";

/// The values that texts of a run, or of one step, may use.
///
/// Lowest first: the machine's environment (where it can be seen), parameters, what the runner sets, `env`, dotenv files,
/// secrets, outputs of upstream steps, the step's own `env`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Scope {
    host: BTreeMap<String, String>,
    params: BTreeMap<String, String>,
    managed: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    own: BTreeMap<String, String>,
    consts: BTreeMap<String, String>,
    /// Steps that have ended, by id.
    steps: BTreeMap<String, StepValues>,
}

/// What a step that has ended gives to those that depend on it, as `${id.output}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepValues {
    /// The captured output; none: nothing was captured, the text stays as written.
    pub output: Option<String>,
    /// Path of its log.
    pub stdout: Option<String>,
    /// Path of the log of its error stream, if that is apart.
    pub stderr: Option<String>,
    /// The recorded exit code; none: it has none, which is an empty text.
    pub exit_code: Option<i32>,
}

/// Names only: values may be secret.
impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |source: &BTreeMap<String, String>| source.keys().cloned().collect::<Vec<_>>();
        formatter
            .debug_struct("Scope")
            .field("params", &names(&self.params))
            .field("env", &names(&self.env))
            .field("secrets", &names(&self.secrets))
            .field("outputs", &names(&self.outputs))
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// The values of a whole run: parameters, constants, and `env`, resolved top to bottom. `host` is the environment of
    /// the machine.
    pub fn of_run(workflow: &Workflow, run_id: &str, host: BTreeMap<String, String>) -> Scope {
        Scope::managed(workflow, run_id, host, [])
    }

    /// The same with further variables of the runner's own, as `PWD`.
    pub fn managed(
        workflow: &Workflow,
        run_id: &str,
        host: BTreeMap<String, String>,
        managed: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Scope {
        let mut scope = Scope { consts: workflow.consts.clone(), host, ..Scope::default() };
        scope.set_managed("DAG_NAME", workflow.name.as_str());
        scope.set_managed("DAG_RUN_ID", run_id);
        for (name, value) in managed {
            scope.set_managed(name, value);
        }
        let mut position = 0;
        for parameter in &workflow.params {
            let name = parameter.name.clone().unwrap_or_else(|| {
                position += 1;
                position.to_string()
            });
            scope.params.insert(name, parameter.value.clone());
        }
        scope.managed.insert("DAG_PARAMS_JSON".to_owned(), json(&scope.params));
        for variable in &workflow.env {
            let value = scope.text(&variable.value);
            scope.env.insert(variable.name.clone(), value);
        }
        scope
    }

    /// Sets a variable of the runner's own, as `DAG_RUN_STATUS`.
    pub fn set_managed(&mut self, name: &str, value: impl Into<String>) {
        self.managed.insert(name.to_owned(), value.into());
    }

    /// Adds the variables of dotenv files; a later one of the same name wins.
    pub fn add_dotenv(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.dotenv.extend(variables);
    }

    /// Adds fetched secrets.
    pub fn add_secrets(&mut self, secrets: impl IntoIterator<Item = (String, String)>) {
        self.secrets.extend(secrets);
    }

    /// Adds what a step gave: under its id, and under the name that captures its output.
    pub fn add_step(&mut self, step: &Step, values: StepValues) {
        if let (Some(name), Some(output)) = (&step.output, &values.output) {
            self.outputs.insert(name.clone(), output.clone());
        }
        self.steps.insert(step.id.clone().unwrap_or_else(|| step.name.clone()), values);
    }

    /// The values of one step where the environment of the machine cannot be seen: in everything that goes to a cluster.
    #[must_use]
    pub fn of_step(&self, step: &Step) -> Scope {
        let mut scope = self.of_step_on_host(step);
        scope.host = BTreeMap::new();
        scope
    }

    /// The values of one step where the environment of the machine can be seen: conditions, paths, commands of this
    /// machine.
    #[must_use]
    pub fn of_step_on_host(&self, step: &Step) -> Scope {
        let mut scope = self.clone();
        scope.managed.insert("DAG_RUN_STEP_NAME".to_owned(), step.name.clone());
        for variable in &step.env {
            let value = scope.text(&variable.value);
            scope.own.insert(variable.name.clone(), value);
        }
        scope
    }

    /// All variables as a process gets them, beside the environment that it inherits.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let is_named = |(name, _): &(&String, &String)| !name.starts_with(|first: char| first.is_ascii_digit());
        let params = self.params.iter().filter(is_named);
        let above = [&self.managed, &self.env, &self.dotenv, &self.secrets, &self.outputs, &self.own];
        let all = params.chain(above.into_iter().flatten());
        all.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The positional parameters, in order.
    pub fn positional(&self) -> Vec<String> {
        (1..).map_while(|number: usize| self.params.get(&number.to_string()).cloned()).collect()
    }

    /// The value of a variable of the files: of a dotenv file, else of `env`.
    pub fn of_files(&self, name: &str) -> Option<&str> {
        self.dotenv.get(name).or_else(|| self.env.get(name)).map(String::as_str)
    }

    /// `text` with its variables put in. What is not defined stays as it stands.
    pub fn text(&self, text: &str) -> String {
        if !text.contains('$') {
            return text.to_owned();
        }
        let mut resolved = String::with_capacity(text.len());
        for part in template::parse(text) {
            match part {
                Part::Text(text) => resolved.push_str(text),
                Part::Dollar => resolved.push('$'),
                Part::Variable(variable) => match self.variable(&variable) {
                    Some(value) => resolved.push_str(&value),
                    None => resolved.push_str(variable.written),
                },
            }
        }
        resolved
    }

    fn variable(&self, variable: &Variable<'_>) -> Option<String> {
        let of_source = |source: &BTreeMap<String, String>, path: &str| {
            let (name, inner) = path.split_once('.').map_or((path, None), |(name, inner)| (name, Some(inner)));
            let value = source.get(name)?;
            inner.map_or_else(|| Some(value.clone()), |inner| into_json(value, inner))
        };
        let value = match (variable.name, variable.path) {
            ("params", Some(path)) => of_source(&self.params, path)?,
            ("env", Some(path)) => {
                [&self.own, &self.dotenv, &self.env].into_iter().find_map(|source| of_source(source, path))?
            }
            ("consts", Some(path)) => of_source(&self.consts, path)?,
            (id, Some(key)) if self.steps.contains_key(id) => self.steps.get(id)?.value(key)?,
            (name, path) => {
                let value = self.lookup(name)?;
                match path {
                    Some(path) => into_json(value, path)?,
                    None => value.to_owned(),
                }
            }
        };
        Some(match variable.operation {
            None => value,
            Some(Operation::Default(text)) if value.is_empty() => text.to_owned(),
            Some(Operation::Alternative(text)) if !value.is_empty() => text.to_owned(),
            Some(Operation::Default(_) | Operation::Alternative(_)) => value,
            Some(Operation::Slice { start, length }) => {
                value.chars().skip(start).take(length.unwrap_or(usize::MAX)).collect()
            }
        })
    }

    fn lookup(&self, name: &str) -> Option<&str> {
        let highest_first =
            [&self.own, &self.outputs, &self.secrets, &self.dotenv, &self.env, &self.managed, &self.params, &self.host];
        highest_first.into_iter().find_map(|source| source.get(name)).map(String::as_str)
    }

    /// `text` for a shell: only variables with a dot in their names are put in, which no shell knows. What it has for the
    /// shell stays as written.
    pub fn dotted(&self, text: &str) -> String {
        let mut resolved = String::with_capacity(text.len());
        for part in template::parse(text) {
            match part {
                Part::Text(text) => resolved.push_str(text),
                Part::Dollar => resolved.push_str("\\$"),
                Part::Variable(variable) => {
                    let value = variable.path.and_then(|_| self.variable(&variable));
                    resolved.push_str(value.as_deref().unwrap_or(variable.written));
                }
            }
        }
        resolved
    }

    /// The command of a process of this machine, as it is run.
    pub fn host_command(&self, command: &Command) -> Command {
        match command {
            Command::Argv(words) => Command::Argv(words.iter().map(|word| self.text(word)).collect()),
            Command::Shell(text) => Command::Shell(self.dotted(text)),
            Command::Script(text) => Command::Script(self.dotted(text)),
        }
    }

    /// The command with its variables put in, word by word. The text of a command step stays: its shell expands it.
    pub fn command(&self, command: &Command) -> Command {
        match command {
            Command::Argv(words) => Command::Argv(words.iter().map(|word| self.text(word)).collect()),
            other => other.clone(),
        }
    }

    /// A layer with its variables put in; one that does not come from a file is plain text and stays as it is.
    pub fn layer(&self, layer: &Layer) -> Layer {
        let mut resolved = layer.clone();
        if layer.origin.is_file() {
            self.leaves(&mut resolved.value);
            resolved.variables.clear();
        }
        resolved
    }

    /// The same as far as values are known without running: a text in which a variable is not defined stays open. None:
    /// the layer is as it was.
    pub fn known(&self, layer: &Layer) -> Option<Layer> {
        let mut value = layer.value.clone();
        if layer.origin.is_file() {
            self.leaves(&mut value);
        }
        if value == layer.value {
            return None;
        }
        let is_open = |path: &&String| {
            let written = value_at(&layer.value, path).and_then(Value::as_str).unwrap_or_default();
            template::parse(written)
                .iter()
                .any(|part| matches!(part, Part::Variable(variable) if self.variable(variable).is_none()))
        };
        let variables = layer.variables.iter().filter(is_open).cloned().collect();
        Some(Layer { value, variables, ..layer.clone() })
    }

    /// Texts only; keys never.
    fn leaves(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.contains('$') => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.leaves(item)),
            Value::Object(entries) => entries.values_mut().for_each(|value| self.leaves(value)),
            _ => {}
        }
    }
}

impl StepValues {
    fn value(&self, key: &str) -> Option<String> {
        match key {
            "output" => self.output.clone(),
            "stdout" => self.stdout.clone(),
            "stderr" => Some(self.stderr.clone().unwrap_or_else(|| NO_LOG.to_owned())),
            "exit_code" => Some(self.exit_code.map(|code| code.to_string()).unwrap_or_default()),
            _ => None,
        }
    }
}

/// Named parameters as one JSON object of texts.
fn json(params: &BTreeMap<String, String>) -> String {
    // Text keys only: writing cannot fail.
    serde_json::to_string(params).unwrap_or_default()
}

/// A place inside a value that is JSON; none: it is not, or there is no such place.
fn into_json(value: &str, path: &str) -> Option<String> {
    let document: Value = serde_json::from_str(value).ok()?;
    let mut here = &document;
    for key in path.split('.') {
        here = match here {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?)?,
            other => other.get(key)?,
        };
    }
    Some(match here {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::workflow::{Parameter, Variable};

    fn scope() -> Scope {
        let workflow = Workflow {
            name: "nightly".to_owned(),
            params: vec![
                Parameter { name: None, value: "first".to_owned(), ..Parameter::default() },
                Parameter { name: Some("DATE".to_owned()), value: "2026-01-02".to_owned(), ..Parameter::default() },
                Parameter {
                    name: Some("DOC".to_owned()),
                    value: r#"{"a": {"b": [1, "two"]}}"#.to_owned(),
                    ..Parameter::default()
                },
                Parameter { name: Some("EMPTY".to_owned()), value: String::new(), ..Parameter::default() },
                Parameter { name: Some("TRICK".to_owned()), value: "$DATE ${DATE}".to_owned(), ..Parameter::default() },
            ],
            env: vec![
                Variable { name: "REGION".to_owned(), value: "${REGION}".to_owned() },
                Variable { name: "WHERE".to_owned(), value: "in-${REGION}".to_owned() },
            ],
            consts: BTreeMap::from([("N".to_owned(), "3".to_owned())]),
            ..Workflow::default()
        };
        let host = BTreeMap::from([("REGION".to_owned(), "eu".to_owned()), ("HOME".to_owned(), "/home/me".to_owned())]);
        let position = model::layer::Position { source: 0, line: 1, column: 1, offset: 0, length: 0 };
        let step = Step::new("a", model::workflow::StepKind::Kubernetes, "steps[0]", position);
        Scope::of_run(&workflow, "run", host).of_step(&step)
    }

    #[test]
    fn defined_values_are_put_in_and_nothing_else() {
        let scope = scope();
        for (text, expected) in [
            ("${DATE}", "2026-01-02"),
            ("d=$DATE.", "d=2026-01-02."),
            ("$1 ${1} $2", "first first $2"),
            ("${DOC.a.b.1} ${DOC.a.b.0} ${DOC.x}", "two 1 ${DOC.x}"),
            ("${EMPTY:-none} ${DATE:-none} ${NO:-none}", "none 2026-01-02 ${NO:-none}"),
            ("${EMPTY:+some}${DATE:+some}", "some"),
            ("${DATE:5} ${DATE:0:4}", "01-02 2026"),
            ("${params.DATE} ${consts.N} ${env.WHERE}", "2026-01-02 3 in-eu"),
            ("${WHERE}", "in-eu"),
            ("${HOME}", "${HOME}"),
            (r"\$DATE \n", r"$DATE \n"),
            ("${TRICK}", "$DATE ${DATE}"),
            ("$(date) `date`", "$(date) `date`"),
            ("${DAG_NAME}/${DAG_RUN_STEP_NAME}", "nightly/a"),
        ] {
            assert_eq!(scope.text(text), expected, "{text}");
        }
    }

    #[test]
    fn the_nearer_source_wins() {
        let named = |value: &str| vec![("X".to_owned(), value.to_owned())];
        let position = model::layer::Position { source: 0, line: 1, column: 1, offset: 0, length: 0 };
        let mut step = Step::new("a", model::workflow::StepKind::Command, "steps[0]", position);
        let mut upstream = Step { output: Some("X".to_owned()), ..step.clone() };
        upstream.id = Some("up".to_owned());
        let mut scope = Scope { host: named("host").into_iter().collect(), ..Scope::default() };
        let text = |scope: &Scope, step: &Step| scope.of_step_on_host(step).text("${X} ${env.X}");
        assert_eq!(text(&scope, &step), "host ${env.X}");
        assert_eq!(scope.of_step(&step).text("${X}"), "${X}");
        scope.params.extend(named("params"));
        assert_eq!(text(&scope, &step), "params ${env.X}");
        scope.set_managed("X", "managed");
        assert_eq!(text(&scope, &step), "managed ${env.X}");
        scope.env.extend(named("env"));
        assert_eq!(text(&scope, &step), "env env");
        scope.add_dotenv(named("dotenv"));
        assert_eq!(text(&scope, &step), "dotenv dotenv");
        scope.add_secrets(named("secret"));
        assert_eq!(text(&scope, &step), "secret dotenv");
        scope.add_step(&upstream, StepValues { output: Some("output".to_owned()), ..StepValues::default() });
        assert_eq!(text(&scope, &step), "output dotenv");
        step.env.push(Variable { name: "X".to_owned(), value: "own-${X}".to_owned() });
        assert_eq!(text(&scope, &step), "own-output own-output");
        assert_eq!(scope.of_step(&step).variables()["X"], "own-output");
        assert!(!format!("{scope:?}").contains("secret\""), "{scope:?}");
    }

    #[test]
    fn what_a_step_gave_is_reached_by_its_id() {
        let position = model::layer::Position { source: 0, line: 1, column: 1, offset: 0, length: 0 };
        let mut step = Step::new("build", model::workflow::StepKind::Kubernetes, "steps[0]", position);
        step.id = Some("build".to_owned());
        let mut scope = Scope::default();
        let text =
            "${build.output} ${build.output:0:2} ${build.stdout} ${build.stderr} [${build.exit_code}] ${build.x}";
        assert_eq!(scope.text(text), text);
        let log = Some("/logs/build.1.log".to_owned());
        let values = StepValues { output: Some("v1.2".to_owned()), stdout: log, ..StepValues::default() };
        scope.add_step(&step, values);
        assert_eq!(scope.text(text), "v1.2 v1 /logs/build.1.log /dev/null [] ${build.x}");
    }
}
