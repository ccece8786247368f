//! Outputs of steps that the step which uses them does not depend on.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::layer::Layer;
use model::problem::{CoreProblem, code};
use model::template::Variable;
use model::workflow::{Workflow, WorkflowType};

use super::graph::Graph;
use super::{Heirs, MOST_SHARED, Shared, variables};
use crate::load::texts::{Owner, Reader, Text};
use crate::yaml::{cut, push};

/// What `${id.…}` can give.
const FIELDS: &[&str] = &["output", "stdout", "stderr", "exit_code"];
/// Largest number of steps and dependencies that are looked at to decide what is upstream.
const MOST_WORK: usize = 50_000_000;

/// What a variable needs to have run before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Wanted<'a> {
    /// The step with this index, for `${id.…}`.
    Step(usize),
    /// A step that captures its output under this name.
    Output(&'a str),
}

/// A text that uses the output of a step.
struct Use<'a> {
    text: &'a Text,
    /// Steps that have the text.
    by: By<'a>,
    variable: Variable<'a>,
    wanted: Wanted<'a>,
}

#[derive(Clone, Copy)]
enum By<'a> {
    Nobody,
    Step(usize),
    Heirs(&'a Shared),
}

/// What the workflow's texts can refer to.
struct Known<'a> {
    workflow: &'a Workflow,
    layers: &'a [Layer],
    ids: HashMap<&'a str, usize>,
    /// Steps by the name under which they capture their output.
    outputs: HashMap<&'a str, Vec<usize>>,
    /// Names that are defined without any step.
    defined: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    fn new(workflow: &'a Workflow, layers: &'a [Layer]) -> Known<'a> {
        let mut known = Known {
            workflow,
            layers,
            ids: HashMap::new(),
            outputs: HashMap::new(),
            defined: workflow.params.iter().filter_map(|param| param.name.as_deref()).collect(),
        };
        known.defined.extend(workflow.env.iter().map(|variable| variable.name.as_str()));
        known.defined.extend(workflow.secrets.iter().map(|secret| secret.name.as_str()));
        for (index, step) in workflow.steps.iter().enumerate() {
            if let Some(id) = step.id.as_deref() {
                known.ids.entry(id).or_insert(index);
            }
            if let Some(output) = step.output.as_deref() {
                known.outputs.entry(output).or_default().push(index);
            }
        }
        known
    }

    /// What a variable of a text needs; none: nothing, or it is defined anyhow.
    fn wanted(&self, variable: &Variable<'a>, reader: Reader, own: &HashSet<&str>) -> Option<Wanted<'a>> {
        if let Some(field) = variable.path.and_then(|path| path.split('.').next())
            && FIELDS.contains(&field)
            && let Some(index) = self.ids.get(variable.name)
        {
            return Some(Wanted::Step(*index));
        }
        // Without a dot it is the shell's: it may have its own.
        if reader == Reader::Shell {
            return None;
        }
        let name = variable.name;
        let defined = self.defined.contains(name) || own.contains(name);
        (self.outputs.contains_key(name) && !defined).then_some(Wanted::Output(name))
    }

    /// Whether the step captures its output under this name.
    fn gives(&self, index: usize, name: &str) -> bool {
        self.workflow.steps.get(index).is_some_and(|step| step.output.as_deref() == Some(name))
    }

    fn producers(&self, wanted: Wanted<'_>) -> &[usize] {
        match wanted {
            Wanted::Step(_) => &[],
            Wanted::Output(name) => self.outputs.get(name).map(Vec::as_slice).unwrap_or_default(),
        }
    }
}

/// Warns of every text that uses the output of a step it does not depend on.
pub(super) fn check(
    workflow: &Workflow,
    layers: &[Layer],
    texts: &[Text],
    shared: &[Shared],
    problems: &mut Vec<CoreProblem>,
) {
    let known = Known::new(workflow, layers);
    if known.ids.is_empty() && known.outputs.is_empty() {
        return;
    }
    let mut uses: Vec<Use<'_>> = Vec::new();
    // Names of the `env` of the step whose texts come one after the other.
    let mut own: (Option<usize>, HashSet<&str>) = (None, HashSet::new());
    for text in texts {
        let by = match text.owner {
            Owner::Root => By::Nobody,
            Owner::Step(index) => By::Step(index),
            // A handler sees all outputs.
            Owner::Handler(_) | Owner::AllSteps => continue,
        };
        if let By::Step(index) = by
            && own.0 != Some(index)
        {
            let env = workflow.steps.get(index).map(|step| step.env.as_slice()).unwrap_or_default();
            own = (Some(index), env.iter().map(|variable| variable.name.as_str()).collect());
        }
        // The machine's environment is seen there, and may define a name.
        let reader = if matches!(by, By::Nobody) { Reader::Shell } else { text.reader };
        collect(&known, text, by, reader, &own.1, &mut uses);
    }
    let none = HashSet::new();
    for shared in shared.iter().take(MOST_SHARED) {
        collect(&known, &shared.text, By::Heirs(shared), shared.text.reader, &none, &mut uses);
    }
    if uses.is_empty() {
        return;
    }
    let Some(graph) = Graph::new(workflow) else { return };
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut numbers: HashMap<Wanted<'_>, usize> = HashMap::new();
    for one in &uses {
        numbers.entry(one.wanted).or_insert_with(|| {
            wanted.push(one.wanted);
            wanted.len() - 1
        });
    }
    let mut by_batch: BTreeMap<usize, Vec<(&Use<'_>, u64)>> = BTreeMap::new();
    for one in &uses {
        if let Some(number) = numbers.get(&one.wanted) {
            by_batch.entry(number / 64).or_default().push((one, 1 << (number % 64)));
        }
    }
    let affordable = (MOST_WORK / graph.size().max(1)).max(1);
    for (batch, uses) in by_batch.into_iter().take(affordable) {
        let mut seeds: HashMap<usize, u64> = HashMap::new();
        for (offset, wanted) in wanted.iter().skip(batch * 64).take(64).enumerate() {
            let bit = 1_u64 << offset;
            if let Wanted::Step(index) = wanted {
                *seeds.entry(*index).or_default() |= bit;
            }
            for index in known.producers(*wanted) {
                *seeds.entry(*index).or_default() |= bit;
            }
        }
        let above = graph.above(&seeds);
        for (one, bit) in uses {
            judge(&known, one, bit, &above, problems);
        }
    }
}

fn collect<'a>(
    known: &Known<'a>,
    text: &'a Text,
    by: By<'a>,
    reader: Reader,
    own: &HashSet<&str>,
    uses: &mut Vec<Use<'a>>,
) {
    let mut seen = HashSet::new();
    for variable in variables(&text.text) {
        let Some(wanted) = known.wanted(&variable, reader, own) else { continue };
        // After an attempt the step's own output is there.
        let is_own = match (by, wanted) {
            (By::Step(index), Wanted::Step(wanted)) => index == wanted,
            (By::Step(index), Wanted::Output(name)) => known.gives(index, name),
            _ => false,
        };
        if seen.insert(wanted) && !(text.after && is_own) {
            uses.push(Use { text, by, variable, wanted });
        }
    }
}

/// Reports a use by steps above which nothing gives what it wants.
fn judge(known: &Known<'_>, one: &Use<'_>, bit: u64, above: &[u64], problems: &mut Vec<CoreProblem>) {
    let steps = &known.workflow.steps;
    let is_there = |index: usize| above.get(index).is_some_and(|above| above & bit != 0);
    let (first, more) = match one.by {
        By::Nobody => (None, 0),
        By::Step(index) if is_there(index) => return,
        By::Step(index) => (steps.get(index), 0),
        By::Heirs(shared) => {
            // What gives the output itself has the text only because all steps have it.
            let gives = |index: usize| match one.wanted {
                Wanted::Step(giver) => index == giver,
                Wanted::Output(name) => known.gives(index, name),
            };
            let is_all = matches!(shared.heirs, Heirs::All);
            let mut lacking = steps.iter().enumerate().filter(|(index, step)| {
                !(is_there(*index) || is_all && gives(*index)) && shared.is_of(step, known.layers)
            });
            let Some((_, first)) = lacking.next() else { return };
            (Some(first), lacking.count())
        }
    };
    let giver = match one.wanted {
        Wanted::Step(index) => steps.get(index),
        Wanted::Output(_) => known.producers(one.wanted).first().and_then(|index| steps.get(*index)),
    };
    let giver = giver.map_or("", |step| step.id.as_deref().unwrap_or(&step.name));
    let written = cut(one.variable.written);
    let giver = cut(giver);
    let is_own = first.is_some_and(|step| step.id.as_deref() == Some(giver.as_str()) || step.name == giver);
    let message = match first {
        None => {
            format!("`{written}` stays as it is here: it stands for what the step `{giver}` gives, and no step has run")
        }
        Some(_) if is_own => {
            format!("`{written}` stays as it is here: the step `{giver}` cannot use its own output")
        }
        Some(step) => {
            let others = match more {
                0 => "does not depend".to_owned(),
                1 => "and 1 more do not depend".to_owned(),
                more => format!("and {more} more do not depend"),
            };
            format!("`{written}` stays as it is here: step `{}` {others} on `{giver}`", cut(&step.name))
        }
    };
    let help = match (one.by, known.workflow.workflow_type) {
        (By::Step(_), _) if is_own => "use it in a step that depends on this one".to_owned(),
        (By::Nobody, _) => "use it in a step that depends on that one".to_owned(),
        (_, WorkflowType::Chain) => format!("move the step behind `{giver}`"),
        (By::Heirs(_), _) => "write it in the steps that depend on that one".to_owned(),
        (By::Step(_), _) => format!("add `{giver}` to `depends`"),
    };
    let mut problem =
        CoreProblem::warning(code::NOT_UPSTREAM, message).help(help).at(one.text.path.clone(), Some(one.text.position));
    problem.step = first.map(|step| step.name.clone());
    push(problems, problem);
}
