//! What an admission webhook, or an older server, makes of an object that is being created.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Struck};
use crate::object::{child_mut, map_mut};
use crate::refusal::Refusal;

/// A container that somebody else puts into pods.
#[derive(Clone, Debug)]
pub(super) struct Injected {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Beside the others, and the first of them.
    Sidecar,
    /// Before the others.
    Init,
    /// Begins before the others and ends with them: an init container that is always restarted.
    NativeSidecar,
}

impl Injected {
    fn put_into(&self, pod: &mut Value) {
        let list = if self.kind == Kind::Sidecar { "containers" } else { "initContainers" };
        let mut container = json!({"name": self.name, "image": "injected", "command": ["true"]});
        if self.kind == Kind::NativeSidecar {
            map_mut(&mut container).insert("restartPolicy".to_owned(), "Always".into());
        }
        let containers = child_mut(pod, "spec").entry(list).or_insert(Value::Null);
        match containers {
            Value::Array(containers) => containers.insert(0, container),
            other => *other = Value::Array(vec![container]),
        }
    }
}

impl Struck {
    /// Changes an object that was sent, before the server fills in what it lacks.
    pub(crate) fn admit(&self, object: &mut Value) -> Result<(), Refusal> {
        for fault in &self.faults {
            match fault {
                Fault::Mutate(patch) => mutate(object, patch)
                    .map_err(|why| Refusal::internal(format!("failed calling webhook \"fault-hook\": {why}")))?,
                Fault::Inject(container) => container.put_into(object),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes out of an object what the server does not know, after it has filled in the rest.
    pub(crate) fn forget(&self, object: &mut Value) {
        for fault in &self.faults {
            let Fault::Forget(pointer) = fault else { continue };
            if let Some((parent, field)) = pointer.rsplit_once('/')
                && let Some(Value::Object(parent)) = object.pointer_mut(parent)
            {
                parent.remove(field);
            }
        }
    }
}

fn mutate(object: &mut Value, patch: &Value) -> Result<(), String> {
    if !patch.is_array() {
        json_patch::merge(object, patch);
        return Ok(());
    }
    let operations = json_patch::Patch::deserialize(patch).map_err(|error| error.to_string())?;
    json_patch::patch(object, &operations).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Faults;
    use super::*;
    use crate::pod::Script;

    #[test]
    fn an_object_is_changed_on_its_way_in() {
        let faults = Faults::default();
        faults.on("create", "pods", "p").mutate(json!({"spec": {"priority": 7, "nodeSelector": null}}));
        faults.on("create", "pods", "p").sidecar("proxy", Script::new());
        faults.on("create", "pods", "p").init("setup", Script::new());
        faults.on("create", "pods", "p").native_sidecar("mesh", Script::new());
        faults.on("create", "pods", "p").forget("/spec/priority");
        let struck = faults.strike("create", "pods", "p", None);
        let mut pod = json!({"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "step"}]}});
        struck.admit(&mut pod).unwrap();
        assert_eq!(pod["spec"]["priority"], 7);
        assert_eq!(pod["spec"].get("nodeSelector"), None);
        let names = |list: &str| -> Vec<&str> {
            pod["spec"][list].as_array().unwrap().iter().map(|container| container["name"].as_str().unwrap()).collect()
        };
        assert_eq!(names("containers"), ["proxy", "step"]);
        assert_eq!(names("initContainers"), ["mesh", "setup"]);
        assert_eq!(pod["spec"]["initContainers"][0]["restartPolicy"], "Always");
        struck.forget(&mut pod);
        assert_eq!(pod["spec"].get("priority"), None);
    }

    #[test]
    fn operations_reach_into_lists_and_must_fit() {
        let faults = Faults::default();
        let replace = |path: &str| json!([{"op": "replace", "path": path, "value": "x"}]);
        faults.on("create", "pods", "p").mutate(replace("/spec/containers/0/image"));
        faults.on("create", "pods", "q").mutate(replace("/spec/containers/1/image"));
        let mut pod = json!({"spec": {"containers": [{"image": "a"}]}});
        faults.strike("create", "pods", "p", None).admit(&mut pod).unwrap();
        assert_eq!(pod["spec"]["containers"][0]["image"], "x");
        assert_eq!(faults.strike("create", "pods", "q", None).admit(&mut pod).unwrap_err().code, 500);
    }
}
