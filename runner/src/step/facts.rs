//! What is known about one attempt: everything that was ever seen of its Job, of the Job's pods and of their events.
//!
//! Facts only grow. An end once seen stays, an older state changes nothing, and states that come late, twice or in
//! another order leave the same facts as far as anything that decides is concerned. Only what decides or explains is kept:
//! a few KiB an attempt.

mod events;
mod job;
mod pod;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(in crate::step) use events::{Events, Warning};
pub(in crate::step) use job::{JobFacts, JobWord};
pub(in crate::step) use pod::{
    CONTAINER, ContainerEnd, OtherState, Phase, PodFacts, Role, Scheduling, StepState, Trouble, TroubleKind,
};

/// Longest text of the cluster that is kept, in bytes: the node's own limit for the last words of a container.
const LONGEST_TEXT: usize = 4096;

/// Everything that was ever seen about the Job of one attempt and its pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Known after the POST.
    uid: Option<String>,
    /// By uid: until ours is known, all Jobs that had the name.
    jobs: BTreeMap<String, JobFacts>,
    /// By uid.
    pods: BTreeMap<String, PodFacts>,
    is_namespace_gone: bool,
}

/// A pod of the Job, for those who follow its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodView<'a> {
    /// Its uid.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Which pod of the Job it is, from 1, in order of creation.
    pub number: u32,
    /// How far its container `step` is.
    pub step: StepPhase,
    /// Nothing of the pod runs any more, or it is gone.
    pub is_over: bool,
    /// It is no longer there, and neither is its log.
    pub is_gone: bool,
    /// What holds it while it is being deleted.
    pub finalizers: &'a [String],
    /// Container `step` could not be started: it need not have a log.
    pub never_ran: bool,
}

/// How far the container `step` of a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepPhase {
    /// It has not begun; if its pod is over, it never will.
    NotBegun,
    /// It runs.
    Running,
    /// It has run, and has ended.
    Ended,
}

impl Facts {
    /// Nothing is known yet but the uid of the Job, if that. Without it all Jobs of the name are kept in mind until
    /// [`Facts::set_uid`] says which is ours.
    pub fn new(job_uid: Option<String>) -> Facts {
        Facts { uid: job_uid, ..Facts::default() }
    }

    /// The uid of the Job, from the answer to the POST. What was seen of other uids is forgotten: it is not ours.
    pub fn set_uid(&mut self, uid: &str) {
        self.uid = Some(uid.to_owned());
        self.jobs.retain(|job, _| job == uid);
        self.pods.retain(|_, pod| pod.owner == uid);
    }

    /// The uid of the Job, if it is known.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// A state of the Job, from an answer, a list or a watch.
    pub fn see_job(&mut self, job: &Job) {
        let Some(uid) = job.metadata.uid.as_deref().filter(|uid| self.is_ours(uid)) else { return };
        self.jobs.entry(uid.to_owned()).or_default().see(job);
    }

    /// The Job was deleted; the event carries its last state, and that counts too.
    pub fn see_job_deleted(&mut self, job: &Job) {
        let Some(uid) = job.metadata.uid.as_deref().filter(|uid| self.is_ours(uid)) else { return };
        let facts = self.jobs.entry(uid.to_owned()).or_default();
        facts.see(job);
        facts.is_gone = true;
    }

    /// A list that began after the Job was known to exist no longer holds it. It stays gone, so the caller must not take
    /// a list that may be older.
    pub fn see_job_gone(&mut self) {
        match &self.uid {
            Some(uid) => self.jobs.entry(uid.clone()).or_default().is_gone = true,
            None => self.jobs.values_mut().for_each(|job| job.is_gone = true),
        }
    }

    /// The namespace of the Job is no longer there.
    pub fn see_namespace_gone(&mut self) {
        self.is_namespace_gone = true;
    }

    /// A state of a pod. Pods of other Jobs, and pods that nobody owns, are not ours.
    pub fn see_pod(&mut self, pod: &Pod) {
        self.take_pod(pod, false);
    }

    /// A pod was deleted; the event carries its last state, and that counts too.
    pub fn see_pod_deleted(&mut self, pod: &Pod) {
        self.take_pod(pod, true);
    }

    /// A list that began after the pod was known to exist no longer holds it.
    pub fn see_pod_gone(&mut self, uid: &str) {
        // Whose it was is known when one of its states is seen.
        self.pods.entry(uid.to_owned()).or_default().is_gone = true;
    }

    /// The events of an object, as listed: those of the Job, or of one of its pods.
    pub fn see_events(&mut self, of_uid: &str, events: &[Event]) {
        if let Some(pod) = self.pods.get_mut(of_uid) {
            pod.events.see(of_uid, events, events::NO_START);
        } else if self.is_ours(of_uid) {
            let job = self.jobs.entry(of_uid.to_owned()).or_default();
            job.events.see(of_uid, events, events::NO_POD);
        }
    }

    /// The pods in order of creation.
    pub fn pods(&self) -> Vec<PodView<'_>> {
        let pods = self.pods_in_order();
        let views = pods.into_iter().zip(1..).map(|((uid, pod), number)| PodView {
            uid,
            name: &pod.name,
            number,
            step: pod.step_phase(),
            is_over: pod.is_over(),
            is_gone: pod.is_gone,
            finalizers: &pod.finalizers,
            never_ran: pod.end.as_ref().is_some_and(ContainerEnd::never_started),
        });
        views.collect()
    }

    /// Whether somebody has suspended the Job, as far as is known.
    pub fn suspended(&self) -> bool {
        self.job().is_some_and(|job| job.is_suspended)
    }

    /// Whether the Job is no longer there. Its pods may be.
    pub fn job_gone(&self) -> bool {
        self.is_namespace_gone || self.job().is_some_and(|job| job.is_gone)
    }

    /// What holds the Job while it is being deleted.
    pub fn job_finalizers(&self) -> &[String] {
        self.job().map(|job| job.finalizers.as_slice()).unwrap_or_default()
    }

    pub(in crate::step) fn job(&self) -> Option<&JobFacts> {
        self.jobs.get(self.uid.as_ref()?)
    }

    pub(in crate::step) fn is_namespace_gone(&self) -> bool {
        self.is_namespace_gone
    }

    pub(in crate::step) fn pods_in_order(&self) -> Vec<(&str, &PodFacts)> {
        let mut pods: Vec<(&str, &PodFacts)> = self
            .pods
            .iter()
            .filter(|(_, pod)| self.uid.as_ref() == Some(&pod.owner))
            .map(|(uid, pod)| (uid.as_str(), pod))
            .collect();
        // Stamps have whole seconds; a pod that replaces another one was first seen later.
        pods.sort_by_key(|(uid, pod)| (pod.created, pod.first_version, *uid));
        pods
    }

    /// While our uid is not known, any might be.
    fn is_ours(&self, uid: &str) -> bool {
        self.uid.as_deref().is_none_or(|ours| ours == uid)
    }

    fn take_pod(&mut self, pod: &Pod, is_deleted: bool) {
        let (Some(uid), Some(owner)) = (pod.metadata.uid.as_deref(), owner(&pod.metadata)) else { return };
        if self.is_ours(owner) {
            let facts = self.pods.entry(uid.to_owned()).or_default();
            facts.see(pod, owner);
            facts.is_gone |= is_deleted;
        }
    }
}

/// The uid of the Job that a pod belongs to. The label outlives the reference when the Job goes and its pods may stay.
fn owner(metadata: &ObjectMeta) -> Option<&str> {
    let mut owners = metadata.owner_references.iter().flatten();
    let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
    owners
        .find(|owner| owner.kind == "Job")
        .map(|owner| owner.uid.as_str())
        .or_else(|| label("batch.kubernetes.io/controller-uid"))
        .or_else(|| label("controller-uid"))
}

/// The version of an object. Versions of built-in kinds are numbers that grow:
/// <https://github.com/kubernetes/enhancements/issues/5504>.
fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_ref()?.parse().ok()
}

/// Whether a state with version `new` is not older than one with version `old`. Without numbers the order of arrival
/// counts.
fn is_newer(new: Option<u64>, old: Option<u64>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => new >= old,
        _ => true,
    }
}

/// A reason of the cluster, and its message word for word.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::step) struct Words {
    pub(in crate::step) reason: String,
    pub(in crate::step) message: String,
}

impl Words {
    fn new(reason: Option<&String>, message: Option<&String>) -> Words {
        Words { reason: kept(reason), message: kept(message) }
    }

    pub(in crate::step) fn is_empty(&self) -> bool {
        self.reason.is_empty() && self.message.is_empty()
    }
}

/// A text of the cluster as it is kept.
fn kept(text: Option<&String>) -> String {
    let text = text.map(|text| text.trim()).unwrap_or_default();
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_TEXT);
    format!("{} …", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
pub(in crate::step) mod examples;
#[cfg(test)]
mod tests;
