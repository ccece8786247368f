//! An embedded cluster that the program under test reaches over loopback, and that the test looks into.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use local_cluster::{LocalCluster, Options, Request, Server};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower_service::Service as _;

use crate::{Refused, Workdir};

/// A cluster that is served for one test.
pub struct Served {
    runtime: Runtime,
    cluster: LocalCluster,
    kubeconfig: PathBuf,
    server: Mutex<Option<Server>>,
}

impl Served {
    /// Starts one; its folder and its kubeconfig are in the test's.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(workdir: &Workdir) -> Result<Served> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let folder = workdir.path().join("cluster");
        let (cluster, server) = runtime.block_on(async {
            let cluster = LocalCluster::start(Options::new(folder)).await?;
            let server = cluster.serve(([127, 0, 0, 1], 0).into()).await?;
            Ok::<_, std::io::Error>((cluster, server))
        })?;
        let kubeconfig = workdir.write("kubeconfig", server.kubeconfig())?;
        Ok(Served { runtime, cluster, kubeconfig, server: Mutex::new(Some(server)) })
    }

    /// Ends all connections and, on the same port, takes new ones; the cluster goes on.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn restart_server(&self) -> Result<()> {
        let mut server = self.server.lock().map_err(|_| anyhow!("a test panicked while it restarted the server"))?;
        let old = server.take().context("the server did not come back")?;
        let address = old.address();
        *server = Some(self.runtime.block_on(async {
            old.stop().await;
            self.cluster.serve(address).await
        })?);
        Ok(())
    }

    /// The logs of all pods that come begin a new file at so many bytes, as on a real node.
    pub fn rotate_logs(&self, size: u64) {
        self.cluster.faults().on("run", "pods", "*").rotate_log(size);
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The cluster itself.
    pub fn cluster(&self) -> &LocalCluster {
        &self.cluster
    }

    /// What it says to a Job that is not kept, and in which it must know every field.
    ///
    /// # Errors
    /// When it says no.
    pub fn strict_dry_run(&self, job: &Value) -> Result<(), Refused> {
        let unanswered = |error: &dyn std::fmt::Display| Refused::unanswered(error.to_string());
        let path = "/apis/batch/v1/namespaces/default/jobs?dryRun=All&fieldValidation=Strict";
        let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
        let request = request.body(Full::<Bytes>::from(job.to_string())).map_err(|error| unanswered(&error))?;
        let mut cluster = self.cluster.clone();
        let (status, answer) = self.runtime.block_on(async move {
            let answer = cluster.call(request).await.map_err(|error| unanswered(&error))?;
            let status = answer.status();
            let bytes = answer.into_body().collect().await.map_err(|error| unanswered(&error))?.to_bytes();
            Ok::<_, Refused>((status, bytes))
        })?;
        if status.is_success() {
            return Ok(());
        }
        let status: kube::core::Status = serde_json::from_slice(&answer).map_err(|error| unanswered(&error))?;
        Err(Refused::from(status))
    }

    /// The requests that were made so far with this verb and resource.
    pub fn requests(&self, verb: &str, resource: &str) -> Vec<Request> {
        let all = self.cluster.requests();
        all.into_iter().filter(|request| request.verb == verb && request.resource == resource).collect()
    }

    /// The objects of a list, as `/apis/batch/v1/jobs`. It is a request like any other, and counted.
    ///
    /// # Errors
    /// When it is not answered with a list.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut list = self.ask(http::Request::get(path), None)?;
        let items = list.get_mut("items").and_then(Value::as_array_mut);
        items.map(std::mem::take).with_context(|| format!("`{path}` is no list"))
    }

    /// Creates an object in a collection.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn create(&self, path: &str, object: &Value) -> Result<Value> {
        self.ask(http::Request::post(path).header("content-type", "application/json"), Some(object))
    }

    /// Deletes an object, and what belongs to it in the background.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn delete(&self, path: &str) -> Result<Value> {
        self.ask(http::Request::delete(format!("{path}?propagationPolicy=Background")), None)
    }

    fn ask(&self, request: http::request::Builder, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)))?;
        let mut cluster = self.cluster.clone();
        let answer = self.runtime.block_on(async move {
            let answer = cluster.call(request).await?;
            Ok::<_, anyhow::Error>(answer.into_body().collect().await?.to_bytes())
        })?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let cluster = self.cluster.clone();
        // A folder that cannot be removed goes with the test's.
        let _ = self.runtime.block_on(async move { cluster.shutdown().await });
    }
}
