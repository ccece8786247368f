//! Runs from beginning to end: the program against an embedded cluster over loopback, whose requests are counted.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use local_cluster::{After, Answer, Interruption};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Output, Runner, Served, Workdir, root};

use crate::hostile::assemble;

const JOBS: &str = "/apis/batch/v1/jobs";
const PODS: &str = "/api/v1/pods";
/// What anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

fn exec(workdir: &Workdir, served: &Served, dag: &str, arguments: &[&str]) -> Output {
    runner(workdir, served, dag, arguments).run().unwrap()
}

fn runner(workdir: &Workdir, served: &Served, dag: &str, arguments: &[&str]) -> Runner {
    workdir.write("dag.yaml", dag).unwrap();
    Runner::new(workdir)
        .unwrap()
        .args(["exec", "dag.yaml", "--kubeconfig"])
        .args([served.kubeconfig()])
        .args(arguments.iter().copied())
}

/// A step `a` that runs a shell script.
fn one(script: &str) -> String {
    step("a", script)
}

fn step(id: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!("steps:\n  - id: {id}\n    type: k8s\n    config: {{image: x}}\n    command: [sh, -c, {script}]\n")
}

/// Waits until there is none of these objects; the collector works in the background.
fn gone(served: &Served, path: &str) {
    until(|| served.list(path).unwrap().is_empty(), || format!("{:#?}", served.list(path).unwrap()));
}

fn until(mut holds: impl FnMut() -> bool, state: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_step_that_goes_well_takes_the_documented_requests_and_leaves_nothing() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let hello = std::fs::read_to_string(root().join("runner/examples/hello.yaml")).unwrap();
    let output = exec(&workdir, &served, &hello, &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("hello │ hello from kubernetes\n"), "{output:?}");
    assert_requests(&served, 1);
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
    gone(&served, PODS);
}

/// The requests of a run whose `steps` went well, and no others.
fn assert_requests(served: &Served, steps: usize) {
    let count = |verb, resource| served.requests(verb, resource).len();
    assert_eq!(count("list", "jobs") + count("list", "pods"), 2);
    assert_eq!(count("watch", "jobs") + count("watch", "pods"), 2);
    assert_eq!(count("create", "jobs"), steps);
    assert_eq!(count("delete", "jobs"), steps);
    let logs = count("get", "pods/log");
    assert!((steps..=2 * steps).contains(&logs), "{logs}");
    let all = served.cluster().requests().len();
    assert_eq!(all, 4 + 2 * steps + logs, "{:#?}", served.cluster().requests());
}

#[test]
fn a_hundred_parallel_steps_share_two_watches() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let steps: String = (0..100)
        .map(|n| format!("  - {{id: s{n}, type: k8s, config: {{image: x}}, command: [sh, -c, \"echo step {n}\"]}}\n"))
        .collect();
    let output = exec(&workdir, &served, &format!("steps:\n{steps}"), &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for n in 0..100 {
        assert_eq!(output.stdout.matches(&format!("│ step {n}\n")).count(), 1, "{n}: {}", output.stdout);
    }
    assert!(output.stdout.contains("100 succeeded"), "{}", output.stdout);
    assert_requests(&served, 100);
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
}

#[test]
fn a_failing_container_fails_the_run_with_its_code_on_the_screen() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let dag = format!(
        "{}  - {{id: b, type: k8s, depends: a, config: {{image: x}}, command: echo b}}\n",
        one("echo no; exit 7")
    );
    let output = exec(&workdir, &served, &dag, &[]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("exit 7"), "{output:?}");
    assert!(output.stdout.contains("upstream a failed"), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 1);
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
    for (step, code) in [("a", 7), ("b", 1)] {
        let output = exec(&workdir, &served, &dag, &["--exit-code-from", step]);
        assert_eq!(output.code, Some(code), "{output:?}");
    }
    let output = exec(&workdir, &served, &one("true"), &["--exit-code-from", "a"]);
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn a_job_that_is_kept_is_still_there() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let dag = one("exit 7").replace("{image: x}", "{image: x, cleanup_policy: keep}");
    let output = exec(&workdir, &served, &dag, &["--run-id", "r1"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    let jobs = served.list(JOBS).unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["metadata"]["annotations"]["runner/cleanup"], "keep");
    assert_eq!(jobs[0]["metadata"]["labels"]["runner/run-id"], "r1");
    assert_eq!(served.requests("delete", "jobs").len(), 0);
    let conditions = jobs[0]["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|condition| condition["type"] == "Failed"), "{conditions:?}");

    // The Job of the first run has the run id, whatever the state folder says.
    std::fs::remove_dir_all(workdir.path().join(".state")).unwrap();
    let output = exec(&workdir, &served, &dag, &["--run-id", "r1"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("run id `r1` is in use"), "{output:?}");
    let output = exec(&workdir, &served, &dag, &["--run-id", "r1"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("choose another `--run-id`"), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 1);
}

#[test]
fn what_a_policy_denies_as_written_reaches_no_cluster() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let policy = root().join("policies/dist/no-privileged.wasm").display().to_string();
    let dag = one("true").replace("{image: x}", "{image: x, security_context: {privileged: true}}");
    let output = exec(&workdir, &served, &dag, &["--policy", &policy]);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("error[no-privileged/container]"), "{output:?}");
    assert!(output.stderr.contains("dag.yaml:4:"), "{output:?}");
    assert_eq!(served.cluster().requests(), []);

    let json = exec(&workdir, &served, &dag, &["--policy", &policy, "--output", "json"]);
    assert_eq!(json.code, Some(3), "{json:?}");
    assert_eq!(json.stderr, "");
    let line: Value = serde_json::from_str(json.stdout.trim()).unwrap();
    assert_eq!(line["problems"][0]["code"], "no-privileged/container");
    assert_eq!(line["exit_code"], 3);
    assert_eq!(served.cluster().requests(), []);
}

#[test]
fn an_image_that_is_known_only_at_submit_is_denied_there_and_nothing_is_created() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let policy = workdir.write("forbids-image.wasm", assemble("forbids-image")).unwrap().display().to_string();
    let dag = format!("params: {{IMG: good}}\n{}", one("true").replace("{image: x}", "{image: \"${IMG}\"}"));
    let output = exec(&workdir, &served, &dag, &["--policy", &policy]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 1);
    let output = exec(&workdir, &served, &dag, &["--policy", &policy, "-p", "IMG=evil"]);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("[hostile/image] this image is forbidden"), "{output:?}");
    assert!(output.stdout.contains("denied"), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 1, "nothing was created");
}

#[test]
fn a_value_that_becomes_invalid_fails_its_step_only() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let dag = format!(
        "params: {{NAME: ok}}\n{}  - {{id: b, type: k8s, config: {{image: x}}, command: echo b}}\n",
        one("true").replace("{image: x}", "{image: x, labels: {team: \"${NAME}\"}}")
    );
    let output = exec(&workdir, &served, &dag, &["-p", "NAME=not a label"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("invalid"), "{output:?}");
    assert!(output.stdout.contains("b │ b\n"), "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 1);
}

/// The next line of standard output that begins so.
fn line(child: &mut Child, prefix: &str) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with(prefix));
    // Somebody must go on reading, or the child would write into a closed pipe.
    std::thread::spawn(move || for _ in lines {});
    found.unwrap_or_else(|| {
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        panic!("no line `{prefix}`: {stderr}")
    })
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn ended(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("it does not end: {stderr}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn an_interrupt_deletes_the_job_and_leaves_no_process() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let workdir = Workdir::new().unwrap();
        let served = Served::start(&workdir).unwrap();
        let dag = one("echo pid $$$$; exec sleep 1000").replace("{image: x}", "{image: x, cleanup_policy: keep}");
        let mut child = runner(&workdir, &served, &dag, &[]).start().unwrap();
        let pid = line(&mut child, "a │ pid ").replace("a │ pid ", "");
        assert!(is_alive(&pid));
        send(&child, signal);
        assert_eq!(ended(child), Some(code));
        assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
        assert!(!is_alive(&pid));
        gone(&served, PODS);
    }
}

#[test]
fn an_interrupt_of_a_local_run_leaves_no_process() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", one("echo pid $$$$; sleep 1000 & wait")).unwrap();
    let mut child = Runner::new(&workdir).unwrap().args(["exec", "--local", "dag.yaml"]).start().unwrap();
    let pid = line(&mut child, "a │ pid ").replace("a │ pid ", "");
    send(&child, Signal::INT);
    assert_eq!(ended(child), Some(130));
    until(|| !is_alive(&pid), || format!("process {pid} is there"));
}

#[test]
fn a_second_signal_does_not_wait_for_the_grace_period() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let stubborn = one("trap '' TERM; echo pid $$$$; while true; do sleep 1; done")
        .replace("{image: x}", "{image: x, termination_grace_period_seconds: 3600}");
    let mut child = runner(&workdir, &served, &stubborn, &[]).start().unwrap();
    let pid = line(&mut child, "a │ pid ").replace("a │ pid ", "");
    send(&child, Signal::INT);
    until(|| served.list(JOBS).unwrap().is_empty(), || "the Job is there".to_owned());
    assert!(is_alive(&pid));
    send(&child, Signal::INT);
    assert_eq!(ended(child), Some(130));
    until(|| !is_alive(&pid), || format!("process {pid} is there"));
}

#[test]
fn the_local_cluster_serves_runs_until_it_is_told_to_end() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", one("echo hello")).unwrap();
    let mut cluster = Runner::new(&workdir).unwrap().args(["local-cluster"]).start().unwrap();
    let kubeconfig = line(&mut cluster, "/");
    for _ in 0..2 {
        let arguments = ["exec", "dag.yaml", "--kubeconfig", &kubeconfig];
        let output = Runner::new(&workdir).unwrap().args(arguments).run().unwrap();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains("a │ hello\n"), "{output:?}");
    }
    send(&cluster, Signal::TERM);
    assert_eq!(ended(cluster), Some(0));
    assert!(!Path::new(&kubeconfig).exists());
}

#[test]
fn a_cluster_that_does_not_answer_is_told_and_can_be_interrupted() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", one("echo hello")).unwrap();
    let kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n";
    workdir.write("away", kubeconfig).unwrap();
    let arguments = ["exec", "dag.yaml", "--kubeconfig", "away", "--output", "json"];
    let mut child = Runner::new(&workdir).unwrap().args(arguments).start().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let note = lines.find(|line| line.contains("\"note\"")).unwrap();
    assert!(note.contains("the cluster does not answer: no connection"), "{note}");
    send(&child, Signal::INT);
    let end: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!((&end["event"], &end["status"]), (&Value::from("run-ended"), &Value::from("aborted")));
    assert_eq!(ended(child), Some(130));
}

/// Each review is bounded by the clock: too many at once would fail each other.
#[test]
fn hundreds_of_steps_at_once_do_not_make_a_policy_late() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let policy = root().join("policies/dist/no-privileged.wasm").display().to_string();
    let steps: String =
        (0..300).map(|n| format!("  - {{id: s{n}, type: k8s, config: {{image: x}}, command: \"true\"}}\n")).collect();
    let output = exec(&workdir, &served, &format!("steps:\n{steps}"), &["--policy", &policy, "--quiet"]);
    assert_eq!(output.code, Some(0), "{}", output.stdout);
}

#[test]
fn nothing_is_created_after_an_interrupt() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("create", "jobs", "*").delay(Duration::from_secs(1));
    let steps: String =
        (0..60).map(|n| format!("  - {{id: s{n}, type: k8s, config: {{image: x}}, command: sleep 100}}\n")).collect();
    let child = runner(&workdir, &served, &format!("steps:\n{steps}"), &[]).start().unwrap();
    until(|| !served.requests("create", "jobs").is_empty(), || "no Job is created".to_owned());
    send(&child, Signal::INT);
    assert_eq!(ended(child), Some(130));
    // Those that were sent already, and none of those that waited for their turn.
    let sent = served.requests("create", "jobs").len();
    assert!(sent <= 32, "{sent}");
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
}

#[test]
fn a_deletion_that_hangs_is_named_and_holds_nothing_up() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("delete", "jobs", "*").delay(Duration::from_secs(3600));
    let output = exec(&workdir, &served, &one("true"), &["--wait", "delete=1s"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("left over"), "{output:?}");
    let kubeconfig = served.kubeconfig().display().to_string();
    let command = format!("kubectl --kubeconfig {kubeconfig} --context local -n default delete job a-");
    assert!(output.stdout.contains(&command), "{output:?}");
}

#[test]
fn a_log_that_breaks_again_and_again_does_not_hold_the_step() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    // Each answer brings what was there before, and never the end: more than any buffer on the way, or nothing would come.
    let faults = served.cluster().faults();
    faults.on("get", "pods/log", "*").interrupt(After::Bytes(2_000_000), Interruption::Reset);
    let dag = one("seq 200000");
    let child = runner(&workdir, &served, &dag, &["--quiet", "--wait", "drain=300ms"]).start().unwrap();
    assert_eq!(ended(child), Some(0));
    assert!(served.requests("get", "pods/log").len() > 1);
}

#[test]
fn a_job_whose_creation_was_never_confirmed_is_looked_for_and_deleted_after_an_interrupt() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("create", "jobs", "*").commit_then(Answer::status(503, "come back later"));
    let child = runner(&workdir, &served, &one("sleep 100"), &[]).start().unwrap();
    until(|| !served.list(JOBS).unwrap().is_empty(), || "no Job is created".to_owned());
    send(&child, Signal::INT);
    assert_eq!(ended(child), Some(130));
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
    gone(&served, PODS);
}

#[test]
fn a_deletion_that_is_refused_is_shown_and_tried_again() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("delete", "jobs", "*").first(2).answer(Answer::status(503, "come back later"));
    let output = exec(&workdir, &served, &one("true"), &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(
        output.stderr.contains("waiting for delete: the cluster does not delete the Job: come back later"),
        "{output:?}"
    );
    assert!(!output.stdout.contains("left over"), "{output:?}");
    assert_eq!(served.requests("delete", "jobs").len(), 3);
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
}

#[test]
fn dependents_wait_for_the_pods_when_they_are_told_to() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("remove", "pods", "*").nth(1).hold(None);
    let dag = format!("{}  - {{id: b, type: k8s, depends: a, config: {{image: x}}, command: echo b}}\n", one("true"));
    let output = exec(&workdir, &served, &dag, &["--wait", "cleanup=1s"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let note = output.stderr.find("a: note: the pods of the Job were still there after 1 s; the run goes on");
    let next = output.stderr.find("b: started");
    assert!(note.is_some() && note < next, "{output:?}");
    // Those of b went in time.
    assert!(!output.stderr.contains("b: note"), "{output:?}");
}

#[test]
fn without_the_right_to_read_logs_the_run_goes_on_and_says_so_once() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("get", "pods/log", "*").answer(Answer::status(403, "pods/log is forbidden"));
    let dag = format!("{}  - {{id: b, type: k8s, config: {{image: x}}, command: echo b}}\n", one("echo a"));
    let output = exec(&workdir, &served, &dag, &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let warning = "logs cannot be read: pods/log is forbidden; a Role needs the rule";
    assert_eq!(output.stderr.matches(warning).count(), 1, "{output:?}");
}

#[test]
fn without_the_right_to_watch_nothing_is_created() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("watch", "pods", "*").answer(Answer::status(403, "pods is forbidden"));
    let output = exec(&workdir, &served, &one("true"), &[]);
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stderr.contains("cannot watch pods in namespace `default`: pods is forbidden"), "{output:?}");
    assert!(output.stderr.contains("resources: [pods], verbs: [list, watch]"), "{output:?}");
    assert_eq!(served.requests("create", "jobs"), []);
}

#[test]
fn a_job_that_comes_late_is_deleted_after_an_interrupt() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("create", "jobs", "*").delay(Duration::from_secs(3));
    let child = runner(&workdir, &served, &one("sleep 100"), &[]).start().unwrap();
    until(|| !served.requests("create", "jobs").is_empty(), || "no Job is created".to_owned());
    send(&child, Signal::INT);
    assert_eq!(ended(child), Some(130));
    assert_eq!(served.requests("delete", "jobs").len(), 1);
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
    gone(&served, PODS);
}

#[test]
fn output_that_nobody_reads_does_not_keep_the_program_alive() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    // More than a pipe takes.
    let dag = one("head -c 1000000 /dev/zero | tr '\\\\0' '\\\\n'");
    let mut child = runner(&workdir, &served, &dag, &[]).start().unwrap();
    let unread = child.stdout.take();
    until(|| !served.requests("get", "pods/log").is_empty(), || "the log is not read".to_owned());
    send(&child, Signal::TERM);
    until(|| served.list(JOBS).unwrap().is_empty(), || "the Job is there".to_owned());
    send(&child, Signal::TERM);
    until(
        || {
            send(&child, Signal::TERM);
            child.try_wait().unwrap().is_some()
        },
        || "it does not end".to_owned(),
    );
    drop(unread);
}

#[test]
fn events_are_json_from_the_first_line_to_the_last() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let output = exec(&workdir, &served, &one("echo one; printf two; exit 3"), &["--output", "json", "--run-id", "r1"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.stderr, "");
    let events: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "run-started");
    assert!(events.iter().all(|event| event["run"] == "r1"), "{events:#?}");
    let of_kind = |kind: &str| events.iter().filter(|event| event["event"] == kind).cloned().collect::<Vec<_>>();
    let texts: Vec<Value> = of_kind("step-log").into_iter().map(|event| event["text"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
    let end = &of_kind("step-ended")[0];
    assert_eq!((&end["status"], &end["exit_code"], &end["reason"]), (&"failed".into(), &3.into(), &"exit".into()));
    assert_eq!(std::fs::read_to_string(end["log"].as_str().unwrap()).unwrap(), "one\ntwo");
    let end = events.last().unwrap();
    assert_eq!((&end["event"], &end["exit_code"]), (&"run-ended".into(), &1.into()));
}

#[test]
fn a_lost_answer_makes_no_second_job() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    served.cluster().faults().on("create", "jobs", "*").nth(1).commit_then_cut();
    let output = exec(&workdir, &served, &one("echo once"), &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout.matches("│ once\n").count(), 1, "{output:?}");
    assert_eq!(served.requests("create", "jobs").len(), 2);
    assert_eq!(served.requests("get", "jobs").len(), 1);
    assert_eq!(served.list(JOBS).unwrap(), Vec::<Value>::new());
}

#[test]
fn watches_and_logs_that_are_cut_lose_and_double_nothing() {
    let workdir = Workdir::new().unwrap();
    let served = Served::start(&workdir).unwrap();
    let faults = served.cluster().faults();
    for resource in ["jobs", "pods"] {
        faults
            .on("watch", resource, "*")
            .nth(1)
            .interrupt(After::Time(Duration::from_millis(300)), Interruption::Reset);
    }
    for (nth, how) in [(1, Interruption::Eof), (2, Interruption::Reset)] {
        faults.on("get", "pods/log", "*").nth(nth).interrupt(After::Lines(7), how);
    }
    let script = "for n in $(seq 1 50); do echo line $n; done; sleep 1; echo end; exit 4";
    let output = exec(&workdir, &served, &one(script), &[]);
    assert_eq!(output.code, Some(1), "{output:?}");
    let expected: String = (1..=50).map(|n| format!("a │ line {n}\n")).chain(["a │ end\n".to_owned()]).collect();
    assert!(output.stdout.starts_with(&expected), "{output:?}");
    assert!(output.stdout.contains("exit 4"), "{output:?}");
    assert_eq!(served.requests("watch", "jobs").len(), 2);
    assert_eq!(served.requests("watch", "pods").len(), 2);
}

#[test]
fn nothing_runs_when_something_is_wrong_with_the_command() {
    let workdir = Workdir::new().unwrap();
    workdir.write("dag.yaml", one("echo hello")).unwrap();
    workdir.write("host.yaml", "dotenv: [bad.env, absent.env]\nsteps: [echo hello]\n").unwrap();
    workdir.write("bad.env", "GOOD=1\nbad\n").unwrap();
    workdir.write("broken", "{").unwrap();
    workdir.write("param.yaml", format!("params: [{{name: N, required: true}}]\n{}", one("true"))).unwrap();
    let empty = "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\n";
    workdir.write("empty", empty).unwrap();
    for (arguments, code, expected) in [
        ("dag.yaml", 4, "no cluster is configured"),
        ("dag.yaml --kubeconfig nowhere", 4, "there is no such file"),
        ("dag.yaml --kubeconfig broken", 4, "cannot be used: line 1, column 1"),
        ("dag.yaml --kubeconfig empty", 4, "it has no current context"),
        ("dag.yaml --kubeconfig empty --context prod", 4, "it has no context `prod`"),
        ("dag.yaml --local --exit-code-from b", 2, "there is no such step"),
        ("dag.yaml --local --run-id a/b", 2, "use 1 to 64 letters"),
        ("dag.yaml --local --wait pull", 2, "--wait pull"),
        ("dag.yaml --local --wait pul=5m", 2, "--wait pul=5m"),
        ("dag.yaml --local --kubeconfig x", 2, "cannot be used with"),
        ("dag.yaml --local --local-objects nowhere", 2, "`nowhere` cannot be read"),
        ("host.yaml", 2, "bad.env:2: expected `NAME=value`"),
        ("param.yaml --local", 2, "core/required"),
        ("nowhere.yaml --local", 2, "there is no such file"),
    ] {
        let output = Runner::new(&workdir).unwrap().arg("exec").args(arguments.split_whitespace()).run().unwrap();
        assert_eq!(output.code, Some(code), "{arguments}: {output:?}");
        assert!(output.stderr.contains(expected), "{arguments}: {output:?}");
        assert_eq!(output.stdout, "", "{arguments}");
    }
}
