//! `spec.podFailurePolicy`.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy>

use k8s_openapi::api::batch::v1::{JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement};
use serde_json::Value;

use super::{Causes, name};

const MAX_RULES: usize = 20;
const MAX_VALUES: usize = 255;
const MAX_PATTERNS: usize = 20;

pub(super) fn check(policy: &PodFailurePolicy, spec: &JobSpec, causes: &mut Causes) {
    let template = spec.template.spec.as_ref();
    let restart = template.and_then(|spec| spec.restart_policy.as_deref()).unwrap_or_default();
    if restart != "Never" {
        let detail = "only \"Never\" is supported when podFailurePolicy is specified";
        causes.invalid("spec.template.spec.restartPolicy", restart, detail);
    }
    let containers = template.into_iter().flat_map(|spec| {
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).map(|container| container.name.as_str())
    });
    let containers: Vec<&str> = containers.collect();
    if policy.rules.len() > MAX_RULES {
        causes.add(
            "FieldValueTooMany",
            "spec.podFailurePolicy.rules",
            format!("Too many: {}: must have at most {MAX_RULES} items", policy.rules.len()),
        );
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let field = format!("spec.podFailurePolicy.rules[{index}]");
        match rule.action.as_str() {
            "FailIndex" => {
                let detail = "requires the backoffLimitPerIndex to be set";
                causes.invalid(format!("{field}.action"), "FailIndex", detail);
            }
            action => causes.one_of(format!("{field}.action"), action, &["Count", "FailIndex", "FailJob", "Ignore"]),
        }
        let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
        match (&rule.on_exit_codes, patterns.is_empty()) {
            (Some(_), false) => {
                causes.invalid(
                    field.as_str(),
                    Value::Null,
                    "specifying one of OnExitCodes and OnPodConditions is not supported",
                );
            }
            (None, true) => {
                causes.invalid(
                    field.as_str(),
                    Value::Null,
                    "specifying one of OnExitCodes and OnPodConditions is required",
                );
            }
            (Some(codes), true) => check_codes(codes, &containers, &format!("{field}.onExitCodes"), causes),
            (None, false) => {}
        }
        if patterns.len() > MAX_PATTERNS {
            causes.add(
                "FieldValueTooMany",
                format!("{field}.onPodConditions"),
                format!("Too many: {}: must have at most {MAX_PATTERNS} items", patterns.len()),
            );
        }
        for (index, pattern) in patterns.iter().enumerate() {
            let field = format!("{field}.onPodConditions[{index}]");
            causes.named(format!("{field}.type"), &pattern.type_, name::label_key);
            let status = pattern.status.as_deref().unwrap_or("True");
            causes.one_of(format!("{field}.status"), status, &["False", "True", "Unknown"]);
        }
    }
}

fn check_codes(codes: &PodFailurePolicyOnExitCodesRequirement, containers: &[&str], field: &str, causes: &mut Causes) {
    causes.one_of(format!("{field}.operator"), &codes.operator, &["In", "NotIn"]);
    if let Some(container) = codes.container_name.as_deref().filter(|name| !containers.contains(name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        causes.invalid(format!("{field}.containerName"), container, detail);
    }
    if codes.values.is_empty() {
        causes.invalid(format!("{field}.values"), Value::from(Vec::<i32>::new()), "at least one value is required");
    } else if codes.values.len() > MAX_VALUES {
        causes.add(
            "FieldValueTooMany",
            format!("{field}.values"),
            format!("Too many: {}: must have at most {MAX_VALUES} items", codes.values.len()),
        );
    }
    let mut sorted = codes.values.clone();
    sorted.sort_unstable();
    if sorted != codes.values {
        causes.invalid(format!("{field}.values"), codes.values.clone(), "must be ordered");
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, value) in codes.values.iter().enumerate() {
        let field = format!("{field}.values[{index}]");
        if codes.operator == "In" && *value == 0 {
            causes.invalid(field.as_str(), *value, "must not be 0 for the In operator");
        }
        if !seen.insert(value) {
            causes.duplicate(field, &value.to_string());
        }
    }
}
