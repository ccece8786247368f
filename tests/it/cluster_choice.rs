//! Which cluster a run uses: the kubeconfig that is named, else the usual places, else the pod's own credentials. What
//! is named and cannot be used ends the run; nothing else is tried.

use std::fs;

use serde_json::Value;
use tests::{Output, Runner, Served, Workdir};

const JOBS: &str = "/apis/batch/v1/jobs";
/// No usable cluster.
const NO_CLUSTER: Option<i32> = Some(4);
/// A machine that looks like a pod: the address leads nowhere.
const IN_A_POD: [(&str, &str); 2] = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "1")];

/// Runs one step whose config has these further keys.
fn exec(workdir: &Workdir, config: &str, variables: &[(&str, &str)]) -> Output {
    let dag = format!("steps:\n  - {{id: a, type: k8s, config: {{image: x{config}}}, command: echo hello}}\n");
    workdir.write("dag.yaml", dag).unwrap();
    let runner = Runner::new(workdir).unwrap().args(["exec", "dag.yaml"]);
    variables.iter().fold(runner, |runner, (name, value)| runner.env(name, value)).run().unwrap()
}

#[test]
fn the_kubeconfig_that_is_named_comes_before_the_environment() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let config = format!(", kubeconfig: \"{}\", context: local", served.kubeconfig().display());
    let output = exec(&workdir, &config, &[("KUBECONFIG", "/nowhere")]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 1);
}

#[test]
fn without_one_the_environment_names_it_then_the_home_folder() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let file = served.kubeconfig().display().to_string();
    let output = exec(&workdir, "", &[("KUBECONFIG", &file), IN_A_POD[0], IN_A_POD[1]]);
    assert_eq!(output.code, Some(0), "{output:?}");
    workdir.write(".kube/config", fs::read_to_string(served.kubeconfig()).unwrap()).unwrap();
    let output = exec(&workdir, "", &IN_A_POD);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 2);
}

#[test]
fn a_kubeconfig_or_context_that_is_wrong_is_not_replaced_by_another() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let file = served.kubeconfig().display().to_string();
    workdir.write("broken", "apiVersion: [").unwrap();
    for (config, told) in [
        (", kubeconfig: missing", "missing"),
        (", kubeconfig: broken", "broken"),
        (", context: elsewhere", "elsewhere"),
    ] {
        let output = exec(&workdir, config, &[("KUBECONFIG", &file), IN_A_POD[0], IN_A_POD[1]]);
        assert_eq!(output.code, NO_CLUSTER, "{config}: {output:?}");
        assert!(output.stderr.contains(told), "{config}: {output:?}");
    }
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
}

#[test]
fn where_nothing_is_configured_the_credentials_of_the_pod_are_used() {
    let workdir = Workdir::new().unwrap();
    let output = exec(&workdir, "", &IN_A_POD);
    assert_eq!(output.code, NO_CLUSTER, "{output:?}");
    assert!(output.stderr.contains("the credentials of the pod cannot be used"), "{output:?}");
    let output = exec(&workdir, "", &[]);
    assert_eq!(output.code, NO_CLUSTER, "{output:?}");
    assert!(output.stderr.contains("no cluster is configured"), "{output:?}");
}

#[test]
fn a_job_that_is_kept_stays_when_no_node_takes_its_pod() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("schedule", "pods", "*").unschedulable(None, "0/1 nodes are available");
    let dag = "steps:\n  - {id: a, type: k8s, config: {image: x, cleanup_policy: keep}, command: echo hello}\n";
    workdir.write("dag.yaml", dag).unwrap();
    let runner = Runner::new(&workdir).unwrap().args(["exec", "dag.yaml", "--wait", "schedule=1s", "--kubeconfig"]);
    let output = runner.arg(served.kubeconfig()).run().unwrap();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("0/1 nodes are available"), "{output:?}");
    assert_eq!(served.list(JOBS).unwrap().len(), 1);
    assert_eq!(served.requests("delete", "jobs").len(), 0);
}
