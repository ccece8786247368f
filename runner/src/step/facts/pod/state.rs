//! One state of a pod, without all that neither decides nor explains.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodSpec, PodStatus,
};

use crate::step::facts::{Words, kept};

/// Name of the only container that has an exit code for us.
pub(in crate::step) const CONTAINER: &str = "step";

/// A state of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::step) struct PodState {
    pub(in crate::step) phase: Phase,
    /// Reason and message of the pod itself, as `Evicted`.
    pub(in crate::step) words: Words,
    pub(in crate::step) node: Option<String>,
    pub(in crate::step) scheduling: Scheduling,
    /// Why somebody puts it out: condition `DisruptionTarget`.
    pub(in crate::step) disruption: Option<Words>,
    pub(in crate::step) step: StepState,
    pub(super) end: Option<ContainerEnd>,
    pub(super) has_begun: bool,
    pub(super) trouble: Option<Trouble>,
    /// All containers but `step`.
    pub(in crate::step) others: Vec<Other>,
    /// There are containers, and none of them is `step`.
    pub(in crate::step) lacks_step: bool,
    /// The names of those there are then.
    pub(in crate::step) in_place_of_step: Vec<String>,
    /// Image of `step`.
    pub(in crate::step) image: Option<String>,
    /// Memory limit of `step`.
    pub(in crate::step) memory_limit: Option<String>,
    /// Seconds its containers have to end when they are asked to.
    pub(in crate::step) grace_seconds: i64,
}

/// Phase of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::step) enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    /// Its node does not answer.
    Unknown,
}

impl Phase {
    pub(in crate::step) fn is_end(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// Whether a node was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::step) enum Scheduling {
    /// It was, or nobody has looked yet.
    #[default]
    Fine,
    /// There is none, in the scheduler's words.
    Unschedulable(String),
    /// It waits for something else, as a scheduling gate.
    Held(Words),
}

/// State of container `step`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::step) enum StepState {
    /// The pod does not tell.
    #[default]
    Absent,
    /// It waits, for this reason.
    Waiting(Words),
    Running,
    Ended,
}

/// How a container ended. The greater of two is the one to keep.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::step) struct ContainerEnd {
    /// Somebody saw it; else the code is made up by the node.
    pub(in crate::step) is_known: bool,
    pub(in crate::step) finished_at: Option<Timestamp>,
    pub(in crate::step) code: i32,
    /// Reason, and the last words of the program or of the runtime.
    pub(in crate::step) words: Words,
}

/// Reasons of a container that the runtime could not start; its code is the runtime's, and there need be no log.
const NOT_STARTED: [&str; 4] = ["StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"];

impl ContainerEnd {
    /// The runtime could not start it.
    pub(in crate::step) fn never_started(&self) -> bool {
        NOT_STARTED.contains(&self.words.reason.as_str())
    }
}

/// A container somebody added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::step) struct Other {
    pub(in crate::step) name: String,
    pub(in crate::step) role: Role,
    pub(in crate::step) state: OtherState,
}

/// What a container that somebody added is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::step) enum Role {
    /// It runs beside the step.
    Beside,
    /// It runs before the step and has to succeed.
    Before,
    /// A native sidecar: an init container that is stopped when the step has ended. Its code never counts.
    Native,
}

/// State of a container that somebody added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::step) enum OtherState {
    Waiting,
    Running,
    Ended(ContainerEnd),
}

/// Why a container that has to start does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::step) struct Trouble {
    pub(in crate::step) kind: TroubleKind,
    pub(in crate::step) words: Words,
    /// The container's name.
    pub(in crate::step) container: String,
    /// The container's image.
    pub(in crate::step) image: Option<String>,
}

/// What kind of trouble keeps a container from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::step) enum TroubleKind {
    /// The image cannot be had, now or later.
    BadImage,
    /// The image cannot be had now.
    Pull,
    /// Something that the container is made of is missing.
    Config,
    /// The container cannot be made.
    Create,
    /// The container cannot be made in time; that passes.
    SlowCreate,
}

impl Trouble {
    pub(super) fn is_repetition(&self) -> bool {
        self.words.reason == "ImagePullBackOff"
    }

    pub(super) fn is_slow(&self) -> bool {
        self.kind == TroubleKind::Create && self.words.message.contains("context deadline exceeded")
    }
}

fn trouble_kind(reason: &str) -> Option<TroubleKind> {
    Some(match reason {
        "InvalidImageName" | "ErrImageNeverPull" => TroubleKind::BadImage,
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => TroubleKind::Pull,
        "CreateContainerConfigError" => TroubleKind::Config,
        "CreateContainerError" | "RunContainerError" => TroubleKind::Create,
        _ => return None,
    })
}

impl PodState {
    pub(super) fn of(pod: &Pod) -> PodState {
        let empty = (PodSpec::default(), PodStatus::default());
        let spec = pod.spec.as_ref().unwrap_or(&empty.0);
        let status = pod.status.as_ref().unwrap_or(&empty.1);
        let statuses = status.container_statuses.as_deref().unwrap_or_default();
        let init_statuses = status.init_container_statuses.as_deref().unwrap_or_default();
        let phase = phase(status);
        // By name: a webhook may put its own container first (F76).
        let step = statuses.iter().find(|status| status.name == CONTAINER);
        let step_spec = spec.containers.iter().find(|container| container.name == CONTAINER);
        let resources = step_spec.and_then(|container| container.resources.as_ref());
        let limit = resources.and_then(|resources| resources.limits.as_ref()?.get("memory"));
        let state = step.map(step_state).unwrap_or_default();
        let end = step.and_then(|step| end_of_step(step, phase));
        let others = others(spec, statuses, init_statuses);
        let lacks_step = step.is_none() && step_spec.is_none() && !(spec.containers.is_empty() && statuses.is_empty());
        // The node may not have told of them yet.
        let from_spec = spec.containers.iter().map(|container| container.name.as_str());
        let from_statuses = others.iter().filter(|_| spec.containers.is_empty()).map(|other| other.name.as_str());
        let in_place = from_spec.chain(from_statuses).filter(|_| lacks_step);
        PodState {
            words: Words::new(status.reason.as_ref(), status.message.as_ref()),
            node: spec.node_name.clone(),
            scheduling: scheduling(status),
            disruption: disruption(status),
            has_begun: state == StepState::Running || end.as_ref().is_some_and(|end| end.is_known),
            trouble: step.into_iter().chain(init_statuses).find_map(|status| trouble(status, spec)),
            in_place_of_step: in_place.map(str::to_owned).collect(),
            others,
            lacks_step,
            image: step_spec.and_then(|container| container.image.clone()),
            memory_limit: limit.map(|limit| limit.0.clone()),
            grace_seconds: spec.termination_grace_period_seconds.unwrap_or(30),
            phase,
            step: state,
            end,
        }
    }
}

fn phase(status: &PodStatus) -> Phase {
    match status.phase.as_deref() {
        Some("Running") => Phase::Running,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        Some("Unknown") => Phase::Unknown,
        _ => Phase::Pending,
    }
}

fn scheduling(status: &PodStatus) -> Scheduling {
    let mut conditions = status.conditions.iter().flatten();
    let not_scheduled = conditions.find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let Some(condition) = not_scheduled else { return Scheduling::Fine };
    let words = Words::new(condition.reason.as_ref(), condition.message.as_ref());
    if words.reason == "Unschedulable" { Scheduling::Unschedulable(words.message) } else { Scheduling::Held(words) }
}

fn disruption(status: &PodStatus) -> Option<Words> {
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions.find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")?;
    Some(Words::new(condition.reason.as_ref(), condition.message.as_ref()))
}

fn step_state(status: &ContainerStatus) -> StepState {
    match &status.state {
        Some(ContainerState { running: Some(_), .. }) => StepState::Running,
        Some(ContainerState { terminated: Some(_), .. }) => StepState::Ended,
        Some(ContainerState { waiting: Some(waiting), .. }) => StepState::Waiting(waiting_words(waiting)),
        // Kubernetes' own default for a state that says nothing.
        _ => StepState::Waiting(Words::default()),
    }
}

fn waiting_words(waiting: &ContainerStateWaiting) -> Words {
    Words::new(waiting.reason.as_ref(), waiting.message.as_ref())
}

/// The end of container `step`. When the node lost sight of it the state before may still tell (F36).
fn end_of_step(status: &ContainerStatus, phase: Phase) -> Option<ContainerEnd> {
    let ended = |state: &Option<ContainerState>| state.as_ref()?.terminated.as_ref().map(end);
    let end = ended(&status.state);
    if end.as_ref().is_some_and(|end| end.is_known) || (end.is_none() && !phase.is_end()) {
        return end;
    }
    end.max(ended(&status.last_state))
}

fn end(terminated: &ContainerStateTerminated) -> ContainerEnd {
    let words = Words::new(terminated.reason.as_ref(), terminated.message.as_ref());
    ContainerEnd {
        // The node's own word for a container it could not find again.
        is_known: words.reason != "ContainerStatusUnknown",
        finished_at: terminated.finished_at.as_ref().map(|time| time.0),
        code: terminated.exit_code,
        words,
    }
}

fn trouble(status: &ContainerStatus, spec: &PodSpec) -> Option<Trouble> {
    let words = waiting_words(status.state.as_ref()?.waiting.as_ref()?);
    let kind = trouble_kind(&words.reason)?;
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let container = containers.find(|container| container.name == status.name);
    let image = container.and_then(|container| container.image.clone());
    Some(Trouble { kind, words, container: status.name.clone(), image })
}

/// The other containers, those that run beside the step first.
fn others(spec: &PodSpec, statuses: &[ContainerStatus], init_statuses: &[ContainerStatus]) -> Vec<Other> {
    let beside = statuses.iter().filter(|status| status.name != CONTAINER).map(|status| (status, Role::Beside));
    let is_native = |name: &str| {
        let mut containers = spec.init_containers.iter().flatten();
        containers.any(|container| container.name == name && container.restart_policy.as_deref() == Some("Always"))
    };
    let before = init_statuses.iter().map(|status| {
        let role = if is_native(&status.name) { Role::Native } else { Role::Before };
        (status, role)
    });
    let other = |(status, role): (&ContainerStatus, Role)| Other {
        name: kept(Some(&status.name)),
        role,
        state: match &status.state {
            Some(ContainerState { terminated: Some(terminated), .. }) => OtherState::Ended(end(terminated)),
            Some(ContainerState { running: Some(_), .. }) => OtherState::Running,
            _ => OtherState::Waiting,
        },
    };
    beside.chain(before).map(other).collect()
}
