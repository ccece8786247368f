//! The program as a process that is signalled, killed and started again, against a cluster that outlives it.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Output, Runner, Served, Workdir};

/// What anything may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const JOBS: &str = "/apis/batch/v1/jobs";
pub(crate) const PODS: &str = "/api/v1/pods";

/// A run in a cluster of its own, called `r1`.
pub(crate) struct Scene {
    pub(crate) workdir: Workdir,
    pub(crate) served: Served,
}

impl Scene {
    /// With this workflow.
    pub(crate) fn new(dag: &str) -> Scene {
        let workdir = Workdir::new().unwrap();
        let served = Served::start(&workdir).unwrap();
        fs::create_dir(workdir.path().join("marks")).unwrap();
        let dag = dag.replace("{marks}", &workdir.path().join("marks").display().to_string());
        workdir.write("dag.yaml", dag).unwrap();
        Scene { workdir, served }
    }

    /// The program with these arguments.
    pub(crate) fn runner(&self, arguments: &[&str]) -> Runner {
        Runner::new(&self.workdir).unwrap().args(arguments.iter().copied())
    }

    /// Its output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.runner(arguments).run().unwrap()
    }

    fn exec_arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let kubeconfig = self.served.kubeconfig().to_str().unwrap();
        [&["exec", "dag.yaml", "--run-id", "r1", "--kubeconfig", kubeconfig], more].concat()
    }

    /// The run, to its end.
    pub(crate) fn exec(&self, more: &[&str]) -> Output {
        self.run(&self.exec_arguments(more))
    }

    /// The run, begun.
    pub(crate) fn begin(&self, more: &[&str]) -> Child {
        self.runner(&self.exec_arguments(more)).start_quiet().unwrap()
    }

    /// The run, begun by somebody who reads what it says.
    pub(crate) fn begin_loud(&self, more: &[&str]) -> Child {
        self.runner(&self.exec_arguments(more)).start().unwrap()
    }

    /// The run, taken up.
    pub(crate) fn resume(&self) -> Output {
        self.run(&["runs", "resume", "r1"])
    }

    /// The folder of the run.
    pub(crate) fn folder(&self) -> PathBuf {
        self.workdir.path().join(".state/runner/runs/r1")
    }

    /// The whole lines of its journal.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder().join("journal.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many lines of the journal tell of this.
    pub(crate) fn told(&self, event: &str) -> usize {
        self.journal().iter().filter(|line| line["event"] == event).count()
    }

    /// Waits until the journal tells of this.
    pub(crate) fn until_told(&self, event: &str) {
        until(|| self.told(event) > 0, || format!("no `{event}`: {:#?}", self.journal()));
    }

    /// The log of the first attempt of a step.
    pub(crate) fn log(&self, step: &str) -> String {
        fs::read_to_string(self.folder().join(format!("logs/{step}.1.log"))).unwrap_or_default()
    }

    /// What the programs have left in a file.
    pub(crate) fn marks(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.workdir.path().join("marks").join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn mark(&self, name: &str) {
        self.workdir.write(&format!("marks/{name}"), "").unwrap();
    }

    /// What `runs show` knows, without what differs from run to run.
    pub(crate) fn shown(&self) -> Value {
        let output = self.run(&["runs", "show", "r1", "--format", "json"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        let mut shown: Value = serde_json::from_str(&output.stdout).unwrap();
        let folder = self.workdir.path().display().to_string();
        strip(&mut shown, &folder);
        shown
    }

    /// Nothing is left in the cluster, once its collector is done.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.served.list(JOBS).unwrap(), Vec::<Value>::new());
        until(|| self.served.list(PODS).unwrap().is_empty(), || format!("{:#?}", self.served.list(PODS).unwrap()));
    }
}

fn strip(value: &mut Value, folder: &str) {
    match value {
        Value::Object(fields) => {
            for differs in ["started", "took_ms", "uid", "pod"] {
                fields.remove(differs);
            }
            fields.values_mut().for_each(|field| strip(field, folder));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, folder)),
        Value::String(text) => *text = text.replace(folder, "…"),
        _ => {}
    }
}

/// The final tree without what differs from run to run: times, and the folder.
pub(crate) fn tree(output: &Output, folder: &str) -> String {
    let from = output.stdout.find("dag · ").unwrap_or_else(|| panic!("no tree: {output:?}"));
    let mut tree = String::new();
    for line in output.stdout[from..].replace(folder, "…").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_time = |number: &str, unit: &str| {
            number.parse::<f64>().is_ok() && matches!(unit.trim_end_matches(','), "ms" | "s" | "m" | "h")
        };
        let pairs = words.iter().zip(words.iter().skip(1).copied().chain([""]));
        let times: Vec<bool> = pairs.map(|(word, next)| is_time(word, next)).collect();
        for (index, word) in words.iter().enumerate() {
            let is_unit = index > 0 && times[index - 1];
            if !times[index] && !is_unit {
                tree.push_str(word);
                tree.push(' ');
            }
        }
        tree.push('\n');
    }
    tree
}

pub(crate) fn until(mut holds: impl FnMut() -> bool, state: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{}", state());
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Kills it without a word.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Its end; none: a signal ended it.
pub(crate) fn ended(child: &mut Child) -> Option<i32> {
    let mut status = None;
    until(
        || {
            status = child.try_wait().unwrap();
            status.is_some()
        },
        || "it does not end".to_owned(),
    );
    status.unwrap().code()
}

/// Its end and what it said.
pub(crate) fn output(mut child: Child) -> Output {
    ended(&mut child);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(crate) fn is_alive(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

/// One step that tells `one`, waits for the mark `go`, and tells `two`.
pub(crate) fn waiting() -> String {
    let script = "echo $$$$ >> {marks}/a; echo one; until [ -e {marks}/go ]; do sleep 0.02; done; echo two";
    let script = serde_json::to_string(script).unwrap();
    format!("steps:\n  - {{name: a, type: k8s, config: {{image: x}}, command: [sh, -c, {script}]}}\n")
}

/// Numbers that look random and are the same each time: a linear congruential generator, Knuth's MMIX.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// A number from 1 to `most`.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (self.0 >> 33) as usize % most
    }
}
