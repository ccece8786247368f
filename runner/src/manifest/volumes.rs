//! Volumes of the pod and where the container sees them.

use k8s_openapi::api::core::v1 as core;
use model::config::volumes::{
    ConfigMapVolume, EmptyDir, HostPath, PersistentVolumeClaim, SecretVolume, Volume, VolumeMount,
};

use super::{container, text, word};

pub(super) fn volume(volume: &Volume) -> core::Volume {
    let Volume { name, empty_dir, host_path, config_map, secret, persistent_volume_claim } = volume;
    core::Volume {
        name: text(name),
        empty_dir: empty_dir.as_ref().map(self::empty_dir),
        host_path: host_path.as_ref().map(self::host_path),
        config_map: config_map
            .as_ref()
            .map(|ConfigMapVolume { name }| core::ConfigMapVolumeSource { name: text(name), ..Default::default() }),
        secret: secret.as_ref().map(|SecretVolume { secret_name }| core::SecretVolumeSource {
            secret_name: secret_name.clone(),
            ..Default::default()
        }),
        persistent_volume_claim: persistent_volume_claim.as_ref().map(claim),
        ..core::Volume::default()
    }
}

fn empty_dir(folder: &EmptyDir) -> core::EmptyDirVolumeSource {
    let EmptyDir { medium, size_limit } = folder;
    core::EmptyDirVolumeSource {
        medium: medium.clone(),
        size_limit: size_limit.as_ref().map(container::written),
        ..core::EmptyDirVolumeSource::default()
    }
}

fn host_path(path: &HostPath) -> core::HostPathVolumeSource {
    let HostPath { path, host_path_type } = path;
    // Kubernetes fills an absent type in with the empty one; written, the stored Job shows no difference to the sent one.
    core::HostPathVolumeSource { path: text(path), type_: Some(word(host_path_type)) }
}

fn claim(claim: &PersistentVolumeClaim) -> core::PersistentVolumeClaimVolumeSource {
    let PersistentVolumeClaim { claim_name, read_only } = claim;
    core::PersistentVolumeClaimVolumeSource { claim_name: text(claim_name), read_only: only_true(*read_only) }
}

pub(super) fn mount(mount: &VolumeMount) -> core::VolumeMount {
    let VolumeMount { name, mount_path, sub_path, read_only } = mount;
    core::VolumeMount {
        name: text(name),
        mount_path: text(mount_path),
        sub_path: sub_path.clone().filter(|path| !path.is_empty()),
        read_only: only_true(*read_only),
        ..core::VolumeMount::default()
    }
}

/// Kubernetes stores no `readOnly: false`: it means the same as an absent one.
fn only_true(flag: Option<bool>) -> Option<bool> {
    flag.filter(|flag| *flag)
}
