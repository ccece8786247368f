//! How much memory a running step takes: the engine is a process of its own, the cluster is in this one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use local_cluster::Script;
use runner::event::{AttemptState, EventKind};
use tests::Workdir;

use crate::scene::{Scene, Way, parallel, reached, run};

/// Steps that run in the child.
const STEPS: &str = "ENGINE_MEMORY_STEPS";
/// The kubeconfig that leads it to the cluster.
const KUBECONFIG: &str = "ENGINE_MEMORY_KUBECONFIG";
/// What it says when all of them run.
const RUNNING: &str = "running";

pub(crate) fn is_child() -> bool {
    std::env::var_os(STEPS).is_some()
}

/// Runs steps that do not end, and says when all of them run; then waits to be killed.
pub(crate) fn child() {
    let steps: usize = std::env::var(STEPS).unwrap().parse().unwrap();
    let kubeconfig = PathBuf::from(std::env::var_os(KUBECONFIG).unwrap());
    let workdir = Workdir::in_memory().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let running = Mutex::new(0);
    runtime.block_on(async {
        let cluster = reached(kubeconfig).await;
        run("memory", workdir.path(), cluster, parallel(steps), move |event| {
            if let EventKind::StepState { state: AttemptState::Running, .. } = event.kind {
                let mut running = running.lock().unwrap();
                *running += 1;
                if *running == steps {
                    println!("{RUNNING}");
                }
            }
        })
        .await;
    });
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Resident memory of the engine with so many running steps, in KiB.
fn with(steps: usize) -> u64 {
    let scene = Scene::new(Way::Loopback, Script::new().print("line\n").forever());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(STEPS, steps.to_string())
        .env(KUBECONFIG, scene.kubeconfig())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), RUNNING);
    let resident = resident(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    resident
}

pub(crate) fn report() {
    let first = with(1);
    println!("memory with 1 running step: {first} KiB");
    for steps in [100, 1_000, 5_000] {
        let resident = with(steps);
        let a_step = resident.saturating_sub(first) as f64 / (steps - 1) as f64;
        println!("memory with {steps} running steps: {resident} KiB, {a_step:.1} KiB a step");
        std::io::stdout().flush().unwrap();
    }
}
