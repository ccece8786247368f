//! Names, ids and dependencies: unique, known, and without circles.

use std::collections::{HashMap, HashSet};

use model::layer::Position;
use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{Step, Workflow};

use crate::suggest;
use crate::yaml::{cut, push};

/// Where names and dependencies of a step stand.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) id: Option<Position>,
    pub(super) name: Option<Position>,
    /// Path and position of each item of `depends`.
    pub(super) depends: Vec<(String, Position)>,
}

/// Stands in `depends` for an item that is wrong: no name holds a control character.
pub(super) const LEFT_OUT: &str = "\0";

/// Replaces the ids in `depends` by names and reports what is unknown, twice there, or a circle.
///
/// While steps are read, `depends` holds texts as written; afterwards names of steps.
pub(super) fn connect(workflow: &mut Workflow, places: &[Places], problems: &mut Vec<CoreProblem>) {
    unique(workflow, places, problems);
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (index, step) in workflow.steps.iter().enumerate() {
        names.entry(step.name.as_str()).or_insert(index);
    }
    for (index, step) in workflow.steps.iter().enumerate() {
        if let Some(id) = &step.id {
            names.entry(id).or_insert(index);
        }
    }
    let mut known: Vec<&str> = names.keys().copied().collect();
    known.sort_unstable();
    let mut strangers = 0;
    let mut edges: Vec<Vec<Edge>> = Vec::with_capacity(workflow.steps.len());
    for (step, place) in workflow.steps.iter().zip(places) {
        let mut upstream: Vec<Edge> = Vec::new();
        let mut seen = HashSet::new();
        // A chain has no places: what it depends on is not written.
        for (item, written) in step.depends.iter().enumerate() {
            match names.get(written.as_str()) {
                Some(to) if seen.insert(*to) => upstream.push(Edge { to: *to, item }),
                Some(_) => {}
                // Left out: it has its problem.
                None if written == LEFT_OUT => {}
                None => {
                    strangers += 1;
                    push(problems, unknown(step, place, item, written, &known, strangers));
                }
            }
        }
        edges.push(upstream);
    }
    circles(&workflow.steps, places, &edges, problems);
    let resolved: Vec<Vec<String>> = edges
        .iter()
        .map(|upstream| {
            upstream.iter().filter_map(|edge| workflow.steps.get(edge.to)).map(|step| step.name.clone()).collect()
        })
        .collect();
    for (step, depends) in workflow.steps.iter_mut().zip(resolved) {
        step.depends = depends;
    }
}

/// A dependency: which step, and which item of `depends` says so.
struct Edge {
    to: usize,
    item: usize,
}

fn at_depends(problem: CoreProblem, step: &Step, places: &Places, item: usize) -> CoreProblem {
    let mut problem = match places.depends.get(item) {
        Some((path, position)) => problem.at(path.clone(), Some(*position)),
        None => problem.at(path::key(&step.path, "depends"), Some(step.position)),
    };
    problem.step = Some(step.name.clone());
    problem
}

fn unknown(step: &Step, places: &Places, item: usize, written: &str, known: &[&str], strangers: usize) -> CoreProblem {
    // Looking for the nearest of thousands of names takes time; after so many nobody reads the proposals.
    const PROPOSALS: usize = 100;
    let problem = at_depends(
        CoreProblem::error(
            code::REFERENCE,
            format!("step `{}` depends on `{}`, which does not exist", cut(&step.name), cut(written)),
        ),
        step,
        places,
        item,
    );
    let nearest = if strangers > PROPOSALS { None } else { suggest::nearest(written, known.iter().copied()) };
    match nearest {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
        None if known.len() <= 20 => problem.help(format!("steps of this file: `{}`", known.join("`, `"))),
        None => problem.help("name a step by its id or name"),
    }
}

/// Names are unique, ids are unique, and no name is another step's id.
///
/// Handlers are steps, too: everything later knows a step by its name alone.
fn unique(workflow: &Workflow, places: &[Places], problems: &mut Vec<CoreProblem>) {
    let steps: Vec<&Step> = workflow.handlers.iter().chain(&workflow.steps).collect();
    let handlers = workflow.handlers.len();
    let places = |index: usize| index.checked_sub(handlers).and_then(|index| places.get(index));
    let id_place = |index: usize, step: &Step| places(index).and_then(|place| place.id).unwrap_or(step.position);
    // A name that was not given is the id.
    let name_place =
        |index: usize, step: &Step| places(index).and_then(|place| place.name).unwrap_or(id_place(index, step));
    let twice = |text: String, key: &str, step: &Step, at: Position, other: Position| {
        let mut problem = CoreProblem::error(code::DUPLICATE, text)
            .at(path::key(&step.path, key), Some(at))
            .help("choose another")
            .related(Some(other), "the other one is here");
        problem.step = Some(step.name.clone());
        problem
    };
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        let Some(id) = step.id.as_deref() else { continue };
        match ids.get(id).and_then(|first| steps.get(*first).map(|step| id_place(*first, step))) {
            Some(first) => {
                let text = format!("the id `{}` is there twice", cut(id));
                problems.push(twice(text, "id", step, id_place(index, step), first));
            }
            None => {
                ids.insert(id, index);
            }
        }
    }
    for (index, step) in steps.iter().enumerate() {
        let name = step.name.as_str();
        let of_id = step.id.as_deref() == Some(name);
        let at = name_place(index, step);
        if let Some((first, other)) = names.get(name).and_then(|first| Some((*first, steps.get(*first)?))) {
            // Two steps with the same id and no name are one mistake.
            if !(of_id && other.id == step.id) {
                let text = format!("the name `{}` is there twice", cut(name));
                problems.push(twice(text, "name", step, at, name_place(first, other)));
            }
            continue;
        }
        names.insert(name, index);
        if let Some((first, other)) = ids
            .get(name)
            .filter(|first| **first != index && !of_id)
            .and_then(|first| Some((*first, steps.get(*first)?)))
        {
            // When the other step is also called so, the pair is said as two equal names.
            if other.name != name {
                let text = format!("the name `{}` is the id of another step", cut(name));
                problems.push(twice(text, "name", step, at, id_place(first, other)));
            }
        }
    }
}

/// Reports each circle once, at the `depends` that closes it. Walks without recursion: a chain may be long.
fn circles(steps: &[Step], places: &[Places], edges: &[Vec<Edge>], problems: &mut Vec<CoreProblem>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Unseen,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::Unseen; steps.len()];
    let mut on_trail = vec![0; steps.len()];
    for start in 0..steps.len() {
        if marks.get(start) != Some(&Mark::Unseen) {
            continue;
        }
        // Each entry: a step, and how many of its edges were followed.
        let mut trail: Vec<(usize, usize)> = vec![(start, 0)];
        if let Some(mark) = marks.get_mut(start) {
            *mark = Mark::OnPath;
        }
        while let Some((here, followed)) = trail.last_mut() {
            let here = *here;
            let edge = edges.get(here).and_then(|upstream| upstream.get(*followed));
            *followed += 1;
            let item = edge.map_or(0, |edge| edge.item);
            match edge.map(|edge| (edge.to, marks.get(edge.to).copied())) {
                Some((next, Some(Mark::Unseen))) => {
                    if let Some(mark) = marks.get_mut(next) {
                        *mark = Mark::OnPath;
                    }
                    if let Some(place) = on_trail.get_mut(next) {
                        *place = trail.len();
                    }
                    trail.push((next, 0));
                }
                Some((next, Some(Mark::OnPath))) => {
                    let from = on_trail.get(next).copied().unwrap_or(0);
                    let round = trail.get(from..).unwrap_or_default();
                    let name = |(step, _): &(usize, usize)| steps.get(*step).map(|step| step.name.as_str());
                    let (head, tail) = if round.len() < SHOWN {
                        (round, Default::default())
                    } else {
                        let cut = round.len() - (SHOWN / 2 - 1);
                        (round.get(..SHOWN / 2).unwrap_or_default(), round.get(cut..).unwrap_or_default())
                    };
                    let mut names: Vec<&str> = head.iter().filter_map(name).collect();
                    if !tail.is_empty() {
                        names.push("…");
                        names.extend(tail.iter().filter_map(name));
                    }
                    names.extend(steps.get(next).map(|step| step.name.as_str()));
                    if let (Some(step), Some(places)) = (steps.get(here), places.get(here)) {
                        push(problems, circle(step, places, item, &names));
                    }
                }
                Some(_) => {}
                None => {
                    if let Some(mark) = marks.get_mut(here) {
                        *mark = Mark::Done;
                    }
                    trail.pop();
                }
            }
        }
    }
}

/// Names of a circle that are shown: a circle of thousands of steps is shown by its ends.
const SHOWN: usize = 12;

fn circle(step: &Step, places: &Places, item: usize, names: &[&str]) -> CoreProblem {
    let shown = names.join(" → ");
    at_depends(CoreProblem::error(code::CYCLE, format!("dependencies form a circle: `{shown}`")), step, places, item)
        .help("remove one of these dependencies")
}
