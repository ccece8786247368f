//! A run of the program, as its events tell it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Namespace, Runner};

use crate::suite::until;
use crate::workflow::{Step, file};

/// No run of these tests takes longer; one that does is ended and fails.
const LONGEST: Duration = Duration::from_secs(420);

/// A run that goes on.
pub(crate) struct Running {
    child: Child,
    events: Arc<Mutex<Vec<Value>>>,
    readers: Vec<JoinHandle<()>>,
    stderr: Arc<Mutex<String>>,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

/// How a step ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: String,
    pub(crate) exit_code: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) message: String,
    pub(crate) notes: Vec<String>,
    pub(crate) pods: u64,
    /// What its log file holds.
    pub(crate) log: String,
}

/// Runs steps to their end.
pub(crate) fn exec(namespace: &Namespace, steps: &[Step], arguments: &[&str]) -> Run {
    start(namespace, steps, arguments).wait()
}

/// Starts a run of steps.
pub(crate) fn start(namespace: &Namespace, steps: &[Step], arguments: &[&str]) -> Running {
    start_with(namespace, namespace.kubeconfig(), steps, arguments)
}

/// The same with another kubeconfig.
pub(crate) fn start_with(namespace: &Namespace, kubeconfig: &Path, steps: &[Step], arguments: &[&str]) -> Running {
    // A cluster that went away fails the test, and soon.
    let runner = runner(namespace, &file(namespace, steps)).args(["--wait", "api=90s", "--kubeconfig"]).arg(kubeconfig);
    Running::new(runner.args(arguments.iter().copied()))
}

/// The program that is about to run a file, and to tell its events; the cluster is not said yet.
pub(crate) fn runner(namespace: &Namespace, file: &str) -> Runner {
    namespace.workdir().write("dag.yaml", file).unwrap();
    Runner::new(namespace.workdir()).unwrap().args(["exec", "dag.yaml", "--output", "json"])
}

impl Running {
    pub(crate) fn new(runner: Runner) -> Running {
        let mut child = runner.start().unwrap();
        let (events, stderr) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(String::new())));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut errors = child.stderr.take().unwrap();
        let (into, words) = (events.clone(), stderr.clone());
        let readers = vec![
            std::thread::spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    lock(&into).push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
                }
            }),
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                // What cannot be read was not written.
                let _ = errors.read_to_end(&mut bytes);
                lock(&words).push_str(&String::from_utf8_lossy(&bytes));
            }),
        ];
        Running { child, events, readers, stderr }
    }

    /// The events so far.
    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Value>> {
        lock(&self.events)
    }

    /// Waits until an event has come.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        until(what, || self.events().iter().any(&is_it));
    }

    /// Waits until a step has printed a line.
    #[track_caller]
    pub(crate) fn until_line(&self, step: &str, line: &str) {
        self.until(&format!("line `{line}` of step `{step}`"), |event| {
            event["event"] == "step-log" && event["step"] == step && event["text"] == line
        });
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Run {
        let deadline = Instant::now() + LONGEST;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                panic!("it does not end: {:#?}", self.events());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let code = self.child.wait().unwrap().code();
        let (events, stderr) = (std::mem::take(&mut *self.events()), lock(&self.stderr).clone());
        Run { code, events, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.readers.is_empty() {
            // A test that fails in the middle leaves no process.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Events of a kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    /// How a step ended.
    #[track_caller]
    pub(crate) fn end(&self, step: &str) -> End {
        let end = self.events.iter().find(|event| event["event"] == "step-ended" && event["step"] == step);
        let end = end.unwrap_or_else(|| panic!("`{step}` did not end: {self:#?}"));
        let text = |key: &str| end[key].as_str().map(str::to_owned);
        let notes = end["notes"].as_array().into_iter().flatten();
        let log = text("log").and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
        End {
            status: text("status").unwrap_or_default(),
            exit_code: end["exit_code"].as_i64(),
            reason: text("reason"),
            message: text("message").unwrap_or_default(),
            notes: notes.filter_map(Value::as_str).map(str::to_owned).collect(),
            pods: end["pods"].as_u64().unwrap_or_default(),
            log: String::from_utf8_lossy(&log).into_owned(),
        }
    }

    /// Holds a step to its end: code and reason, and words of its message.
    #[track_caller]
    pub(crate) fn ended(&self, step: &str, exit_code: Option<i64>, reason: &str, words: &[&str]) {
        let end = self.end(step);
        assert_eq!((end.exit_code, end.reason.as_deref()), (exit_code, Some(reason)), "{step}: {end:#?}");
        assert_eq!(end.status, "failed", "{end:#?}");
        let told = format!("{}\n{}", end.message, end.notes.join("\n"));
        for word in words {
            assert!(told.contains(word), "{step}: no `{word}` in {end:#?}");
        }
    }

    /// Holds a step to have succeeded.
    #[track_caller]
    pub(crate) fn succeeded(&self, step: &str) {
        let end = self.end(step);
        assert_eq!((end.status.as_str(), end.exit_code), ("succeeded", Some(0)), "{step}: {end:#?}");
    }
}
