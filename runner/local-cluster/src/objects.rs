//! Objects that are there without a request: the node, namespaces, and what a user brings in manifests.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::seconds;
use crate::object::{Key, Metadata, metadata_mut, set};
use crate::pod::NODE;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::schema;
use crate::shared::Shared;
use crate::write::{self, Part};

/// Why a manifest was not applied. The list before it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It is no Secret and no ConfigMap.
    #[error("{api_version} {kind} `{name}`: the local cluster takes Secrets and ConfigMaps from manifests")]
    Kind {
        /// `apiVersion` as found.
        api_version: String,
        /// `kind` as found.
        kind: String,
        /// `metadata.name` as found.
        name: String,
    },
    /// The API refuses it.
    #[error("{kind} `{name}`")]
    Refused {
        /// `kind` of the manifest.
        kind: &'static str,
        /// `metadata.name` of the manifest.
        name: String,
        /// The API's answer.
        #[source]
        refusal: Refusal,
    },
}

pub(crate) fn put_node(shared: &Shared) {
    let now = seconds(shared.now());
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": NODE, "uid": Uuid::new_v4().to_string(), "creationTimestamp": now,
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": std::env::consts::OS},
        },
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
            "capacity": {"cpu": cores.to_string(), "pods": "10000"},
            "allocatable": {"cpu": cores.to_string(), "pods": "10000"},
            "conditions": [
                condition("Ready", "True", "KubeletReady", "the local cluster runs"),
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "not looked at"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "not looked at"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "not looked at"),
            ],
            "nodeInfo": {
                "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "",
                "containerRuntimeVersion": "local://processes", "kubeletVersion": "local", "kubeProxyVersion": "",
                "operatingSystem": std::env::consts::OS, "architecture": std::env::consts::ARCH,
            },
        },
    });
    shared.store().put(&Key::new(Resource::Nodes, "", NODE), node);
}

pub(crate) fn ensure_namespace(shared: &Shared, name: &str) -> Result<(), Refusal> {
    let now = shared.now();
    let mut store = shared.store();
    if store.get(&Key::new(Resource::Namespaces, "", name)).is_some() {
        return Ok(());
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    write::create(&mut store, now, Resource::Namespaces, "", namespace, false).map(drop)
}

pub(crate) fn apply(shared: &Shared, manifests: impl IntoIterator<Item = Value>) -> Result<usize, ApplyError> {
    let mut count = 0_usize;
    for manifest in manifests {
        let items = manifest.get("items").and_then(Value::as_array).cloned();
        for object in items.unwrap_or_else(|| vec![manifest]) {
            apply_one(shared, object)?;
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}

fn apply_one(shared: &Shared, mut object: Value) -> Result<(), ApplyError> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let resource = Resource::of_manifest(text("apiVersion"), text("kind"));
    let Some(resource @ (Resource::Secrets | Resource::ConfigMaps)) = resource else {
        return Err(ApplyError::Kind {
            api_version: text("apiVersion").to_owned(),
            kind: text("kind").to_owned(),
            name: object.name().to_owned(),
        });
    };
    let name = object.name().to_owned();
    let namespace = if object.namespace().is_empty() { "default".to_owned() } else { object.namespace().to_owned() };
    let meta = metadata_mut(&mut object);
    // What an exported manifest carries along says nothing about this cluster.
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        meta.remove(field);
    }
    set(meta, "namespace", namespace.as_str());
    let write = || {
        ensure_namespace(shared, &namespace)?;
        let object = schema::shape(resource, object)?.object;
        let now = shared.now();
        let mut store = shared.store();
        let key = Key::new(resource, &namespace, &name);
        if store.get(&key).is_some() {
            write::update(&mut store, &key, object, Part::Main, false)
        } else {
            write::create(&mut store, now, resource, &namespace, object, false)
        }
    };
    write().map(drop).map_err(|refusal| ApplyError::Refused { kind: resource.kind(), name: name.clone(), refusal })
}
