//! Problems for people, with the line of the file and a caret, and for programs as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use model::problem::{Problem, Severity};
use model::report::Mode;
use serde::Serialize;

use super::{escape, escape_line};
use crate::policy_set::PolicySet;
use crate::sources::Source;

/// A policy in force, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyInForce {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub sha256: String,
    /// `enforce` or `warn`.
    pub mode: &'static str,
}

impl PolicyInForce {
    /// The policies of a set, in the order in which they are asked.
    pub fn list(set: &PolicySet) -> Vec<PolicyInForce> {
        set.policies()
            .iter()
            .map(|enforced| PolicyInForce {
                name: enforced.policy.name().to_owned(),
                version: enforced.policy.description().version.clone(),
                sha256: enforced.policy.sha256().to_string(),
                mode: match enforced.mode {
                    Mode::Enforce => "enforce",
                    Mode::Warn => "warn",
                },
            })
            .collect()
    }
}

/// What `check --format json` prints.
#[derive(Debug, Serialize)]
pub struct CheckReport<'a> {
    /// Version of this form.
    pub version: u32,
    /// The policies in force.
    pub policies: Vec<PolicyInForce>,
    /// The problems, in the order in which they are shown.
    pub problems: &'a [Problem],
}

/// Characters of a line that are shown; longer ones are cut around the value.
const LONGEST_LINE: usize = 4096;

/// The problems as text with colours; where the stream wants none, they are taken out when it is written.
pub fn show_problems(problems: &[Problem], sources: &[Source]) -> String {
    let lines: BTreeMap<&str, Lines<'_>> =
        sources.iter().map(|source| (source.name.as_str(), Lines::new(&source.text))).collect();
    let renderer = Renderer::styled();
    let mut shown = String::new();
    for problem in problems {
        let _ = writeln!(shown, "{}\n", one(problem, &lines, &renderer));
    }
    shown
}

fn one(problem: &Problem, lines: &BTreeMap<&str, Lines<'_>>, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let title = level.primary_title(escape(&problem.message)).id(problem.code.as_str());
    let mut group = match snippet(problem, lines) {
        Some((snippet, false)) => title.element(snippet.path(escape_line(problem.file.as_deref().unwrap_or_default()))),
        // Of a line that is cut the library would count the wrong column: the place is told apart.
        Some((snippet, true)) => title.element(place(problem)).element(snippet),
        None => Group::with_title(title),
    };
    for related in &problem.related {
        let place = format!("{}:{}:{}: {}", related.file, related.line, related.column, related.message);
        group = group.element(Level::NOTE.message(escape_line(&place)));
    }
    if problem.file.is_none() {
        let step = problem.step.as_ref().map(|step| format!("step `{step}`"));
        let path = (!problem.path.is_empty()).then(|| format!("`{}`", problem.path));
        let place: Vec<String> = step.into_iter().chain(path).collect();
        if !place.is_empty() {
            group = group.element(Level::NOTE.message(escape_line(&format!("in {}", place.join(", ")))));
        }
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(escape(help)));
    }
    if let Some(url) = &problem.url {
        group = group.element(Level::NOTE.message(escape_line(&format!("see {url}"))));
    }
    renderer.render(&[group])
}

/// `--> file:line:column`.
fn place(problem: &Problem) -> Origin<'_> {
    let mut origin = Origin::path(escape_line(problem.file.as_deref().unwrap_or_default()));
    if let (Some(line), Some(column)) = (problem.line, problem.column) {
        origin = origin.line(line as usize).char_column(column as usize);
    }
    origin
}

/// The line where the value begins, with carets below it, and whether the line is cut. A block of many lines is shown by
/// its first.
fn snippet<'a>(
    problem: &'a Problem,
    lines: &BTreeMap<&str, Lines<'a>>,
) -> Option<(Snippet<'a, annotate_snippets::Annotation<'a>>, bool)> {
    let (line, column) = (problem.line? as usize, problem.column? as usize);
    let written = lines.get(problem.file.as_deref()?)?.line(line).unwrap_or_default();
    let (window, cut) = window(written, column);
    // One character for one, so that columns stay.
    let shown: String = window
        .chars()
        .map(|character| match character {
            '\t' => character,
            _ if character.is_control() || super::is_direction(character) => '\u{fffd}',
            _ => character,
        })
        .collect();
    let at =
        |column: usize| shown.char_indices().nth(column.saturating_sub(1 + cut)).map_or(shown.len(), |(byte, _)| byte);
    let start = at(column);
    let end = match problem.end {
        Some(end) if end.line as usize == line => at(end.column as usize).max(start),
        Some(_) => shown.trim_end().len().max(start),
        None => start,
    };
    let snippet = Snippet::source(shown).line_start(line).annotation(AnnotationKind::Primary.span(start..end));
    Some((snippet, window.len() < written.len()))
}

/// A part of a very long line around a column, and how many characters are missing before it.
fn window(line: &str, column: usize) -> (&str, usize) {
    if line.len() <= LONGEST_LINE {
        return (line, 0);
    }
    let first = column.saturating_sub(LONGEST_LINE / 4);
    let from = line.char_indices().nth(first).map_or(line.len(), |(byte, _)| byte);
    let rest = line.get(from..).unwrap_or_default();
    let to = rest.char_indices().nth(LONGEST_LINE / 2).map_or(rest.len(), |(byte, _)| byte);
    (rest.get(..to).unwrap_or_default(), first)
}

/// Where the lines of a text begin, found once for all problems.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // YAML ends a line at `\n`, `\r\n` and a lone `\r`.
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match **byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// The line with this number, from 1, without its end.
    pub(super) fn line(&self, number: usize) -> Option<&'a str> {
        let from = *self.starts.get(number.checked_sub(1)?)?;
        let to = self.starts.get(number).copied().unwrap_or(self.text.len());
        Some(self.text.get(from..to)?.trim_end_matches(['\n', '\r']))
    }
}

/// How many problems there are, in words; none: nothing worth a line.
pub fn summary(problems: &[Problem]) -> Option<String> {
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let named = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        count => Some(format!("{count} {noun}s")),
    };
    let parts: Vec<String> = [named(count(Severity::Error), "error"), named(count(Severity::Warning), "warning")]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| format!("{}\n", parts.join(", ")))
}
