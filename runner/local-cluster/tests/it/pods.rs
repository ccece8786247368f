//! Containers as real processes of this machine.

use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, DeleteParams, LogParams};
use serde_json::{Value, json};

use crate::support::{self, Cluster, end_of, has, has_ended, job, phase, pod, waits_for};

async fn run(cluster: &Cluster, pod: Value) -> Pod {
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    cluster.create::<Pod>(pod).await.unwrap();
    cluster.until::<Pod>(&name, has_ended).await
}

async fn log(cluster: &Cluster, name: &str) -> String {
    cluster.api::<Pod>().logs(name, &LogParams::default()).await.unwrap()
}

fn is_alive(pid: &str) -> bool {
    // A process that has ended may still wait for its parent.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until a process is gone: a signal needs a moment.
async fn until_dead(pid: &str) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "process {pid} still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_jobs_process_runs_and_its_code_is_reported() {
    let cluster = support::real().await;
    let spec = json!({"template": {"spec": {"containers": [
        {"name": "step", "image": "none", "command": ["sh", "-c", "echo hello; exit 7"]}]}}});
    cluster.create::<Job>(job("j", spec)).await.unwrap();
    cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    let pod = cluster.pod_of("j").await;
    let found = cluster.until::<Pod>(&pod, has_ended).await;
    assert_eq!(end_of(&found), (7, "Error".to_owned(), String::new()));
    assert_eq!(log(&cluster, &pod).await, "hello\n");
    cluster.end().await;
}

#[tokio::test]
async fn with_a_faster_clock_real_processes_are_retried_in_no_time() {
    let cluster = support::scaled(100.0).await;
    let spec = json!({"backoffLimit": 2, "template": {"spec": {"containers": [
        {"name": "step", "image": "none", "command": ["false"]}]}}});
    let start = Instant::now();
    cluster.create::<Job>(job("j", spec)).await.unwrap();
    let failed = cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    assert_eq!(failed.status.unwrap().failed, Some(3));
    assert!(start.elapsed() < Duration::from_secs(10), "ten and twenty seconds of the cluster");
    cluster.end().await;
}

#[tokio::test]
async fn the_environment_is_what_the_pod_says_and_no_more() {
    let cluster = support::real().await;
    cluster.create::<Secret>(json!({"metadata": {"name": "s"}, "stringData": {"password": "geheim"}})).await.unwrap();
    let map = json!({"metadata": {"name": "m"}, "data": {"A": "from-map", "B": "also"}});
    cluster.create::<ConfigMap>(map).await.unwrap();
    let container = json!({
        "command": ["sh", "-c", "env | sort; echo \"$0 $1\"", "$(GREETING)", "$$(GREETING)"],
        "envFrom": [{"prefix": "M_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "none", "optional": true}}],
        "env": [
            {"name": "GREETING", "value": "hello $(M_A) $(NONE)"},
            {"name": "M_B", "value": "own"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "EMPTY"},
        ],
    });
    assert_eq!(phase(&run(&cluster, pod("p", container)).await), "Succeeded");
    let log = log(&cluster, "p").await;
    let names: Vec<&str> = log.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // The shell adds the last three by itself.
    let own: Vec<&str> = names.into_iter().filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name)).collect();
    assert_eq!(
        own,
        ["EMPTY", "GREETING", "HOME", "HOSTNAME", "M_A", "M_B", "PASSWORD", "PATH", "POD", "RUNNER_LOCAL_ROOT"]
    );
    for line in ["GREETING=hello from-map $(NONE)", "M_A=from-map", "M_B=own", "PASSWORD=geheim", "POD=p", "HOSTNAME=p"]
    {
        assert!(log.lines().any(|found| found == line), "{line} is not in\n{log}");
    }
    assert!(log.ends_with("hello from-map $(NONE) $(GREETING)\n"), "{log}");
    cluster.end().await;
}

#[tokio::test]
async fn volumes_are_folders_and_paths_lead_into_them() {
    let cluster = support::real().await;
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("in"), "host\n").unwrap();
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "m"}, "data": {"conf": "map\n"}})).await.unwrap();
    let mut writer = pod(
        "w",
        json!({
            "command": ["sh", "-c", "cat /etc/app/conf /host/in; echo kept > /claim/file; cp /etc/app/conf $OUT; ls $OUT; pwd"],
            "workingDir": "/scratch",
            "env": [{"name": "OUT", "value": "/scratch/copy"}],
            "volumeMounts": [
                {"name": "conf", "mountPath": "/etc/app"}, {"name": "host", "mountPath": "/host", "readOnly": true},
                {"name": "claim", "mountPath": "/claim", "subPath": "sub"}, {"name": "scratch", "mountPath": "/scratch"},
            ],
        }),
    );
    let volumes = json!([
        {"name": "conf", "configMap": {"name": "m"}}, {"name": "host", "hostPath": {"path": host.path()}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "scratch", "emptyDir": {}},
    ]);
    writer["spec"]["volumes"] = volumes.clone();
    let ended = run(&cluster, writer).await;
    let text = log(&cluster, "w").await;
    assert_eq!(phase(&ended), "Succeeded", "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["map", "host"]);
    assert!(lines[2].ends_with("/scratch/copy"), "{text}");
    // Another pod finds what the claim holds.
    let mount = json!([{"name": "claim", "mountPath": "/claim"}]);
    let mut reader = pod("r", json!({"command": ["cat", "/claim/sub/file"], "volumeMounts": mount}));
    reader["spec"]["volumes"] = volumes;
    run(&cluster, reader).await;
    assert_eq!(log(&cluster, "r").await, "kept\n");
    let note = "MountPathsRewritten: /claim is $RUNNER_LOCAL_ROOT/claim; rewritten in the command, variables and working directory";
    assert!(cluster.events().await.contains(&note.to_owned()));
    cluster.end().await;
}

#[tokio::test]
async fn what_cannot_be_started_is_a_start_error_with_the_reason() {
    let cluster = support::real().await;
    for (name, container, expected) in [
        ("none", json!({"command": null}), "the local cluster has no images: this step needs a `command`"),
        (
            "missing",
            json!({"command": ["no-such-program"]}),
            "exec: \"no-such-program\": executable file not found in $PATH",
        ),
        ("path", json!({"command": ["/no/such"]}), "exec: \"/no/such\": stat /no/such: no such file or directory"),
        ("mode", json!({"command": ["/etc/passwd"]}), "exec: \"/etc/passwd\": permission denied"),
        (
            "folder",
            json!({"workingDir": "/no/such"}),
            "chdir to cwd (\"/no/such\") set in config.json failed: no such file or directory",
        ),
    ] {
        let ended = run(&cluster, pod(name, container)).await;
        assert_eq!(end_of(&ended), (128, "StartError".to_owned(), expected.to_owned()), "{name}");
        assert_eq!(phase(&ended), "Failed");
    }
    cluster.end().await;
}

#[tokio::test]
async fn what_the_kernel_does_not_start_ends_with_1_and_says_why_in_its_log() {
    let cluster = support::real().await;
    let big = json!({"name": "BIG", "value": "v".repeat(200 * 1024)});
    let ended = run(&cluster, pod("p", json!({"command": ["sh", "-c", "true"], "env": [big]}))).await;
    assert_eq!(end_of(&ended), (1, "Error".to_owned(), String::new()));
    let log = cluster.api::<Pod>().logs("p", &LogParams::default()).await.unwrap();
    assert!(log.starts_with("exec /") && log.ends_with("sh: argument list too long\n"), "{log}");
    cluster.end().await;
}

#[tokio::test]
async fn a_missing_secret_is_waited_for() {
    let cluster = support::real().await;
    let source = json!({"secretKeyRef": {"name": "s", "key": "k"}});
    let container = json!({"command": ["sh", "-c", "echo $K"], "env": [{"name": "K", "valueFrom": source}]});
    cluster.create::<Pod>(pod("p", container)).await.unwrap();
    let config_error = |pod: &Pod| waits_for(pod).0 == "CreateContainerConfigError";
    let waiting = cluster.until::<Pod>("p", config_error).await;
    assert_eq!((waits_for(&waiting).1.as_str(), phase(&waiting)), ("secret \"s\" not found", "Pending"));
    cluster.create::<Secret>(json!({"metadata": {"name": "s"}, "stringData": {"other": "x"}})).await.unwrap();
    let text = "couldn't find key k in Secret default/s";
    cluster.until::<Pod>("p", |pod| waits_for(pod).1 == text).await;
    let both = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "found"}});
    cluster.cluster.apply_objects([both]).unwrap();
    cluster.until::<Pod>("p", has_ended).await;
    assert_eq!(log(&cluster, "p").await, "found\n");
    cluster.end().await;
}

#[tokio::test]
async fn a_missing_volume_source_is_an_event_and_is_waited_for() {
    let cluster = support::real().await;
    let mut waiting = pod("p", json!({"command": ["cat", "/m/k"], "volumeMounts": [{"name": "v", "mountPath": "/m"}]}));
    waiting["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "s"}}]);
    cluster.create::<Pod>(waiting).await.unwrap();
    let mounts = |pod: &Pod| waits_for(pod).0 == "ContainerCreating";
    cluster.until::<Pod>("p", mounts).await;
    cluster.create::<Secret>(json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}})).await.unwrap();
    cluster.until::<Pod>("p", has_ended).await;
    assert_eq!(log(&cluster, "p").await, "v");
    cluster.end().await;
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() {
    let cluster = support::real().await;
    let ended = run(&cluster, pod("p", json!({"command": ["sh", "-c", "kill -9 $$"]}))).await;
    // `$$` reaches the shell as `$`: the word is expanded as Kubernetes does.
    assert_ne!(end_of(&ended).0, 0);
    let ended = run(&cluster, pod("q", json!({"command": ["sh", "-c", "kill -9 $$$$"]}))).await;
    assert_eq!(end_of(&ended), (137, "Error".to_owned(), String::new()));
    cluster.end().await;
}

#[tokio::test]
async fn deletion_sends_sigterm_to_the_whole_group() {
    let cluster = support::real().await;
    // The child ignores nothing and has no parent to tell it.
    let script = "trap 'echo stopping; exit 3' TERM; sleep 600 & echo $!; wait";
    cluster.create::<Pod>(pod("p", json!({"command": ["sh", "-c", script]}))).await.unwrap();
    let child = first_line(&cluster, "p").await;
    assert!(is_alive(&child));
    cluster.api::<Pod>().delete("p", &DeleteParams::default()).await.unwrap();
    let seen = cluster.watch_until::<Pod>("p", |pod| pod.is_none()).await;
    assert_eq!(end_of(seen.last().unwrap()).0, 3);
    until_dead(&child).await;
    cluster.end().await;
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_after_its_grace() {
    let cluster = support::real().await;
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    cluster.create::<Pod>(pod("p", json!({"command": ["sh", "-c", script]}))).await.unwrap();
    first_line(&cluster, "p").await;
    let start = Instant::now();
    cluster.api::<Pod>().delete("p", &DeleteParams::default().grace_period(1)).await.unwrap();
    let seen = cluster.watch_until::<Pod>("p", |pod| pod.is_none()).await;
    assert_eq!(end_of(seen.last().unwrap()).0, 137);
    assert!(start.elapsed() < Duration::from_secs(5));
    cluster.end().await;
}

#[tokio::test]
async fn what_a_container_leaves_running_is_stopped_with_it() {
    let cluster = support::real().await;
    let ended = run(&cluster, pod("p", json!({"command": ["sh", "-c", "sleep 600 & echo $!"]}))).await;
    assert_eq!(phase(&ended), "Succeeded");
    until_dead(log(&cluster, "p").await.trim()).await;
    cluster.end().await;
}

#[tokio::test]
async fn init_containers_run_one_after_the_other_and_sidecars_end_with_the_rest() {
    let cluster = support::real().await;
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let mut all = pod("p", json!({"command": ["cat", "/v/a"], "volumeMounts": mount}));
    all["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    all["spec"]["initContainers"] = json!([
        {"name": "one", "image": "x", "command": ["sh", "-c", "echo 1 > /v/a"], "volumeMounts": mount},
        {"name": "side", "image": "x", "command": ["sleep", "600"], "restartPolicy": "Always"},
        {"name": "two", "image": "x", "command": ["sh", "-c", "echo 2 >> /v/a"], "volumeMounts": mount},
    ]);
    let ended = run(&cluster, all).await;
    assert_eq!((phase(&ended), log_of(&cluster, "p", "step").await.as_str()), ("Succeeded", "1\n2\n"));
    let mut broken = pod("q", json!({}));
    broken["spec"]["initContainers"] = json!([{"name": "one", "image": "x", "command": ["false"]}]);
    let ended = run(&cluster, broken).await;
    assert_eq!((phase(&ended), waits_for(&ended).0.as_str()), ("Failed", "PodInitializing"));
    cluster.end().await;
}

#[tokio::test]
async fn the_end_of_the_cluster_stops_every_process() {
    let cluster = support::real().await;
    let mut pids = Vec::new();
    for name in ["a", "b"] {
        let script = "trap '' TERM; echo $$$$; while :; do sleep 0.05; done";
        cluster.create::<Pod>(pod(name, json!({"command": ["sh", "-c", script]}))).await.unwrap();
        pids.push(first_line(&cluster, name).await);
    }
    let start = Instant::now();
    cluster.end().await;
    assert!(pids.iter().all(|pid| !is_alive(pid)));
    assert!(start.elapsed() < Duration::from_secs(5));
}

async fn log_of(cluster: &Cluster, name: &str, container: &str) -> String {
    let params = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
    cluster.api::<Pod>().logs(name, &params).await.unwrap()
}

/// The first line of a running container.
async fn first_line(cluster: &Cluster, name: &str) -> String {
    use futures_util::{AsyncBufReadExt, TryStreamExt};

    cluster.until::<Pod>(name, |pod| phase(pod) == "Running").await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let pods: Api<Pod> = cluster.api();
    pods.log_stream(name, &follow).await.unwrap().lines().try_next().await.unwrap().unwrap()
}
