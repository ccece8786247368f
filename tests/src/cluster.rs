//! An embedded cluster that the program under test reaches over loopback, and that the test looks into.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow};
use http_body_util::{BodyExt as _, Empty};
use local_cluster::{LocalCluster, Options, Request, Server};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower_service::Service as _;

use crate::Workdir;

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

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The cluster itself.
    pub fn cluster(&self) -> &LocalCluster {
        &self.cluster
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
        let request = http::Request::get(path).body(Empty::<&[u8]>::new())?;
        let mut cluster = self.cluster.clone();
        let answer = self.runtime.block_on(async move {
            let answer = cluster.call(request).await?;
            Ok::<_, anyhow::Error>(answer.into_body().collect().await?.to_bytes())
        })?;
        let mut list: Value = serde_json::from_slice(&answer)?;
        let items = list.get_mut("items").and_then(Value::as_array_mut);
        items.map(std::mem::take).with_context(|| format!("`{path}` is no list"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let cluster = self.cluster.clone();
        // A folder that cannot be removed goes with the test's.
        let _ = self.runtime.block_on(async move { cluster.shutdown().await });
    }
}
