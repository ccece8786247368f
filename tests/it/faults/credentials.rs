//! Credential plugins: programs that hand out credentials, and that hang, ask or fail.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

use runner::cluster::{Target, connect};
use tests::faults::{ONE_STEP, seconds};
use tests::{Output, Runner, Served, Workdir, root};

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A kubeconfig whose user runs a shell script for credentials.
fn kubeconfig(workdir: &Workdir, server: &str, script: &str) -> PathBuf {
    let script = serde_json::to_string(script).unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: test\n  cluster: {{server: \"{server}\"}}\n\
         contexts:\n- name: test\n  context: {{cluster: test, user: plugin}}\nusers:\n- name: plugin\n  user:\n    exec:\n      \
         apiVersion: client.authentication.k8s.io/v1\n      command: sh\n      args: [-c, {script}]\n      \
         interactiveMode: IfAvailable\n      provideClusterInfo: true\n"
    );
    workdir.write("kubeconfig", text).unwrap()
}

fn exec(script: &str) -> Output {
    let workdir = Workdir::new().unwrap();
    let kubeconfig = kubeconfig(&workdir, NOWHERE, script);
    workdir.write("dag.yaml", ONE_STEP).unwrap();
    Runner::new(&workdir).unwrap().args(["exec", "dag.yaml", "--kubeconfig"]).arg(kubeconfig).run().unwrap()
}

#[test]
fn f16_a_plugin_is_asked_again_when_its_token_is_refused() {
    /// How often the client library asks a plugin for one client: for a token, and for certificates.
    const RUNS: usize = 3;
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let given = std::fs::read_to_string(served.kubeconfig()).unwrap();
    let value = |key: &str| given.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap().trim().to_owned();
    let asked = workdir.path().join("asked");
    let script = format!(
        "echo x >> '{asked}'; if [ $(wc -l < '{asked}') -le {RUNS} ]; then token=old; else token={token}; fi; printf '{answer}' $token",
        asked = asked.display(),
        token = value("token:"),
        answer = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}"#,
    );
    // Without the token that its path ends with.
    let server = value("server:").rsplit_once('/').unwrap().0.to_owned();
    let kubeconfig = kubeconfig(&workdir, &server, &script);
    let hello = std::fs::read_to_string(root().join("runner/examples/hello.yaml")).unwrap();
    workdir.write("dag.yaml", hello).unwrap();
    let runner = Runner::new(&workdir).unwrap().args(["exec", "dag.yaml", "--kubeconfig"]).arg(kubeconfig);
    let output = runner.run().unwrap();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(std::fs::read_to_string(&asked).unwrap().lines().count() > RUNS, "it was asked again");
}

#[test]
fn f69_a_plugin_that_fails_is_told_in_its_own_words() {
    let output = exec("echo hunter2; echo 'please run: example login' >&2; exit 3");
    assert_eq!(output.code, Some(4), "{output:?}");
    let words = "the credential plugin failed (exit status: 3): please run: example login";
    assert!(output.stderr.contains(words), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2") && !output.stdout.contains("hunter2"), "{output:?}");
}

#[test]
fn f69_a_plugin_is_told_that_nobody_can_answer_it_and_reads_nothing() {
    let output = exec(
        "if read answer; then echo \"read $answer\" >&2; else echo \"told $KUBERNETES_EXEC_INFO\" >&2; fi; exit 1",
    );
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stderr.contains("told {") && output.stderr.contains(r#""interactive":false"#), "{}", output.stderr);
}

#[test]
fn f69_a_plugin_that_hangs_is_given_up_after_a_minute() {
    /// More than a task needs to notice that its time is over.
    const TURNS: usize = 100;
    let workdir = Workdir::new().unwrap();
    let pipe = workdir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let kubeconfig = kubeconfig(&workdir, NOWHERE, &format!("read answer < '{}'", pipe.display()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let error = runtime.block_on(async {
        let target = Target { kubeconfig: Some(kubeconfig.clone()), context: None };
        let connecting = tokio::spawn(async move { connect(&target).await.unwrap_err().to_string() });
        // It runs on a thread of its own, where nobody waits for it: the clock has to be moved by hand.
        tokio::task::yield_now().await;
        tokio::time::advance(seconds(61)).await;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        // Whoever still waits for the plugin would wait for ever.
        if connecting.is_finished() { Some(connecting.await.unwrap()) } else { None }
    });
    release(&pipe);
    runtime.shutdown_background();
    let error = error.expect("the plugin is still waited for");
    let file = kubeconfig.display();
    assert_eq!(error, format!("no credentials after 60 s: a credential plugin of `{file}` does not answer"));
}

/// Lets the plugin end that waits for somebody to write.
fn release(pipe: &Path) {
    drop(OpenOptions::new().read(true).write(true).open(pipe).unwrap());
}
