//! The scheduler and the node: one task a pod that takes it from `Pending` to its end.
//!
//! The node follows the store's history. It starts a task for each pod, tells it when the pod is to stop or is gone, and
//! removes the pod's folder when both the task and the object have ended.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::later;
use crate::object::{Key, Metadata, Object, typed};
use crate::resource::Resource;
use crate::shared::Shared;

mod container;
mod control;
mod disruption;
mod environment;
mod process;
mod script;
mod status;
mod volumes;
mod worker;

pub(crate) use control::Controls;
pub use disruption::Disruption;
pub(crate) use disruption::disrupt;
pub use script::Script;

use control::Control;

/// What a pod gets to end by itself when the whole cluster ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// The name of the one node.
pub(crate) const NODE: &str = "local";

/// What is wanted of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Desired {
    Run,
    /// To end by itself until then; what still runs is killed.
    Stop(Timestamp),
}

struct Known {
    control: Control,
    /// The task that runs it is still there.
    is_running: bool,
    folder: PathBuf,
    is_gone: bool,
}

/// Runs all pods until the cluster ends; returns when the last has stopped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut node = Node {
        // Secrets and ConfigMaps a container may be waiting for.
        objects: watch::Sender::new(0),
        known: HashMap::new(),
        tasks: JoinSet::new(),
        shared: shared.clone(),
    };
    let mut versions = shared.versions();
    let mut seen = None;
    loop {
        versions.borrow_and_update();
        seen = Some(node.look(seen));
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { break },
            Some(ended) = node.tasks.join_next() => if let Ok(uid) = ended { node.ended(&uid) },
            () = shared.stop.cancelled() => break,
        }
    }
    let now = shared.now();
    let deadline = later(now, SHUTDOWN_GRACE).unwrap_or(now);
    node.known.values().for_each(|known| known.control.stop_by(deadline));
    while node.tasks.join_next().await.is_some() {}
}

struct Node {
    shared: Arc<Shared>,
    objects: watch::Sender<u64>,
    known: HashMap<String, Known>,
    tasks: JoinSet<String>,
}

impl Node {
    /// Takes over what happened after the version `seen`, or all there is. Returns the version it has reached.
    fn look(&mut self, seen: Option<u64>) -> u64 {
        let mut present: Vec<(Key, Object)> = Vec::new();
        let mut gone: Vec<String> = Vec::new();
        let mut has_new_data = false;
        let shared = self.shared.clone();
        let store = shared.store();
        match seen.and_then(|seen| store.changes_after(seen).ok()) {
            Some(changes) => {
                for change in changes {
                    match change.key.resource {
                        Resource::Pods if change.is_removal => gone.push(change.after.uid().to_owned()),
                        Resource::Pods => present.push((change.key.clone(), change.after.clone())),
                        Resource::Secrets | Resource::ConfigMaps => has_new_data = true,
                        _ => {}
                    }
                }
            }
            // The beginning, or the history went faster than this task: what is there now decides.
            None => {
                present.extend(store.list(Resource::Pods, None).map(|(key, pod)| (key.clone(), pod.clone())));
                gone.extend(self.known.keys().filter(|uid| store.by_uid(uid).is_none()).cloned());
                has_new_data = true;
            }
        }
        let version = store.version();
        drop(store);
        for (key, pod) in present {
            self.see(&key, &pod);
        }
        for uid in gone {
            self.forget(&uid);
        }
        if has_new_data {
            self.objects.send_replace(version);
        }
        version
    }

    fn see(&mut self, key: &Key, pod: &Object) {
        if !self.known.contains_key(pod.uid()) {
            self.begin(key, pod);
        }
        if let (Some(known), true) = (self.known.get(pod.uid()), pod.is_being_deleted()) {
            let now = self.shared.now();
            // A node that is lost does not hear of it.
            if !known.control.is_lost() {
                known.control.stop_by(pod.meta("deletionTimestamp").parse().unwrap_or(now));
            }
        }
    }

    fn begin(&mut self, key: &Key, object: &Object) {
        let Some(pod) = typed::<Pod>(object) else { return };
        let uid = object.uid().to_owned();
        let folder = self.shared.folder.pod(&key.namespace, &key.name, &uid);
        let control = Control::new();
        self.shared.pods.add(&uid, control.clone());
        let worker = worker::Worker::new(
            self.shared.clone(),
            key.clone(),
            uid.clone(),
            pod,
            folder.clone(),
            control.clone(),
            self.objects.subscribe(),
        );
        self.known.insert(uid.clone(), Known { control, is_running: true, folder, is_gone: false });
        self.tasks.spawn(async move {
            worker.run().await;
            uid
        });
    }

    /// The object is gone: what still runs of the pod has no time left.
    fn forget(&mut self, uid: &str) {
        let Some(known) = self.known.get_mut(uid) else { return };
        known.is_gone = true;
        known.control.stop_by(self.shared.now());
        self.clear(uid);
    }

    fn ended(&mut self, uid: &str) {
        if let Some(known) = self.known.get_mut(uid) {
            known.is_running = false;
        }
        self.clear(uid);
    }

    fn clear(&mut self, uid: &str) {
        if self.known.get(uid).is_some_and(|known| known.is_gone && !known.is_running)
            && let Some(known) = self.known.remove(uid)
        {
            self.shared.logs.forget(uid);
            self.shared.pods.forget(uid);
            // A folder that cannot be removed now goes with the cluster's own.
            drop(std::fs::remove_dir_all(known.folder));
        }
    }
}

/// A pod that is to stop may be told to stop sooner, never later.
fn stop_by(desired: &watch::Sender<Desired>, then: Timestamp) {
    desired.send_if_modified(|desired| match desired {
        Desired::Stop(before) if *before <= then => false,
        _ => {
            *desired = Desired::Stop(then);
            true
        }
    });
}
