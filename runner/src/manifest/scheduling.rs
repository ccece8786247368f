//! Where the pod may run: tolerations and affinity.
//!
//! A part of an affinity with nothing in it is not written. A selector, a preference and a term of a node selector are
//! written even when empty: there an empty one fits everything or nothing, and an absent one means something else.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use model::config::scheduling::{
    Affinity, LabelSelector, LabelSelectorRequirement, NodeAffinity, NodeSelector, NodeSelectorRequirement,
    NodeSelectorTerm, PodAffinity, PodAffinityTerm, PreferredSchedulingTerm, Toleration, WeightedPodAffinityTerm,
};

use super::{text, unless_empty, word};

pub(super) fn toleration(toleration: &Toleration) -> core::Toleration {
    let Toleration { key, operator, value, effect } = toleration;
    core::Toleration {
        key: key.clone(),
        operator: operator.clone().map(String::from),
        value: value.clone(),
        effect: effect.clone().map(String::from),
        toleration_seconds: None,
    }
}

pub(super) fn affinity(affinity: &Affinity) -> Option<core::Affinity> {
    let Affinity { node_affinity, pod_affinity, pod_anti_affinity } = affinity;
    unless_empty(core::Affinity {
        node_affinity: unless_empty(self::node_affinity(node_affinity)),
        pod_affinity: unless_empty(core::PodAffinity {
            required_during_scheduling_ignored_during_execution: required(pod_affinity),
            preferred_during_scheduling_ignored_during_execution: preferred(pod_affinity),
        }),
        pod_anti_affinity: unless_empty(core::PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: required(pod_anti_affinity),
            preferred_during_scheduling_ignored_during_execution: preferred(pod_anti_affinity),
        }),
    })
}

fn node_affinity(affinity: &NodeAffinity) -> core::NodeAffinity {
    let NodeAffinity {
        required_during_scheduling_ignored_during_execution: NodeSelector { node_selector_terms },
        preferred_during_scheduling_ignored_during_execution: preferred,
    } = affinity;
    core::NodeAffinity {
        required_during_scheduling_ignored_during_execution: unless_empty(
            node_selector_terms.iter().map(node_term).collect(),
        )
        .map(|node_selector_terms| core::NodeSelector { node_selector_terms }),
        preferred_during_scheduling_ignored_during_execution: unless_empty(
            preferred.iter().map(preferred_node).collect(),
        ),
    }
}

fn preferred_node(term: &PreferredSchedulingTerm) -> core::PreferredSchedulingTerm {
    let PreferredSchedulingTerm { weight, preference } = term;
    core::PreferredSchedulingTerm {
        weight: weight.unwrap_or_default(),
        preference: preference.as_ref().map(node_term).unwrap_or_default(),
    }
}

fn node_term(term: &NodeSelectorTerm) -> core::NodeSelectorTerm {
    let NodeSelectorTerm { match_expressions } = term;
    core::NodeSelectorTerm {
        match_expressions: unless_empty(match_expressions.iter().map(node_requirement).collect()),
        match_fields: None,
    }
}

fn node_requirement(requirement: &NodeSelectorRequirement) -> core::NodeSelectorRequirement {
    let NodeSelectorRequirement { key, operator, values } = requirement;
    core::NodeSelectorRequirement { key: text(key), operator: word(operator), values: unless_empty(values.clone()) }
}

fn required(affinity: &PodAffinity) -> Option<Vec<core::PodAffinityTerm>> {
    unless_empty(affinity.required_during_scheduling_ignored_during_execution.iter().map(pod_term).collect())
}

fn preferred(affinity: &PodAffinity) -> Option<Vec<core::WeightedPodAffinityTerm>> {
    unless_empty(affinity.preferred_during_scheduling_ignored_during_execution.iter().map(weighted).collect())
}

fn weighted(term: &WeightedPodAffinityTerm) -> core::WeightedPodAffinityTerm {
    let WeightedPodAffinityTerm { weight, pod_affinity_term } = term;
    core::WeightedPodAffinityTerm {
        weight: weight.unwrap_or_default(),
        pod_affinity_term: pod_affinity_term.as_ref().map(pod_term).unwrap_or_default(),
    }
}

fn pod_term(term: &PodAffinityTerm) -> core::PodAffinityTerm {
    let PodAffinityTerm { topology_key, label_selector, namespace_selector, namespaces } = term;
    core::PodAffinityTerm {
        topology_key: text(topology_key),
        label_selector: label_selector.as_ref().map(selector),
        namespace_selector: namespace_selector.as_ref().map(selector),
        namespaces: unless_empty(namespaces.clone()),
        ..core::PodAffinityTerm::default()
    }
}

fn selector(selector: &LabelSelector) -> meta::LabelSelector {
    let LabelSelector { match_labels, match_expressions } = selector;
    meta::LabelSelector {
        match_labels: unless_empty(match_labels.clone()),
        match_expressions: unless_empty(match_expressions.iter().map(label_requirement).collect()),
    }
}

fn label_requirement(requirement: &LabelSelectorRequirement) -> meta::LabelSelectorRequirement {
    let LabelSelectorRequirement { key, operator, values } = requirement;
    meta::LabelSelectorRequirement { key: text(key), operator: word(operator), values: unless_empty(values.clone()) }
}
