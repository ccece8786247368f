//! Workflow files as the tests write them: JSON, which is YAML.

use serde_json::{Value, json};
use tests::Namespace;

/// Image of a shell that the real cluster has; the embedded one takes no notice.
pub(crate) const SHELL: &str = "runner.test/shell:1";
/// An image that is nowhere.
pub(crate) const MISSING: &str = "runner.test/missing:1";

/// A step.
#[derive(Clone)]
pub(crate) struct Step(Value);

impl Step {
    /// A step that runs a script of the shell that both busybox and the machine have.
    pub(crate) fn sh(id: &str, script: &str) -> Step {
        Step::argv(id, &["sh", "-c", script])
    }

    /// A step that runs a program.
    pub(crate) fn argv(id: &str, argv: &[&str]) -> Step {
        Step(json!({"id": id, "type": "k8s", "command": argv}))
    }

    /// Its config.
    #[must_use]
    pub(crate) fn config(mut self, config: Value) -> Step {
        self.0["config"] = config;
        self
    }
}

/// A config with a folder in which the program runs; what the test writes into `memory`, the program finds there.
pub(crate) fn in_memory(namespace: &Namespace, config: &Value) -> Value {
    let folder = namespace.workdir().path().join("memory").display().to_string();
    let mut config = config.clone();
    config["volumes"] = json!([{"name": "memory", "host_path": {"path": folder, "type": "DirectoryOrCreate"}}]);
    config["volume_mounts"] = json!([{"name": "memory", "mount_path": "/memory"}]);
    config["working_dir"] = json!("/memory");
    config
}

/// A file with these steps, all in the namespace.
pub(crate) fn file(namespace: &Namespace, steps: &[Step]) -> String {
    let steps: Vec<&Value> = steps.iter().map(|step| &step.0).collect();
    // A shell that is the first process of its container does not hear SIGTERM.
    let all = json!({"namespace": namespace.name(), "image": SHELL, "termination_grace_period_seconds": 1});
    json!({"type": "graph", "kubernetes": all, "steps": steps}).to_string()
}
