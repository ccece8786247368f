//! Deletion: preconditions, grace periods, finalizers and what is to become of the dependents.

use jiff::Timestamp;
use serde_json::Value;

use super::Store;
use crate::clock::{later, seconds};
use crate::object::{Key, Metadata, Object, add_finalizer, metadata_mut, remove_finalizer, set};
use crate::refusal::Refusal;
use crate::resource::Resource;

/// Holds an owner until its dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Holds an owner until its dependents have forgotten it.
pub(crate) const ORPHAN: &str = "orphan";
/// Holds an object as long as a fault hook says.
const HELD: &str = "example.com/held";

/// What a pod gets when nobody said how long; the Kubernetes default.
const DEFAULT_POD_GRACE_SECONDS: i64 = 30;

/// How to delete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    /// Absent: the default of the kind.
    pub(crate) propagation: Option<Propagation>,
    /// Absent: the pod's own grace period. Other kinds have none.
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// What becomes of the objects that name the deleted one as their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

impl Propagation {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "Background" => Some(Self::Background),
            "Foreground" => Some(Self::Foreground),
            "Orphan" => Some(Self::Orphan),
            _ => None,
        }
    }
}

/// What a deletion came to.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is gone; its last state.
    Gone(Object),
    /// A finalizer or a grace period holds it.
    Pending(Object),
}

impl Store {
    /// Deletes an object, or marks it as being deleted when something holds it.
    pub(crate) fn delete(&mut self, key: &Key, how: &Deletion, now: Timestamp) -> Result<Deleted, Refusal> {
        let Some(object) = self.get(key).cloned() else {
            return Err(Refusal::not_found(key.resource, &key.name));
        };
        check_preconditions(key, &object, how)?;
        if key.resource == Resource::Namespaces {
            return Ok(Deleted::Pending(self.terminate_namespace(key, &object, now)));
        }
        let mut marked = Value::clone(&object);
        apply_propagation(&mut marked, how.propagation.unwrap_or_else(|| default_propagation(key.resource)));
        mark(key.resource, &mut marked, how.grace_seconds, now);
        if !object.is_being_deleted() {
            self.hold(key, &mut marked, now);
        }
        Ok(match self.settle(key, marked) {
            super::Settled::Removed(last) => Deleted::Gone(last),
            super::Settled::Kept(object) => Deleted::Pending(object),
        })
    }

    /// What a deletion would come to, with nothing changed.
    pub(crate) fn check_delete(&self, key: &Key, how: &Deletion) -> Result<Object, Refusal> {
        let object = self.get(key).ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
        check_preconditions(key, object, how)?;
        Ok(object.clone())
    }

    /// Puts a finalizer on an object whose deletion begins, if a fault hook says so.
    fn hold(&mut self, key: &Key, object: &mut Value, now: Timestamp) {
        let struck = self.faults.strike("remove", key.resource.plural(), &key.name, Some(object));
        if let Some(lasting) = struck.hold() {
            add_finalizer(object, HELD);
            if let Some(until) = lasting.and_then(|lasting| later(now, lasting)) {
                self.held.insert(object.uid().to_owned(), until);
            }
        }
    }

    /// Lets go of what was held long enough. Returns when the next is due.
    pub(crate) fn release_held(&mut self, now: Timestamp) -> Option<Timestamp> {
        let due: Vec<String> =
            self.held.iter().filter(|(_, until)| **until <= now).map(|(uid, _)| uid.clone()).collect();
        for uid in due {
            self.held.remove(&uid);
            if let Some(key) = self.by_uid(&uid).map(|(key, _)| key.clone()) {
                self.modify(&key, |object| remove_finalizer(object, HELD));
            }
        }
        self.held.values().min().copied()
    }

    /// The node says that nothing of the pod runs any more: the rest of its grace period is given up, as by a kubelet's
    /// own DELETE without grace.
    pub(crate) fn confirm_stopped(&mut self, key: &Key, uid: &str, now: Timestamp) {
        if self.get(key).is_some_and(|pod| pod.uid() == uid && pod.is_being_deleted()) {
            self.modify(key, |pod| mark(key.resource, pod, Some(0), now));
        }
    }

    /// A namespace goes when it is empty; until then it takes nothing new.
    fn terminate_namespace(&mut self, key: &Key, object: &Object, now: Timestamp) -> Object {
        let mut marked = Value::clone(object);
        if !marked.is_being_deleted() {
            set(metadata_mut(&mut marked), "deletionTimestamp", seconds(now));
            set(crate::object::child_mut(&mut marked, "status"), "phase", "Terminating");
        }
        self.put(key, marked)
    }
}

/// Whether nothing holds an object that is being deleted.
pub(super) fn is_due(object: &Value) -> bool {
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
    object.is_being_deleted() && grace == 0 && object.finalizers().is_empty()
}

fn check_preconditions(key: &Key, object: &Value, how: &Deletion) -> Result<(), Refusal> {
    if let Some(uid) = how.uid.as_deref().filter(|uid| *uid != object.uid()) {
        return Err(Refusal::uid_differs(key.resource, &key.name, uid, object.uid()));
    }
    if let Some(version) = how.version.as_deref().filter(|version| *version != object.version()) {
        return Err(Refusal::version_differs(key.resource, &key.name, version, object.version()));
    }
    Ok(())
}

/// batch/v1 keeps the children of a Job unless told otherwise, for the sake of its oldest clients.
pub(crate) fn default_propagation(resource: Resource) -> Propagation {
    if resource == Resource::Jobs { Propagation::Orphan } else { Propagation::Background }
}

fn apply_propagation(object: &mut Value, propagation: Propagation) {
    let (add, remove): (Option<&str>, &[&str]) = match propagation {
        Propagation::Background => (None, &[FOREGROUND, ORPHAN]),
        Propagation::Foreground => (Some(FOREGROUND), &[ORPHAN]),
        Propagation::Orphan => (Some(ORPHAN), &[FOREGROUND]),
    };
    for finalizer in remove.iter().filter(|finalizer| object.has_finalizer(finalizer)).copied().collect::<Vec<_>>() {
        remove_finalizer(object, finalizer);
    }
    if let Some(finalizer) = add {
        add_finalizer(object, finalizer);
    }
}

/// Sets `deletionTimestamp` and `deletionGracePeriodSeconds`; a later call may only shorten the grace. Both move together:
/// the stamp stays the time of the first request plus the grace.
fn mark(resource: Resource, object: &mut Value, asked: Option<i64>, now: Timestamp) {
    let grace = if resource == Resource::Pods { pod_grace(object, asked) } else { 0 };
    if !object.is_being_deleted() {
        let then = later(now, std::time::Duration::from_secs(grace.unsigned_abs())).unwrap_or(now);
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
        let meta = metadata_mut(object);
        set(meta, "deletionTimestamp", seconds(then));
        set(meta, "deletionGracePeriodSeconds", grace);
        if let Some(generation) = generation {
            set(meta, "generation", generation.saturating_add(1));
        }
        return;
    }
    let before = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
    if grace < before {
        let shorter = std::time::Duration::from_secs(before.abs_diff(grace));
        let then: Option<Timestamp> = object.meta("deletionTimestamp").parse().ok();
        let then = then.and_then(|then| then.checked_sub(shorter).ok()).unwrap_or(now);
        let meta = metadata_mut(object);
        set(meta, "deletionTimestamp", seconds(then));
        set(meta, "deletionGracePeriodSeconds", grace);
    }
}

/// A pod that no node has, or that has ended, needs no grace.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed") {
        return 0;
    }
    let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    asked.or(own).unwrap_or(DEFAULT_POD_GRACE_SECONDS).max(0)
}
