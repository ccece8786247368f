//! Pods that are ended by somebody else, as the API shows it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::NODE;
use super::control::{Cause, Control};
use super::status::DISRUPTION;
use crate::clock::{later, seconds};
use crate::event::{self, Happening};
use crate::object::{Key, Metadata, Object, child_mut, set};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::store::Deletion;

/// What happens to a pod that has done nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// The node runs out of memory: the containers get their grace period, then the pod fails with the reason `Evicted`,
    /// even when they end with 0.
    Evict,
    /// The node shuts down in order: the same with the reason `Terminated`.
    NodeShutdown,
    /// The scheduler needs the place: the pod is marked and deleted.
    Preempt,
    /// Somebody drains the node: the pod is marked and deleted through the eviction API.
    Drain,
    /// The node does not answer any more, and the time for which that is tolerated is over: the pod is marked and deleted
    /// and does not end; its log cannot be read, and open streams say nothing. New pods run all the same.
    NodeLost,
    /// The node is known to be gone for good: the pod garbage collector fails the pod and removes it at once.
    Collect,
    /// Somebody deletes it, with a grace period or its own.
    Delete(Option<Duration>),
}

const EVICTED: Cause = Cause {
    reason: "Evicted",
    message: "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. ",
};
const SHUT_DOWN: Cause =
    Cause { reason: "Terminated", message: "Pod was terminated in response to imminent node shutdown." };

/// Does it to a pod.
pub(crate) fn disrupt(shared: &Shared, key: &Key, how: Disruption) -> Result<(), Refusal> {
    let pod = shared.store().get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    match how {
        Disruption::Evict => {
            tell(shared, &pod, true, "Evicted", EVICTED.message, "kubelet");
            fail(shared, key, &pod, EVICTED)
        }
        Disruption::NodeShutdown => fail(shared, key, &pod, SHUT_DOWN),
        Disruption::Preempt => {
            let message = format!("Preempted by a pod of higher priority on node {NODE}");
            tell(shared, &pod, false, "Preempted", &message, "default-scheduler");
            let why = "default-scheduler: preempting to accommodate a higher priority pod";
            mark(shared, key, "PreemptionByScheduler", why);
            delete(shared, key, None)
        }
        Disruption::Drain => {
            mark(shared, key, "EvictionByEvictionAPI", "Eviction API: evicting");
            delete(shared, key, None)
        }
        Disruption::NodeLost => {
            let control = known(shared, key, &pod)?;
            tell(shared, &pod, true, "NodeNotReady", "Node is not ready", "node-controller");
            control.lose();
            shared.logs.lose(pod.uid());
            change_status(shared, key, |status, now| set_condition(status, "Ready", "False", "", "", now));
            mark(shared, key, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
            delete(shared, key, None)
        }
        Disruption::Collect => {
            mark(shared, key, "DeletionByPodGC", "PodGC: node no longer exists");
            change_status(shared, key, |status, _| {
                if !matches!(status.get("phase").and_then(Value::as_str), Some("Succeeded" | "Failed")) {
                    set(crate::object::map_mut(status), "phase", "Failed");
                }
            });
            delete(shared, key, Some(Duration::ZERO))
        }
        Disruption::Delete(grace) => delete(shared, key, grace),
    }
}

fn known(shared: &Shared, key: &Key, pod: &Object) -> Result<Control, Refusal> {
    let control = shared.pods.find(pod.uid());
    control.ok_or_else(|| Refusal::conflict(key.resource, &key.name, "its node does not know it"))
}

/// The node stops the containers of a pod and fails it.
fn fail(shared: &Shared, key: &Key, pod: &Object, cause: Cause) -> Result<(), Refusal> {
    let now = shared.now();
    let grace = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64).unwrap_or_default();
    let then = later(now, Duration::from_secs(grace)).unwrap_or(now);
    known(shared, key, pod)?.fail_by(then, cause);
    Ok(())
}

fn delete(shared: &Shared, key: &Key, grace: Option<Duration>) -> Result<(), Refusal> {
    let grace_seconds = grace.map(|grace| i64::try_from(grace.as_secs()).unwrap_or(i64::MAX));
    let how = Deletion { grace_seconds, ..Deletion::default() };
    shared.store().delete(key, &how, shared.now()).map(drop)
}

fn mark(shared: &Shared, key: &Key, reason: &str, message: &str) {
    change_status(shared, key, |status, now| set_condition(status, DISRUPTION, "True", reason, message, now));
}

fn change_status(shared: &Shared, key: &Key, change: impl FnOnce(&mut Value, Timestamp)) {
    let now = shared.now();
    shared.store().modify(key, |pod| {
        let mut status = Value::Object(std::mem::take(child_mut(pod, "status")));
        change(&mut status, now);
        set(crate::object::map_mut(pod), "status", status);
    });
}

fn set_condition(status: &mut Value, kind: &str, value: &str, reason: &str, message: &str, now: Timestamp) {
    let some = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let mut condition = json!({"type": kind, "status": value, "lastTransitionTime": seconds(now)});
    let fields = crate::object::map_mut(&mut condition);
    set(fields, "reason", some(reason));
    set(fields, "message", some(message));
    let conditions = crate::object::map_mut(status).entry("conditions").or_insert_with(|| json!([]));
    if let Value::Array(conditions) = conditions {
        conditions.retain(|condition| condition.get("type").and_then(Value::as_str) != Some(kind));
        conditions.push(condition);
    }
}

fn tell(shared: &Shared, pod: &Object, is_warning: bool, reason: &str, message: &str, component: &str) {
    let happening = Happening { is_warning, reason, message, component, field_path: "" };
    event::record(&mut shared.store(), shared.now(), pod, &happening);
}
