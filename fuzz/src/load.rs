//! `load`, `merge`, `check` and `report` of anything: they end, answer the same when asked again, and every place they
//! name is a place of the text.

use std::collections::BTreeMap;

use model::layer::{Layer, MergeStep, Merged, Position};
use model::problem::CoreProblem;
use model::report::{Answers, SourceText, StepPlace, report};
use model::review::Phase;
use model::workflow::{StepKind, Workflow};

/// Between the workflow file, base.yaml and the arguments: no YAML and no argument holds a form feed.
pub const SEPARATOR: char = '\u{c}';

/// Reads a workflow file, after a form feed base.yaml, after another the arguments, one a line.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, SEPARATOR);
    let workflow = parts.next().unwrap_or_default();
    let base = parts.next();
    let arguments: Vec<&str> = parts.next().map(|lines| lines.lines().collect()).unwrap_or_default();
    all_stages(workflow, base, &arguments);
}

/// Puts the files of a case into the form that [`run`] takes.
pub fn joined(workflow: &str, base: Option<&str>, arguments: Option<&str>) -> String {
    let mut joined = workflow.to_owned();
    if base.is_some() || arguments.is_some() {
        joined.push(SEPARATOR);
        joined.push_str(base.unwrap_or_default());
    }
    if let Some(arguments) = arguments {
        joined.push(SEPARATOR);
        joined.push_str(arguments);
    }
    joined
}

fn all_stages(workflow: &str, base: Option<&str>, arguments: &[&str]) {
    let mut sources = Vec::new();
    if let Some(base) = base {
        sources.push(rules::Source { name: "base.yaml", text: base, role: rules::Role::Base });
    }
    sources.push(rules::Source { name: "dag.yaml", text: workflow, role: rules::Role::Workflow });
    let loaded = rules::load(&sources, arguments);
    assert_eq!(loaded, rules::load(&sources, arguments), "reading twice gives the same");
    assert!(loaded.workflow.is_some() || !loaded.problems.is_empty(), "no workflow, and nothing says why");

    let places = Places::of(&sources);
    places.hold_all(&loaded.problems);
    loaded.layers.iter().for_each(|layer| places.hold_layer(layer));

    let workflow = loaded.workflow.unwrap_or_default();
    let written = serde_json::to_string(&workflow).expect("a workflow is JSON");
    assert_eq!(serde_json::from_str::<Workflow>(&written).expect("and JSON a workflow"), workflow);
    let steps: Vec<MergeStep> = workflow
        .all_steps()
        .filter(|step| step.kind == StepKind::Kubernetes)
        .map(|step| MergeStep { step: step.name.clone(), ranks: step.ranks.clone() })
        .collect();
    let merged = rules::merge(&loaded.layers, &steps).expect("the ranks of `load` name layers");
    assert_eq!(Ok(&merged), rules::merge(&loaded.layers, &steps).as_ref(), "merging twice gives the same");
    merged.iter().for_each(|merged| places.hold_merged(merged));

    let checked = rules::check(Phase::Load, &merged).expect("what `merge` makes has the shape of a config");
    assert_eq!(Ok(&checked), rules::check(Phase::Load, &merged).as_ref(), "checking twice gives the same");
    places.hold_all(&checked);
    places.hold_all(&rules::check(Phase::Submit, &merged).expect("at submit, too"));
    let crossed: Vec<Merged> = serde_json::from_str(&serde_json::to_string(&merged).expect("merged configs are JSON"))
        .expect("and JSON merged configs");
    assert_eq!(crossed, merged, "the configs cross as JSON");

    let mut core = loaded.problems;
    core.extend(merged.iter().flat_map(|merged| merged.problems.iter().cloned()));
    core.extend(checked);
    let wrong = !core.is_empty();
    let shown = report(&Answers {
        phase: Phase::Load,
        sources: sources
            .iter()
            .map(|source| SourceText { name: source.name.to_owned(), text: source.text.to_owned() })
            .collect(),
        workflow: workflow.name.clone(),
        today: None,
        steps: step_places(&workflow, &merged),
        core,
        policies: Vec::new(),
        waivers: Vec::new(),
    });
    assert_eq!(wrong, !shown.problems.is_empty(), "a problem is shown, and nothing but problems");
    for problem in &shown.problems {
        if let (Some(line), Some(column), Some(end)) = (problem.line, problem.column, problem.end) {
            assert!((end.line, end.column) >= (line, column), "ends before it begins: {problem:?}");
        }
    }
}

fn step_places(workflow: &Workflow, merged: &[Merged]) -> Vec<StepPlace> {
    workflow
        .all_steps()
        .map(|step| {
            let merged = merged.iter().find(|merged| merged.step == step.name);
            StepPlace {
                step: step.name.clone(),
                path: step.path.clone(),
                position: step.position,
                config_path: step.config_path.clone(),
                origins: merged.map(|merged| merged.origins.clone()).unwrap_or_default(),
                open: merged.map(Merged::open).unwrap_or_default(),
            }
        })
        .collect()
}

/// The texts, and where each of their lines begins.
struct Places<'a> {
    texts: Vec<(&'a str, BTreeMap<usize, u32>)>,
}

impl<'a> Places<'a> {
    fn of(sources: &[rules::Source<'a>]) -> Places<'a> {
        let texts = sources.iter().map(|source| (source.text, lines(source.text))).collect();
        Places { texts }
    }

    /// A place is inside its text, between characters, and its line and column are those of its offset.
    #[track_caller]
    fn hold(&self, at: Position, what: &dyn std::fmt::Debug) {
        let (text, lines) = self.texts.get(at.source as usize).expect("a source that was given");
        let (from, to) = (at.offset as usize, at.offset as usize + at.length as usize);
        assert!(text.get(from..to).is_some(), "{at:?} is outside: {what:?}");
        // The mark at the beginning of the file takes no column.
        let from = if text.starts_with('\u{feff}') { from.max(3) } else { from };
        let (start, line) = lines.range(..=from).next_back().expect("line 1 begins at 0");
        let before = text.get(*start..from).unwrap_or_default();
        let before = if *start == 0 { before.strip_prefix('\u{feff}').unwrap_or(before) } else { before };
        let column = before.chars().count() + 1;
        assert_eq!((at.line, at.column as usize), (*line, column), "{at:?} in {text:?}: {what:?}");
    }

    #[track_caller]
    fn hold_all(&self, problems: &[CoreProblem]) {
        for problem in problems {
            let related = problem.related.iter().map(|related| Some(related.position));
            for position in std::iter::once(problem.position).chain(related).flatten() {
                self.hold(position, problem);
            }
            assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "no message: {problem:?}");
        }
    }

    fn hold_layer(&self, layer: &Layer) {
        for (path, place) in &layer.positions {
            self.hold(place.value, path);
            if let Some(key) = place.key {
                self.hold(key, path);
            }
        }
    }

    fn hold_merged(&self, merged: &Merged) {
        for (path, origin) in &merged.origins {
            if let Some(position) = origin.position {
                self.hold(position, path);
            }
        }
    }
}

/// Where each line begins, and its number: YAML ends a line with LF, CR LF or CR.
fn lines(text: &str) -> BTreeMap<usize, u32> {
    let mut lines = BTreeMap::from([(0, 1)]);
    let mut number = 1;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' || *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n') {
            number += 1;
            lines.insert(at + 1, number);
        }
    }
    lines
}
