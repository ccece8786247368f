//! Judging a config: what holds of every single value, and of values together.
//!
//! [`check`] works on merged configs, at load and again at submit. Rules that hold in one layer alone and concern more
//! than one key are asked from [`in_layer`] while the layer is read. One file a block, named as in the model; what is
//! said about a single value stands in the model's tables and is asked here.

mod env;
mod failure_policy;
mod metadata;
mod resources;
mod scheduling;
mod security;
mod volumes;

use std::collections::HashSet;

use model::config::EffectiveConfig;
use model::document::{Document as _, Reading};
use model::field::{Blank, Kind, List, Map, Mapping, Text};
use model::layer::{Merged, Origin, Position};
use model::path;
use model::problem::{CoreProblem, Severity, code};
use model::review::Phase;
use serde_json::Value;

use crate::typed::{Spot, Walk, blank_problem, last_key, word_fits, word_problem};
use crate::yaml::{Node, cut, push};

/// Checks effective configs: every problem of every one of them. The `path` of a problem is inside the config.
///
/// # Errors
/// A config that is not in the shape of one: a fault of the caller.
pub fn check(phase: Phase, steps: &[Merged]) -> Result<Vec<CoreProblem>, String> {
    let mut problems = Vec::new();
    for merged in steps {
        let config = EffectiveConfig::read(merged.config.clone(), &mut Reading::default())
            .map_err(|error| format!("`steps`: the config of step `{}` is no config: {error}", merged.step))?;
        let mut checking = Checking::new(phase, merged, &mut problems);
        checking.image(&config);
        for field in EffectiveConfig::MAPPING.fields {
            if let Some(value) = merged.config.get(field.key) {
                checking.value(&field.kind, value, field.key);
            }
        }
        resources::merged(&mut checking, &config);
        scheduling::merged(&mut checking, &config);
        metadata::merged(&mut checking, &config);
        security::merged(&mut checking, &config);
        volumes::merged(&mut checking, &config);
    }
    Ok(problems)
}

/// Rules about several keys of one mapping that hold in every layer alone.
pub(crate) fn in_layer(walk: &mut Walk<'_>, mapping: &Mapping, node: &Node, path: &str, spot: Spot) {
    match mapping.name {
        "EnvVar" => env::variable(walk, node, path),
        "NodeSelectorRequirement" | "LabelSelectorRequirement" => scheduling::requirement(walk, node, path, spot),
        "OnExitCodes" => failure_policy::exit_codes(walk, node, path),
        "PodSecurityContext" => security::sysctls(walk, node, path),
        _ => {}
    }
}

/// One config while it is checked.
struct Checking<'a> {
    merged: &'a Merged,
    /// Paths that are not judged: left out, and at load those with a variable.
    open: HashSet<&'a str>,
    /// The places above what was left out.
    lacking: HashSet<&'a str>,
    problems: &'a mut Vec<CoreProblem>,
}

impl<'a> Checking<'a> {
    fn new(phase: Phase, merged: &'a Merged, problems: &'a mut Vec<CoreProblem>) -> Self {
        let variables = merged.variables.iter().filter(|_| phase == Phase::Load);
        let open = merged.left_out.iter().chain(variables).map(String::as_str).collect();
        let above = |path: &'a String| path::ancestors(path).into_iter().skip(1);
        let lacking = merged.left_out.iter().flat_map(above).collect();
        Checking { merged, open, lacking, problems }
    }

    /// Whether the value at `path` is final and right so far. A value that was left out has its problem already; one
    /// with a variable is judged once the variable is put in.
    fn is_judged(&self, path: &str) -> bool {
        self.open.is_empty() || !path::ancestors(path).into_iter().any(|path| self.open.contains(path))
    }

    /// Whether anything at or below `path` was left out: what refers to it cannot be judged.
    fn lacks_parts(&self, path: &str) -> bool {
        self.lacking.contains(path)
            || path::ancestors(path)
                .into_iter()
                .any(|path| self.merged.left_out.binary_search_by(|open| open.as_str().cmp(path)).is_ok())
    }

    fn position(&self, path: &str) -> Option<Position> {
        self.merged.nearest(path)?.position
    }

    fn layer(&self, path: &str) -> Origin {
        self.merged.nearest(path).map_or(Origin::Step, |found| match &found.layer {
            // Nothing is written for a default: the step is the place to write it.
            Origin::Default => Origin::Step,
            layer => layer.clone(),
        })
    }

    /// Reports a problem of the value at `path`.
    fn say(&mut self, mut problem: CoreProblem, path: &str) {
        problem.path = path.to_owned();
        problem.step = Some(self.merged.step.clone());
        problem.layer = Some(self.layer(path));
        problem.position = self.position(path);
        push(self.problems, problem);
    }

    fn doubtful(&mut self, message: String, help: &str, path: &str) {
        self.say(
            CoreProblem { severity: Severity::Warning, ..CoreProblem::error(code::DOUBTFUL, message) }.help(help),
            path,
        );
    }

    fn image(&mut self, config: &EffectiveConfig) {
        if !self.is_judged("image") {
            return;
        }
        let problem = match &config.image {
            None => CoreProblem::error(code::REQUIRED, "no layer gives an `image`")
                .help("add `image: …` here, or under `kubernetes:` for all steps"),
            Some(image) if image.trim().is_empty() => {
                CoreProblem::error(code::REQUIRED, "`image` is blank").help("name an image: `image: alpine:3.20`")
            }
            Some(_) => return,
        };
        self.say(problem, "image");
    }

    /// What the tables say about a value and everything in it.
    fn value(&mut self, kind: &Kind, value: &Value, path: &str) {
        match (kind, value) {
            (Kind::Text(text), Value::String(written)) => self.text(text, written, path),
            (Kind::Integer(bounds), Value::Number(number)) => {
                if let Some((doubtful, why)) = bounds.doubtful
                    && number.as_i64() == Some(doubtful)
                    && self.is_judged(path)
                {
                    self.doubtful(
                        format!("`{}: {doubtful}`: {why}", last_key(path)),
                        "remove the key, or give more",
                        path,
                    );
                }
            }
            (Kind::List(list), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(list.item, item, &path::index(path, index));
                }
                if !list.unique_in_layer {
                    self.unique(list, items, path);
                }
            }
            (Kind::Map(map), Value::Object(entries)) => {
                for (key, value) in entries {
                    let at = path::key(path, key);
                    self.map_key(map, key, &at);
                    self.value(map.value, value, &at);
                }
            }
            (Kind::Mapping(mapping), Value::Object(entries)) => {
                for field in mapping.fields {
                    if let Some(value) = entries.get(field.key) {
                        self.value(&field.kind, value, &path::key(path, field.key));
                    }
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &Text, written: &str, path: &str) {
        if !self.is_judged(path) || path == "image" && written.trim().is_empty() {
            return;
        }
        if written.trim().is_empty() && matches!(text.blank, Blank::Refused | Blank::RefusedWhenMerged) {
            self.say(blank_problem(path), path);
            return;
        }
        if !word_fits(text, written) {
            self.say(word_problem(text, path, written), path);
            return;
        }
        if let Some(syntax) = text.syntax
            && let Err(violation) = syntax.check(written)
        {
            self.say(violated(syntax.code(), Severity::Error, violation), path);
            return;
        }
        if let Some(syntax) = text.expected
            && let Err(violation) = syntax.check(written)
        {
            self.say(violated(code::DOUBTFUL, Severity::Warning, violation), path);
        }
    }

    fn map_key(&mut self, map: &Map, key: &str, path: &str) {
        if let Some(syntax) = map.keys
            && let Err(violation) = syntax.check(key)
        {
            self.say_of_key(violated(code::FORMAT, Severity::Error, violation), path);
        } else if map.reserved.holds(key) {
            let problem =
                CoreProblem::error(code::RESERVED, format!("`{}` is set by the runner or by Kubernetes", cut(key)))
                    .help("choose another name");
            self.say_of_key(problem, path);
        }
    }

    /// Reports a problem of the key at `path`.
    fn say_of_key(&mut self, problem: CoreProblem, path: &str) {
        self.say(problem, path);
        let key = self.merged.origins.get(path).and_then(|origin| origin.key);
        if let (Some(said), Some(key)) = (self.problems.last_mut(), key) {
            said.position = Some(key);
        }
    }

    /// No two items of a list have the same value under a key.
    fn unique(&mut self, list: &List, items: &[Value], path: &str) {
        let Some(key) = list.unique else { return };
        let mut seen: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let value = if key.is_empty() { Some(item) } else { item.get(key) };
            let Some(text) = value.and_then(Value::as_str).filter(|text| !text.trim().is_empty()) else { continue };
            let at = |index: usize| {
                let item = path::index(path, index);
                if key.is_empty() { item } else { path::key(&item, key) }
            };
            if !self.is_judged(&at(index)) {
                continue;
            }
            match seen.get(text) {
                Some(first) => {
                    let problem = CoreProblem::error(
                        code::DUPLICATE,
                        format!("the {} `{}` is there twice", if key.is_empty() { "value" } else { key }, cut(text)),
                    )
                    .help("choose another")
                    .related(self.position(&at(*first)), "it is first here");
                    self.say(problem, &at(index));
                }
                None => {
                    seen.insert(text, index);
                }
            }
        }
    }

    /// The place of another value in words, for a help line.
    fn also(&self, path: &str) -> String {
        format!("`{path}` comes from layer `{}`", self.layer(path))
    }
}

fn violated(code: &str, severity: Severity, violation: model::syntax::Violation) -> CoreProblem {
    let mut problem = CoreProblem { severity, ..CoreProblem::error(code, violation.message) };
    problem.help = violation.help;
    problem.fix = violation.fix.map(Value::from);
    problem
}
