//! Volumes, and the mounts that refer to them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, KeyToPath, Volume};
use serde_json::Value;

use super::{Causes, name};
use crate::quantity::Quantity;

const HOST_PATH_TYPES: [&str; 8] =
    ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

/// Checks the volumes and returns their names.
pub(super) fn check<'a>(volumes: &'a [Volume], field: &str, causes: &mut Causes) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let field = format!("{field}[{index}]");
        causes.named(format!("{field}.name"), &volume.name, name::dns_label);
        if !volume.name.is_empty() && !names.insert(volume.name.as_str()) {
            causes.duplicate(format!("{field}.name"), &volume.name);
        }
        check_source(volume, &field, causes);
    }
    names
}

fn check_source(volume: &Volume, field: &str, causes: &mut Causes) {
    let as_json = serde_json::to_value(volume).unwrap_or_default();
    let sources: Vec<&String> =
        as_json.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| *key != "name").collect();
    match sources.as_slice() {
        [] => causes.required(field, "must specify a volume type"),
        [_] => {}
        [_, others @ ..] => {
            for other in others {
                causes.forbidden(format!("{field}.{other}"), "may not specify more than 1 volume type");
            }
        }
    }
    if let Some(source) = &volume.config_map {
        if source.name.is_empty() {
            causes.required(format!("{field}.configMap.name"), "");
        }
        check_items(source.items.as_deref(), &format!("{field}.configMap"), causes);
        check_mode(source.default_mode, &format!("{field}.configMap.defaultMode"), causes);
    }
    if let Some(source) = &volume.secret {
        if source.secret_name.as_deref().unwrap_or_default().is_empty() {
            causes.required(format!("{field}.secret.secretName"), "");
        }
        check_items(source.items.as_deref(), &format!("{field}.secret"), causes);
        check_mode(source.default_mode, &format!("{field}.secret.defaultMode"), causes);
    }
    if let Some(source) = &volume.persistent_volume_claim
        && source.claim_name.is_empty()
    {
        causes.required(format!("{field}.persistentVolumeClaim.claimName"), "");
    }
    if let Some(source) = &volume.host_path {
        if source.path.is_empty() {
            causes.required(format!("{field}.hostPath.path"), "");
        } else if source.path.split('/').any(|part| part == "..") {
            causes.invalid(format!("{field}.hostPath.path"), source.path.as_str(), "must not contain '..'");
        }
        let kind = source.type_.as_deref().unwrap_or_default();
        if !HOST_PATH_TYPES.contains(&kind) {
            causes.unsupported(format!("{field}.hostPath.type"), kind, &HOST_PATH_TYPES);
        }
    }
    let limit = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref());
    if limit.and_then(|limit| Quantity::parse(&limit.0)).is_some_and(|limit| limit < Quantity::ZERO) {
        let detail = "SizeLimit field must be a valid resource quantity";
        causes.forbidden(format!("{field}.emptyDir.sizeLimit"), detail);
    }
}

fn check_items(items: Option<&[KeyToPath]>, field: &str, causes: &mut Causes) {
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        let field = format!("{field}.items[{index}]");
        if item.key.is_empty() {
            causes.required(format!("{field}.key"), "");
        }
        if item.path.is_empty() {
            causes.required(format!("{field}.path"), "");
        }
        check_local_path(&item.path, &format!("{field}.path"), causes);
        check_mode(item.mode, &format!("{field}.mode"), causes);
    }
}

fn check_mode(mode: Option<i32>, field: &str, causes: &mut Causes) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        causes.invalid(field, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

/// A path that must stay inside of its volume.
pub(super) fn check_local_path(path: &str, field: &str, causes: &mut Causes) {
    if path.starts_with('/') {
        causes.invalid(field, path, "must be a relative path");
    }
    if path.split('/').any(|part| part == "..") {
        causes.invalid(field, path, "must not contain '..'");
    }
}

pub(super) fn check_mounts(container: &Container, field: &str, volumes: &BTreeSet<&str>, causes: &mut Causes) {
    let mut places = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let field = format!("{field}.volumeMounts[{index}]");
        if mount.name.is_empty() {
            causes.required(format!("{field}.name"), "");
        } else if !volumes.contains(mount.name.as_str()) {
            causes.not_found(format!("{field}.name"), &mount.name);
        }
        if mount.mount_path.is_empty() {
            causes.required(format!("{field}.mountPath"), "");
        } else if !places.insert(mount.mount_path.as_str()) {
            causes.invalid(format!("{field}.mountPath"), mount.mount_path.as_str(), "must be unique");
        }
        if let Some(path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
            check_local_path(path, &format!("{field}.subPath"), causes);
            if mount.sub_path_expr.as_deref().is_some_and(|expression| !expression.is_empty()) {
                causes.invalid(
                    format!("{field}.subPathExpr"),
                    Value::from(mount.sub_path_expr.clone()),
                    "subPathExpr and subPath are mutually exclusive",
                );
            }
        }
    }
}
