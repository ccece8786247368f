//! What a pod's status says while it is taken to its end.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::control::Cause;
use crate::object::{Key, Metadata, map_mut, set, typed};
use crate::shared::Shared;

/// All containers share the network of the machine.
const ADDRESS: &str = "127.0.0.1";

const SCHEDULED: &str = "PodScheduled";
const SANDBOX: &str = "PodReadyToStartContainers";
const INITIALIZED: &str = "Initialized";
const READY: &str = "Ready";
const CONTAINERS_READY: &str = "ContainersReady";
/// Somebody other than the pod itself ends it.
pub(super) const DISRUPTION: &str = "DisruptionTarget";

/// The status of a pod as its node knows it.
#[derive(Debug)]
pub(super) struct Report {
    status: PodStatus,
    /// Init containers first, then the others: the order in which they are started.
    containers: Vec<ContainerStatus>,
    init_count: usize,
    sidecars: Vec<bool>,
    has_init_containers: bool,
}

impl Report {
    pub(super) fn new(pod: &Pod) -> Self {
        let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let sidecars: Vec<bool> = init.map(|container| container.restart_policy.as_deref() == Some("Always")).collect();
        Self {
            status: pod.status.clone().unwrap_or_default(),
            containers: Vec::new(),
            init_count: sidecars.len(),
            has_init_containers: !sidecars.is_empty(),
            sidecars,
        }
    }

    pub(super) fn unscheduled(&mut self, reason: &str, message: &str, now: Timestamp) {
        self.condition(SCHEDULED, "False", reason, message, now);
    }

    pub(super) fn scheduled(&mut self, now: Timestamp) {
        self.condition(SCHEDULED, "True", "", "", now);
    }

    /// The node has taken the pod: its containers are being created.
    pub(super) fn accept(&mut self, pod: &Pod, now: Timestamp) {
        let spec = pod.spec.clone().unwrap_or_default();
        let init = spec.init_containers.unwrap_or_default();
        let waits_for = if self.has_init_containers { "PodInitializing" } else { "ContainerCreating" };
        let init = init.iter().map(|container| first_status(container, "PodInitializing"));
        let main = spec.containers.iter().map(|container| first_status(container, waits_for));
        self.containers = init.chain(main).collect();
        self.status.start_time = Some(Time(now));
        self.status.host_ip = Some(ADDRESS.to_owned());
        self.status.host_ips = Some(vec![HostIP { ip: ADDRESS.to_owned() }]);
        self.status.pod_ip = Some(ADDRESS.to_owned());
        self.status.pod_ips = Some(vec![PodIP { ip: ADDRESS.to_owned() }]);
        self.condition(SANDBOX, "True", "", "", now);
        if self.has_init_containers {
            let names: Vec<&str> =
                self.containers.iter().take(self.init_count).map(|status| status.name.as_str()).collect();
            let message = format!("containers with incomplete status: [{}]", names.join(" "));
            self.condition(INITIALIZED, "False", "ContainersNotInitialized", &message, now);
        } else {
            self.condition(INITIALIZED, "True", "", "", now);
        }
        self.readiness(now);
    }

    pub(super) fn initialized(&mut self, now: Timestamp) {
        self.condition(INITIALIZED, "True", "", "", now);
        for status in self.containers.iter_mut().skip(self.init_count) {
            status.state = Some(waiting("ContainerCreating", ""));
        }
    }

    pub(super) fn waiting(&mut self, index: usize, reason: &str, message: &str) {
        if let Some(status) = self.containers.get_mut(index) {
            status.state = Some(waiting(reason, message));
        }
    }

    pub(super) fn running(&mut self, index: usize, since: Timestamp) {
        let uid_ready = index >= self.init_count || self.sidecars.get(index) == Some(&true);
        if let Some(status) = self.containers.get_mut(index) {
            status.ready = uid_ready;
            status.started = Some(true);
            let running = ContainerStateRunning { started_at: Some(Time(since)) };
            status.state = Some(ContainerState { running: Some(running), ..ContainerState::default() });
        }
        if index >= self.init_count {
            self.status.phase = Some("Running".to_owned());
        }
        self.readiness(since);
    }

    pub(super) fn terminated(&mut self, index: usize, terminated: ContainerStateTerminated) {
        let then = terminated.finished_at.as_ref().map(|time| time.0).unwrap_or_default();
        if let Some(status) = self.containers.get_mut(index) {
            status.ready = index < self.init_count && terminated.exit_code == 0;
            status.started = Some(false);
            status.container_id = terminated.container_id.clone();
            status.state = Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() });
        }
        self.readiness(then);
    }

    pub(super) fn has_succeeded(&self, index: usize) -> bool {
        self.containers.get(index).and_then(exit_code) == Some(0)
    }

    /// The node refuses the pod: it has failed and there are no containers to tell of.
    pub(super) fn reject(&mut self, reason: &str, message: &str) {
        self.status.phase = Some("Failed".to_owned());
        self.status.reason = Some(reason.to_owned());
        self.status.message = Some(format!("Pod was rejected: {message}"));
    }

    /// Nothing runs any more, and nothing will. With a cause the pod has failed, whatever its containers say.
    pub(super) fn end(&mut self, now: Timestamp, cause: Option<Cause>) {
        let failed_init = self.containers.iter().take(self.init_count).enumerate().any(|(index, status)| {
            self.sidecars.get(index) != Some(&true) && exit_code(status).is_some_and(|code| code != 0)
        });
        if !failed_init {
            // What never ran has no end of its own; a code other than 0 keeps it from passing for a success.
            for status in self.containers.iter_mut().skip(self.init_count) {
                if exit_code(status).is_none() {
                    status.state =
                        Some(ContainerState { terminated: Some(unknown_end()), ..ContainerState::default() });
                }
            }
        }
        let mut mains = self.containers.iter().skip(self.init_count);
        let has_succeeded = cause.is_none()
            && !failed_init
            && self.containers.len() > self.init_count
            && mains.all(|status| exit_code(status) == Some(0));
        let (phase, reason) = if has_succeeded { ("Succeeded", "PodCompleted") } else { ("Failed", "PodFailed") };
        self.status.phase = Some(phase.to_owned());
        self.condition(SANDBOX, "False", "", "", now);
        if has_succeeded {
            self.condition(INITIALIZED, "True", reason, "", now);
        }
        self.condition(READY, "False", reason, "", now);
        self.condition(CONTAINERS_READY, "False", reason, "", now);
        if let Some(Cause { reason, message }) = cause {
            self.status.reason = Some(reason.to_owned());
            self.status.message = Some(message.to_owned());
            self.condition(DISRUPTION, "True", "TerminationByKubelet", message, now);
        }
    }

    fn has_condition(&self, kind: &str) -> bool {
        self.status.conditions.iter().flatten().any(|condition| condition.type_ == kind)
    }

    fn readiness(&mut self, now: Timestamp) {
        let unready: Vec<&str> = self
            .containers
            .iter()
            .skip(self.init_count)
            .filter(|status| !status.ready)
            .map(|status| status.name.as_str())
            .collect();
        if unready.is_empty() {
            self.condition(READY, "True", "", "", now);
            self.condition(CONTAINERS_READY, "True", "", "", now);
        } else {
            let message = format!("containers with unready status: [{}]", unready.join(" "));
            self.condition(READY, "False", "ContainersNotReady", &message, now);
            self.condition(CONTAINERS_READY, "False", "ContainersNotReady", &message, now);
        }
    }

    fn condition(&mut self, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) {
        let conditions = self.status.conditions.get_or_insert_default();
        let before = conditions.iter().position(|condition| condition.type_ == kind);
        let since = before.and_then(|index| conditions.get(index)).filter(|before| before.status == status);
        let since = since.and_then(|before| before.last_transition_time.clone()).unwrap_or(Time(now));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let condition = PodCondition {
            last_probe_time: None,
            last_transition_time: Some(since),
            message: some(message),
            observed_generation: None,
            reason: some(reason),
            status: status.to_owned(),
            type_: kind.to_owned(),
        };
        match before.and_then(|index| conditions.get_mut(index)) {
            Some(place) => *place = condition,
            None => conditions.push(condition),
        }
    }
}

/// Writes the report into the pod. Conditions that others set, as `DisruptionTarget`, stay.
pub(super) fn write(shared: &Shared, key: &Key, uid: &str, report: &mut Report) {
    let mut store = shared.store();
    let Some(object) = store.get(key).filter(|object| object.uid() == uid) else { return };
    let stored: PodStatus = object.get("status").and_then(typed).unwrap_or_default();
    let mut own = vec![SCHEDULED, SANDBOX, INITIALIZED, READY, CONTAINERS_READY];
    // Others give this one, too.
    if report.has_condition(DISRUPTION) {
        own.push(DISRUPTION);
    }
    let foreign: Vec<PodCondition> =
        stored.conditions.into_iter().flatten().filter(|condition| !own.contains(&condition.type_.as_str())).collect();
    let mut status = report.status.clone();
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| own.contains(&condition.type_.as_str()));
    conditions.extend(foreign);
    status.qos_class = stored.qos_class;
    // A reason somebody else gave, as `Evicted`, stays too.
    status.reason = status.reason.or(stored.reason);
    status.message = status.message.or(stored.message);
    for container in &mut report.containers {
        let has_run = container.state.as_ref().is_some_and(|state| state.running.is_some());
        if has_run && container.container_id.is_none() {
            container.container_id = Some(container_id(uid, &container.name));
        }
    }
    let (init, main) = report.containers.split_at_checked(report.init_count).unwrap_or_default();
    status.init_container_statuses = (!init.is_empty()).then(|| init.to_vec());
    status.container_statuses = (!main.is_empty()).then(|| main.to_vec());
    let Ok(status) = serde_json::to_value(status) else { return };
    store.modify(key, |pod| set(map_mut(pod), "status", status));
}

/// The id of a container, as a runtime would give it.
pub(super) fn container_id(uid: &str, name: &str) -> String {
    format!("local://{uid}/{name}")
}

fn first_status(container: &Container, reason: &str) -> ContainerStatus {
    ContainerStatus {
        image: container.image.clone().unwrap_or_default(),
        name: container.name.clone(),
        ready: false,
        started: Some(false),
        state: Some(waiting(reason, "")),
        ..ContainerStatus::default()
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    let waiting = ContainerStateWaiting {
        message: (!message.is_empty()).then(|| message.to_owned()),
        reason: Some(reason.to_owned()),
    };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn exit_code(status: &ContainerStatus) -> Option<i32> {
    status.state.as_ref()?.terminated.as_ref().map(|terminated| terminated.exit_code)
}

fn unknown_end() -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: 137,
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        reason: Some("ContainerStatusUnknown".to_owned()),
        ..ContainerStateTerminated::default()
    }
}
