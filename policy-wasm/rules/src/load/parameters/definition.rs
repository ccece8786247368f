//! The definition of a parameter, and what it says about a value.

use std::collections::HashMap;

use model::field::Kind;
use model::path;
use model::pattern::Pattern;
use model::problem::{CoreProblem, code};
use model::workflow::{Definition, PARAMETER, ParameterType};

use super::super::conditions::pattern_problem;
use super::super::variables::name_problem;
use crate::suggest;
use crate::typed::{Spot, Walk, last_key};
use crate::yaml::{Content, Entry, Node, cut, integer, number, push};

/// Judges the values of one parameter.
pub(super) struct Judge {
    name: String,
    pub(super) definition: Definition,
    /// A value was given from outside.
    pub(super) given: bool,
}

/// Reads a definition; none: it has no name, which is said.
pub(super) fn read(item: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Option<(String, Judge)> {
    Walk::new(source, "", problems).value(&Kind::Mapping(&PARAMETER), item, at, Spot::item(item));
    let mut reading = Reading { item, at, source, problems };
    let name = reading.name()?;
    let parameter_type = reading.parameter_type();
    let mut judge = Judge {
        name: name.clone(),
        definition: Definition {
            parameter_type: parameter_type.unwrap_or_default(),
            required: reading
                .entry("required")
                .is_some_and(|entry| matches!(entry.value.content, Content::Boolean(true, _))),
            minimum: reading.number("minimum"),
            maximum: reading.number("maximum"),
            min_length: reading.length("min_length"),
            max_length: reading.length("max_length"),
            description: reading.text("description"),
            ..Definition::default()
        },
        given: false,
    };
    // Beside a type that is none, nothing else can be judged.
    if let Some(parameter_type) = parameter_type {
        reading.fits_type(parameter_type);
        reading.bounds("minimum", "maximum", judge.definition.minimum, judge.definition.maximum);
        let length = |length: Option<u64>| length.map(|length| length as f64);
        reading.bounds(
            "min_length",
            "max_length",
            length(judge.definition.min_length),
            length(judge.definition.max_length),
        );
    }
    if let Some(pattern) = reading.text("pattern") {
        match pattern_problem(&pattern) {
            Some(problem) => reading.say(problem, "pattern"),
            None => judge.definition.pattern = Some(pattern),
        }
    }
    judge.definition.allowed = reading.allowed(&judge, parameter_type.is_some());
    if let Some(entry) = reading.entry("default") {
        match reading.scalar(entry, &path::key(at, "default")) {
            Some(value) if parameter_type.is_some() => {
                for problem in judge.problems("default", &value) {
                    reading.say(problem, "default");
                }
                judge.definition.default = Some(value);
            }
            // What is wrong counts as a value: that one is missing would be a second problem.
            value => judge.definition.default = Some(value.unwrap_or_default()),
        }
    }
    Some((name, judge))
}

/// A definition while it is read.
struct Reading<'a> {
    item: &'a Node,
    at: &'a str,
    source: u32,
    problems: &'a mut Vec<CoreProblem>,
}

impl<'a> Reading<'a> {
    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.item.entry(key)
    }

    fn say(&mut self, problem: CoreProblem, key: &str) {
        let span = self.entry(key).map_or(self.item.span, |entry| entry.value.span);
        push(self.problems, problem.at(path::key(self.at, key), Some(span.position(self.source))));
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.entry(key)?.value.content {
            Content::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<f64> {
        match &self.entry(key)?.value.content {
            Content::Integer(written) | Content::Float(written) => number(written),
            _ => None,
        }
    }

    fn length(&self, key: &str) -> Option<u64> {
        match &self.entry(key)?.value.content {
            Content::Integer(written) => integer(written).and_then(|length| u64::try_from(length).ok()),
            _ => None,
        }
    }

    fn name(&mut self) -> Option<String> {
        let name = self.text("name")?;
        if let Some(problem) = name_problem(&name) {
            self.say(problem, "name");
        }
        Some(name)
    }

    /// None: it is no type, which is said.
    fn parameter_type(&self) -> Option<ParameterType> {
        let Some(entry) = self.entry("type") else { return Some(ParameterType::String) };
        match &entry.value.content {
            Content::Text(word) => match word.as_str() {
                "string" => Some(ParameterType::String),
                "integer" => Some(ParameterType::Integer),
                "number" => Some(ParameterType::Number),
                "boolean" => Some(ParameterType::Boolean),
                _ => None,
            },
            _ => None,
        }
    }

    /// Bounds belong to numbers, lengths and patterns to texts.
    fn fits_type(&mut self, parameter_type: ParameterType) {
        let word = parameter_type.as_str();
        let (strangers, other): (&[&str], &str) = match parameter_type {
            ParameterType::String => (&["minimum", "maximum"], "integer"),
            ParameterType::Integer | ParameterType::Number => (&["min_length", "max_length", "pattern"], "string"),
            ParameterType::Boolean => (&["minimum", "maximum", "min_length", "max_length", "pattern"], ""),
        };
        for key in strangers {
            let Some(entry) = self.entry(key) else { continue };
            let problem =
                CoreProblem::error(code::EXCLUSIVE, format!("`{key}` says nothing about values of type `{word}`"));
            let problem = match other {
                "" => problem.help(format!("remove `{key}`")),
                _ => problem.help(format!("write `type: {other}`, or remove `{key}`")),
            };
            push(self.problems, problem.at(path::key(self.at, key), Some(entry.key_span.position(self.source))));
        }
    }

    fn bounds(&mut self, low_key: &str, high_key: &str, low: Option<f64>, high: Option<f64>) {
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            let place = self.entry(low_key).map(|entry| entry.value.span.position(self.source));
            let problem =
                CoreProblem::error(code::RANGE, format!("`{high_key}` is {high}, less than `{low_key}`: {low}"))
                    .help("exchange them")
                    .related(place, format!("`{low_key}` is here"));
            self.say(problem, high_key);
        }
    }

    /// The scalar's text as written; none: it is none, which is said.
    fn scalar(&mut self, entry: &Entry, at: &str) -> Option<String> {
        self.scalar_of(&entry.value, &entry.key, at)
    }

    fn scalar_of(&mut self, node: &Node, key: &str, at: &str) -> Option<String> {
        if let Some(text) = node.scalar() {
            return Some(text.to_owned());
        }
        let problem = CoreProblem::error(
            code::TYPE,
            format!("`{}` must be text, a number or a boolean, found {}", last_key(at), node.found()),
        );
        let problem = match node.content {
            Content::Null if at.ends_with(']') => problem.help("remove it, or write `\"\"`"),
            Content::Null => problem.help(format!("remove it, or write `{key}: \"\"`")),
            _ => problem.help("a list or mapping as one text needs quotes"),
        };
        push(self.problems, problem.at(at, Some(node.span.position(self.source))));
        None
    }

    fn allowed(&mut self, judge: &Judge, judged: bool) -> Option<Vec<String>> {
        let entry = self.entry("enum")?;
        let Content::List(items) = &entry.value.content else { return None };
        let mut allowed = Vec::new();
        let mut first: HashMap<&str, &Node> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let at = path::index(&path::key(self.at, "enum"), index);
            let Some(value) = self.scalar_of(item, "enum", &at) else { continue };
            let position = Some(item.span.position(self.source));
            if judged && let Some(problem) = judge.type_problem("allowed value", &value) {
                push(self.problems, problem.at(at.clone(), position));
            }
            match item.scalar().map(|text| first.entry(text)) {
                Some(std::collections::hash_map::Entry::Occupied(first)) => {
                    let problem = CoreProblem::error(code::DUPLICATE, format!("`{}` is there twice", cut(&value)))
                        .help("remove one")
                        .related(Some(first.get().span.position(self.source)), "it is first here");
                    push(self.problems, problem.at(at, position));
                }
                Some(std::collections::hash_map::Entry::Vacant(place)) => {
                    place.insert(item);
                }
                None => {}
            }
            allowed.push(value);
        }
        (!allowed.is_empty()).then_some(allowed)
    }
}

impl Judge {
    fn subject(&self, what: &str, value: &str) -> String {
        format!("the {what} `{}` of the parameter `{}`", cut(value), cut(&self.name))
    }

    fn type_problem(&self, what: &str, value: &str) -> Option<CoreProblem> {
        let (fits, wanted, help) = match self.definition.parameter_type {
            ParameterType::String => return None,
            ParameterType::Integer => (integer(value).is_some(), "is no integer", "give a whole number, as `3`"),
            ParameterType::Number => (number(value).is_some(), "is no number", "give a number, as `1.5`"),
            ParameterType::Boolean => {
                let word = matches!(value, "true" | "True" | "TRUE" | "false" | "False" | "FALSE");
                (word, "is no boolean", "give `true` or `false`")
            }
        };
        let message = format!("{} {wanted}", self.subject(what, value));
        (!fits).then(|| CoreProblem::error(code::TYPE, message).help(help))
    }

    /// Everything that a value breaks.
    pub(super) fn problems(&self, what: &str, value: &str) -> Vec<CoreProblem> {
        if let Some(problem) = self.type_problem(what, value) {
            return vec![problem];
        }
        let definition = &self.definition;
        let subject = self.subject(what, value);
        let mut problems = Vec::new();
        if let Some(allowed) = definition.allowed.as_deref().filter(|allowed| !self.is_one_of(value, allowed)) {
            problems.push(not_allowed(&subject, value, allowed));
        }
        if matches!(definition.parameter_type, ParameterType::Integer | ParameterType::Number) {
            let value = number(value);
            let bounds = [(definition.minimum, true), (definition.maximum, false)];
            for (bound, is_low) in bounds {
                let (Some(value), Some(bound)) = (value, bound) else { continue };
                if if is_low { value < bound } else { value > bound } {
                    let less = if is_low { "less" } else { "greater" };
                    problems.push(
                        CoreProblem::error(code::RANGE, format!("{subject} is {less} than {bound}"))
                            .help(format!("give a number {}", range(definition.minimum, definition.maximum))),
                    );
                }
            }
        }
        if definition.parameter_type == ParameterType::String {
            let count = value.chars().count() as u64;
            let fits = definition.min_length.is_none_or(|low| count >= low)
                && definition.max_length.is_none_or(|high| count <= high);
            if !fits {
                let characters = if count == 1 { "character" } else { "characters" };
                let wanted = match (definition.min_length, definition.max_length) {
                    (Some(low), Some(high)) if low == high => low.to_string(),
                    (Some(low), Some(high)) => format!("{low} to {high}"),
                    (Some(low), None) => format!("at least {low}"),
                    (None, high) => format!("at most {}", high.unwrap_or_default()),
                };
                problems.push(
                    CoreProblem::error(code::RANGE, format!("{subject} has {count} {characters}"))
                        .help(format!("give a value of {wanted} characters")),
                );
            }
            // Read anew for each value: a pattern takes much memory, and few parameters are given.
            if let Some(written) = &definition.pattern
                && Pattern::new(written).is_ok_and(|pattern| !pattern.is_in(value))
            {
                let message = format!("{subject} does not match the pattern `{}`", cut(written));
                let problem = CoreProblem::error(code::FORMAT, message);
                problems.push(match &definition.description {
                    Some(description) => problem.help(format!("`{}`: {}", cut(&self.name), cut(description))),
                    None => problem.help("give a value in which the pattern is found"),
                });
            }
        }
        problems
    }

    /// Numbers are compared as numbers: `1.0` is `1`.
    fn is_one_of(&self, value: &str, allowed: &[String]) -> bool {
        let is_number = matches!(self.definition.parameter_type, ParameterType::Integer | ParameterType::Number);
        let same = |one: &String| match self.definition.parameter_type {
            ParameterType::Boolean => one.eq_ignore_ascii_case(value),
            _ => one == value || (is_number && number(one).is_some_and(|one| Some(one) == number(value))),
        };
        allowed.iter().any(same)
    }
}

fn not_allowed(subject: &str, value: &str, allowed: &[String]) -> CoreProblem {
    /// Values that are listed; more are read by nobody.
    const LISTED: usize = 20;
    let rest = if allowed.len() > LISTED { ", …" } else { "" };
    let list = allowed.iter().take(LISTED).map(|one| cut(one)).collect::<Vec<_>>().join("`, `");
    let problem = CoreProblem::error(code::ENUM, format!("{subject} is not one of `{list}`{rest}"));
    let meant = allowed.iter().map(String::as_str).find(|one| one.eq_ignore_ascii_case(value));
    match meant.or_else(|| suggest::nearest(value, allowed.iter().map(String::as_str))) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem.help("give one of them"),
    }
}

fn range(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("from {low} to {high}"),
        (Some(low), None) => format!("of at least {low}"),
        (None, Some(high)) => format!("of at most {high}"),
        (None, None) => String::new(),
    }
}
