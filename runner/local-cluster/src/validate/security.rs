//! Security contexts of pods and containers.

use k8s_openapi::api::core::v1::{PodSecurityContext, SeccompProfile, SecurityContext, Sysctl};
use serde_json::Value;

use super::{Causes, name, volumes};

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL: &str = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

pub(super) fn check_pod(context: &PodSecurityContext, field: &str, causes: &mut Causes) {
    let ids = [("fsGroup", context.fs_group), ("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)];
    ids.into_iter().for_each(|(id, value)| check_id(value, &format!("{field}.{id}"), causes));
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        check_id(Some(*group), &format!("{field}.supplementalGroups[{index}]"), causes);
    }
    check_sysctls(context.sysctls.as_deref().unwrap_or_default(), &format!("{field}.sysctls"), causes);
    if let Some(policy) = &context.fs_group_change_policy
        && !["Always", "OnRootMismatch"].contains(&policy.as_str())
    {
        causes.unsupported(format!("{field}.fsGroupChangePolicy"), policy, &["Always", "OnRootMismatch"]);
    }
    check_profile(context.seccomp_profile.as_ref(), &format!("{field}.seccompProfile"), causes);
}

pub(super) fn check_container(context: &SecurityContext, field: &str, causes: &mut Causes) {
    check_id(context.run_as_user, &format!("{field}.runAsUser"), causes);
    check_id(context.run_as_group, &format!("{field}.runAsGroup"), causes);
    check_profile(context.seccomp_profile.as_ref(), &format!("{field}.seccompProfile"), causes);
    if context.allow_privilege_escalation != Some(false) {
        return;
    }
    if context.privileged == Some(true) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        causes.invalid(field, Value::Null, detail);
    }
    let added = context.capabilities.iter().flat_map(|capabilities| capabilities.add.iter().flatten());
    if added.into_iter().any(|capability| capability == "CAP_SYS_ADMIN") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        causes.invalid(field, Value::Null, detail);
    }
}

fn check_id(id: Option<i64>, field: &str, causes: &mut Causes) {
    if let Some(id) = id.filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        causes.invalid(field, id, "must be between 0 and 2147483647, inclusive");
    }
}

fn check_sysctls(sysctls: &[Sysctl], field: &str, causes: &mut Causes) {
    for (index, sysctl) in sysctls.iter().enumerate() {
        let field = format!("{field}[{index}].name");
        if sysctl.name.is_empty() {
            causes.required(field, "");
        } else if !name::is_sysctl(&sysctl.name) {
            causes.invalid(field, sysctl.name.as_str(), SYSCTL);
        } else if sysctls.iter().take(index).any(|before| before.name == sysctl.name) {
            causes.duplicate(field, &sysctl.name);
        }
    }
}

fn check_profile(profile: Option<&SeccompProfile>, field: &str, causes: &mut Causes) {
    let Some(SeccompProfile { type_, localhost_profile }) = profile else { return };
    if type_.is_empty() {
        causes.required(format!("{field}.type"), "type is required when seccompProfile is set");
    } else if !PROFILES.contains(&type_.as_str()) {
        causes.unsupported(format!("{field}.type"), type_, &PROFILES);
    }
    let path = format!("{field}.localhostProfile");
    match (type_.as_str(), localhost_profile) {
        ("Localhost", None) => causes.required(path, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(profile)) => volumes::check_local_path(profile, &path, causes),
        (_, Some(profile)) => causes.invalid(path, profile.as_str(), "can only be set when seccomp type is Localhost"),
        (_, None) => {}
    }
}
