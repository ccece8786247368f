//! Faults of the program's own process: signals, a closed output, a full disk, a second process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::{Duration, Instant};

use local_cluster::{Answer, Script};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;
use tests::{Runner, Workdir};

use crate::process::{JOBS, PODS, Scene, ended, is_alive, kill, output, send, until, waiting};

fn runs(scene: &Scene) {
    until(|| scene.log("a") == "one\n", || "it prints nothing".to_owned());
}

#[test]
fn f44_an_interrupt_deletes_the_jobs_and_a_death_leaves_them() {
    let scene = Scene::new(&waiting());
    let child = scene.begin_loud(&[]);
    runs(&scene);
    send(&child, Signal::INT);
    let interrupted = output(child);
    assert_eq!(interrupted.code, Some(130), "{interrupted:?}");
    assert!(interrupted.stderr.contains("stopping: Jobs are deleted"), "{interrupted:?}");
    scene.assert_empty();
    let resumed = scene.resume();
    assert_eq!(resumed.code, Some(2), "{resumed:?}");

    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    runs(&scene);
    kill(child);
    assert_eq!(scene.served.list(JOBS).unwrap().len(), 1);
    let pid = scene.marks("a").remove(0);
    assert!(is_alive(&pid));
    let shown = scene.run(&["runs", "show", "r1"]);
    assert!(shown.stdout.contains("· interrupted ·"), "{shown:?}");
    assert!(shown.stdout.contains("take it up again with: runner runs resume r1"), "{shown:?}");
}

#[test]
fn f45_a_pod_that_comes_after_the_delete_is_waited_for_until_it_is_gone() {
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("create", "pods", "*").delay(Duration::from_secs(2));
    let mut child = scene.begin(&[]);
    scene.until_told("job-created");
    send(&child, Signal::TERM);
    assert_eq!(ended(&mut child), Some(143));
    scene.assert_empty();
    for pid in scene.marks("a") {
        assert!(!is_alive(&pid));
    }
}

#[test]
fn f46_a_signal_in_each_state_leaves_nothing() {
    type Prepare = fn(&Scene);
    type Reached = fn(&Scene) -> bool;
    let states: [(&str, Prepare, Reached); 4] = [
        (
            "creating",
            |scene| scene.served.cluster().faults().on("create", "jobs", "*").delay(Duration::from_secs(1)),
            |scene| !scene.served.requests("create", "jobs").is_empty(),
        ),
        (
            "pending",
            |scene| scene.served.cluster().faults().on("schedule", "pods", "*").unschedulable(None, "no node"),
            |scene| !scene.served.list(PODS).unwrap().is_empty(),
        ),
        ("running", |_| {}, |scene| scene.log("a") == "one\n"),
        (
            "cleaning up",
            |scene| {
                scene.mark("go");
                let refused = Answer::status(503, "come back later");
                scene.served.cluster().faults().on("delete", "jobs", "*").first(2).answer(refused);
            },
            |scene| !scene.served.requests("delete", "jobs").is_empty(),
        ),
    ];
    for (state, prepare, reached) in states {
        let scene = Scene::new(&waiting());
        prepare(&scene);
        let mut child = scene.begin(&[]);
        until(|| reached(&scene), || state.to_owned());
        send(&child, Signal::INT);
        // What had succeeded before the signal has succeeded.
        let expected = if state == "cleaning up" { 0 } else { 130 };
        assert_eq!(ended(&mut child), Some(expected), "{state}");
        scene.assert_empty();
    }
}

#[test]
fn f54_a_signal_while_pulling_deletes_and_a_second_one_leaves_at_once() {
    let scene = Scene::new(&waiting());
    let pulling = Script::new().waiting("ImagePullBackOff", "no such image", None);
    scene.served.cluster().faults().on("run", "pods", "*").script("step", pulling);
    let mut child = scene.begin(&[]);
    let waits = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff";
    until(|| scene.served.list(PODS).unwrap().iter().any(waits), || format!("{:#?}", scene.served.list(PODS)));
    send(&child, Signal::INT);
    assert_eq!(ended(&mut child), Some(130));
    scene.assert_empty();

    // A deletion that is never answered: the second signal names what is left and leaves.
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("delete", "jobs", "*").delay(Duration::from_secs(3600));
    let child = scene.begin_loud(&[]);
    runs(&scene);
    send(&child, Signal::INT);
    until(|| !scene.served.requests("delete", "jobs").is_empty(), || "nothing is deleted".to_owned());
    let second = Instant::now();
    send(&child, Signal::INT);
    let stopped = output(child);
    // The requests of a second signal have five seconds, where the deletion before had a minute.
    assert!(second.elapsed() < Duration::from_secs(30), "{:?}", second.elapsed());
    assert_eq!(stopped.code, Some(130), "{stopped:?}");
    assert!(stopped.stdout.contains("left over") && stopped.stdout.contains("delete job a-"), "{stopped:?}");
    let leftovers = scene.shown()["leftovers"].clone();
    assert_eq!(leftovers.as_array().map(Vec::len), Some(1), "{leftovers}");
}

#[test]
fn f82_a_closed_output_ends_the_output_and_nothing_else() {
    let dag = "steps:\n  - {name: a, type: k8s, config: {image: x}, command: [sh, -c, \"seq 1 100000; exit 3\"]}\n";
    let scene = Scene::new(dag);
    let mut child = scene.begin_loud(&[]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.by_ref().take(10).count(), 10);
    drop(lines);
    assert_eq!(ended(&mut child), Some(1));
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(!stderr.contains("panic") && !stderr.contains("cannot be written"), "{stderr}");
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(scene.log("a") == expected, "the file has all of it");
    scene.assert_empty();

    for command in [&["check", "dag.yaml"][..], &["render", "dag.yaml"], &["explain", "dag.yaml"], &["runs", "list"]] {
        let mut child = scene.runner(command).start().unwrap();
        drop(child.stdout.take());
        assert_eq!(ended(&mut child), Some(0), "{command:?}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert!(!stderr.contains("panic") && !stderr.contains("error"), "{command:?}: {stderr}");
    }

    let scene = Scene::new(&waiting());
    let mut child = scene.begin(&[]);
    runs(&scene);
    send(&child, Signal::HUP);
    assert_eq!(ended(&mut child), Some(143), "the terminal went away");
    scene.assert_empty();
}

#[test]
fn f83_there_is_no_run_without_a_journal() {
    let scene = Scene::new(&waiting());
    for folder in ["dag.yaml", "/proc/nowhere"] {
        let output = scene.exec(&["--state-dir", folder]);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains("cannot be written"), "{output:?}");
    }
    assert_eq!(scene.served.cluster().requests(), []);
}

#[test]
fn f83_a_disk_that_fills_up_turns_resume_off_and_the_run_goes_on() {
    let scene = Scene::new(&waiting());
    let kubeconfig = scene.served.kubeconfig().to_str().unwrap();
    let arguments = ["exec", "dag.yaml", "--run-id", "r1", "--kubeconfig", kubeconfig];
    // A limit on the size of files is what a test can set; the signal that comes with it is not what a full disk does.
    let child = scene.runner(&arguments).after("trap '' XFSZ").start().unwrap();
    runs(&scene);
    let length = fs::metadata(scene.folder().join("journal.jsonl")).unwrap().len();
    let full = Rlimit { current: Some(length + 10), maximum: Some(length + 10) };
    prlimit(Some(Pid::from_child(&child)), Resource::Fsize, full).unwrap();
    scene.mark("go");
    let output = output(child);
    assert_eq!(output.code, Some(0), "{output:?}");
    let warning = "the journal cannot be written (File too large (os error 27)): this run cannot be resumed";
    assert_eq!(output.stderr.matches(warning).count(), 1, "{output:?}");
    scene.assert_empty();
}

#[test]
fn f83_a_torn_last_line_is_dropped() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    runs(&scene);
    kill(child);
    let path = scene.folder().join("journal.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"seq\":{},\"ti", whole.lines().count() + 1)).unwrap();
    scene.mark("go");
    let output = scene.resume();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(scene.told("run-resumed"), 1, "{:#?}", scene.journal());
}

#[test]
fn f83_a_second_process_for_a_run_is_refused_and_names_the_first() {
    let scene = Scene::new(&waiting());
    let mut child = scene.begin(&[]);
    runs(&scene);
    for second in [scene.resume(), scene.exec(&[])] {
        assert_eq!(second.code, Some(2), "{second:?}");
        assert!(second.stderr.contains(&format!("process {} on `", child.id())), "{second:?}");
    }
    scene.mark("go");
    assert_eq!(ended(&mut child), Some(0));
}

#[test]
fn a_detached_run_goes_on_alone_and_is_taken_up() {
    let scene = Scene::new(&waiting());
    let child = scene.begin_loud(&[]);
    runs(&scene);
    send(&child, Signal::QUIT);
    let detached = output(child);
    assert_eq!(detached.code, Some(131), "{detached:?}");
    assert!(detached.stdout.contains("· detached ·"), "{detached:?}");
    assert!(detached.stdout.contains("take it up again with: runner runs resume r1"), "{detached:?}");
    assert_eq!(scene.served.list(JOBS).unwrap().len(), 1);
    assert!(scene.run(&["runs", "list"]).stdout.contains("detached"));
    // Jobs that were left to go on are not old.
    let collected = scene.run(&["runs", "gc", "--older-than", "0"]);
    assert_eq!((collected.code, collected.stdout.as_str()), (Some(0), ""), "{collected:?}");
    scene.mark("go");
    let resumed = scene.resume();
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(scene.log("a"), "one\ntwo\n");
    scene.assert_empty();
}

#[test]
fn a_run_with_nothing_in_a_cluster_is_not_detached() {
    let scene = Scene::new(&waiting());
    scene.served.cluster().faults().on("create", "jobs", "*").delay(Duration::from_secs(3600));
    let mut child = scene.begin_loud(&[]);
    until(|| !scene.served.requests("create", "jobs").is_empty(), || "nothing is sent".to_owned());
    send(&child, Signal::QUIT);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let refusal = lines.find(|line| line.contains("not detached")).unwrap();
    assert!(refusal.contains("nothing of the run is in a cluster"), "{refusal}");
    kill(child);

    let workdir = Workdir::new().unwrap();
    workdir
        .write("dag.yaml", "steps:\n  - {name: a, type: k8s, config: {image: x}, command: [sleep, \"100\"]}\n")
        .unwrap();
    let arguments = ["exec", "--local", "dag.yaml", "--run-id", "r1"];
    let mut child = Runner::new(&workdir).unwrap().args(arguments).start().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("a: running")).unwrap();
    send(&child, Signal::QUIT);
    let refusal = lines.find(|line| line.contains("not detached")).unwrap();
    assert!(refusal.contains("the local cluster ends with this process"), "{refusal}");
    send(&child, Signal::INT);
    lines.for_each(drop);
    assert_eq!(ended(&mut child), Some(130));
}
