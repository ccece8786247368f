//! What texts refer to: outputs of steps that are not upstream, and secrets that become readable in a Job.
//!
//! Both are warnings. Here it is gathered who has which text; each of the two has a module of its own.

mod graph;
mod secrets;
mod upstream;

use std::collections::HashMap;

use model::layer::{Layer, Origin};
use model::path::{self, value_at};
use model::problem::CoreProblem;
use model::template::{self, Part, Variable};
use model::workflow::{HANDLER_NAMES, Step, StepKind, Workflow};

use super::texts::{Owner, Reader, Text};

/// Fields of a config that do not go into the Job.
const NOT_IN_JOB: &[&str] = &["kubeconfig", "context"];
/// Texts of a block that all steps inherit whose heirs are looked for: each of them concerns every step.
const MOST_SHARED: usize = 100;

/// Warns of every text that uses what is not there, or should not be there.
pub(super) fn check(workflow: &Workflow, layers: &[Layer], mut texts: Vec<Text>, problems: &mut Vec<CoreProblem>) {
    let shared = layer_texts(workflow, layers, &mut texts);
    secrets::check(workflow, layers, &texts, &shared, problems);
    upstream::check(workflow, layers, &texts, &shared, problems);
}

/// A text that several steps have.
struct Shared {
    text: Text,
    heirs: Heirs,
}

/// Which steps have a text.
enum Heirs {
    /// All: it stands in `defaults`.
    All,
    /// Kubernetes steps: it stands in the `kubernetes` block that is the layer with this rank.
    Kubernetes {
        rank: u32,
        /// What a higher layer replaces as a whole: the text, or the list that it stands in.
        replaced: String,
    },
}

impl Shared {
    fn is_of(&self, step: &Step, layers: &[Layer]) -> bool {
        let Heirs::Kubernetes { rank, replaced } = &self.heirs else { return true };
        let replaces = |layer: &Layer| {
            value_at(&layer.value, replaced).is_some() || layer.left_out.iter().any(|out| out == replaced)
        };
        let mut higher = step.ranks.iter().filter(|higher| *higher > rank);
        step.kind == StepKind::Kubernetes && !higher.any(|higher| layers.get(*higher as usize).is_some_and(replaces))
    }
}

/// Adds the texts of the steps' own layers to `texts`; answers those that steps share.
fn layer_texts(workflow: &Workflow, layers: &[Layer], texts: &mut Vec<Text>) -> Vec<Shared> {
    let mut owners: HashMap<u32, (Owner, &str)> = HashMap::new();
    let own = |step: &Step| {
        step.ranks.iter().copied().find(|rank| {
            layers.get(*rank as usize).is_some_and(|layer| layer.origin == Origin::Step && !layer.variables.is_empty())
        })
    };
    for (index, step) in workflow.steps.iter().enumerate() {
        if let Some((rank, path)) = own(step).zip(step.config_path.as_deref()) {
            owners.insert(rank, (Owner::Step(index), path));
        }
    }
    for handler in &workflow.handlers {
        let name = HANDLER_NAMES.iter().find(|(_, name)| *name == handler.name);
        if let (Some((rank, path)), Some((_, name))) = (own(handler).zip(handler.config_path.as_deref()), name) {
            owners.insert(rank, (Owner::Handler(name), path));
        }
    }
    let mut shared = Vec::new();
    for (rank, layer) in layers.iter().enumerate() {
        let (owner, prefix) = match (&layer.origin, owners.get(&(rank as u32))) {
            (Origin::Base | Origin::Dag, _) => (Owner::AllSteps, "kubernetes"),
            (_, Some((owner, path))) => (owner.clone(), *path),
            _ => continue,
        };
        for at in layer.variables.iter().filter(|at| !NOT_IN_JOB.contains(&at.as_str())) {
            let Some(text) = value_at(&layer.value, at).and_then(serde_json::Value::as_str) else { continue };
            let Some(place) = layer.positions.get(at) else { continue };
            let text = Text {
                owner: owner.clone(),
                path: path::join(prefix, at),
                position: place.value,
                text: text.to_owned(),
                reader: Reader::Job,
                after: false,
            };
            if owner == Owner::AllSteps {
                let replaced = at.split('[').next().unwrap_or_default().to_owned();
                shared.push(Shared { text, heirs: Heirs::Kubernetes { rank: rank as u32, replaced } });
            } else {
                texts.push(text);
            }
        }
    }
    // Texts of `defaults` are every step's, too.
    let mut kept = Vec::with_capacity(texts.len());
    for text in texts.drain(..) {
        if text.owner == Owner::AllSteps {
            shared.push(Shared { text, heirs: Heirs::All });
        } else {
            kept.push(text);
        }
    }
    *texts = kept;
    shared
}

fn variables(text: &str) -> impl Iterator<Item = Variable<'_>> {
    template::parse(text).into_iter().filter_map(|part| match part {
        Part::Variable(variable) => Some(variable),
        _ => None,
    })
}
