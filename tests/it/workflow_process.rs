//! The workflow around the steps when its process is signalled, killed and taken up: handlers, retries, host steps,
//! outputs.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use tests::Output;

use crate::process::{JOBS, Scene, is_alive, kill, output, send, until};

/// A step of this machine.
fn host(name: &str, more: &str, script: &str) -> String {
    format!("  - {{name: {name}, {more}command: {}}}\n", serde_json::to_string(script).unwrap())
}

/// A step in the cluster.
fn job(name: &str, more: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!("  - {{name: {name}, {more}type: k8s, config: {{image: x}}, command: [sh, -c, {script}]}}\n")
}

/// Waits for a file that a program leaves.
const GO: &str = "while ! test -e {marks}/go; do sleep 0.02; done";

/// How a step ended, as `runs show` knows it.
fn step(scene: &Scene, name: &str) -> Value {
    let shown = scene.shown();
    let steps = shown["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("{shown:#}")).clone()
}

#[track_caller]
fn assert_ended(output: &Output, code: i32) {
    assert_eq!(output.code, Some(code), "{output:?}");
}

/// The id of a process that has written it into a file, once it has.
fn process(scene: &Scene, name: &str) -> String {
    until(|| scene.marks(name).len() == 1, || format!("`{name}` does not run"));
    scene.marks(name).remove(0)
}

#[test]
fn a_process_that_outlived_its_runner_is_ended_and_its_step_lost() {
    let scene = Scene::new(&format!(
        "steps:\n{}",
        host("a", "", "echo $$ > {marks}/a.new; mv {marks}/a.new {marks}/a; sleep 600")
    ));
    let child = scene.begin(&[]);
    let process = process(&scene, "a");
    scene.until_told("process-started");
    kill(child);
    assert!(is_alive(&process), "it does not end with its runner");
    let resumed = scene.resume();
    assert_ended(&resumed, 1);
    until(|| !is_alive(&process), || "it still runs".to_owned());
    let a = step(&scene, "a");
    assert_eq!((&a["status"], &a["reason"], &a["exit_code"]), (&"failed".into(), &"lost".into(), &Value::Null));
}

#[test]
fn a_lost_process_is_retried_as_its_policy_says() {
    let script = "echo $$ >> {marks}/a; test $(wc -l < {marks}/a) = 2 || sleep 600";
    let scene = Scene::new(&format!("steps:\n{}", host("a", "retry_policy: {limit: 1, interval_sec: 0}, ", script)));
    let child = scene.begin(&[]);
    process(&scene, "a");
    scene.until_told("process-started");
    kill(child);
    assert_ended(&scene.resume(), 0);
    assert_eq!(scene.marks("a").len(), 2);
    assert_eq!(step(&scene, "a")["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn killed_between_two_attempts_the_others_follow() {
    let script = "echo x >> {marks}/a; test -e {marks}/go && test $(wc -l < {marks}/a) = 3";
    let scene = Scene::new(&format!(
        "steps:\n{}",
        job("a", "retry_policy: {limit: 2, interval_sec: 1, backoff: 600}, ", script)
    ));
    let child = scene.begin(&[]);
    // Behind the second attempt it waits for ten minutes.
    until(|| scene.told("attempt-ended") == 2, || format!("{:#?}", scene.journal()));
    kill(child);
    scene.mark("go");
    let journal = scene.folder().join("journal.jsonl");
    assert!(!fs::read_to_string(&journal).unwrap().contains("step-ended"));
    // It would wait for ten minutes more: somebody who does not want that stops it.
    let resumed = scene.runner(&["runs", "resume", "r1"]).start_quiet().unwrap();
    until(|| scene.told("run-resumed") == 1, || "it is not taken up".to_owned());
    send(&resumed, Signal::INT);
    assert_eq!(output(resumed).code, Some(130));
    assert_eq!(scene.marks("a").len(), 2, "no attempt is made twice");
    assert_eq!(step(&scene, "a")["attempts"].as_array().unwrap().len(), 2);
    scene.assert_empty();
}

#[test]
fn killed_before_the_last_attempt_it_is_made() {
    let script = "echo x >> {marks}/a; test $(wc -l < {marks}/a) = 2";
    let scene = Scene::new(&format!("steps:\n{}", job("a", "retry_policy: {limit: 1, interval_sec: 2}, ", script)));
    let child = scene.begin(&[]);
    until(|| scene.told("attempt-ended") == 1, || format!("{:#?}", scene.journal()));
    kill(child);
    assert_ended(&scene.resume(), 0);
    assert_eq!(scene.marks("a").len(), 2);
    let a = step(&scene, "a");
    assert_eq!((&a["status"], a["attempts"].as_array().unwrap().len()), (&"succeeded".into(), 2));
    scene.assert_empty();
}

#[test]
fn what_a_step_gave_and_what_was_skipped_outlives_the_process() {
    let dag = format!(
        "handler_on:\n  exit: {{command: 'echo $DAG_RUN_STATUS $VERSION >> {{marks}}/exit'}}\nsteps:\n{}{}{}{}",
        host("give", "output: VERSION, ", "echo v1.2"),
        host("idle", "preconditions: 'test -e {marks}/met', ", "echo x >> {marks}/idle"),
        job("wait", "depends: give, ", GO),
        host("use", "depends: wait, ", "echo $VERSION >> {marks}/use"),
    );
    let scene = Scene::new(&dag);
    let child = scene.begin(&[]);
    until(|| scene.told("step-ended") == 2 && scene.told("job-created") == 1, || format!("{:#?}", scene.journal()));
    kill(child);
    // The answer would be another one now, but it was given.
    scene.mark("met");
    scene.mark("go");
    let resumed = scene.resume();
    assert_ended(&resumed, 0);
    assert_eq!(scene.marks("use"), ["v1.2"]);
    assert_eq!(scene.marks("exit"), ["succeeded v1.2"]);
    assert_eq!(scene.marks("idle"), Vec::<String>::new());
    assert_eq!(step(&scene, "idle")["status"], "skipped");
    scene.assert_empty();
}

#[test]
fn an_output_that_holds_a_secret_is_not_recorded_and_who_needs_it_is_told() {
    let dag = format!(
        "secrets: [{{name: TOKEN, provider: file, key: token}}]\nsteps:\n{}{}{}{}",
        host("give", "output: HEADER, ", "echo bearer $TOKEN"),
        job("wait", "depends: give, ", GO),
        host("needs", "depends: wait, ", "echo $HEADER"),
        host("does_not", "depends: wait, ", "echo fine"),
    );
    let scene = Scene::new(&dag);
    scene.workdir.write("token", "hunter2-hunter2").unwrap();
    let child = scene.begin(&[]);
    until(|| scene.told("job-created") == 1, || format!("{:#?}", scene.journal()));
    kill(child);
    scene.mark("go");
    let resumed = scene.resume();
    assert_ended(&resumed, 1);
    let needs = step(&scene, "needs");
    assert_eq!((&needs["status"], &needs["reason"]), (&"failed".into(), &"invalid".into()));
    assert!(needs["message"].as_str().unwrap().contains("`HEADER`, holds a secret"), "{needs}");
    assert_eq!(step(&scene, "does_not")["status"], "succeeded");
    for entry in fs::read_dir(scene.folder()).unwrap().chain(fs::read_dir(scene.folder().join("logs")).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(!fs::read_to_string(&path).unwrap().contains("hunter2"), "{}", path.display());
        }
    }
    assert!(!format!("{resumed:?}").contains("hunter2"));
}

/// A run that waits in a Job and in a process, with all handlers.
fn handled() -> String {
    let mut dag = "handler_on:\n".to_owned();
    for handler in ["success", "failure", "abort"] {
        dag += &format!("  {handler}: {{command: 'echo {handler} $DAG_RUN_STATUS >> {{marks}}/handlers'}}\n");
    }
    let script = "echo exit ${DAG_RUN_STATUS} >> {marks}/handlers";
    dag += &format!("  exit: {{type: k8s, config: {{image: x}}, command: [sh, -c, '{script}']}}\nsteps:\n");
    let waits = "echo $$ > {marks}/NAME.new; mv {marks}/NAME.new {marks}/NAME; sleep 600";
    // Kubernetes makes one `$` of two.
    dag += &job("a", "", &waits.replace("NAME", "a").replace("$$", "$$$$"));
    dag += &host("b", "", &waits.replace("NAME", "b"));
    dag + &host("c", "depends: [a, b], ", "echo never")
}

#[test]
fn a_signal_stops_the_steps_and_the_handlers_of_an_end_follow() {
    let scene = Scene::new(&handled());
    let child = scene.begin_loud(&[]);
    let programs = [process(&scene, "a"), process(&scene, "b")];
    send(&child, Signal::INT);
    let ended = output(child);
    assert_ended(&ended, 130);
    assert_eq!(scene.marks("handlers"), ["abort aborted", "exit aborted"]);
    for program in programs {
        assert!(!is_alive(&program), "{ended:?}");
    }
    let of = |name: &str| (step(&scene, name)["status"].clone(), step(&scene, name)["reason"].clone());
    let stopped = ("aborted".into(), "cancelled".into());
    assert_eq!((of("a"), of("b"), of("c")), (stopped.clone(), stopped, ("aborted".into(), Value::Null)));
    assert_eq!(scene.shown()["status"], "aborted");
    scene.assert_empty();
}

#[test]
fn a_second_signal_leaves_out_the_handlers() {
    let stubborn = "trap '' TERM; echo $$ > {marks}/b.new; mv {marks}/b.new {marks}/b; while :; do sleep 1; done";
    let dag = format!(
        "max_clean_up_time_sec: 600\nhandler_on:\n  exit: {{command: 'echo x > {{marks}}/handlers'}}\nsteps:\n{}",
        host("b", "", stubborn)
    );
    let scene = Scene::new(&dag);
    let child = scene.begin_loud(&[]);
    let program = process(&scene, "b");
    send(&child, Signal::TERM);
    scene.until_told("stopping");
    assert!(is_alive(&program), "it has ten minutes to end");
    send(&child, Signal::TERM);
    let ended = output(child);
    assert_ended(&ended, 143);
    assert!(!is_alive(&program));
    assert_eq!(scene.marks("handlers"), Vec::<String>::new());
}

#[test]
fn a_signal_in_a_handler_stops_it_and_aborts_the_run() {
    let dag = format!(
        "handler_on:\n  success: {{command: 'echo $$ > {{marks}}/s.new; mv {{marks}}/s.new {{marks}}/s; sleep 600'}}\n  \
         abort: {{command: 'echo abort >> {{marks}}/handlers'}}\n  exit: {{command: 'echo exit >> {{marks}}/handlers'}}\n\
         steps:\n{}",
        host("a", "", "echo fine")
    );
    let scene = Scene::new(&dag);
    let child = scene.begin_loud(&[]);
    process(&scene, "s");
    send(&child, Signal::INT);
    assert_ended(&output(child), 130);
    assert_eq!(scene.marks("handlers"), ["abort", "exit"]);
    assert_eq!(scene.shown()["status"], "aborted");
}

#[test]
fn a_run_killed_in_a_handler_goes_on_there() {
    let dag = format!(
        "handler_on:\n  success: {{command: 'echo success >> {{marks}}/handlers'}}\n  \
         exit: {{type: k8s, config: {{image: x}}, command: [sh, -c, '{GO}; echo exit >> {{marks}}/handlers']}}\n\
         steps:\n{}",
        host("a", "", "echo x >> {marks}/a")
    );
    let scene = Scene::new(&dag);
    let child = scene.begin(&[]);
    until(|| scene.told("job-created") == 1, || format!("{:#?}", scene.journal()));
    kill(child);
    scene.mark("go");
    assert_ended(&scene.resume(), 0);
    assert_eq!(scene.marks("handlers"), ["success", "exit"]);
    assert_eq!(scene.marks("a").len(), 1);
    scene.assert_empty();
}

#[test]
fn a_detached_run_waits_for_its_processes_and_leaves_its_jobs() {
    let dag = format!(
        "steps:\n{}{}{}",
        job("a", "", &format!("echo x >> {{marks}}/a; {GO}")),
        host(
            "b",
            "",
            "echo $$ > {marks}/b.new; mv {marks}/b.new {marks}/b; while ! test -e {marks}/b-go; do sleep 0.02; done"
        ),
        host("c", "depends: [a, b], ", "echo x >> {marks}/c"),
    );
    let scene = Scene::new(&dag);
    let child = scene.begin_loud(&[]);
    let program = process(&scene, "b");
    until(|| scene.marks("a").len() == 1, || "`a` does not run".to_owned());
    send(&child, Signal::QUIT);
    assert!(is_alive(&program));
    scene.mark("b-go");
    let detached = output(child);
    assert_ended(&detached, 131);
    assert_eq!(step(&scene, "b")["status"], "succeeded");
    assert_eq!(scene.served.list(JOBS).unwrap().len(), 1);
    scene.mark("go");
    assert_ended(&scene.resume(), 0);
    assert_eq!((scene.marks("a").len(), scene.marks("b").len(), scene.marks("c").len()), (1, 1, 1));
    scene.assert_empty();
}

#[test]
fn cancelling_a_dead_run_ends_its_processes() {
    let script = "echo $$ > {marks}/a.new; mv {marks}/a.new {marks}/a; sleep 600";
    let scene = Scene::new(&format!("handler_on: {{exit: {{command: echo}}}}\nsteps:\n{}", host("a", "", script)));
    let child = scene.begin(&[]);
    let program = process(&scene, "a");
    scene.until_told("process-started");
    kill(child);
    assert_ended(&scene.run(&["runs", "cancel", "r1"]), 0);
    until(|| !is_alive(&program), || "it still runs".to_owned());
    assert_eq!(scene.shown()["status"], "aborted");
    assert_eq!(step(&scene, "onExit")["status"], "not_started");
}
