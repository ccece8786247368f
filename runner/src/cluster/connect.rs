//! Which cluster, and a client for it.
//!
//! An explicit kubeconfig, else `KUBECONFIG`, else `~/.kube/config`, else the credentials of the pod this runs in. What is
//! named but cannot be used is an error: nothing falls back to another cluster.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig};

use super::exchange::Connection;
use super::{Cluster, Failure};

/// For credentials: a plugin may ask somebody to log in.
const CREDENTIALS: Duration = Duration::from_secs(60);

/// What a layer of the config says about the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Kubeconfig file, an absolute path; none: the usual rules.
    pub kubeconfig: Option<PathBuf>,
    /// Context in it; none: its current one.
    pub context: Option<String>,
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
    let Reached { client, server, default_namespace, context } = reach(target).await?;
    let mut kubectl = String::new();
    if let Some(path) = &target.kubeconfig {
        kubectl.push_str(&format!("--kubeconfig {} ", quoted(&path.display().to_string())));
    }
    if let Some(context) = &context {
        kubectl.push_str(&format!("--context {} ", quoted(context)));
    }
    // Who switches the context meanwhile means the next run, not this one.
    let target = Target { context: context.clone(), ..target.clone() };
    let again = move || -> BoxFuture<'static, Result<kube::Client, Failure>> {
        let (target, server) = (target.clone(), server.clone());
        Box::pin(async move {
            let reached = reach(&target).await.map_err(|error| Failure::unavailable(error.to_string()))?;
            if reached.server != server {
                return Err(Failure::unavailable(format!("the kubeconfig now names {}, not {server}", reached.server)));
            }
            Ok(reached.client)
        })
    };
    let connection = Connection::new(client, Box::new(again));
    Ok(Cluster::new(connection, Some(kubectl), default_namespace, context))
}

/// A cluster that can be asked.
struct Reached {
    client: kube::Client,
    /// Its address.
    server: http::Uri,
    default_namespace: String,
    context: Option<String>,
}

async fn reach(target: &Target) -> Result<Reached, ConnectError> {
    let (config, file) = match read(target)? {
        Some((kubeconfig, file)) => {
            let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
            let context = target.context.clone().or_else(|| kubeconfig.current_context.clone());
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| ConnectError::Kubeconfig { file: file.clone(), reason: reason(&error) })?;
            (config, Some((file, context)))
        }
        None => {
            let config =
                kube::Config::incluster().map_err(|error| ConnectError::InCluster { reason: error.to_string() })?;
            (config, None)
        }
    };
    let (file, context) = file.unzip();
    let file = file.unwrap_or_else(|| "the pod".to_owned());
    let (server, default_namespace) = (config.cluster_url.clone(), config.default_namespace.clone());
    let client = client(config, file).await?;
    Ok(Reached { client, server, default_namespace, context: context.flatten() })
}

/// The kubeconfig that counts, and its name. None: the pod's own credentials.
fn read(target: &Target) -> Result<Option<(Kubeconfig, String)>, ConnectError> {
    if let Some(path) = &target.kubeconfig {
        return from_file(path).map(Some);
    }
    let named = std::env::var_os("KUBECONFIG").filter(|value| !value.to_string_lossy().trim().is_empty());
    if let Some(paths) = named {
        let file = paths.to_string_lossy().into_owned();
        let kubeconfig = Kubeconfig::from_env()
            .map_err(|error| ConnectError::Kubeconfig { file: file.clone(), reason: reason(&error) })?
            .unwrap_or_default();
        return Ok(Some((kubeconfig, file)));
    }
    let path = etcetera::home_dir().map_err(|_| ConnectError::NoHome)?.join(".kube").join("config");
    if path.exists() || target.context.is_some() {
        return from_file(&path).map(Some);
    }
    match std::env::var_os("KUBERNETES_SERVICE_HOST") {
        Some(_) => Ok(None),
        None => Err(ConnectError::Nowhere),
    }
}

fn from_file(path: &Path) -> Result<(Kubeconfig, String), ConnectError> {
    let file = path.display().to_string();
    match Kubeconfig::read_from(path) {
        Ok(kubeconfig) => Ok((kubeconfig, file)),
        Err(error) => Err(ConnectError::Kubeconfig { reason: reason(&error), file }),
    }
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
fn quoted(word: &str) -> String {
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
