//! A run whose process was killed, and another one that takes it up: the same report, the same logs, nothing twice.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use local_cluster::{After, Answer, Interruption};
use rustix::process::Signal;
use serde_json::Value;
use tests::Output;

use crate::process::{JOBS, PODS, Scene, Seeded, ended, is_alive, kill, send, tree, until, waiting};

/// A step that tells that it runs, and prints lines.
fn step(name: &str, depends: &[String], script: &str) -> String {
    let script = format!("echo $$$$ >> {{marks}}/{name}; {script}");
    let script = serde_json::to_string(&script).unwrap();
    let depends = depends.join(", ");
    format!(
        "  - {{name: {name}, type: k8s, depends: [{depends}], config: {{image: x}}, command: [sh, -c, {script}]}}\n"
    )
}

/// Thirty steps: layers that depend on each other, one that prints for long, one that fails, one that it keeps from
/// running.
fn thirty_steps() -> String {
    let mut dag = "steps:\n".to_owned();
    for number in 0..27 {
        let (layer, of_layer) = (number / 3, number % 3);
        let depends: Vec<String> =
            (0..3).filter(|_| layer > 0).map(|other| format!("s{}", (layer - 1) * 3 + other)).collect();
        let script = format!("for i in 1 2 3 4 5; do echo s{number} line $i; sleep 0.0{of_layer}; done");
        dag += &step(&format!("s{number}"), &depends, &script);
    }
    dag += &step("long", &[], "for i in $(seq 1 300); do echo long $i; sleep 0.01; done");
    dag += &step("bad", &["s2".to_owned()], "seq 1 25; printf end; exit 3");
    dag + &step("after", &["bad".to_owned()], "echo never")
}

/// What a run has left for people to read.
#[derive(Debug, PartialEq)]
struct Left {
    code: Option<i32>,
    tree: String,
    shown: Value,
    logs: Vec<(String, String)>,
}

fn left(scene: &Scene, output: &Output) -> Left {
    let mut logs: Vec<(String, String)> = fs::read_dir(scene.folder().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    logs.sort();
    let folder = scene.workdir.path().display().to_string();
    Left { code: output.code, tree: tree(output, &folder), shown: scene.shown(), logs }
}

/// Whether each program ran once.
#[track_caller]
fn assert_nothing_ran_twice(scene: &Scene) {
    for entry in fs::read_dir(scene.workdir.path().join("marks")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert_eq!(scene.marks(&name).len(), 1, "{name}");
    }
}

#[test]
fn a_run_killed_at_twenty_random_points_ends_as_an_undisturbed_one() {
    let dag = thirty_steps();
    let undisturbed = Scene::new(&dag);
    let output = undisturbed.exec(&[]);
    let expected = left(&undisturbed, &output);
    assert_eq!(expected.code, Some(1), "{output:?}");
    assert_eq!(expected.logs.len(), 29);
    assert_nothing_ran_twice(&undisturbed);
    let lines = undisturbed.journal().len();
    let requests = undisturbed.served.cluster().requests().len();

    let next = AtomicU64::new(1);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > 20 {
                        break;
                    }
                    let scene = Scene::new(&dag);
                    let mut random = Seeded(seed);
                    // Points by what is on disk, and by what the cluster was asked for.
                    let (line, request) = (random.up_to(lines * 9 / 10), random.up_to(requests * 2 / 3));
                    let child = scene.begin(&[]);
                    until(
                        || match seed % 2 {
                            0 => scene.journal().len() >= line,
                            _ => scene.served.cluster().requests().len() >= request,
                        },
                        || format!("seed {seed}"),
                    );
                    kill(child);
                    assert_eq!(scene.told("run-ended"), 0, "seed {seed}: it was killed too late");
                    let output = scene.resume();
                    let found = left(&scene, &output);
                    assert_eq!(found, expected, "seed {seed}: {output:?}\n{:#?}", scene.journal());
                    assert_nothing_ran_twice(&scene);
                    scene.assert_empty();
                }
            });
        }
    });
}

/// Kills the run at a point and takes it up: it ends well, with one Job and every line once.
#[track_caller]
fn killed(scene: &Scene, at_point: impl FnOnce(&Scene)) {
    let child = scene.begin(&["--wait", "drain=5s"]);
    at_point(scene);
    kill(child);
    scene.served.cluster().faults().clear();
    assert!(scene.run(&["runs", "list"]).stdout.contains("interrupted"));
    scene.mark("go");
    let output = scene.resume();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(scene.log("a"), "one\ntwo\n");
    assert_eq!(scene.marks("a").len(), 1, "it ran once");
    assert_eq!(scene.shown()["status"], "succeeded");
    scene.assert_empty();
    let output = scene.resume();
    assert_eq!((output.code, output.stderr.contains("has ended")), (Some(2), true), "{output:?}");
}

const HOURS: Duration = Duration::from_secs(3600 * 10);

#[test]
fn f43_killed_before_the_post() {
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("create", "jobs", "*").delay(HOURS);
    killed(&scene, |scene| {
        until(|| !scene.served.requests("create", "jobs").is_empty(), || "nothing is sent".to_owned());
        assert_eq!(scene.told("job-intended"), 1, "what is intended is on disk before it is done");
    });
    assert_eq!(scene.served.requests("create", "jobs").len(), 2);
}

#[test]
fn f43_killed_after_the_post() {
    let scene = Scene::new(&waiting());
    let later = Answer::status(503, "come back later").with_header("retry-after", "500");
    scene.served.cluster().faults().on("create", "jobs", "*").commit_then(later);
    killed(&scene, |scene| {
        until(|| !scene.served.list(JOBS).unwrap().is_empty(), || "there is no Job".to_owned());
        assert_eq!(scene.told("job-created"), 0);
    });
    assert_eq!(scene.served.requests("create", "jobs").len(), 2);
    assert_eq!(scene.served.requests("get", "jobs").len(), 1, "the Job that was there is adopted");
}

#[test]
fn f43_killed_when_the_uid_is_in_the_journal() {
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("create", "pods", "*").delay(Duration::from_secs(1));
    killed(&scene, |scene| scene.until_told("job-created"));
    assert_eq!(scene.served.requests("create", "jobs").len(), 1);
}

#[test]
fn f43_killed_while_the_pod_is_pending() {
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("schedule", "pods", "*").unschedulable(Some(Duration::from_secs(1)), "no node");
    killed(&scene, |scene| {
        until(|| !scene.served.list(PODS).unwrap().is_empty(), || "there is no pod".to_owned());
        scene.until_told("job-created");
    });
    assert_eq!(scene.served.requests("create", "jobs").len(), 1);
}

#[test]
fn f43_killed_while_the_program_runs() {
    let scene = Scene::new(&waiting());
    killed(&scene, |scene| {
        until(|| scene.log("a") == "one\n", || "it prints nothing".to_owned());
        // The position in the log is on disk a second later, although nothing more comes.
        scene.until_told("log-position");
    });
    assert_eq!(scene.served.requests("create", "jobs").len(), 1);
}

#[test]
fn f43_killed_while_the_log_is_drained() {
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("get", "pods/log", "*").interrupt(After::Lines(1), Interruption::Stall);
    killed(&scene, |scene| {
        scene.mark("go");
        let is_over = |job: &Value| job["status"]["succeeded"] == 1;
        until(|| scene.served.list(JOBS).unwrap().iter().any(is_over), || "the Job does not end".to_owned());
        assert_eq!(scene.told("attempt-ended"), 0);
    });
}

#[test]
fn f43_killed_before_the_delete() {
    let scene = Scene::new(&waiting());
    let later = Answer::status(503, "come back later").with_header("retry-after", "30");
    scene.served.cluster().faults().on("delete", "jobs", "*").answer(later);
    killed(&scene, |scene| {
        scene.mark("go");
        until(|| !scene.served.requests("delete", "jobs").is_empty(), || "it is not deleted".to_owned());
        assert_eq!(scene.told("attempt-ended"), 1, "the verdict is on disk before the deletion");
        assert_eq!(scene.told("job-cleaned"), 0);
    });
}

#[test]
fn ten_interrupts_at_random_moments_leave_no_job_pod_or_process() {
    let dag = thirty_steps();
    for seed in 1..=10 {
        let scene = Scene::new(&dag);
        let moment = Seeded(seed * 1000).up_to(100);
        let mut child = scene.begin(&[]);
        until(|| scene.journal().len() >= moment, || format!("seed {seed}"));
        send(&child, Signal::INT);
        assert_eq!(ended(&mut child), Some(130), "seed {seed}");
        scene.assert_empty();
        for entry in fs::read_dir(scene.workdir.path().join("marks")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            for pid in scene.marks(&name) {
                until(|| !is_alive(&pid), || format!("seed {seed}: step {name}, process {pid}"));
            }
        }
        assert_eq!(scene.shown()["status"], "aborted");
    }
}

#[test]
fn a_job_that_was_deleted_meanwhile_is_lost_and_the_step_runs_again_when_it_is_asked_for() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    until(|| scene.log("a") == "one\n", || "it prints nothing".to_owned());
    kill(child);
    let job = scene.served.list(JOBS).unwrap()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    scene.served.delete(&format!("/apis/batch/v1/namespaces/default/jobs/{job}")).unwrap();
    until(|| scene.served.list(PODS).unwrap().is_empty(), || "the pod is there".to_owned());
    let output = scene.resume();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("lost"), "{output:?}");
    scene.mark("go");
    let output = scene.resume();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("2 attempts"), "{output:?}");
    assert_eq!(scene.marks("a").len(), 2);
    scene.assert_empty();
}

#[test]
fn another_job_of_the_same_name_is_not_taken_for_ours() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    scene.until_told("job-created");
    kill(child);
    let job = scene.served.list(JOBS).unwrap()[0].clone();
    let name = job["metadata"]["name"].as_str().unwrap();
    let path = "/apis/batch/v1/namespaces/default/jobs";
    scene.served.delete(&format!("{path}/{name}")).unwrap();
    until(|| scene.served.list(JOBS).unwrap().is_empty(), || "the Job is there".to_owned());
    let other = serde_json::json!({
        "metadata": {"name": name, "labels": job["metadata"]["labels"]},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "step", "image": "x", "command": ["sleep", "100"]}],
        }}},
    });
    scene.served.create(path, &other).unwrap();
    let output = scene.resume();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("name-conflict"), "{output:?}");
    assert_eq!(scene.served.list(JOBS).unwrap().len(), 1, "it is not ours to delete");
}

#[test]
fn a_run_goes_on_under_the_policies_it_began_with_or_not_at_all() {
    let scene = Scene::new(&waiting());
    let policy = tests::root().join("policies/dist/no-privileged.wasm");
    fs::copy(&policy, scene.workdir.path().join("policy.wasm")).unwrap();
    let child = scene.begin(&["--policy", "policy.wasm"]);
    scene.until_told("job-created");
    kill(child);
    fs::rename(scene.workdir.path().join("policy.wasm"), scene.workdir.path().join("moved.wasm")).unwrap();
    let output = scene.resume();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("policy `no-privileged`") && output.stderr.contains("--policy"), "{output:?}");
    assert_eq!(scene.told("run-resumed"), 0, "nothing was done");
    scene.mark("go");
    let output = scene.run(&["runs", "resume", "r1", "--policy", "moved.wasm"]);
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn a_run_is_not_taken_up_in_another_cluster() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    scene.until_told("job-created");
    kill(child);
    let kubeconfig = fs::read_to_string(scene.served.kubeconfig()).unwrap();
    let at = kubeconfig.find("http://127.0.0.1:").unwrap();
    let end = at + kubeconfig[at..].find(['\n', '"', ',', '}']).unwrap();
    let elsewhere = format!("{}http://127.0.0.1:1{}", &kubeconfig[..at], &kubeconfig[end..]);
    scene.workdir.write("kubeconfig", elsewhere).unwrap();
    let output = scene.resume();
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stderr.contains("now leads to `http://127.0.0.1:1"), "{output:?}");
    scene.workdir.write("kubeconfig", kubeconfig).unwrap();
    scene.mark("go");
    let output = scene.resume();
    assert_eq!(output.code, Some(0), "{output:?}");
}
