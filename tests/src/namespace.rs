//! A namespace of its own for each test, in an embedded cluster or in a real one: the same test runs on both.
//!
//! Which cluster it is decides the variable `RUNNER_TEST_KUBECONFIG`: a kubeconfig of somebody who may do everything, and
//! whose nodes see the files of this machine. Without it each test has an embedded cluster of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use http::Method;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{Served, Workdir};

/// Names the kubeconfig of a real cluster.
pub const KUBECONFIG: &str = "RUNNER_TEST_KUBECONFIG";

/// Which cluster a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// The one of this repository.
    Embedded,
    /// Kubernetes.
    Real,
}

impl ClusterKind {
    /// The one that the environment asks for.
    pub fn of_environment() -> ClusterKind {
        if std::env::var_os(KUBECONFIG).is_some() { ClusterKind::Real } else { ClusterKind::Embedded }
    }
}

/// What the API server said no to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status code; 0: there was no answer.
    pub code: u16,
    /// In its words.
    pub message: String,
    /// What is wrong, field by field.
    pub causes: Vec<Cause>,
}

/// One of the reasons for which an object is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The field, as `spec.template.spec.containers[0].image`.
    pub field: String,
    /// What is wrong with it, as `Required value`.
    pub message: String,
}

impl Refused {
    /// There was no answer, or none that can be read.
    pub(crate) fn unanswered(message: String) -> Refused {
        Refused { code: 0, message, causes: Vec::new() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.code, self.message)
    }
}

impl std::error::Error for Refused {}

impl From<kube::core::Status> for Refused {
    fn from(status: kube::core::Status) -> Refused {
        let causes = status.details.into_iter().flat_map(|details| details.causes);
        Refused {
            code: status.code,
            message: status.message,
            causes: causes.map(|cause| Cause { field: cause.field, message: cause.message }).collect(),
        }
    }
}

impl From<kube::Error> for Refused {
    fn from(error: kube::Error) -> Refused {
        match error {
            kube::Error::Api(status) => Refused::from(*status),
            other => Refused::unanswered(format!("{other:?}")),
        }
    }
}

/// A namespace that goes away with the test, and a folder that does.
pub struct Namespace {
    kind: ClusterKind,
    name: String,
    kubeconfig: PathBuf,
    client: kube::Client,
    /// Paths of objects outside of the namespace, which do not go with it.
    others: Mutex<Vec<String>>,
    runtime: Runtime,
    served: Option<Served>,
    workdir: Workdir,
}

impl Namespace {
    /// A new one; `test` becomes a part of its name.
    ///
    /// # Errors
    /// When the cluster cannot be reached.
    pub fn open(test: &str) -> Result<Namespace> {
        let kind = ClusterKind::of_environment();
        let workdir = Workdir::new()?;
        let (served, kubeconfig) = match std::env::var_os(KUBECONFIG) {
            None => {
                let served = Served::start(&workdir)?;
                let kubeconfig = served.kubeconfig().to_owned();
                (Some(served), kubeconfig)
            }
            Some(path) => (None, std::path::absolute(PathBuf::from(path))?),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(client(&kubeconfig))?;
        let name = name(test);
        let others = Mutex::default();
        let namespace = Namespace { kind, name, kubeconfig, client, others, runtime, served, workdir };
        let labels = json!({"runner.test/e2e": "true"});
        let manifest = json!({"metadata": {"name": namespace.name, "labels": labels}});
        namespace.request(Method::POST, "/api/v1/namespaces", Some(&manifest))?;
        Ok(namespace)
    }

    /// Which cluster it is in.
    pub fn kind(&self) -> ClusterKind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A kubeconfig of the cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder of the test.
    pub fn workdir(&self) -> &Workdir {
        &self.workdir
    }

    /// The embedded cluster, if it is one.
    pub fn served(&self) -> Option<&Served> {
        self.served.as_ref()
    }

    /// The path of a collection in it, as of `jobs`.
    pub fn path(&self, resource: &str) -> String {
        let group = match resource {
            "jobs" => "/apis/batch/v1",
            "roles" | "rolebindings" => "/apis/rbac.authorization.k8s.io/v1",
            _ => "/api/v1",
        };
        format!("{group}/namespaces/{}/{resource}", self.name)
    }

    /// All objects of a kind in it.
    ///
    /// # Errors
    /// When the server says no.
    pub fn list(&self, resource: &str) -> Result<Vec<Value>, Refused> {
        let mut list = self.request(Method::GET, &self.path(resource), None)?;
        Ok(list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default())
    }

    /// An object in it.
    ///
    /// # Errors
    /// When the server says no.
    pub fn get(&self, resource: &str, name: &str) -> Result<Value, Refused> {
        self.request(Method::GET, &format!("{}/{name}", self.path(resource)), None)
    }

    /// Creates an object in it; `resource` may name a part of one, as `pods/NAME/eviction`.
    ///
    /// # Errors
    /// When the server says no.
    pub fn create(&self, resource: &str, manifest: &Value) -> Result<Value, Refused> {
        self.request(Method::POST, &self.path(resource), Some(manifest))
    }

    /// Creates an object outside of it, which is deleted at the end all the same.
    ///
    /// # Errors
    /// When the server says no.
    pub fn create_outside(&self, collection: &str, manifest: &Value) -> Result<Value, Refused> {
        let created = self.request(Method::POST, collection, Some(manifest))?;
        let name = created.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if let Ok(mut others) = self.others.lock() {
            others.push(format!("{collection}/{name}"));
        }
        Ok(created)
    }

    /// What the server says to an object that is not kept, and in which it must know every field.
    ///
    /// # Errors
    /// When it says no.
    pub fn strict_dry_run(&self, resource: &str, manifest: &Value) -> Result<Value, Refused> {
        let path = format!("{}?dryRun=All&fieldValidation=Strict", self.path(resource));
        self.request(Method::POST, &path, Some(manifest))
    }

    /// Deletes an object in it, with what belongs to it.
    ///
    /// # Errors
    /// When the server says no.
    pub fn delete(&self, resource: &str, name: &str) -> Result<Value, Refused> {
        let how = json!({"propagationPolicy": "Background"});
        self.request(Method::DELETE, &format!("{}/{name}", self.path(resource)), Some(&how))
    }

    /// Any request; the answer as JSON.
    ///
    /// # Errors
    /// When the server says no.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        let text = self.send(method, path, body)?;
        serde_json::from_str(&text).map_err(|error| Refused::unanswered(format!("{error}: {text}")))
    }

    /// Any request without a body; the answer as text.
    ///
    /// # Errors
    /// When the server says no.
    pub fn text(&self, method: Method, path: &str) -> Result<String, Refused> {
        self.send(method, path, None)
    }

    fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<String, Refused> {
        let content = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, content);
        let request = request.body(bytes).map_err(|error| Refused::unanswered(error.to_string()))?;
        Ok(self.runtime.block_on(self.client.request_text(request))?)
    }

    /// Everything in it, for whoever looks at a failure: Jobs and pods with their state, Events, logs.
    pub fn state(&self) -> String {
        let mut text = format!("namespace {}:\n", self.name);
        for resource in ["jobs", "pods"] {
            for object in self.list(resource).unwrap_or_default() {
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let status = object.get("status").map(Value::to_string).unwrap_or_default();
                text.push_str(&format!("  {resource}/{name}: {status}\n"));
            }
        }
        for event in self.list("events").unwrap_or_default() {
            let field = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (about, reason) = (field("/involvedObject/name"), field("/reason"));
            text.push_str(&format!("  event {about}: {reason}: {}\n", field("/message")));
        }
        text
    }

    /// Removes it. What is in it goes in the background.
    fn remove(&self) {
        let others = self.others.lock().map(|mut others| std::mem::take(&mut *others)).unwrap_or_default();
        for path in others.into_iter().chain([format!("/api/v1/namespaces/{}", self.name)]) {
            // A namespace that is left is named for what it is; the test has its own verdict.
            let _ = self.request(Method::DELETE, &path, None);
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A client of whoever the kubeconfig names.
async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let file = kubeconfig.display();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).with_context(|| format!("`{file}` cannot be read"))?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // A cluster that was just restarted keeps its clients waiting.
    config.read_timeout = Some(std::time::Duration::from_secs(60));
    Ok(kube::Client::try_from(config)?)
}

/// A name that no other test has, and that says which test it is of.
fn name(test: &str) -> String {
    let random: String = uuid::Uuid::new_v4().simple().to_string().chars().take(6).collect();
    let readable: String = test.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    format!("e2e-{}-{random}", readable.trim_matches('-'))
}
