//! The real `kubectl` against the cluster on loopback.

use std::path::Path;
use std::process::Stdio;

use k8s_openapi::api::batch::v1::Job;
use local_cluster::Server;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{self, Cluster, has};

struct Kubectl {
    config: tempfile::TempDir,
    server: Server,
}

impl Kubectl {
    async fn new(cluster: &Cluster) -> Option<Self> {
        if Command::new("kubectl").arg("version").arg("--client").output().await.is_err() {
            eprintln!("SKIPPED: there is no kubectl on this machine");
            return None;
        }
        let server = cluster.cluster.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let config = tempfile::tempdir().unwrap();
        std::fs::write(config.path().join("config"), server.kubeconfig()).unwrap();
        Some(Self { config, server })
    }

    fn folder(&self) -> &Path {
        self.config.path()
    }

    /// Runs kubectl and returns what it printed; fails the test when it fails.
    async fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new("kubectl")
            .args(arguments)
            .env("KUBECONFIG", self.folder().join("config"))
            .env("HOME", self.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?} failed:\n{err}{out}");
        out.into_owned()
    }
}

const JOB: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: hello}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: step, image: none, command: [sh, -c, "echo hello from kubectl; sleep 0.1"]}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_creates_shows_follows_and_deletes() {
    let cluster = support::real().await;
    let Some(kubectl) = Kubectl::new(&cluster).await else { return };
    let said = kubectl.run(&["create", "-f", "-"], JOB).await;
    assert_eq!(said, "job.batch/hello created\n");
    cluster.until::<Job>("hello", |job| has(job, "Complete")).await;
    assert_eq!(kubectl.run(&["logs", "-f", "job/hello"], "").await, "hello from kubectl\n");
    let jobs = kubectl.run(&["get", "jobs"], "").await;
    let words: Vec<&str> = jobs.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((words[0], words[1], words[2]), ("hello", "Complete", "1/1"), "{jobs}");
    let pods = kubectl.run(&["get", "pods", "-A", "-o", "wide"], "").await;
    assert!(pods.contains("Completed"), "{pods}");
    let all = kubectl.run(&["get", "all"], "").await;
    assert!(all.contains("job.batch/hello"), "{all}");
    let description = kubectl.run(&["describe", "job", "hello"], "").await;
    assert!(description.contains("Pods Statuses:") && description.contains("SuccessfulCreate"), "{description}");
    let description = kubectl.run(&["describe", "pods"], "").await;
    assert!(description.contains("Exit Code:") && description.contains("Started"), "{description}");
    let code = "-o=jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}";
    assert_eq!(kubectl.run(&["get", "pods", code], "").await, "0");
    kubectl.run(&["wait", "--for=condition=complete", "job/hello", "--timeout=5s"], "").await;
    assert_eq!(kubectl.run(&["delete", "job", "hello"], "").await, "job.batch \"hello\" deleted\n");
    assert_eq!(kubectl.run(&["get", "jobs,pods", "-o", "name"], "").await, "");
    kubectl.server.stop().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_applies_secrets_and_config_maps() {
    let cluster = support::real().await;
    let Some(kubectl) = Kubectl::new(&cluster).await else { return };
    let map = |value: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{{value}}}\n");
    let apply = ["apply", "--validate=false", "-f", "-"];
    assert_eq!(kubectl.run(&apply, &map("a: x, b: x")).await, "configmap/m created\n");
    assert_eq!(kubectl.run(&apply, &map("a: z")).await, "configmap/m configured\n");
    assert_eq!(kubectl.run(&apply, &map("a: z")).await, "configmap/m unchanged\n");
    assert_eq!(kubectl.run(&["get", "cm", "m", "-o=jsonpath={.data}"], "").await, r#"{"a":"z"}"#);
    kubectl.run(&["create", "secret", "generic", "s", "--from-literal=k=v"], "").await;
    assert_eq!(kubectl.run(&["get", "secret", "s", "-o=jsonpath={.data.k}"], "").await, "dg==");
    kubectl.run(&["create", "namespace", "team"], "").await;
    kubectl.run(&["delete", "namespace", "team"], "").await;
    kubectl.server.stop().await;
    cluster.end().await;
}

#[tokio::test]
async fn without_the_token_nothing_is_answered() {
    use tokio::io::AsyncReadExt;

    let cluster = support::real().await;
    let server = cluster.cluster.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let ask = async |path: &str, header: &str| {
        let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap().to_owned()
    };
    let token = server.token();
    assert_eq!(ask("/version", "").await, "HTTP/1.1 401 Unauthorized");
    assert_eq!(ask("/version", "Authorization: Bearer wrong\r\n").await, "HTTP/1.1 401 Unauthorized");
    assert_eq!(ask("/version", &format!("Authorization: Bearer {token}\r\n")).await, "HTTP/1.1 200 OK");
    assert_eq!(ask(&format!("/{token}/version"), "").await, "HTTP/1.1 200 OK");
    assert!(cluster.cluster.serve(([0, 0, 0, 0], 0).into()).await.is_err());
    server.stop().await;
    cluster.end().await;
}
