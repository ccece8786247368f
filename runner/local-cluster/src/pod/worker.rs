//! One pod: scheduled, its volumes made, its containers run, its end reported.

use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::container::{Context, Update};
use super::control::Control;
use super::status::{self, Report};
use super::volumes::{self, Volumes};
use super::{Desired, NODE};
use crate::event::{self, Happening};
use crate::fault::Struck;
use crate::object::{Key, Metadata, child_mut, set};
use crate::shared::Shared;

/// What the containers of a pod may have to tell at once; they wait when it is full.
const UPDATES: usize = 16;

pub(super) struct Worker {
    shared: Arc<Shared>,
    key: Key,
    uid: String,
    pod: Pod,
    folder: PathBuf,
    control: Control,
    desired: watch::Receiver<Desired>,
    objects: watch::Receiver<u64>,
    report: Report,
}

/// The pod was told to stop before it got further.
struct Stopped;

/// Why a pod does not run its containers.
enum Refused {
    Stopped,
    /// The node does not take it.
    Rejected {
        reason: String,
        message: String,
    },
}

impl From<Stopped> for Refused {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// The containers that have been started together.
struct Group {
    tasks: JoinSet<()>,
    updates: mpsc::Receiver<(usize, Update)>,
    sender: mpsc::Sender<(usize, Update)>,
    members: Vec<Member>,
}

struct Member {
    container: Container,
    is_init: bool,
    /// Runs beside the others and ends with them.
    is_sidecar: bool,
    has_started: bool,
    is_over: bool,
    stop: watch::Sender<Desired>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        key: Key,
        uid: String,
        pod: Pod,
        folder: PathBuf,
        control: Control,
        objects: watch::Receiver<u64>,
    ) -> Self {
        let desired = control.desired();
        let report = Report::new(&pod);
        Self { shared, key, uid, pod, folder, control, desired, objects, report }
    }

    /// Runs the pod to its end. The object is left to whoever deletes it, unless its deletion waited for this.
    pub(super) async fn run(mut self) {
        let is_over = self.pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if matches!(is_over, Some("Succeeded" | "Failed")) {
            return;
        }
        let scripts = self.shared.faults.strike("run", "pods", &self.key.name, None);
        match self.start().await {
            Ok(volumes) => self.run_containers(volumes, &scripts).await,
            Err(Refused::Stopped) => {}
            Err(Refused::Rejected { reason, message }) => {
                self.tell(true, &reason, &message, "");
                self.report.reject(&reason, &message);
                self.write();
                return self.confirm();
            }
        }
        self.report.end(self.shared.clock.node_now(), self.control.cause());
        self.write();
        self.confirm();
    }

    /// Nothing of the pod runs any more.
    fn confirm(&self) {
        if self.control.is_lost() {
            return;
        }
        self.shared.store().confirm_stopped(&self.key, &self.uid, self.shared.now());
    }

    async fn start(&mut self) -> Result<Volumes, Refused> {
        self.schedule().await?;
        let struck = self.shared.faults.strike("admit", "pods", &self.key.name, None);
        if let Some((reason, message)) = struck.rejection() {
            return Err(Refused::Rejected { reason: reason.to_owned(), message: message.to_owned() });
        }
        self.report.accept(&self.pod, self.shared.clock.node_now());
        self.write();
        Ok(self.mount().await?)
    }

    async fn schedule(&mut self) -> Result<(), Stopped> {
        // Gates are taken off by whoever set them; the object says when.
        let mut versions = self.shared.versions();
        while self.is_gated() {
            let message = "Scheduling is blocked due to non-empty scheduling gates";
            self.report.unscheduled("SchedulingGated", message, self.shared.now());
            self.write();
            tokio::select! {
                _ = versions.changed() => {}
                stopped = stop(&mut self.desired) => return Err(stopped),
            }
        }
        let struck = self.shared.faults.strike("schedule", "pods", &self.key.name, None);
        if let Some((lasting, message)) = struck.unschedulable() {
            self.report.unscheduled("Unschedulable", message, self.shared.now());
            self.write();
            self.tell_as("default-scheduler", true, "FailedScheduling", message, "");
            let waiting = async {
                match lasting {
                    Some(time) => self.shared.clock.sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = waiting => {}
                stopped = stop(&mut self.desired) => return Err(stopped),
            }
        }
        if *self.desired.borrow() != Desired::Run {
            return Err(Stopped);
        }
        self.report.scheduled(self.shared.now());
        let mut store = self.shared.store();
        if store.get(&self.key).is_some_and(|pod| pod.uid() == self.uid) {
            store.modify(&self.key, |pod| set(child_mut(pod, "spec"), "nodeName", NODE));
        }
        drop(store);
        self.write();
        let message = format!("Successfully assigned {}/{} to {NODE}", self.key.namespace, self.key.name);
        self.tell_as("default-scheduler", false, "Scheduled", &message, "");
        Ok(())
    }

    fn is_gated(&self) -> bool {
        let store = self.shared.store();
        let pod = store.get(&self.key).filter(|pod| pod.uid() == self.uid);
        let gates = pod.and_then(|pod| pod.pointer("/spec/schedulingGates")?.as_array());
        gates.is_some_and(|gates| !gates.is_empty())
    }

    /// Makes the volumes; what they need may still have to appear.
    async fn mount(&mut self) -> Result<Volumes, Stopped> {
        loop {
            self.objects.borrow_and_update();
            let failure = match volumes::prepare(&self.shared, &self.key, &self.pod, &self.folder) {
                Ok(volumes) => return Ok(volumes),
                Err(failure) => failure,
            };
            self.tell(true, "FailedMount", &failure, "");
            tokio::select! {
                _ = self.objects.changed() => {}
                stopped = stop(&mut self.desired) => return Err(stopped),
            }
        }
    }

    async fn run_containers(&mut self, volumes: Volumes, scripts: &Struck) {
        let spec = self.pod.spec.clone().unwrap_or_default();
        let (sender, updates) = mpsc::channel(UPDATES);
        let mut group = Group { tasks: JoinSet::new(), updates, sender, members: Vec::new() };
        for container in spec.init_containers.into_iter().flatten() {
            let is_sidecar = container.restart_policy.as_deref() == Some("Always");
            let index = self.launch(&mut group, container, true, is_sidecar, &volumes, scripts);
            // One after the other; a sidecar only has to have started.
            let is_done = move |members: &[Member]| {
                members.get(index).is_none_or(|member| member.is_over || (member.is_sidecar && member.has_started))
            };
            self.follow(&mut group, is_done).await;
            if *self.desired.borrow() != Desired::Run || (!is_sidecar && !self.report.has_succeeded(index)) {
                return self.finish(group).await;
            }
        }
        self.report.initialized(self.shared.clock.node_now());
        for container in spec.containers {
            self.launch(&mut group, container, false, false, &volumes, scripts);
        }
        let mains_are_over =
            |members: &[Member]| members.iter().filter(|member| !member.is_init).all(|member| member.is_over);
        self.follow(&mut group, mains_are_over).await;
        self.finish(group).await;
    }

    /// Stops what still runs and waits for all of it.
    async fn finish(&mut self, mut group: Group) {
        let grace = self.grace();
        let now = self.shared.now();
        let deadline = crate::clock::later(now, grace).unwrap_or(now);
        group.members.iter().filter(|member| !member.is_over).for_each(|member| super::stop_by(&member.stop, deadline));
        self.follow(&mut group, |members| members.iter().all(|member| member.is_over)).await;
        while group.tasks.join_next().await.is_some() {}
    }

    fn grace(&self) -> std::time::Duration {
        let seconds = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    fn launch(
        &self,
        group: &mut Group,
        container: Container,
        is_init: bool,
        is_sidecar: bool,
        volumes: &Volumes,
        scripts: &Struck,
    ) -> usize {
        let index = group.members.len();
        let (stop, wanted) = watch::channel(*self.desired.borrow());
        let context = Context {
            shared: self.shared.clone(),
            key: self.key.clone(),
            uid: self.uid.clone(),
            pod: self.pod.clone(),
            container: container.clone(),
            folder: self.folder.clone(),
            volumes: volumes.clone(),
            objects: self.objects.clone(),
            script: scripts.script(&container.name),
            log_limit: scripts.log_limit(),
            updates: group.sender.clone(),
            index,
        };
        group.tasks.spawn(context.run(wanted));
        group.members.push(Member { container, is_init, is_sidecar, has_started: false, is_over: false, stop });
        index
    }

    /// Reports what the containers do until `is_done`, and hands on the wish to stop.
    async fn follow(&mut self, group: &mut Group, is_done: impl Fn(&[Member]) -> bool) {
        while !is_done(&group.members) {
            tokio::select! {
                biased;
                Some((index, update)) = group.updates.recv() => self.take(group, index, update),
                Ok(()) = self.desired.changed() => {
                    let Desired::Stop(deadline) = *self.desired.borrow_and_update() else { continue };
                    self.tell_killing(&group.members);
                    group.members.iter().for_each(|member| super::stop_by(&member.stop, deadline));
                }
            }
        }
    }

    fn tell_killing(&self, members: &[Member]) {
        for member in members.iter().filter(|member| member.has_started && !member.is_over) {
            let name = &member.container.name;
            self.tell(false, "Killing", &format!("Stopping container {name}"), &field_path(name, member.is_init));
        }
    }

    fn take(&mut self, group: &mut Group, index: usize, update: Update) {
        let Some(member) = group.members.get_mut(index) else { return };
        let (name, path) = (member.container.name.clone(), field_path(&member.container.name, member.is_init));
        match update {
            Update::Waiting { reason, message } => {
                if !message.is_empty() {
                    self.tell(true, "Failed", &format!("Error: {message}"), &path);
                }
                self.report.waiting(index, &reason, &message);
            }
            Update::Running { since } => {
                member.has_started = true;
                self.tell(false, "Created", &format!("Created container: {name}"), &path);
                self.tell(false, "Started", &format!("Started container {name}"), &path);
                self.report.running(index, since);
            }
            Update::Warning { reason, message } => self.tell(true, &reason, &message, ""),
            Update::Note(message) => self.tell(false, "MountPathsRewritten", &message, &path),
            Update::Ended(terminated) => {
                member.is_over = true;
                if terminated.reason.as_deref().is_some_and(never_ran) {
                    let message = terminated.message.clone().unwrap_or_default();
                    self.tell(true, "Failed", &format!("Error: {message}"), &path);
                }
                self.report.terminated(index, terminated);
            }
            Update::NeverStarted => member.is_over = true,
        }
        self.write();
    }

    fn write(&mut self) {
        if self.control.is_lost() {
            return;
        }
        status::write(&self.shared, &self.key, &self.uid, &mut self.report);
    }

    fn tell(&self, is_warning: bool, reason: &str, message: &str, field_path: &str) {
        self.tell_as("kubelet", is_warning, reason, message, field_path);
    }

    fn tell_as(&self, component: &str, is_warning: bool, reason: &str, message: &str, field_path: &str) {
        if self.control.is_lost() {
            return;
        }
        let now = self.shared.now();
        let mut store = self.shared.store();
        let Some(pod) = store.get(&self.key).filter(|pod| pod.uid() == self.uid).cloned() else { return };
        event::record(&mut store, now, &pod, &Happening { is_warning, reason, message, component, field_path });
    }
}

fn field_path(name: &str, is_init: bool) -> String {
    format!("spec.{}{{{name}}}", if is_init { "initContainers" } else { "containers" })
}

/// Whether a container that ended for this reason had not begun.
pub(super) fn never_ran(reason: &str) -> bool {
    matches!(reason, "StartError" | "ContainerCannotRun")
}

/// Returns when the pod is to stop.
async fn stop(desired: &mut watch::Receiver<Desired>) -> Stopped {
    // The sender lives as long as the node; without it there is nothing to run for either.
    drop(desired.wait_for(|desired| *desired != Desired::Run).await);
    Stopped
}

/// The end of a container in the words of its status.
pub(super) fn terminated(
    uid: &str,
    name: &str,
    started: jiff::Timestamp,
    finished: jiff::Timestamp,
    exit_code: i32,
    reason: &str,
    message: Option<String>,
) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(status::container_id(uid, name)),
        exit_code,
        finished_at: Some(Time(finished)),
        message,
        reason: Some(reason.to_owned()),
        signal: None,
        started_at: Some(Time(started)),
    }
}
