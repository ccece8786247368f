//! Where the pod may run: tolerations and affinity.

use std::collections::BTreeMap;

use crate::field::{integer, list, map, mapping, text, word, words};
use crate::syntax::Syntax;

mapping! {
    /// A taint the pod tolerates.
    pub struct Toleration {
        /// Key of the taint; without it only `Exists` is possible and all taints are tolerated.
        key: Option<String> = text().blank_unset().syntax(Syntax::QualifiedName);
        /// `Equal` (also when absent) compares the value, `Exists` does not.
        operator: Option<TolerationOperator> = text().blank_unset().words(TolerationOperator::WORDS);
        /// Value of the taint; only with `Equal`.
        value: Option<String> = text().syntax(Syntax::LabelValue);
        /// Effect that is tolerated; empty or absent: all.
        effect: Option<TaintEffect> = text().blank_unset().words(TaintEffect::WORDS);
    }
}

words! {
    /// How a toleration compares.
    pub enum TolerationOperator {
        /// The key is enough.
        Exists = "Exists",
        /// Key and value must be equal.
        Equal = "Equal",
    }
}

words! {
    /// What a taint does.
    pub enum TaintEffect {
        /// No new pod.
        NoSchedule = "NoSchedule",
        /// A new pod only if nothing better is there.
        PreferNoSchedule = "PreferNoSchedule",
        /// Running pods leave, too.
        NoExecute = "NoExecute",
    }
}

mapping! {
    /// Which nodes the pod needs or prefers.
    pub struct Affinity {
        /// By labels of the node.
        node_affinity: NodeAffinity = NodeAffinity::KIND;
        /// Near pods.
        pod_affinity: PodAffinity = PodAffinity::KIND;
        /// Away from pods.
        pod_anti_affinity: PodAffinity = PodAffinity::KIND;
    }
}

mapping! {
    /// Affinity by labels of the node.
    pub struct NodeAffinity {
        /// The node must fit.
        required_during_scheduling_ignored_during_execution: NodeSelector = NodeSelector::KIND;
        /// Fitting nodes are preferred.
        preferred_during_scheduling_ignored_during_execution: Vec<PreferredSchedulingTerm> =
            list(&PreferredSchedulingTerm::KIND);
    }
}

mapping! {
    /// Terms of which one must fit.
    pub struct NodeSelector {
        /// The terms.
        node_selector_terms: Vec<NodeSelectorTerm> = list(&NodeSelectorTerm::KIND);
    }
}

mapping! {
    /// Conditions that must all hold; an empty term fits no node.
    pub struct NodeSelectorTerm {
        /// Conditions on the labels of the node.
        match_expressions: Vec<NodeSelectorRequirement> = list(&NodeSelectorRequirement::KIND);
    }
}

mapping! {
    /// A preference and how much it counts.
    pub struct PreferredSchedulingTerm {
        /// 1 to 100.
        weight: Option<i32> = integer(1, 100), required;
        /// What is preferred.
        preference: Option<NodeSelectorTerm> = NodeSelectorTerm::KIND, required, keep_empty;
    }
}

mapping! {
    /// Affinity by other pods.
    pub struct PodAffinity {
        /// Must hold.
        required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm> = list(&PodAffinityTerm::KIND);
        /// Preferred.
        preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm> =
            list(&WeightedPodAffinityTerm::KIND);
    }
}

mapping! {
    /// A preferred term and how much it counts.
    pub struct WeightedPodAffinityTerm {
        /// 1 to 100.
        weight: Option<i32> = integer(1, 100), required;
        /// The term.
        pod_affinity_term: Option<PodAffinityTerm> = PodAffinityTerm::KIND, required, keep_empty;
    }
}

mapping! {
    /// Pods, and the node label that says what "near" means.
    pub struct PodAffinityTerm {
        /// Node label whose equal value means near, as `kubernetes.io/hostname`.
        topology_key: Option<String> = text().not_blank().syntax(Syntax::QualifiedName), required;
        /// Which pods; `{}` is all, absent is none.
        label_selector: Option<LabelSelector> = LabelSelector::KIND, keep_empty;
        /// In which namespaces; `{}` is all, absent only `namespaces`.
        namespace_selector: Option<LabelSelector> = LabelSelector::KIND, keep_empty;
        /// Namespaces by name; with neither this nor a selector the pod's own.
        namespaces: Vec<String> = list(&text().not_blank().syntax(Syntax::DnsLabel));
    }
}

mapping! {
    /// Conditions on labels that must all hold.
    pub struct LabelSelector {
        /// Labels with these values.
        match_labels: BTreeMap<String, String> =
            map(&text().syntax(Syntax::LabelValue)).keys(Syntax::QualifiedName);
        /// Further conditions.
        match_expressions: Vec<LabelSelectorRequirement> = list(&LabelSelectorRequirement::KIND);
    }
}

mapping! {
    /// A condition on a label of a node.
    pub struct NodeSelectorRequirement {
        /// Key of the label.
        key: Option<String> = text().not_blank().syntax(Syntax::QualifiedName), required;
        /// How the label is compared.
        operator: Option<NodeSelectorOperator> = word(NodeSelectorOperator::WORDS), required;
        /// `In`, `NotIn`: at least one. `Exists`, `DoesNotExist`: none. `Gt`, `Lt`: one integer, as text.
        values: Vec<String> = list(&text().expected(Syntax::LabelValue));
    }
}

mapping! {
    /// A condition on a label of a pod or namespace.
    pub struct LabelSelectorRequirement {
        /// Key of the label.
        key: Option<String> = text().not_blank().syntax(Syntax::QualifiedName), required;
        /// How the label is compared.
        operator: Option<LabelSelectorOperator> = word(LabelSelectorOperator::WORDS), required;
        /// `In`, `NotIn`: at least one. `Exists`, `DoesNotExist`: none.
        values: Vec<String> = list(&text().expected(Syntax::LabelValue));
    }
}

words! {
    /// How a label of a node is compared.
    pub enum NodeSelectorOperator {
        /// One of the values.
        In = "In",
        /// None of the values.
        NotIn = "NotIn",
        /// The label is there.
        Exists = "Exists",
        /// The label is not there.
        DoesNotExist = "DoesNotExist",
        /// Greater than the value, as integers.
        Gt = "Gt",
        /// Less than the value, as integers.
        Lt = "Lt",
    }
}

words! {
    /// How a label of a pod or namespace is compared.
    pub enum LabelSelectorOperator {
        /// One of the values.
        In = "In",
        /// None of the values.
        NotIn = "NotIn",
        /// The label is there.
        Exists = "Exists",
        /// The label is not there.
        DoesNotExist = "DoesNotExist",
    }
}
