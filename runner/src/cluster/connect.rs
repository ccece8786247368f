//! Which cluster, and a client for it.
//!
//! An explicit kubeconfig, else `KUBECONFIG`, else `~/.kube/config`, else the credentials of the pod this runs in. What is
//! named but cannot be used is an error: nothing falls back to another cluster.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use serde::{Deserialize, Serialize};

use super::exchange::Connection;
use super::{Cluster, Failure};

/// For credentials: a plugin may ask somebody to log in.
const CREDENTIALS: Duration = Duration::from_secs(60);

/// What a layer of the config says about the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Kubeconfig file, an absolute path; none: the usual rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in it; none: its current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Where a cluster was found: enough to find the same one again, although a current context or `KUBECONFIG` has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The kubeconfig files, absolute paths, merged in this order; none: the credentials of the pod, or the embedded
    /// cluster.
    pub kubeconfigs: Vec<PathBuf>,
    /// The context in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// URL of the API server.
    pub server: String,
}

/// There is no client for a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing names a cluster.
    #[error("no cluster is configured")]
    Nowhere,
    /// The home folder is unknown.
    #[error("`~/.kube/config` cannot be looked for: the home folder is not known")]
    NoHome,
    /// A kubeconfig that is named cannot be used.
    #[error("kubeconfig `{file}` cannot be used: {reason}")]
    Kubeconfig {
        /// The file, or the files of `KUBECONFIG`.
        file: String,
        /// Why.
        reason: String,
    },
    /// What it says about credentials or certificates cannot be used.
    #[error("kubeconfig `{file}`: {reason}")]
    Credentials {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// It runs in a pod whose credentials cannot be used.
    #[error("the credentials of the pod cannot be used: {reason}")]
    InCluster {
        /// Why.
        reason: String,
    },
    /// What led to a cluster leads to another one now.
    #[error("the cluster of the run was `{before}`; kubeconfig `{file}` now leads to `{now}`")]
    Elsewhere {
        /// The kubeconfig.
        file: String,
        /// URL of the server then.
        before: String,
        /// URL of the server now.
        now: String,
    },
    /// The credentials did not come in time.
    #[error("no credentials after {} s: a credential plugin of `{file}` does not answer", CREDENTIALS.as_secs())]
    Slow {
        /// The kubeconfig.
        file: String,
    },
}

impl ConnectError {
    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            ConnectError::Nowhere => Some(
                "name one with `--kubeconfig`, `--context` or `KUBECONFIG`, or try it without a cluster: `--local`",
            ),
            ConnectError::Kubeconfig { .. } => Some("`kubectl config get-contexts` lists what a kubeconfig holds"),
            ConnectError::Elsewhere { .. } => {
                Some("make its context lead there again; nothing is done in another cluster")
            }
            ConnectError::NoHome => Some("set `HOME`, or name a file with `--kubeconfig`"),
            ConnectError::Credentials { .. } | ConnectError::InCluster { .. } | ConnectError::Slow { .. } => None,
        }
    }
}

/// Makes a client. No request is sent, but a credential plugin may run, for at most a minute; again when the server does
/// not take the credentials any more.
///
/// # Errors
/// When what is named is missing, broken or unknown, or nothing is named.
pub async fn connect(target: &Target) -> Result<Cluster, ConnectError> {
    connect_by(files(target)?, target.context.clone()).await
}

/// Makes a client for a cluster that was found before, by the same files and context.
///
/// # Errors
/// As [`connect`], and when they lead to another server now.
pub async fn connect_again(address: &Address) -> Result<Cluster, ConnectError> {
    let cluster = connect_by(address.kubeconfigs.clone(), address.context.clone()).await?;
    let now = &cluster.address().server;
    if *now != address.server {
        let (before, now) = (address.server.clone(), now.clone());
        return Err(ConnectError::Elsewhere { file: listed(&address.kubeconfigs), before, now });
    }
    Ok(cluster)
}

async fn connect_by(files: Vec<PathBuf>, context: Option<String>) -> Result<Cluster, ConnectError> {
    let Reached { client, server, default_namespace, context } = reach(&files, context).await?;
    let mut kubectl = String::new();
    if let [path] = files.as_slice()
        && !files_of_kubectl().is_ok_and(|usual| usual == files)
    {
        kubectl.push_str(&format!("--kubeconfig {} ", quoted(&path.display().to_string())));
    }
    if let Some(context) = &context {
        kubectl.push_str(&format!("--context {} ", quoted(context)));
    }
    let address = Address { kubeconfigs: files.clone(), context: context.clone(), server: server.clone() };
    // Who switches the context meanwhile means the next run, not this one.
    let again = move || -> BoxFuture<'static, Result<kube::Client, Failure>> {
        let (files, context, server) = (files.clone(), context.clone(), server.clone());
        Box::pin(async move {
            let reached = reach(&files, context).await.map_err(|error| Failure::unavailable(error.to_string()))?;
            if reached.server != server {
                return Err(Failure::unavailable(format!("the kubeconfig now names {}, not {server}", reached.server)));
            }
            Ok(reached.client)
        })
    };
    Ok(Cluster::new(Connection::new(client, Box::new(again)), Some(kubectl), default_namespace, address))
}

/// A cluster that can be asked.
struct Reached {
    client: kube::Client,
    /// Its address.
    server: String,
    default_namespace: String,
    context: Option<String>,
}

async fn reach(files: &[PathBuf], context: Option<String>) -> Result<Reached, ConnectError> {
    let (config, context, file) = if files.is_empty() {
        let config =
            kube::Config::incluster().map_err(|error| ConnectError::InCluster { reason: error.to_string() })?;
        (config, context, "the pod".to_owned())
    } else {
        let file = listed(files);
        let kubeconfig = read(files)?;
        let context = context.or_else(|| kubeconfig.current_context.clone());
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| ConnectError::Kubeconfig { file: file.clone(), reason: reason(&error) })?;
        (config, context, file)
    };
    let (server, default_namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    let client = client(config, file).await?;
    Ok(Reached { client, server, default_namespace, context })
}

/// The kubeconfigs that count, merged in this order. None: the pod's own credentials.
fn files(target: &Target) -> Result<Vec<PathBuf>, ConnectError> {
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    if let Some(path) = &target.kubeconfig {
        return Ok(vec![absolute(path.clone())]);
    }
    let named = std::env::var_os("KUBECONFIG").filter(|value| !value.to_string_lossy().trim().is_empty());
    if let Some(paths) = named {
        let paths = std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty());
        let paths: Vec<PathBuf> = paths.map(absolute).collect();
        if paths.is_empty() {
            let reason = "it names no file".to_owned();
            return Err(ConnectError::Kubeconfig { file: "KUBECONFIG".to_owned(), reason });
        }
        return Ok(paths);
    }
    let path = etcetera::home_dir().map_err(|_| ConnectError::NoHome)?.join(".kube").join("config");
    if path.exists() || target.context.is_some() {
        return Ok(vec![path]);
    }
    match std::env::var_os("KUBERNETES_SERVICE_HOST") {
        Some(_) => Ok(Vec::new()),
        None => Err(ConnectError::Nowhere),
    }
}

/// The files that kubectl takes when nothing is named.
fn files_of_kubectl() -> Result<Vec<PathBuf>, ConnectError> {
    files(&Target::default())
}

fn read(files: &[PathBuf]) -> Result<Kubeconfig, ConnectError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in files {
        let read = Kubeconfig::read_from(path).and_then(|read| match merged.take() {
            Some(before) => before.merge(read),
            None => Ok(read),
        });
        let read = read
            .map_err(|error| ConnectError::Kubeconfig { file: path.display().to_string(), reason: reason(&error) })?;
        merged = Some(read);
    }
    Ok(merged.unwrap_or_default())
}

/// The name of the files together, as `KUBECONFIG` would have them.
fn listed(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    files.join(":")
}

/// The innermost cause: the outer ones only say that something failed to be read.
fn reason(error: &kube::config::KubeconfigError) -> String {
    use kube::config::KubeconfigError as E;
    match error {
        E::CurrentContextNotSet => "it has no current context: name one with `--context`".to_owned(),
        E::LoadContext(name) => format!("it has no context `{name}`"),
        E::LoadClusterOfContext(name) => format!("it has no cluster `{name}`, which its context names"),
        E::ReadConfig(error, _) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        E::ReadConfig(error, _) => error.to_string(),
        // Its own words quote the file, and that holds secrets.
        E::Parse(error) => match place(&error.to_string()) {
            Some((line, column)) => format!("line {line}, column {column} is not what belongs into a kubeconfig"),
            None => "it is no kubeconfig".to_owned(),
        },
        other => other.to_string(),
    }
}

/// The first place that a message names.
fn place(message: &str) -> Option<(u32, u32)> {
    let mut words = message.split(|character: char| !character.is_ascii_alphanumeric());
    words.find(|word| *word == "line")?;
    let line = words.next()?.parse().ok()?;
    let column = words.find(|word| !word.is_empty() && *word != "column")?.parse().ok()?;
    Some((line, column))
}

async fn client(mut config: kube::Config, file: String) -> Result<kube::Client, ConnectError> {
    // Repeating a POST blindly could make a second Job.
    config.default_retry = false;
    // A log or a watch may be silent for long; those who read them have limits of their own.
    config.read_timeout = None;
    config.headers.extend(user_agent());
    if !std::io::stdin().is_terminal()
        && let Some(plugin) = &mut config.auth_info.exec
    {
        // Nobody could answer it.
        plugin.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    // A credential plugin is a process that is waited for.
    let handle = tokio::runtime::Handle::current();
    let built = tokio::task::spawn_blocking(move || {
        let _entered = handle.enter();
        kube::Client::try_from(config)
    });
    match tokio::time::timeout(CREDENTIALS, built).await {
        Err(_) => Err(ConnectError::Slow { file }),
        Ok(Err(panic)) => Err(ConnectError::Kubeconfig { file, reason: panic.to_string() }),
        Ok(Ok(Err(error))) => Err(ConnectError::Credentials { file, reason: Failure::from(error).words }),
        Ok(Ok(Ok(client))) => Ok(client),
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@=+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn user_agent() -> Option<(http::HeaderName, http::HeaderValue)> {
    let agent = concat!("runner/", env!("CARGO_PKG_VERSION"));
    Some((http::header::USER_AGENT, http::HeaderValue::from_static(agent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_kubeconfig_is_told_without_its_secrets() {
        for (text, expected) in [
            ("users: [{name: u, user: {token: hunter2", "line 1"),
            ("apiVersion: v1\nusers:\n- name: u\n  user: hunter2\n", "line"),
            ("hunter2", "kubeconfig"),
        ] {
            let error = Kubeconfig::from_yaml(text).unwrap_err();
            let reason = reason(&error);
            assert!(reason.contains(expected) && !reason.contains("hunter2"), "{reason}");
        }
    }
}
