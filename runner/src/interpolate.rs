//! Putting variables into texts. Nothing is executed, and what was put in is not read again.

use std::collections::BTreeMap;

use model::layer::Layer;
use model::path::value_at;
use model::template::{self, Operation, Part, Variable};
use model::workflow::{Command, Step, Workflow};
use serde_json::Value;

/// The values that texts of one step may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    params: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    consts: BTreeMap<String, String>,
    managed: BTreeMap<String, String>,
    host: BTreeMap<String, String>,
}

impl Scope {
    /// The values of a whole run: parameters, constants, and `env`, resolved top to bottom. Only `env` sees `host`, the
    /// environment of the machine.
    pub fn of_run(workflow: &Workflow, run_id: &str, host: BTreeMap<String, String>) -> Scope {
        let mut scope = Scope {
            consts: workflow.consts.clone(),
            managed: BTreeMap::from([
                ("DAG_NAME".to_owned(), workflow.name.clone()),
                ("DAG_RUN_ID".to_owned(), run_id.to_owned()),
            ]),
            host,
            ..Scope::default()
        };
        let mut position = 0;
        for parameter in &workflow.params {
            let name = parameter.name.clone().unwrap_or_else(|| {
                position += 1;
                position.to_string()
            });
            scope.params.insert(name, parameter.value.clone());
        }
        scope.resolve(&workflow.env);
        scope
    }

    /// The values of one step: those of the run, and the step's own `env`. The environment of the machine is gone.
    #[must_use]
    pub fn of_step(&self, step: &Step) -> Scope {
        let mut scope = self.clone();
        scope.managed.insert("DAG_RUN_STEP_NAME".to_owned(), step.name.clone());
        scope.resolve(&step.env);
        scope.host = BTreeMap::new();
        scope
    }

    fn resolve(&mut self, variables: &[model::workflow::Variable]) {
        for variable in variables {
            let value = self.text(&variable.value);
            self.env.insert(variable.name.clone(), value);
        }
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
            ("env", Some(path)) => of_source(&self.env, path)?,
            ("consts", Some(path)) => of_source(&self.consts, path)?,
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

    /// Lowest first: host, params, managed, env.
    fn lookup(&self, name: &str) -> Option<&str> {
        [&self.env, &self.managed, &self.params, &self.host]
            .into_iter()
            .find_map(|source| source.get(name))
            .map(String::as_str)
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
}
