//! Policies that come with the program, against whole runs. What they say about a step is in their own cases.

use tests::{Runner, Workdir, root};

/// Runs a workflow on the local cluster under the policy `no-host-steps`.
fn run(workdir: &Workdir, dag: &str) -> tests::Output {
    workdir.write("dag.yaml", dag).unwrap();
    let policy = root().join("policies/dist/no-host-steps.wasm").display().to_string();
    let arguments = ["exec", "--local", "--output", "plain", "--policy", &policy, "dag.yaml"];
    Runner::new(workdir).unwrap().args(arguments).run().unwrap()
}

#[test]
fn nothing_of_a_workflow_runs_when_one_step_or_handler_would_run_on_this_machine() {
    let job = "{type: k8s, config: {image: x}, command: [sh, -c, touch $HOME_OF_TEST/job]}";
    let host = "{command: touch host}";
    for dag in [
        format!("steps:\n  - {job}\n  - {host}\n"),
        format!("steps:\n  - {job}\nhandler_on:\n  exit: {host}\n"),
        format!("steps:\n  - {job}\nhandler_on:\n  init: {{script: touch host}}\n"),
    ] {
        let workdir = Workdir::new().unwrap();
        let dag = dag.replace("$HOME_OF_TEST", &workdir.path().display().to_string());
        let output = run(&workdir, &dag);
        assert_eq!(output.code, Some(3), "{dag}{output:?}");
        assert!(output.stderr.contains("error[no-host-steps/command]"), "{output:?}");
        let made = ["job", "host"].map(|file| workdir.path().join(file).exists());
        assert_eq!(made, [false, false], "{dag}{output:?}");
    }
}

#[test]
fn a_workflow_of_kubernetes_steps_runs_under_no_host_steps() {
    let workdir = Workdir::new().unwrap();
    let output = run(&workdir, "steps:\n  - {id: a, type: k8s, config: {image: x}, command: echo it runs}\n");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("a │ it runs"), "{output:?}");
}
