//! Tolerations and affinity.

use model::config::EffectiveConfig;
use model::config::scheduling::{NodeSelectorOperator, NodeSelectorTerm, TolerationOperator};
use model::path;
use model::problem::{CoreProblem, code};

use super::Checking;
use crate::typed::{Spot, Walk};
use crate::yaml::{Content, Node};

/// How many values an operator takes.
pub(super) fn requirement(walk: &mut Walk<'_>, node: &Node, path: &str, spot: Spot) {
    let Some(operator) = node.entry("operator").and_then(|entry| entry.value.scalar()) else { return };
    let entry = node.entry("values");
    let count = match entry.map(|entry| &entry.value.content) {
        Some(Content::List(items)) => items.len(),
        None => 0,
        // Not a list at all: said already.
        Some(_) => return,
    };
    let wanted = match operator {
        "In" | "NotIn" if count == 0 => "at least one value",
        "Exists" | "DoesNotExist" if count > 0 => "no values",
        "Gt" | "Lt" if count != 1 => "exactly one value",
        _ => return,
    };
    let problem =
        CoreProblem::error(code::RANGE, format!("`{operator}` takes {wanted}, found {count}")).help(match wanted {
            "no values" => "remove `values`",
            _ => "write the values as a list: `values: [a]`",
        });
    let span = entry.map_or(spot.value, |entry| entry.value.span);
    walk.refuse(problem, &path::key(path, "values"), span);
}

/// Tolerations, and the integers of `Gt` and `Lt`.
pub(super) fn merged(checking: &mut Checking<'_>, config: &EffectiveConfig) {
    for (index, toleration) in config.tolerations.iter().enumerate() {
        let at = path::index("tolerations", index);
        let exists = toleration.operator == Some(TolerationOperator::Exists);
        let operator = path::key(&at, "operator");
        if !checking.is_judged(&operator) {
            continue;
        }
        if toleration.key.is_none() && !exists && checking.is_judged(&path::key(&at, "key")) && checking.is_judged(&at)
        {
            let problem = CoreProblem::error(code::REQUIRED, "a toleration without `key` needs `operator: Exists`")
                .help("add `key`, or `operator: Exists` to tolerate every taint");
            checking.say(problem, &at);
        }
        let value = path::key(&at, "value");
        if exists && toleration.value.as_deref().is_some_and(|value| !value.is_empty()) && checking.is_judged(&value) {
            let problem = CoreProblem::error(code::EXCLUSIVE, "`value` cannot stand with `operator: Exists`")
                .help("remove `value`, or write `operator: Equal`")
                .related(checking.position(&operator), "the operator is here");
            checking.say(problem, &value);
        }
    }
    let node = &config.affinity.node_affinity;
    let required = "affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms";
    for (index, term) in node.required_during_scheduling_ignored_during_execution.node_selector_terms.iter().enumerate()
    {
        integers(checking, term, &path::index(required, index));
    }
    let preferred = "affinity.node_affinity.preferred_during_scheduling_ignored_during_execution";
    for (index, term) in node.preferred_during_scheduling_ignored_during_execution.iter().enumerate() {
        if let Some(preference) = &term.preference {
            integers(checking, preference, &path::key(&path::index(preferred, index), "preference"));
        }
    }
}

/// The value of `Gt` and `Lt` is an integer, written as text.
fn integers(checking: &mut Checking<'_>, term: &NodeSelectorTerm, at: &str) {
    for (index, requirement) in term.match_expressions.iter().enumerate() {
        if !matches!(requirement.operator, Some(NodeSelectorOperator::Gt | NodeSelectorOperator::Lt)) {
            continue;
        }
        let values = path::key(&path::index(&path::key(at, "match_expressions"), index), "values");
        let first = path::index(&values, 0);
        let Some(value) = requirement.values.first().filter(|_| !checking.lacks_parts(&values)) else { continue };
        if model::template::has_variable(value) && checking.merged.variables.contains(&first) {
            let problem = CoreProblem::error(code::VARIABLE, "no variable can stand in the value of `Gt` and `Lt`")
                .help("write the integer itself");
            checking.say(problem, &first);
        } else if value.parse::<i64>().is_err() {
            let problem =
                CoreProblem::error(code::RANGE, format!("`{value}` is no integer, and `Gt` and `Lt` compare integers"))
                    .help("write an integer as text: `values: [\"3\"]`");
            checking.say(problem, &first);
        }
    }
}
