//! The pod: one container, the placement, and the pod's security context.

use k8s_openapi::api::core::v1 as core;
use model::config::EffectiveConfig;
use model::config::security::{PodSecurityContext, SeccompProfile, Sysctl};

use super::{container, scheduling, text, unless_empty, volumes};

pub(super) fn spec(config: &EffectiveConfig, argv: Option<&[String]>) -> core::PodSpec {
    core::PodSpec {
        // The Job starts a new pod instead, so that each has its own log and exit code.
        restart_policy: Some("Never".to_owned()),
        service_account_name: config.service_account.clone(),
        node_selector: unless_empty(config.node_selector.clone()),
        tolerations: unless_empty(config.tolerations.iter().map(scheduling::toleration).collect()),
        affinity: scheduling::affinity(&config.affinity),
        security_context: unless_empty(security_context(&config.pod_security_context)),
        image_pull_secrets: unless_empty(
            config.image_pull_secrets.iter().map(|name| core::LocalObjectReference { name: name.clone() }).collect(),
        ),
        termination_grace_period_seconds: config.termination_grace_period_seconds,
        priority_class_name: config.priority_class_name.clone(),
        volumes: unless_empty(config.volumes.iter().map(volumes::volume).collect()),
        containers: vec![container::container(config, argv)],
        ..core::PodSpec::default()
    }
}

fn security_context(context: &PodSecurityContext) -> core::PodSecurityContext {
    let PodSecurityContext {
        run_as_user,
        run_as_group,
        run_as_non_root,
        fs_group,
        fs_group_change_policy,
        supplemental_groups,
        sysctls,
        seccomp_profile,
    } = context;
    core::PodSecurityContext {
        run_as_user: *run_as_user,
        run_as_group: *run_as_group,
        run_as_non_root: *run_as_non_root,
        fs_group: *fs_group,
        fs_group_change_policy: fs_group_change_policy.clone().map(String::from),
        supplemental_groups: unless_empty(supplemental_groups.clone()),
        sysctls: unless_empty(sysctls.iter().map(sysctl).collect()),
        seccomp_profile: self::seccomp_profile(seccomp_profile),
        ..core::PodSecurityContext::default()
    }
}

fn sysctl(sysctl: &Sysctl) -> core::Sysctl {
    let Sysctl { name, value } = sysctl;
    core::Sysctl { name: text(name), value: text(value) }
}

/// The profile of pod or container; none: nothing is set.
pub(super) fn seccomp_profile(profile: &SeccompProfile) -> Option<core::SeccompProfile> {
    let SeccompProfile { seccomp_type, localhost_profile } = profile;
    seccomp_type.clone().map(|seccomp_type| core::SeccompProfile {
        type_: seccomp_type.into(),
        localhost_profile: localhost_profile.clone(),
    })
}
