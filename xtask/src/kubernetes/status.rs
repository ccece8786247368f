//! What runs, since when, and how the node is.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{cluster::Cluster, part::Part};
use crate::command;

/// A cluster at this moment.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    folder: PathBuf,
    kubeconfig: PathBuf,
    /// None when the API server does not answer.
    node: Option<Node>,
    /// Why it does not, or nothing.
    error: Option<String>,
    parts: Vec<PartStatus>,
}

/// What the API server says.
#[derive(Debug, Serialize, Deserialize)]
struct Node {
    /// Of the API server.
    version: String,
    /// Empty while no node has registered.
    name: String,
    ready: bool,
    message: String,
    /// Keys.
    taints: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PartStatus {
    part: Part,
    /// None when it does not run.
    pid: Option<i32>,
    /// Unix time.
    started: Option<u64>,
    log: PathBuf,
}

impl Status {
    /// Looks at the cluster.
    pub(super) fn of(cluster: &Cluster) -> Self {
        let node = if cluster.is_running(Part::Apiserver) { node(cluster).map(Some) } else { Ok(None) };
        let (node, error) = match node {
            Ok(node) => (node, None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        Self {
            folder: cluster.folder().to_owned(),
            kubeconfig: cluster.kubeconfig(),
            node,
            error,
            parts: Part::ALL.map(|part| PartStatus::of(cluster, part)).into(),
        }
    }

    /// The status as a table.
    pub(super) fn table(&self) -> String {
        let mut lines: Vec<String> = self.parts.iter().map(PartStatus::line).collect();
        lines.push(match (&self.node, &self.error) {
            (Some(node), _) => node.line(),
            (None, Some(error)) => format!("the API server does not answer: {error}"),
            (None, None) => "the API server does not run".to_owned(),
        });
        lines.push(format!("kubeconfig: {}", self.kubeconfig.display()));
        lines.join("\n")
    }
}

impl Node {
    fn line(&self) -> String {
        let Self { version, name, ready, message, taints } = self;
        let state = match (name.is_empty(), ready) {
            (true, _) => "no node has registered".to_owned(),
            (false, true) => format!("node `{name}` is ready"),
            (false, false) => format!("node `{name}` is not ready: {message}"),
        };
        let taints = if taints.is_empty() { String::new() } else { format!(", tainted {}", taints.join(", ")) };
        format!("Kubernetes {version}, {state}{taints}")
    }
}

impl PartStatus {
    fn of(cluster: &Cluster, part: Part) -> Self {
        let process = cluster.process(part);
        let age = process.as_ref().and_then(super::process::Process::age);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            part,
            pid: process.filter(|_| age.is_some()).map(|process| process.pid),
            started: age.map(|age| now.saturating_sub(age).as_secs()),
            log: cluster.log(part),
        }
    }

    fn line(&self) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let state = match (self.pid, self.started) {
            (Some(pid), Some(started)) => {
                format!("runs, pid {pid}, for {}", age(now.saturating_sub(Duration::from_secs(started))))
            }
            _ => "DOES NOT RUN".to_owned(),
        };
        format!("{:20} {:36} {}", self.part.name(), state, self.log.display())
    }
}

fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn node(cluster: &Cluster) -> Result<Node> {
    let said = command::output(Command::new(cluster.program()).arg("node").arg(cluster.kubeconfig()))?;
    serde_json::from_str(&said).context("what the API server says of its node could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_does_not_run_and_what_the_node_says() {
        let log = PathBuf::from("/f/logs/x.log");
        let node = Node {
            version: "v1.34.4".to_owned(),
            name: "node".to_owned(),
            ready: false,
            message: "no network".to_owned(),
            taints: vec!["node.kubernetes.io/not-ready".to_owned()],
        };
        let status = Status {
            folder: PathBuf::from("/f"),
            kubeconfig: PathBuf::from("/f/kubeconfig"),
            node: Some(node),
            error: None,
            parts: vec![PartStatus { part: Part::Etcd, pid: None, started: None, log }],
        };
        assert_eq!(
            status.table(),
            "etcd                 DOES NOT RUN                         /f/logs/x.log\n\
             Kubernetes v1.34.4, node `node` is not ready: no network, tainted node.kubernetes.io/not-ready\n\
             kubeconfig: /f/kubeconfig"
        );
    }

    #[test]
    fn an_age_is_short() {
        assert_eq!(age(Duration::from_secs(59)), "59 s");
        assert_eq!(age(Duration::from_secs(3599)), "59 min 59 s");
        assert_eq!(age(Duration::from_secs(7260)), "2 h 1 min");
    }
}
