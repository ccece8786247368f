//! What the end of a pod means for the Job.

use crate::field::{fixed_text, integer, list, mapping, text, word, words};
use crate::syntax::Syntax;

mapping! {
    /// Rules that are asked in order when a pod failed; the first that fits decides.
    pub struct PodFailurePolicy {
        /// At most 20 rules.
        rules: Vec<PodFailurePolicyRule> = list(&PodFailurePolicyRule::KIND).length(0, 20);
    }
}

mapping! {
    /// One rule: exactly one of `on_exit_codes` and `on_pod_conditions`.
    pub struct PodFailurePolicyRule [exactly one of "on_exit_codes", "on_pod_conditions"] {
        /// What is done.
        action: Option<FailurePolicyAction> = word(FailurePolicyAction::WORDS), required;
        /// Fits by the exit code.
        on_exit_codes: Option<OnExitCodes> = OnExitCodes::KIND, keep_empty;
        /// Fits by conditions of the pod; 1 to 20 patterns.
        on_pod_conditions: Option<Vec<OnPodCondition>> = list(&OnPodCondition::KIND).length(1, 20);
    }
}

words! {
    /// What a rule does.
    pub enum FailurePolicyAction {
        /// The Job fails at once.
        FailJob = "FailJob",
        /// The failure does not count; another pod is started.
        Ignore = "Ignore",
        /// The failure counts towards `backoff_limit`.
        Count = "Count",
    }
}

mapping! {
    /// Exit codes a rule fits.
    pub struct OnExitCodes {
        /// Only `step`: there is no other container.
        container_name: Option<String> = fixed_text();
        /// Whether the code must be in the list or must not.
        operator: Option<ExitCodesOperator> = word(ExitCodesOperator::WORDS), required;
        /// 1 to 255 codes, none twice, no 0 with `In`; ascending in the manifest.
        values: Vec<i32> = list(&integer(i32::MIN as i64, i32::MAX as i64)).length(1, 255).unique("").in_layer(), required;
    }
}

words! {
    /// How exit codes are compared.
    pub enum ExitCodesOperator {
        /// One of the codes.
        In = "In",
        /// None of the codes.
        NotIn = "NotIn",
    }
}

mapping! {
    /// A condition of a pod.
    pub struct OnPodCondition {
        /// Type of the condition, as `DisruptionTarget`.
        condition_type as "type": Option<String> = text().not_blank().syntax(Syntax::QualifiedName), required;
        /// Its status; default `True`. Quoted in YAML.
        status: Option<ConditionStatus> = word(ConditionStatus::WORDS).default_text("True");
    }
}

words! {
    /// Status of a condition.
    pub enum ConditionStatus {
        /// It holds.
        True = "True",
        /// It does not hold.
        False = "False",
        /// Nobody knows.
        Unknown = "Unknown",
    }
}
