//! The one container: image, command, environment, resources, mounts and its security context.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use model::config::EffectiveConfig;
use model::config::env::{EnvFrom, EnvVar, FieldRef, KeyRef, NameRef, ValueFrom};
use model::config::resources::Resources;
use model::config::security::{Capabilities, SecurityContext};
use model::quantity::Quantity;

use super::{CONTAINER, pod, text, unless_empty, volumes};

pub(super) fn container(config: &EffectiveConfig, argv: Option<&[String]>) -> core::Container {
    core::Container {
        name: CONTAINER.to_owned(),
        image: config.image.clone(),
        image_pull_policy: config.image_pull_policy.clone().map(String::from),
        // The whole argv, never `args`: the image's entry point takes no part once there is a command.
        command: argv.map(<[String]>::to_vec),
        working_dir: config.working_dir.clone(),
        env: unless_empty(config.env.iter().map(variable).collect()),
        env_from: unless_empty(config.env_from.iter().map(variables).collect()),
        resources: unless_empty(resources(&config.resources)),
        volume_mounts: unless_empty(config.volume_mounts.iter().map(volumes::mount).collect()),
        security_context: unless_empty(security_context(&config.security_context)),
        ..core::Container::default()
    }
}

fn variable(variable: &EnvVar) -> core::EnvVar {
    let EnvVar { name, value, value_from } = variable;
    core::EnvVar { name: text(name), value: value.clone(), value_from: value_from.as_ref().map(source) }
}

fn source(source: &ValueFrom) -> core::EnvVarSource {
    let ValueFrom { secret_key_ref, config_map_key_ref, field_ref } = source;
    core::EnvVarSource {
        secret_key_ref: secret_key_ref.as_ref().map(|KeyRef { name, key }| core::SecretKeySelector {
            name: text(name),
            key: text(key),
            optional: None,
        }),
        config_map_key_ref: config_map_key_ref.as_ref().map(|KeyRef { name, key }| core::ConfigMapKeySelector {
            name: text(name),
            key: text(key),
            optional: None,
        }),
        field_ref: field_ref.as_ref().map(|FieldRef { field_path }| core::ObjectFieldSelector {
            api_version: None,
            field_path: text(field_path),
        }),
        ..core::EnvVarSource::default()
    }
}

fn variables(variables: &EnvFrom) -> core::EnvFromSource {
    let EnvFrom { config_map_ref, secret_ref, prefix } = variables;
    core::EnvFromSource {
        config_map_ref: config_map_ref
            .as_ref()
            .map(|NameRef { name }| core::ConfigMapEnvSource { name: text(name), optional: None }),
        secret_ref: secret_ref
            .as_ref()
            .map(|NameRef { name }| core::SecretEnvSource { name: text(name), optional: None }),
        prefix: prefix.clone().filter(|prefix| !prefix.is_empty()),
    }
}

fn resources(resources: &Resources) -> core::ResourceRequirements {
    let Resources { requests, limits } = resources;
    core::ResourceRequirements {
        requests: unless_empty(amounts(requests)),
        limits: unless_empty(amounts(limits)),
        claims: None,
    }
}

/// The texts as written: another unit would show up as a difference to the file.
fn amounts(amounts: &BTreeMap<String, Quantity>) -> BTreeMap<String, Written> {
    amounts.iter().map(|(name, amount)| (name.clone(), written(amount))).collect()
}

pub(super) fn written(quantity: &Quantity) -> Written {
    Written(quantity.as_str().to_owned())
}

fn security_context(context: &SecurityContext) -> core::SecurityContext {
    let SecurityContext {
        run_as_user,
        run_as_group,
        run_as_non_root,
        privileged,
        read_only_root_filesystem,
        allow_privilege_escalation,
        capabilities,
        seccomp_profile,
    } = context;
    core::SecurityContext {
        run_as_user: *run_as_user,
        run_as_group: *run_as_group,
        run_as_non_root: *run_as_non_root,
        privileged: *privileged,
        read_only_root_filesystem: *read_only_root_filesystem,
        allow_privilege_escalation: *allow_privilege_escalation,
        capabilities: unless_empty(self::capabilities(capabilities)),
        seccomp_profile: pod::seccomp_profile(seccomp_profile),
        ..core::SecurityContext::default()
    }
}

fn capabilities(capabilities: &Capabilities) -> core::Capabilities {
    let Capabilities { add, drop } = capabilities;
    core::Capabilities { add: unless_empty(add.clone()), drop: unless_empty(drop.clone()) }
}
