//! What others do to a cluster, by a test's own hand: delete, disrupt, suspend, report. No request is counted for it.
//!
//! A name may end in `*`: all that match are meant, as the pods of a Job by `<job>-*`.

use std::time::Duration;

use serde_json::Value;

use crate::LocalCluster;
use crate::event::{self, Happening};
use crate::fault::name_fits;
use crate::object::{Key, Metadata, child_mut, metadata_mut, set};
use crate::pod::{self, Disruption};
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::shared::Shared;
use crate::store::{Deletion, Propagation};

impl LocalCluster {
    /// The version of the newest change, for [`Hook::rewind`](crate::Hook::rewind).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.store().version()
    }

    /// Every state that objects of a kind had, oldest first, as far as the history goes; that of a removal last of its
    /// object's.
    #[must_use]
    pub fn states(&self, resource: Resource) -> Vec<Value> {
        let store = self.shared.store();
        let of_kind = store.changes().filter(|change| change.key.resource == resource);
        of_kind.map(|change| Value::clone(&change.after)).collect()
    }

    /// Disrupts a pod.
    ///
    /// # Errors
    ///
    /// When there is none, or its node has to act and does not know it yet.
    pub fn disrupt(&self, namespace: &str, pod: &str, how: Disruption) -> Result<(), Refusal> {
        let pods = find(&self.shared, Resource::Pods, namespace, pod)?;
        pods.iter().try_for_each(|pod| pod::disrupt(&self.shared, pod, how))
    }

    /// Deletes an object and what belongs to it, as another user would. A namespace is `""` where there is none.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
        let how = Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
        let now = self.shared.now();
        let found = find(&self.shared, resource, namespace, name)?;
        found.iter().try_for_each(|key| self.shared.store().delete(key, &how, now).map(drop))
    }

    /// Suspends a Job, for so long or until somebody resumes it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn suspend(&self, namespace: &str, job: &str, lasting: Option<Duration>) -> Result<(), Refusal> {
        let jobs = find(&self.shared, Resource::Jobs, namespace, job)?;
        jobs.iter().for_each(|job| set_spec(&self.shared, job, "suspend", true.into()));
        if let Some(lasting) = lasting {
            let shared = self.shared.clone();
            self.running.tasks.spawn(async move {
                tokio::select! {
                    () = shared.clock.sleep(lasting) => {}
                    () = shared.stop.cancelled() => return,
                }
                jobs.iter().for_each(|job| set_spec(&shared, job, "suspend", false.into()));
            });
        }
        Ok(())
    }

    /// Resumes a suspended Job.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn resume(&self, namespace: &str, job: &str) -> Result<(), Refusal> {
        let jobs = find(&self.shared, Resource::Jobs, namespace, job)?;
        jobs.iter().for_each(|job| set_spec(&self.shared, job, "suspend", false.into()));
        Ok(())
    }

    /// Takes the scheduling gates off a pod, as whoever set them.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open_gates(&self, namespace: &str, pod: &str) -> Result<(), Refusal> {
        let pods = find(&self.shared, Resource::Pods, namespace, pod)?;
        pods.iter().for_each(|pod| set_spec(&self.shared, pod, "schedulingGates", Value::Null));
        Ok(())
    }

    /// Changes how many seconds a Job stays after its end.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn set_ttl(&self, namespace: &str, job: &str, seconds: u32) -> Result<(), Refusal> {
        let jobs = find(&self.shared, Resource::Jobs, namespace, job)?;
        jobs.iter().for_each(|job| set_spec(&self.shared, job, "ttlSecondsAfterFinished", seconds.into()));
        Ok(())
    }

    /// Records a Warning about an object, as its controller or its node would.
    ///
    /// # Errors
    ///
    /// When there is no such object.
    pub fn warn(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        reason: &str,
        message: &str,
    ) -> Result<(), Refusal> {
        let component = if resource == Resource::Jobs { "job-controller" } else { "kubelet" };
        let happening = Happening { is_warning: true, reason, message, component, field_path: "" };
        let now = self.shared.now();
        for key in find(&self.shared, resource, namespace, name)? {
            let mut store = self.shared.store();
            if let Some(object) = store.get(&key).cloned() {
                event::record(&mut store, now, &object, &happening);
            }
        }
        Ok(())
    }

    /// All bearer tokens that clients used so far, and requests without one, get 401 from now on; a fresh token is taken.
    /// Streams that are open go on.
    pub fn expire_tokens(&self) {
        self.shared.credentials.expire();
    }

    /// Takes again what [`expire_tokens`](Self::expire_tokens) has refused.
    pub fn renew_tokens(&self) {
        self.shared.credentials.renew();
    }
}

fn find(shared: &Shared, resource: Resource, namespace: &str, name: &str) -> Result<Vec<Key>, Refusal> {
    let store = shared.store();
    let keys = store.list(resource, Some(namespace)).map(|(key, _)| key);
    let found: Vec<Key> = keys.filter(|key| name_fits(name, &key.name)).cloned().collect();
    if found.is_empty() { Err(Refusal::not_found(resource, name)) } else { Ok(found) }
}

fn set_spec(shared: &Shared, key: &Key, field: &str, value: Value) {
    shared.store().modify(key, |object| {
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        set(child_mut(object, "spec"), field, value);
        if !object.is_being_deleted() {
            set(metadata_mut(object), "generation", generation.saturating_add(1));
        }
    });
}
