//! One container: what it needs is looked up, then it runs as a process or, in tests, as a script.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, Pod};
use tokio::sync::{mpsc, watch};

use super::process::{self, Launch, NotStarted};
use super::script::{self, Script};
use super::volumes::Volumes;
use super::worker::terminated;
use super::{Desired, environment};
use crate::log::Writer;
use crate::object::Key;
use crate::shared::Shared;

/// The text of a container without a command: there is no image whose own could be run.
const NO_COMMAND: &str = "the local cluster has no images: this step needs a `command`";
/// What runtimes report when a container could not be started.
pub(super) const START_ERROR: i32 = 128;

/// What a container has to tell.
#[derive(Debug)]
pub(super) enum Update {
    Waiting {
        reason: String,
        message: String,
    },
    Running {
        since: Timestamp,
    },
    /// Something went wrong that is no state of its own.
    Warning {
        reason: String,
        message: String,
    },
    /// Something its owner should know.
    Note(String),
    Ended(ContainerStateTerminated),
    /// It was told to stop before it had begun.
    NeverStarted,
}

/// All a container needs.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) pod: Pod,
    pub(super) container: Container,
    pub(super) folder: PathBuf,
    pub(super) volumes: Volumes,
    pub(super) objects: watch::Receiver<u64>,
    pub(super) script: Option<Script>,
    pub(super) log_limit: Option<u64>,
    pub(super) updates: mpsc::Sender<(usize, Update)>,
    pub(super) index: usize,
}

/// How a container ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) exit_code: i32,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
}

impl Ending {
    pub(super) fn of_code(exit_code: i32) -> Self {
        Self { exit_code, reason: if exit_code == 0 { "Completed" } else { "Error" }, message: None }
    }

    pub(super) fn start_error(message: impl Into<String>) -> Self {
        Self { exit_code: START_ERROR, reason: "StartError", message: Some(message.into()) }
    }
}

impl Context {
    /// Runs the container to its end, or until it is to stop.
    pub(super) async fn run(mut self, mut desired: watch::Receiver<Desired>) {
        let last = match self.live(&mut desired).await {
            Some((started, ending)) => {
                let finished = self.shared.clock.node_now();
                Update::Ended(terminated(
                    &self.uid,
                    &self.container.name,
                    started,
                    finished,
                    ending.exit_code,
                    ending.reason,
                    ending.message,
                ))
            }
            None => Update::NeverStarted,
        };
        self.send(last).await;
    }

    pub(super) async fn send(&self, update: Update) {
        // The pod's own task reads until the last container has ended.
        drop(self.updates.send((self.index, update)).await);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.node_now()
    }

    /// `None` when it was to stop before it had begun.
    async fn live(&mut self, desired: &mut watch::Receiver<Desired>) -> Option<(Timestamp, Ending)> {
        let log_path = self.folder.join("logs").join(format!("{}.log", self.container.name));
        let (mut log, reader) = match Writer::create(log_path, self.shared.clock.clone(), self.log_limit) {
            Ok(log) => log,
            Err(error) => {
                return Some((Timestamp::UNIX_EPOCH, Ending::start_error(format!("cannot make the log: {error}"))));
            }
        };
        if let Some(script) = self.script.take() {
            return script::run(self, script, log, reader, desired).await;
        }
        let environment = self.environment(desired).await?;
        self.shared.logs.add(&self.uid, &self.container.name, reader);
        let rewriting = self.volumes.rewriting(&self.container);
        let launch = match Launch::prepare(&self.container, &environment, &self.volumes, &rewriting) {
            Ok(launch) => launch,
            Err(message) => return Some((Timestamp::UNIX_EPOCH, Ending::start_error(message))),
        };
        if let Some(note) = rewriting.note() {
            self.send(Update::Note(note)).await;
        }
        let started = self.now();
        let process = match process::start(&launch, &self.shared.folder) {
            Ok(process) => process,
            Err(NotStarted::Refused(message)) => return Some((Timestamp::UNIX_EPOCH, Ending::start_error(message))),
            Err(NotStarted::ByItself(words)) => {
                // A log that cannot be written has no place for its own failure.
                drop(log.write(words.as_bytes()));
                return Some((started, Ending::of_code(1)));
            }
        };
        self.send(Update::Running { since: started }).await;
        Some((started, process.run(log, &self.shared.clock, desired).await))
    }

    /// The variables; waits for Secrets and ConfigMaps that are not there yet. `None` when it is to stop.
    async fn environment(&mut self, desired: &mut watch::Receiver<Desired>) -> Option<environment::Environment> {
        loop {
            self.objects.borrow_and_update();
            if *desired.borrow() != Desired::Run {
                return None;
            }
            let found = environment::resolve(&self.shared.store(), &self.key, &self.pod, &self.container);
            match found {
                Ok(found) => return Some(found),
                Err(message) => {
                    let reason = "CreateContainerConfigError".to_owned();
                    self.send(Update::Waiting { reason, message }).await;
                }
            }
            tokio::select! {
                changed = self.objects.changed() => changed.ok()?,
                _ = desired.wait_for(|desired| *desired != Desired::Run) => return None,
            }
        }
    }

    pub(super) fn command(container: &Container) -> Result<Vec<String>, String> {
        let command = container.command.clone().unwrap_or_default();
        if command.is_empty() {
            return Err(NO_COMMAND.to_owned());
        }
        Ok(command.into_iter().chain(container.args.clone().unwrap_or_default()).collect())
    }
}
