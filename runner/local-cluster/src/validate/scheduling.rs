//! Node selectors, tolerations and affinity: checked and recorded, there is only one node.

use k8s_openapi::api::core::v1::{NodeSelectorTerm, PodAffinityTerm, PodSpec, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Causes, name};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

pub(super) fn check(spec: &PodSpec, field: &str, causes: &mut Causes) {
    for (key, value) in spec.node_selector.iter().flatten() {
        if let Some(problem) = name::label_key(key) {
            causes.invalid(format!("{field}.nodeSelector"), key.as_str(), &problem);
        }
        if let Some(problem) = name::label_value(value) {
            causes.invalid(format!("{field}.nodeSelector"), value.as_str(), &problem);
        }
    }
    for (index, toleration) in spec.tolerations.iter().flatten().enumerate() {
        check_toleration(toleration, &format!("{field}.tolerations[{index}]"), causes);
    }
    let Some(affinity) = &spec.affinity else { return };
    let field = format!("{field}.affinity");
    if let Some(node) = &affinity.node_affinity {
        if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
            let field =
                format!("{field}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
            if required.node_selector_terms.is_empty() {
                causes.required(field.as_str(), "must have at least one node selector term");
            }
            for (index, term) in required.node_selector_terms.iter().enumerate() {
                check_node_term(term, true, &format!("{field}[{index}]"), causes);
            }
        }
        let preferred = node.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, preference) in preferred.enumerate() {
            let field = format!("{field}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
            check_weight(preference.weight, &field, causes);
            check_node_term(&preference.preference, false, &format!("{field}.preference"), causes);
        }
    }
    let pods = affinity.pod_affinity.as_ref();
    let required = pods.and_then(|pods| pods.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = pods.and_then(|pods| pods.preferred_during_scheduling_ignored_during_execution.as_ref());
    let preferred = preferred.into_iter().flatten().map(|term| (term.weight, &term.pod_affinity_term));
    check_pod_terms(required, preferred, &format!("{field}.podAffinity"), causes);
    let pods = affinity.pod_anti_affinity.as_ref();
    let required = pods.and_then(|pods| pods.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = pods.and_then(|pods| pods.preferred_during_scheduling_ignored_during_execution.as_ref());
    let preferred = preferred.into_iter().flatten().map(|term| (term.weight, &term.pod_affinity_term));
    check_pod_terms(required, preferred, &format!("{field}.podAntiAffinity"), causes);
}

fn check_toleration(toleration: &Toleration, field: &str, causes: &mut Causes) {
    let key = toleration.key.as_deref().unwrap_or_default();
    let operator = toleration.operator.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !key.is_empty()
        && let Some(problem) = name::label_key(key)
    {
        causes.invalid(format!("{field}.key"), key, &problem);
    }
    if key.is_empty() && operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        causes.invalid(format!("{field}.operator"), operator, detail);
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        causes.invalid(format!("{field}.effect"), effect, detail);
    }
    match operator {
        "" | "Equal" => {
            if let Some(problem) = name::label_value(value) {
                causes.invalid(format!("{field}.operator"), value, &problem);
            }
        }
        "Exists" if !value.is_empty() => {
            causes.invalid(format!("{field}.operator"), value, "value must be empty when `operator` is 'Exists'");
        }
        "Exists" => {}
        other => causes.unsupported(format!("{field}.operator"), other, &["Equal", "Exists"]),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        causes.unsupported(format!("{field}.effect"), effect, &EFFECTS);
    }
}

/// A preference may name values that no label can have: it is only never met.
fn check_node_term(term: &NodeSelectorTerm, is_required: bool, field: &str, causes: &mut Causes) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let count = requirement.values.as_ref().map_or(0, Vec::len);
        match requirement.operator.as_str() {
            "In" | "NotIn" if count == 0 => {
                causes.required(format!("{field}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if count > 0 => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.forbidden(format!("{field}.values"), detail);
            }
            "Gt" | "Lt" if count != 1 => {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                causes.required(format!("{field}.values"), detail);
            }
            known if OPERATORS.contains(&known) => {}
            other => causes.invalid(format!("{field}.operator"), other, "not a valid selector operator"),
        }
        if let Some(problem) = name::label_key(&requirement.key) {
            causes.invalid(format!("{field}.key"), requirement.key.as_str(), &problem);
        }
        if is_required {
            check_values(requirement.values.as_deref().unwrap_or_default(), &field, causes);
        }
    }
}

fn check_values(values: &[String], field: &str, causes: &mut Causes) {
    for (index, value) in values.iter().enumerate() {
        if let Some(problem) = name::label_value(value) {
            causes.invalid(format!("{field}.values[{index}]"), value.as_str(), &problem);
        }
    }
}

fn check_selector(selector: Option<&LabelSelector>, field: &str, causes: &mut Causes) {
    let Some(selector) = selector else { return };
    for (key, value) in selector.match_labels.iter().flatten() {
        for (problem, text) in [(name::label_key(key), key), (name::label_value(value), value)] {
            if let Some(problem) = problem {
                causes.invalid(format!("{field}.matchLabels"), text.as_str(), &problem);
            }
        }
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                causes.required(format!("{field}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.forbidden(format!("{field}.values"), detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => causes.invalid(format!("{field}.operator"), other, "not a valid selector operator"),
        }
        if let Some(problem) = name::label_key(&requirement.key) {
            causes.invalid(format!("{field}.key"), requirement.key.as_str(), &problem);
        }
        check_values(values, &field, causes);
    }
}

fn check_pod_terms<'a>(
    required: Option<&Vec<PodAffinityTerm>>,
    preferred: impl Iterator<Item = (i32, &'a PodAffinityTerm)>,
    field: &str,
    causes: &mut Causes,
) {
    for (index, term) in required.into_iter().flatten().enumerate() {
        let field = format!("{field}.requiredDuringSchedulingIgnoredDuringExecution[{index}]");
        check_pod_term(term, &field, causes);
    }
    for (index, (weight, term)) in preferred.enumerate() {
        let field = format!("{field}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
        check_weight(weight, &field, causes);
        check_pod_term(term, &format!("{field}.podAffinityTerm"), causes);
    }
}

fn check_pod_term(term: &PodAffinityTerm, field: &str, causes: &mut Causes) {
    check_selector(term.label_selector.as_ref(), &format!("{field}.labelSelector"), causes);
    check_selector(term.namespace_selector.as_ref(), &format!("{field}.namespaceSelector"), causes);
    for namespace in term.namespaces.iter().flatten() {
        if let Some(problem) = name::dns_label(namespace) {
            causes.invalid(format!("{field}.namespace"), namespace.as_str(), &problem);
        }
    }
    let field = format!("{field}.topologyKey");
    if term.topology_key.is_empty() {
        causes.required(field, "can not be empty");
    } else if let Some(problem) = name::label_key(&term.topology_key) {
        causes.invalid(field, term.topology_key.as_str(), &problem);
    }
}

fn check_weight(weight: i32, field: &str, causes: &mut Causes) {
    if !(1..=100).contains(&weight) {
        causes.invalid(format!("{field}.weight"), weight, "must be in the range 1-100");
    }
}
