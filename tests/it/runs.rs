//! `runner runs`: looking at runs, stopping them, clearing up after them.

use std::fs;

use local_cluster::Answer;
use serde_json::{Value, json};

use crate::process::{JOBS, Scene, ended, kill, output, until, waiting};

fn runs(scene: &Scene) {
    until(|| scene.log("a") == "one\n", || "it prints nothing".to_owned());
}

/// A step that ends at once and keeps its Job.
fn keeping() -> &'static str {
    "hist_retention_days: 0\nsteps:\n  - {name: a, type: k8s, config: {image: x, cleanup_policy: keep}, command: [echo, hello]}\n"
}

#[test]
fn the_list_has_every_run_and_names_what_it_cannot_read() {
    let scene = Scene::new(&waiting());
    let empty = scene.run(&["runs", "list"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""), "{empty:?}");
    scene.mark("go");
    assert_eq!(scene.exec(&[]).code, Some(0));
    let journal = fs::read_to_string(scene.folder().join("journal.jsonl")).unwrap();
    let other = |id: &str, journal: &str| {
        scene.workdir.write(&format!(".state/runner/runs/{id}/journal.jsonl"), journal).unwrap();
    };
    other("damaged", "hello\n");
    other("newer", &journal.replacen("\"version\":1", "\"version\":9", 1));
    let list = scene.run(&["runs", "list"]);
    assert_eq!(list.code, Some(0), "{list:?}");
    let rows: Vec<Vec<&str>> = list.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "WORKFLOW", "STATUS", "BEGAN", "TOOK"]);
    assert_eq!(rows[3][..3], ["r1", "dag", "succeeded"]);
    assert!(list.stderr.contains("damaged/journal.jsonl` is damaged: line 1 is no JSON"), "{list:?}");
    assert!(list.stderr.contains("was written by a newer version of runner: it has version 9"), "{list:?}");
    let list = scene.run(&["runs", "list", "--format", "json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!((&list[2]["run"], &list[2]["status"]), (&json!("r1"), &json!("succeeded")));
    for (command, words) in [
        (&["runs", "show", "nobody"][..], "there is no run `nobody`"),
        (&["runs", "show", "../x"], "is no run id"),
        (&["runs", "show", "newer"], "newer version"),
        (&["runs", "resume", "damaged"], "is damaged"),
    ] {
        let output = scene.run(command);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
    }
}

#[test]
fn a_run_is_shown_as_its_end_was() {
    let dag = "steps:\n  - {name: a, type: k8s, config: {image: x}, command: [sh, -c, \"echo no; exit 7\"]}\n  \
               - {name: b, type: k8s, depends: a, config: {image: x}, command: echo b}\n";
    let scene = Scene::new(dag);
    let ran = scene.exec(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let shown = scene.run(&["runs", "show", "r1"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let folder = scene.workdir.path().display().to_string();
    assert_eq!(crate::process::tree(&shown, &folder), crate::process::tree(&ran, &folder));
    let shown = scene.shown();
    assert_eq!((&shown["status"], &shown["exit_code"]), (&json!("failed"), &json!(1)));
    assert_eq!((&shown["steps"][0]["exit_code"], &shown["steps"][0]["reason"]), (&json!(7), &json!("exit")));
    assert_eq!(shown["steps"][1]["message"], "upstream a failed");
}

#[test]
fn logs_are_what_was_stored_and_are_followed_to_the_end() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    runs(&scene);
    let now = scene.run(&["runs", "logs", "r1", "a"]);
    assert_eq!((now.code, now.stdout.as_str()), (Some(0), "one\n"), "{now:?}");
    let follow = scene.runner(&["runs", "logs", "r1", "a", "--follow"]).start().unwrap();
    scene.mark("go");
    let followed = output(follow);
    assert_eq!((followed.code, followed.stdout.as_str()), (Some(0), "one\ntwo\n"), "{followed:?}");
    assert_eq!(output(child).code, Some(0));
    assert_eq!(scene.run(&["runs", "logs", "r1"]).stdout, "a │ one\na │ two\n");
    for (arguments, words) in [
        (&["runs", "logs", "r1", "b"][..], "run `r1` has no step `b`"),
        (&["runs", "logs", "r1", "a", "--attempt", "2"], "step `a` had no attempt 2"),
    ] {
        let output = scene.run(arguments);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
    }
}

#[test]
fn a_run_that_lives_is_cancelled_by_its_process() {
    let scene = Scene::new(&waiting());
    let mut child = scene.begin(&[]);
    runs(&scene);
    let lock = scene.folder().join("lock");
    let holder = fs::read_to_string(&lock).unwrap();
    let mut elsewhere: Value = serde_json::from_str(&holder).unwrap();
    elsewhere["host"] = json!("another-machine");
    fs::write(&lock, elsewhere.to_string()).unwrap();
    let refused = scene.run(&["runs", "cancel", "r1"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("another-machine"), "{refused:?}");
    assert!(child.try_wait().unwrap().is_none());

    fs::write(&lock, holder).unwrap();
    let cancelled = scene.run(&["runs", "cancel", "r1"]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert_eq!(ended(&mut child), Some(143));
    scene.assert_empty();
    assert_eq!(scene.shown()["status"], "aborted");
}

#[test]
fn a_run_that_is_dead_is_cancelled_by_deleting_its_jobs() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    runs(&scene);
    kill(child);
    scene.served.cluster().faults().on("list", "jobs", "*").answer(Answer::status(403, "jobs is forbidden"));
    let refused = scene.run(&["runs", "cancel", "r1"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("jobs is forbidden"), "{refused:?}");
    assert!(scene.run(&["runs", "list"]).stdout.contains("interrupted"), "nothing is recorded that was not done");
    scene.served.cluster().faults().clear();
    let cancelled = scene.run(&["runs", "cancel", "r1"]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    scene.assert_empty();
    let shown = scene.shown();
    assert_eq!((&shown["status"], &shown["steps"][0]["status"]), (&json!("aborted"), &json!("aborted")));
    for command in ["cancel", "resume"] {
        let again = scene.run(&["runs", command, "r1"]);
        assert_eq!(again.code, Some(2), "{again:?}");
        assert!(again.stderr.contains("has ended"), "{again:?}");
    }
}

#[test]
fn what_dead_runs_have_left_is_collected_when_it_is_old_or_named() {
    let scene = Scene::new(&waiting());
    let child = scene.begin(&[]);
    runs(&scene);
    // One that lives is never touched.
    let alive = scene.run(&["runs", "gc", "r1"]);
    assert_eq!((alive.code, alive.stdout.as_str()), (Some(0), ""), "{alive:?}");
    kill(child);
    let young = scene.run(&["runs", "gc"]);
    assert_eq!((young.code, young.stdout.as_str()), (Some(0), ""), "{young:?}");
    let dry = scene.run(&["runs", "gc", "--older-than", "0", "--dry-run"]);
    assert!(dry.stdout.starts_with("would delete Job default/a-"), "{dry:?}");
    assert_eq!(scene.served.list(JOBS).unwrap().len(), 1);
    let collected = scene.run(&["runs", "gc", "--older-than", "0"]);
    assert!(collected.stdout.starts_with("deleted Job default/a-"), "{collected:?}");
    scene.assert_empty();
    assert_eq!(scene.shown()["status"], "aborted");
}

#[test]
fn a_leftover_is_remembered_until_it_is_collected() {
    let scene = Scene::new(&waiting());
    scene.mark("go");
    scene.served.cluster().faults().on("delete", "jobs", "*").answer(Answer::status(403, "not allowed"));
    let ran = scene.exec(&["--wait", "delete=0"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(scene.shown()["leftovers"].as_array().unwrap().len(), 1);
    let refused = scene.run(&["runs", "gc", "r1"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not allowed"), "{refused:?}");
    scene.served.cluster().faults().clear();
    let collected = scene.run(&["runs", "gc", "r1"]);
    assert_eq!(collected.code, Some(0), "{collected:?}");
    assert_eq!(scene.shown()["leftovers"], json!([]));
    scene.assert_empty();
}

#[test]
fn jobs_that_steps_keep_are_collected_only_when_it_is_asked_for_and_then_old_folders() {
    let scene = Scene::new(keeping());
    assert_eq!(scene.exec(&[]).code, Some(0));
    let dry = scene.run(&["runs", "gc", "--kept", "--older-than", "0", "--dry-run"]);
    assert_eq!(dry.stdout.lines().count(), 2, "{dry:?}");
    assert!(scene.folder().exists());
    let kept = scene.run(&["runs", "gc", "r1", "--kept"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert!(kept.stdout.contains("deleted Job default/a-"), "{kept:?}");
    assert!(kept.stdout.contains("deleted folder of run r1"), "`hist_retention_days: 0`: {kept:?}");
    assert!(!scene.folder().exists());
    scene.assert_empty();

    let scene = Scene::new(keeping());
    assert_eq!(scene.exec(&[]).code, Some(0));
    let spared = scene.run(&["runs", "gc", "--older-than", "0"]);
    assert!(!spared.stdout.contains("Job"), "{spared:?}");
    assert_eq!(scene.served.list(JOBS).unwrap().len(), 1);
}
