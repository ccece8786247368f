//! Requests and limits of containers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;

use super::{Causes, name};
use crate::quantity::Quantity;

const HUGE_PAGES: &str = "hugepages-";
/// What is counted in quotas, and is no resource of a container.
const OF_QUOTAS: [&str; 16] = [
    "pods",
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
];

pub(super) fn check(resources: &ResourceRequirements, field: &str, causes: &mut Causes) {
    let none = BTreeMap::new();
    let limits = resources.limits.as_ref().unwrap_or(&none);
    let requests = resources.requests.as_ref().unwrap_or(&none);
    for (kind, amounts) in [("limits", limits), ("requests", requests)] {
        for (resource, Amount(text)) in amounts {
            let field = format!("{field}.{kind}[{resource}]");
            check_name(resource, &field, causes);
            check_amount(resource, text, &field, causes);
        }
    }
    for (resource, Amount(request)) in requests {
        let Some(asked) = Quantity::parse(request) else { continue };
        let limit = limits.get(resource).and_then(|Amount(limit)| Some((limit, Quantity::parse(limit)?)));
        let requests = format!("{field}.requests");
        match limit {
            Some((text, limit)) if asked != limit && !may_be_overcommitted(resource) => {
                causes.invalid(requests, request.as_str(), &format!("must be equal to {resource} limit of {text}"));
            }
            Some((text, limit)) if asked > limit => {
                let detail = format!("must be less than or equal to {resource} limit of {text}");
                causes.invalid(requests, request.as_str(), &detail);
            }
            None if !may_be_overcommitted(resource) => {
                causes.required(format!("{field}.limits"), "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
    }
    let mut all = limits.keys().chain(requests.keys());
    if all.clone().any(|resource| is_huge_page(resource))
        && !all.any(|resource| matches!(resource.as_str(), "cpu" | "memory"))
    {
        causes.forbidden(field, "HugePages require cpu or memory");
    }
}

fn check_name(resource: &str, field: &str, causes: &mut Causes) {
    if let Some(problem) = name::label_key(resource) {
        return causes.invalid(field, resource, &problem);
    }
    if !resource.contains('/') {
        let is_of_containers = matches!(resource, "cpu" | "memory" | "ephemeral-storage") || is_huge_page(resource);
        if !is_of_containers && !OF_QUOTAS.contains(&resource) && !resource.starts_with("requests.hugepages-") {
            causes.invalid(field, resource, "must be a standard resource type or fully qualified");
        }
        if !is_of_containers {
            causes.invalid(field, resource, "must be a standard resource for containers");
        }
    } else if !is_native(resource) && !is_extended(resource) {
        causes.invalid(field, resource, "doesn't follow extended resource name standard");
    }
}

fn check_amount(resource: &str, text: &str, field: &str, causes: &mut Causes) {
    // What is no quantity does not come this far.
    let Some(amount) = Quantity::parse(text) else { return };
    if amount < Quantity::ZERO {
        causes.invalid(field, text, "must be greater than or equal to 0");
    }
    if is_extended(resource) && !amount.is_whole() {
        causes.invalid(field, text, "must be an integer");
    }
    if let Some(size) = resource.strip_prefix(HUGE_PAGES) {
        let divides = |size: Quantity| size > Quantity::ZERO && size.is_whole() && amount.is_multiple_of(size);
        if !Quantity::parse(size).is_some_and(divides) {
            causes.invalid(field, text, &format!("{text} is not positive integer multiple of {resource}"));
        }
    }
}

fn is_huge_page(resource: &str) -> bool {
    resource.starts_with(HUGE_PAGES)
}

/// In the name space of Kubernetes itself, where names without a prefix are.
fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

fn is_extended(resource: &str) -> bool {
    let for_quotas = format!("requests.{resource}");
    !is_native(resource) && !resource.starts_with("requests.") && name::label_key(&for_quotas).is_none()
}

fn may_be_overcommitted(resource: &str) -> bool {
    is_native(resource) && !is_huge_page(resource)
}
