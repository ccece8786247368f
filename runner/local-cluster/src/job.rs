//! The Job controller: makes and removes pods until a Job is complete or has failed, and the Job itself when its TTL is over.
//!
//! What is due for a Job is worked out by [`plan`], without a clock or a store; this module carries it out, step by step
//! until nothing is due, and waits for the next change or the next moment a plan named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::clock::later;
use crate::event::{self, Happening};
use crate::fault::{Creation, Struck};
use crate::object::{Key, Metadata, Object, map_mut, metadata_mut, remove_finalizer, set, typed};
use crate::resource::Resource;
use crate::shared::Shared;
use crate::store::{Deletion, Propagation, Store};
use crate::write;

mod failure_policy;
mod plan;

use plan::{Memory, Plan};

/// Keeps a pod until its end has been counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const COMPONENT: &str = "job-controller";

/// How long a refused pod is not tried again; doubles each time up to the limit. Kubernetes' own numbers.
const CREATE_BACKOFF: Duration = Duration::from_secs(1);
const CREATE_BACKOFF_LIMIT: Duration = Duration::from_secs(60);

/// Runs all Jobs until the cluster ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut versions = shared.versions();
    let mut controller = Controller { shared: shared.clone(), known: BTreeMap::new() };
    let mut seen = None;
    loop {
        versions.borrow_and_update();
        let (dirty, version) = controller.look(seen);
        seen = Some(version);
        for key in dirty {
            controller.sync(&key);
        }
        let next = controller.known.values().filter_map(|known| known.due).min();
        let timer = async {
            match next {
                Some(then) => shared.clock.sleep_until(then).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = timer => controller.sync_due(),
            () = shared.stop.cancelled() => return,
        }
    }
}

struct Controller {
    shared: Arc<Shared>,
    known: BTreeMap<Key, Known>,
}

/// What the controller knows of a Job beside what the Job itself says.
#[derive(Debug, Default)]
struct Known {
    uid: String,
    memory: Memory,
    due: Option<Timestamp>,
    /// Refused attempts to make a pod, and when the next is due.
    refused: u32,
    not_before: Option<Timestamp>,
    /// Makes a pod that a fault hook has put off; no other is made meanwhile.
    late: Option<JoinHandle<()>>,
    silence: Silence,
}

/// Whether a fault hook keeps the controller from saying how a Job ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Silence {
    /// There was nothing to say yet.
    #[default]
    NotAsked,
    Until(Timestamp),
    Forever,
    Over,
}

impl Controller {
    /// The Jobs that something happened to since a version, and the version reached.
    fn look(&mut self, seen: Option<u64>) -> (BTreeSet<Key>, u64) {
        let mut dirty = BTreeSet::new();
        let mut orphans: Vec<Key> = Vec::new();
        let store = self.shared.store();
        match seen.and_then(|seen| store.changes_after(seen).ok()) {
            Some(changes) => {
                for change in changes {
                    match change.key.resource {
                        Resource::Jobs => {
                            dirty.insert(change.key.clone());
                            if change.is_removal {
                                orphans.extend(store.dependents(change.after.uid()).into_iter().map(|(key, _)| key));
                            }
                        }
                        Resource::Pods => match owner_key(&store, &change.after) {
                            Some(job) => drop(dirty.insert(job)),
                            None => orphans.push(change.key.clone()),
                        },
                        _ => {}
                    }
                }
            }
            None => {
                dirty.extend(store.list(Resource::Jobs, None).map(|(key, _)| key.clone()));
                dirty.extend(self.known.keys().cloned());
                let pods = store.list(Resource::Pods, None);
                orphans.extend(pods.filter(|(_, pod)| owner_key(&store, pod).is_none()).map(|(key, _)| key.clone()));
            }
        }
        let version = store.version();
        drop(store);
        // Pods whose Job is gone are nobody's to count.
        for key in orphans {
            release(&mut self.shared.store(), &key);
        }
        (dirty, version)
    }

    fn sync_due(&mut self) {
        let now = self.shared.now();
        let due: Vec<Key> = self
            .known
            .iter()
            .filter(|(_, known)| known.due.is_some_and(|due| due <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            self.sync(&key);
        }
    }

    /// Does all that is due for a Job now.
    fn sync(&mut self, key: &Key) {
        loop {
            let now = self.shared.now();
            let shared = self.shared.clone();
            let mut store = shared.store();
            let Some(object) = store.get(key).cloned() else {
                self.known.remove(key);
                return;
            };
            let Some(job) = typed::<Job>(&object) else { return };
            let known = self.known.entry(key.clone()).or_default();
            if known.uid != object.uid() {
                *known = Known { uid: object.uid().to_owned(), ..Known::default() };
            }
            let pods: Vec<(Key, Pod)> = store
                .dependents(object.uid())
                .into_iter()
                .filter(|(key, _)| key.resource == Resource::Pods)
                .filter_map(|(key, pod)| Some((key, typed::<Pod>(&pod)?)))
                .collect();
            let mut memory = known.memory;
            let plan = plan::plan(&job, &pods, &mut memory, now);
            if plan.concludes(&job) && known.is_silent(&shared, key, &object, now) {
                return;
            }
            known.memory = memory;
            known.due = plan.due;
            if !carry_out(&shared, &mut store, key, &object, plan, known, now) {
                return;
            }
        }
    }
}

impl Known {
    /// Whether the end of the Job is not to be told now. Whoever deletes a Job does not wait for that.
    fn is_silent(&mut self, shared: &Shared, key: &Key, job: &Object, now: Timestamp) -> bool {
        if self.silence == Silence::NotAsked {
            let struck = shared.faults.strike("conclude", "jobs", &key.name, Some(job));
            self.silence = match struck.hold() {
                None => Silence::Over,
                Some(lasting) => lasting.and_then(|time| later(now, time)).map_or(Silence::Forever, Silence::Until),
            };
        }
        self.due = match self.silence {
            Silence::Until(then) if then > now => Some(then),
            Silence::Forever => None,
            Silence::NotAsked | Silence::Until(_) | Silence::Over => return false,
        };
        !job.is_being_deleted()
    }
}

/// Does what a plan says; `true` when the Job has to be looked at again.
fn carry_out(
    shared: &Arc<Shared>,
    store: &mut Store,
    key: &Key,
    job: &Object,
    plan: Plan,
    known: &mut Known,
    now: Timestamp,
) -> bool {
    if plan.expired {
        // As the TTL controller: in the foreground, so that the pods go first.
        let how = Deletion {
            propagation: Some(Propagation::Foreground),
            uid: Some(job.uid().to_owned()),
            ..Deletion::default()
        };
        drop(store.delete(key, &how, now));
        return false;
    }
    for pod in &plan.release {
        release(store, pod);
    }
    for pod in &plan.delete {
        if plan.uncounted_deletions {
            release(store, pod);
        }
        let deleted =
            store.delete(pod, &Deletion { propagation: Some(Propagation::Background), ..Deletion::default() }, now);
        if deleted.is_ok() {
            tell(store, now, job, false, "SuccessfulDelete", &format!("Deleted pod: {}", pod.name));
        }
    }
    for (is_warning, reason, message) in &plan.events {
        tell(store, now, job, *is_warning, reason, message);
    }
    let created = create_pods(shared, store, key, job, plan.create, known, now);
    let mut status = plan.status;
    if created > 0
        && let Some(status) = &mut status
    {
        let active = status.active.unwrap_or_default().saturating_add(created);
        status.active = Some(active);
    }
    let mut has_changed = created > 0;
    if let Some(status) = status.and_then(|status| serde_json::to_value(status).ok()) {
        let before = store.get(key).map(|job| job.version().to_owned());
        store.modify(key, |job| set(map_mut(job), "status", status));
        has_changed |= before != store.get(key).map(|job| job.version().to_owned());
    }
    has_changed || !plan.release.is_empty() || !plan.delete.is_empty()
}

/// Makes so many pods, unless one was refused a short while ago; returns how many there are more.
fn create_pods(
    shared: &Arc<Shared>,
    store: &mut Store,
    key: &Key,
    job: &Object,
    count: usize,
    known: &mut Known,
    now: Timestamp,
) -> i32 {
    let mut created = 0_i32;
    for _ in 0..count {
        if known.late.as_ref().is_some_and(|late| !late.is_finished()) {
            break;
        }
        if let Some(then) = known.not_before.filter(|then| *then > now) {
            known.due = Some(known.due.map_or(then, |due| due.min(then)));
            break;
        }
        let struck = shared.faults.strike("create", "pods", &base_name(key), None);
        let failure = match struck.creation() {
            Creation::Now => create_pod(store, key, job, &struck, now).err().map(Some),
            Creation::Late(by) => {
                let late = create_later(shared.clone(), key.clone(), job.clone(), struck, by);
                known.late = Some(tokio::spawn(late));
                break;
            }
            Creation::None(why) => Some(why),
        };
        match failure {
            None => {
                (known.refused, known.not_before) = (0, None);
                created = created.saturating_add(1);
            }
            Some(why) => {
                if let Some(why) = why {
                    tell(store, now, job, true, "FailedCreate", &format!("Error creating: {why}"));
                }
                let wait = CREATE_BACKOFF.saturating_mul(2_u32.saturating_pow(known.refused)).min(CREATE_BACKOFF_LIMIT);
                known.refused = known.refused.saturating_add(1);
                known.not_before = later(now, wait);
                known.due = [known.due, known.not_before].into_iter().flatten().min();
            }
        }
    }
    created
}

/// What the names of a Job's pods begin with.
fn base_name(job: &Key) -> String {
    format!("{}-", job.name)
}

/// Makes a pod a while later. The Job may have gone by then, as when the controller had not seen that yet.
async fn create_later(shared: Arc<Shared>, key: Key, job: Object, struck: Struck, by: Duration) {
    tokio::select! {
        () = shared.clock.sleep(by) => {}
        () = shared.stop.cancelled() => return,
    }
    let now = shared.now();
    // Refused: the namespace has gone, and there is nobody to tell.
    drop(create_pod(&mut shared.store(), &key, &job, &struck, now));
}

/// Makes a pod and tells of it, or says why not.
fn create_pod(store: &mut Store, key: &Key, job: &Object, struck: &Struck, now: Timestamp) -> Result<(), String> {
    let template = job.pointer("/spec/template").cloned().unwrap_or_default();
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({})),
        "spec": template.get("spec"),
    });
    let meta = metadata_mut(&mut pod);
    set(meta, "generateName", base_name(key));
    set(meta, "finalizers", json!([TRACKING]));
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": key.name, "uid": job.uid(),
        "controller": true, "blockOwnerDeletion": true,
    });
    set(meta, "ownerReferences", json!([owner]));
    struck.admit(&mut pod).map_err(|refusal| refusal.message)?;
    let forget = |pod: &mut Value| struck.forget(pod);
    let made = write::create_as(store, now, Resource::Pods, &key.namespace, pod, false, forget);
    let made = made.map_err(|refusal| refusal.message)?;
    tell(store, now, job, false, "SuccessfulCreate", &format!("Created pod: {}", made.name()));
    Ok(())
}

/// The pod has been counted, or needs no counting.
fn release(store: &mut Store, pod: &Key) {
    if store.get(pod).is_some_and(|pod| pod.has_finalizer(TRACKING)) {
        store.modify(pod, |pod| remove_finalizer(pod, TRACKING));
    }
}

/// The Job that controls a pod, while it exists.
fn owner_key(store: &Store, pod: &Value) -> Option<Key> {
    let owner = pod.owners().into_iter().find(|owner| owner.is_controller)?;
    let (key, _) = store.by_uid(owner.uid)?;
    (key.resource == Resource::Jobs).then(|| key.clone())
}

fn tell(store: &mut Store, now: Timestamp, job: &Object, is_warning: bool, reason: &str, message: &str) {
    let happening = Happening { is_warning, reason, message, component: COMPONENT, field_path: "" };
    event::record(store, now, job, &happening);
}
