//! Container logs: a file a container, in the form of the Container Runtime Interface, read as the kubelet reads it. A log
//! with a limit begins a new file when it would exceed it; only the newest can be read.
//!
//! A record is a line, or a part of one that is longer than 16 KiB: a stamp of fixed width, `F` (whole, or the last part) or
//! `P` (more follows), the bytes, a line end. Readers go at their own pace from the file; nothing is kept in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::Reply;
use crate::api::query::Query;
use crate::object::{Key, Metadata};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::{body, clock};

mod reader;
mod writer;

pub(crate) use writer::Writer;

/// The logs of the pods there are.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    known: Mutex<HashMap<(String, String), Log>>,
}

/// One container's log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    reach: watch::Receiver<Reach>,
    /// Cancelled when the node cannot be reached any more: open streams say nothing from then on.
    lost: CancellationToken,
}

impl Log {
    /// The file with this number.
    fn file(&self, number: u64) -> PathBuf {
        file(&self.path, number)
    }
}

fn file(path: &Path, number: u64) -> PathBuf {
    if number == 0 { path.to_owned() } else { path.with_added_extension(number.to_string()) }
}

/// How far a log has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// How many files there were before this one.
    pub(crate) file: u64,
    /// Bytes of whole records.
    pub(crate) length: u64,
    /// Nothing more will come.
    pub(crate) is_ended: bool,
}

impl Logs {
    pub(crate) fn add(&self, uid: &str, container: &str, log: Log) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((uid.to_owned(), container.to_owned()), log);
    }

    /// Forgets the logs of a pod that is gone. Who reads one reads on to its end.
    pub(crate) fn forget(&self, uid: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|(pod, _), _| pod != uid);
    }

    /// The node of a pod cannot be reached any more.
    pub(crate) fn lose(&self, uid: &str) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|((pod, _), _)| pod == uid).for_each(|(_, log)| log.lost.cancel());
    }

    fn find(&self, uid: &str, container: &str) -> Option<Log> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(uid.to_owned(), container.to_owned())).cloned()
    }
}

/// What of a log is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    follows: bool,
    has_stamps: bool,
    since: Option<Timestamp>,
    tail: Option<u64>,
    limit: Option<u64>,
}

/// Answers `GET …/pods/NAME/log`.
pub(crate) fn answer(shared: &Arc<Shared>, key: &Key, query: &Query) -> Result<Reply, Refusal> {
    let wanted = Wanted::parse(shared, query)?;
    let pod = shared.store().get(key).cloned();
    let pod = pod.ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    let container = choose_container(&pod, query.text("container"))?;
    if query.flag("previous") {
        return Err(Refusal::bad_request(format!(
            "previous terminated container \"{container}\" in pod \"{}\" not found",
            key.name
        )));
    }
    if let Some(log) = shared.logs.find(pod.uid(), &container) {
        if log.lost.is_cancelled() {
            return Err(Refusal::unreachable(&key.namespace, &key.name, &container));
        }
        let chunks = reader::open(&log, wanted).map_err(Refusal::internal)?;
        return Ok(Reply::Stream { content_type: "text/plain", body: body::stream(chunks) });
    }
    let state = state_of(&pod, &container);
    if let Some(id) = state.pointer("/terminated/containerID").and_then(Value::as_str) {
        // It has ended and its log is not there: the kubelet says so in the log itself.
        return Ok(Reply::Text(Bytes::from(format!("unable to retrieve container logs for {id}"))));
    }
    let why = state.pointer("/waiting/reason").and_then(Value::as_str).unwrap_or("ContainerCreating");
    Err(Refusal::bad_request(format!("container \"{container}\" in pod \"{}\" is waiting to start: {why}", key.name)))
}

impl Wanted {
    fn parse(shared: &Shared, query: &Query) -> Result<Self, Refusal> {
        let invalid = |field: &str, why: &str| {
            Refusal::new(422, "Invalid", format!("PodLogOptions \"\" is invalid: {field}: {why}"))
        };
        let count = |field: &str, least: i64| match query.number(field)? {
            Some(number) if number < least => {
                let why = format!("Invalid value: {number}: must be greater than or equal to {least}");
                Err(invalid(field, &why))
            }
            number => Ok(number.and_then(|number| u64::try_from(number).ok())),
        };
        let since_seconds = count("sinceSeconds", 1)?;
        let since = match (query.text("sinceTime"), since_seconds) {
            ("", None) => None,
            ("", Some(seconds)) => {
                let ago = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                shared.clock.node_now().checked_sub(ago).ok()
            }
            (_, Some(_)) => {
                return Err(invalid(
                    "sinceTime",
                    "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
                ));
            }
            // The API server hands it to the kubelet by whole seconds, so older lines of that second come too.
            (text, None) => {
                let stamp: Timestamp =
                    text.parse().map_err(|error| Refusal::bad_request(format!("parsing time \"{text}\": {error}")))?;
                clock::seconds(stamp).parse().ok()
            }
        };
        Ok(Self {
            follows: query.flag("follow"),
            has_stamps: query.flag("timestamps"),
            since,
            tail: count("tailLines", 0)?,
            limit: count("limitBytes", 1)?,
        })
    }
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let containers = pod.pointer(list).and_then(Value::as_array).into_iter().flatten();
    containers.filter_map(|container| container.get("name")?.as_str()).collect()
}

fn choose_container(pod: &Value, asked: &str) -> Result<String, Refusal> {
    let main = names(pod, "/spec/containers");
    let init = names(pod, "/spec/initContainers");
    if asked.is_empty() {
        return match main.as_slice() {
            [one] if init.is_empty() => Ok((*one).to_owned()),
            several => {
                let mut message = format!(
                    "a container name must be specified for pod {}, choose one of: [{}]",
                    pod.name(),
                    several.join(" ")
                );
                if !init.is_empty() {
                    message.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
                }
                Err(Refusal::bad_request(message))
            }
        };
    }
    if !main.contains(&asked) && !init.contains(&asked) {
        return Err(Refusal::bad_request(format!("container {asked} is not valid for pod {}", pod.name())));
    }
    Ok(asked.to_owned())
}

fn state_of(pod: &Value, container: &str) -> Value {
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let statuses = lists.into_iter().filter_map(|list| pod.pointer(list)?.as_array()).flatten();
    let mut found = statuses.filter(|status| status.get("name").and_then(Value::as_str) == Some(container));
    found.next().and_then(|status| status.get("state")).cloned().unwrap_or_default()
}
