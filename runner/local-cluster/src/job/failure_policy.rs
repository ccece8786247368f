//! Which rule of a Job's pod failure policy a failed pod meets.

use k8s_openapi::api::batch::v1::{PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement};
use k8s_openapi::api::core::v1::Pod;

/// What a failed pod means to its Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The whole Job fails, with this message.
    FailJob(String),
    /// The pod does not count.
    Ignore,
    /// It counts towards the backoff limit: a rule says so, or none fits.
    Count,
}

/// Judges a failed pod: the first rule that fits decides.
pub(super) fn judge(policy: &PodFailurePolicy, pod: &Pod) -> Judgement {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    for (index, rule) in policy.rules.iter().enumerate() {
        let by_code = rule.on_exit_codes.as_ref().and_then(|codes| fitting_container(codes, pod)).map(|(container, code)| {
            format!(
                "Container {container} for pod {namespace}/{name} failed with exit code {code} matching {} rule at index {index}",
                rule.action
            )
        });
        let by_condition = || {
            let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let mut fitting = conditions.filter(|condition| {
                patterns.iter().any(|pattern| {
                    pattern.type_ == condition.type_ && pattern.status.as_deref().unwrap_or("True") == condition.status
                })
            });
            let condition = fitting.next()?;
            Some(format!(
                "Pod {namespace}/{name} has condition {} matching {} rule at index {index}",
                condition.type_, rule.action
            ))
        };
        if let Some(message) = by_code.or_else(by_condition) {
            return match rule.action.as_str() {
                "FailJob" => Judgement::FailJob(message),
                "Ignore" => Judgement::Ignore,
                _ => Judgement::Count,
            };
        }
    }
    Judgement::Count
}

fn fitting_container(codes: &PodFailurePolicyOnExitCodesRequirement, pod: &Pod) -> Option<(String, i32)> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let ended = containers.filter_map(|container| {
        let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
        Some((container.name.clone(), code))
    });
    let mut fitting = ended
        // A container that succeeded is never a reason.
        .filter(|(_, code)| *code != 0)
        .filter(|(name, _)| codes.container_name.as_ref().is_none_or(|wanted| wanted == name))
        .filter(|(_, code)| codes.values.contains(code) == (codes.operator == "In"));
    fitting.next()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(rules: Value, status: Value, expected: &Judgement) {
        let policy: PodFailurePolicy = serde_json::from_value(json!({ "rules": rules })).unwrap();
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "status": status});
        assert_eq!(judge(&policy, &serde_json::from_value(pod).unwrap()), *expected);
    }

    fn ended(code: i32) -> Value {
        json!({"containerStatuses": [
            {"name": "proxy", "state": {"terminated": {"exitCode": 0}}},
            {"name": "step", "state": {"terminated": {"exitCode": code}}},
        ]})
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let fail = json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}});
        let ignore = json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]});
        let message = "Container step for pod n/p failed with exit code 42 matching FailJob rule at index 0";
        check(json!([fail, ignore]), ended(42), &Judgement::FailJob(message.to_owned()));
        check(json!([fail, ignore]), ended(1), &Judgement::Count);
        let mut disrupted = ended(42);
        disrupted["conditions"] = json!([{"type": "DisruptionTarget", "status": "True"}]);
        check(json!([ignore, fail]), disrupted, &Judgement::Ignore);
    }

    #[test]
    fn a_rule_may_be_about_one_container_and_about_other_codes() {
        let rule = json!([{"action": "Ignore",
            "onExitCodes": {"containerName": "proxy", "operator": "NotIn", "values": [7]}}]);
        check(rule, ended(1), &Judgement::Count);
        let rule = json!([{"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [7]}}]);
        check(rule.clone(), ended(1), &Judgement::Ignore);
        check(rule, ended(7), &Judgement::Count);
    }
}
