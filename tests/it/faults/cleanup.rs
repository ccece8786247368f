//! What becomes of Jobs: removed, kept, or named with the reason; and names, namespaces and what else outlives a step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::Full;
use local_cluster::{After, Answer, Interruption, LocalCluster, Resource, Script};
use runner::admission::{Admission, preview};
use runner::interpolate::Scope;
use runner::manifest;
use runner::outcome::{Outcome, Reason};
use runner::plan::plan_jobs;
use runner::report::ExitCode;
use runner::run::Signal;
use runner::sources::{Source, Sources};
use runner::wasm::Role;
use serde_json::{Value, json};
use tests::faults::{Expected, lines, minutes, rules, seconds, steps};
use tests::{fault, folders, root};
use tower_service::Service as _;

/// The Job of step `a`: its name depends on run, step and attempt only.
const JOB: &str = "a-rgxkowewei";

/// Prints a line and ends five seconds later.
fn program() -> Script {
    Script::new().print(lines([1])).sleep(seconds(5))
}

/// Another client makes a Job of this name.
async fn make_job(cluster: &LocalCluster, name: &str) {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "x", "command": ["true"]}]}}},
    });
    let request = http::Request::post("/apis/batch/v1/namespaces/default/jobs");
    let request =
        request.header("content-type", "application/json").body(Full::<Bytes>::from(job.to_string())).unwrap();
    let answer = cluster.clone().call(request).await.unwrap();
    assert_eq!(answer.status(), 201);
}

/// Whether a Job has said how it ended.
fn has_ended(job: &Value) -> bool {
    job["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
}

#[test]
fn f47_a_job_that_a_finalizer_holds_is_named_and_the_run_ends() {
    let seen = fault!()
        .script("a", program())
        .cluster(|cluster| cluster.faults().on("remove", "jobs", "a-*").hold(None))
        .run();
    seen.expect(Expected::succeeded().within(seconds(66)).lines(1).leftovers(1));
    assert!(seen.screen.contains("held by finalizer `example.com/held`"), "{}", seen.screen);
}

#[test]
fn f47_a_job_that_a_finalizer_holds_for_a_while_is_waited_for() {
    let seen = fault!()
        .script("a", program())
        .cluster(|cluster| cluster.faults().on("remove", "jobs", "a-*").hold(seconds(30)))
        .run();
    seen.expect(Expected::succeeded().within(seconds(36)).lines(1));
    assert!(seen.took >= seconds(35), "{:?}", seen.took);
}

#[test]
fn f47_pods_that_stay_after_a_cancel_are_named() {
    let seen = fault!()
        .script("a", Script::new().print(lines([1])).forever())
        .cluster(|cluster| cluster.faults().on("remove", "pods", "a-*").hold(None))
        .meanwhile(|mut stage| async move {
            stage.shown("line 1").await;
            stage.signal(Signal::Interrupt);
        })
        .run();
    seen.expect(
        Expected::ended(Outcome::Cancelled { reason: Reason::Cancelled })
            .exit(ExitCode::Interrupted)
            .within(seconds(91))
            .lines(1)
            .leftovers(1)
            .more("get pods/log", 0),
    );
    assert!(seen.screen.contains("left over: pod default/"), "{}", seen.screen);
}

#[test]
fn f47_a_pod_that_stays_is_waited_for_as_told_and_shown() {
    let seen = fault!()
        .workflow(steps(&[("a", "")]) + "  - {id: b, type: k8s, depends: [a], config: {image: x}, command: work}\n")
        .script("a", program())
        .script("b", program())
        .wait("cleanup=2m")
        .cluster(|cluster| cluster.faults().on("remove", "pods", "a-*").hold(minutes(1)))
        .run();
    seen.expect(Expected::succeeded().within(minutes(2)).lines(1).log("b", lines([1])));
    assert!(seen.took >= seconds(70), "{:?}", seen.took);
    assert!(seen.screen.contains("a: waiting for cleanup: the pods of the Job are still there"), "{}", seen.screen);
}

#[test]
fn f48_no_job_carries_a_finalizer_or_an_owner() {
    let mut jobs = 0;
    for folder in folders(&root().join("tests/corpus")).unwrap() {
        let read = |name| std::fs::read_to_string(folder.join(name)).ok();
        let texts = [("base.yaml", Role::Base), ("dag.yaml", Role::Workflow)];
        let sources = texts.map(|(name, role)| Some(Source { name: name.to_owned(), text: read(name)?, role }));
        let arguments = read("arguments.txt").unwrap_or_default().lines().map(str::to_owned).collect();
        let sources = Sources::from_texts(sources.into_iter().flatten().collect(), arguments);
        let Some(effective) = plan_jobs(&sources, &rules()).unwrap().effective else { continue };
        let scope = Scope::of_run(effective.workflow(), "render", BTreeMap::new());
        let admitted = preview(&rules(), &effective, &scope, &"render".parse().unwrap()).unwrap();
        let Admission::Admitted(previews, _) = admitted else { continue };
        for preview in &previews {
            let manifest = manifest::preview(preview);
            let job = serde_json::to_value(manifest.as_job()).unwrap();
            for metadata in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
                assert_eq!(metadata.get("finalizers"), None, "{}", folder.display());
                assert_eq!(metadata.get("ownerReferences"), None, "{}", folder.display());
            }
            jobs += 1;
        }
    }
    assert!(jobs >= 70, "only {jobs} Jobs");
}

/// The Job goes as soon as it has ended; nobody sees it say so, at most its deletion.
fn expiring(fault: tests::faults::Fault, sees_deletion: bool) -> tests::faults::Fault {
    let config = "ttl_after_finished: 0";
    fault.workflow(steps(&[("a", config), ("b", config)])).cluster(move |cluster| {
        let is_lost = move |job: &Value| {
            // What is being deleted and held by nothing is on its way out.
            let metadata = &job["metadata"];
            let is_gone = metadata.get("deletionTimestamp").is_some() && metadata.get("finalizers").is_none();
            has_ended(job) && !(sees_deletion && is_gone)
        };
        cluster.faults().on("send", "jobs", "*").when(is_lost).lose();
    })
}

#[test]
fn f49_the_last_state_in_the_deletion_of_a_job_is_its_word() {
    expiring(fault!(), true).script("a", program()).script("b", program().exit(3)).run().expect(
        Expected::failed(3, Reason::Exit)
            .outcome("a", Outcome::Succeeded)
            .outcome("b", Outcome::failed(Some(3), Reason::Exit))
            .lines(1)
            .log("b", lines([1]))
            .more("delete jobs", -2),
    );
}

#[test]
fn f49_a_job_that_is_gone_leaves_the_end_of_its_pod() {
    let seen = expiring(fault!(), false)
        .script("a", program())
        .script("b", program().exit(3))
        .cluster(|cluster| {
            // After the Jobs have gone, the list shows that.
            let hook = cluster.faults().on("watch", "jobs", "*").nth(1);
            hook.interrupt(After::Time(seconds(20)), Interruption::Reset);
        })
        .run();
    seen.expect(
        Expected::failed(3, Reason::Exit)
            .outcome("a", Outcome::Succeeded)
            .outcome("b", Outcome::failed(Some(3), Reason::Exit))
            .lines(1)
            .log("b", lines([1]))
            .more("delete jobs", -2)
            .more("list jobs", 1)
            .more("watch jobs", 1),
    );
    for (step, word) in [("a", "Complete"), ("b", "Failed")] {
        let note = &seen.steps[step].verdict.as_ref().unwrap().notes[0];
        assert_eq!(*note, format!("the Job was gone before it said {word}"));
    }
}

#[test]
fn f49_when_nothing_is_left_nobody_can_know() {
    expiring(fault!(), false)
        .script("a", program())
        .script("b", program().exit(3))
        .cluster(|cluster| {
            let is_late = |pod: &Value| pod["status"]["phase"] != "Running";
            cluster.faults().on("send", "pods", "*").when(is_late).lose();
            for resource in ["jobs", "pods"] {
                let hook = cluster.faults().on("watch", resource, "*").nth(1);
                hook.interrupt(After::Time(seconds(20)), Interruption::Reset);
            }
        })
        .run()
        .expect(
            Expected::lost()
                .outcome("b", Outcome::Lost)
                .lines(1)
                .log("b", lines([1]))
                .more("create jobs", 2)
                .more("delete jobs", -2)
                .more("list jobs", 1)
                .more("watch jobs", 1)
                .more("list pods", 1)
                .more("watch pods", 1)
                .more("list events", 4)
                // Of pods that are gone, until the list says so.
                .more("get pods/log", 12),
        );
}

#[test]
fn f49_a_job_that_somebody_deletes_is_lost() {
    let seen = fault!()
        .script("a", Script::new().print(lines([1])).forever())
        .meanwhile(|mut stage| async move {
            stage.shown("line 1").await;
            stage.cluster().delete(Resource::Jobs, "default", "a-*").unwrap();
        })
        .run();
    seen.expect(
        // A dry run of the same POST says that the namespace is there.
        Expected::lost().lines(1).more("create jobs", 1).more("delete jobs", -1).more("list events", 2),
    );
    assert!(seen.screen.contains("somebody deleted the Job"), "{}", seen.screen);
}

#[test]
fn f50_nothing_is_created_but_jobs() {
    let config = "env_from: [{secret_ref: {name: keys}}, {config_map_ref: {name: settings}}], \
                  env: [{name: URL, value_from: {secret_key_ref: {name: keys, key: url}}}], \
                  volumes: [{name: k, secret: {secret_name: keys}}, {name: s, config_map: {name: settings}}, \
                  {name: e, empty_dir: {}}, {name: c, persistent_volume_claim: {claim_name: data}}], \
                  volume_mounts: [{name: k, mount_path: /k}, {name: e, mount_path: /e}], image_pull_secrets: [registry]";
    let seen = fault!()
        .workflow(steps(&[("a", config), ("b", config)]))
        .script("a", program())
        .script("b", program().exit(3))
        .cluster(|cluster| {
            let object = |kind, name| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": {}});
            cluster.apply_objects([object("Secret", "keys"), object("ConfigMap", "settings")]).unwrap();
        })
        .run();
    seen.expect(
        Expected::failed(3, Reason::Exit)
            .outcome("a", Outcome::Succeeded)
            .outcome("b", Outcome::failed(Some(3), Reason::Exit))
            .lines(1)
            .log("b", lines([1])),
    );
    let writes =
        seen.requests.keys().filter(|kind| !["get", "list", "watch"].iter().any(|read| kind.starts_with(read)));
    assert_eq!(writes.collect::<Vec<_>>(), ["create jobs", "delete jobs"]);
}

#[test]
fn f51_a_namespace_that_is_missing_is_named() {
    let seen = fault!().workflow(steps(&[("a", "namespace: team-a")])).script("a", program()).run();
    seen.expect(
        Expected::failed(None, Reason::CreateRefused)
            .within(seconds(1))
            .more("get pods/log", -2)
            .more("delete jobs", -1),
    );
    assert!(seen.screen.contains("namespaces \"team-a\" not found"), "{}", seen.screen);
}

#[test]
fn f51_a_namespace_that_is_deleted_during_the_run_is_the_reason() {
    let seen = fault!()
        .script("a", Script::new().print(lines([1])).forever())
        .meanwhile(|mut stage| async move {
            stage.shown("line 1").await;
            tokio::time::sleep(seconds(5)).await;
            stage.cluster().delete(Resource::Namespaces, "", "default").unwrap();
        })
        .run();
    seen.expect(Expected::lost().lines(1).more("create jobs", 1).more("delete jobs", -1).more("list events", 2));
    assert!(seen.screen.contains("the namespace is gone, and the Job with it"), "{}", seen.screen);
}

#[test]
fn f55_names_are_short_and_never_meet_and_annotations_hold_the_whole() {
    let long = "x".repeat(200);
    let names = [long.as_str(), &format!("{long}y"), "a_b", "a b", "Üñí → ✓", "日本", "日本語"];
    let step = |name: &str| format!("  - {{name: {name:?}, type: k8s, config: {{image: x}}, command: work}}\n");
    let stored: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
    let seen = fault!()
        .workflow(format!("type: graph\nsteps:\n{}", names.iter().map(|name| step(name)).collect::<String>()))
        .cluster({
            let stored = stored.clone();
            move |cluster| {
                cluster.faults().on("run", "pods", "*").script("step", program());
                let record = move |job: &Value| {
                    let name = job["metadata"]["name"].as_str().unwrap().to_owned();
                    stored.lock().unwrap().insert(name, job.clone());
                    false
                };
                cluster.faults().on("send", "jobs", "*").when(record).lose();
            }
        })
        .run();
    seen.expect(names.iter().fold(Expected::succeeded(), |expected, name| expected.log(name, lines([1]))));

    let stored = stored.lock().unwrap();
    assert_eq!(stored.len(), names.len(), "each step has its own Job");
    let mut whole = BTreeSet::new();
    for (name, job) in &*stored {
        assert!(name.len() <= 51, "{name}: no place for the end of the name of a pod");
        for metadata in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
            let labels = metadata["labels"].as_object().unwrap();
            assert!(labels.values().all(|value| value.as_str().unwrap().len() <= 63), "{labels:?}");
            whole.insert(metadata["annotations"]["runner/step"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(whole, names.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn f57_two_hundred_steps_leave_nothing() {
    const STEPS: usize = 200;
    let names: Vec<String> = (0..STEPS).map(|number| format!("s{number:03}")).collect();
    let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let seen = fault!()
        .workflow(format!("max_active_steps: 100\n{}", steps(&all)))
        .cluster(|cluster| cluster.faults().on("run", "pods", "*").script("step", program()))
        .run();
    // Of a hundred steps at a time 64 are followed; the others are read once, after their ends.
    let few_reads = Expected::succeeded().within(minutes(2)).more("get pods/log", -72);
    let few_reads = few_reads.in_any_order();
    seen.expect(names.iter().fold(few_reads, |expected, name| expected.log(name, lines([1]))));
}

#[test]
fn f80_a_name_that_is_held_by_a_job_being_deleted_is_waited_for() {
    let seen = fault!()
        .script("a", program())
        .cluster(|cluster| {
            make_job(cluster, JOB).now_or_never().unwrap();
            cluster.faults().on("remove", "jobs", "a-*").nth(1).hold(seconds(5));
            cluster.delete(Resource::Jobs, "default", JOB).unwrap();
            cluster.forget_requests();
        })
        .run();
    seen.expect(Expected::succeeded().within(seconds(30)).lines(1).more("create jobs", 4).more("get jobs", 4));
    assert!(seen.screen.contains("waiting for delete"), "{}", seen.screen);
}

#[test]
fn f80_a_name_that_is_never_free_fails_the_step() {
    let seen = fault!()
        .cluster(|cluster| {
            make_job(cluster, JOB).now_or_never().unwrap();
            cluster.faults().on("remove", "jobs", "a-*").hold(None);
            cluster.delete(Resource::Jobs, "default", JOB).unwrap();
            cluster.forget_requests();
        })
        .run();
    seen.expect(
        Expected::failed(None, Reason::NameConflict)
            .within(seconds(61))
            .kept(1)
            .more("get pods/log", -2)
            .more("create jobs", 6)
            .more("get jobs", 7),
    );
}

#[test]
fn f81_a_successor_of_the_same_name_is_not_deleted() {
    let seen = fault!()
        .script("a", program())
        .cluster(|cluster| cluster.faults().on("delete", "jobs", "a-*").nth(1).delay(seconds(5)))
        .meanwhile(|mut stage| async move {
            stage.shown("a: succeeded").await;
            stage.cluster().delete(Resource::Jobs, "default", JOB).unwrap();
            make_job(stage.cluster(), JOB).await;
        })
        .run();
    seen.expect(
        Expected::succeeded()
            .lines(1)
            .kept(1)
            .more("create jobs", 1)
            .more("delete jobs", 1)
            // Whose it is.
            .more("get jobs", 1),
    );
    assert!(seen.screen.contains("it was not deleted"), "{}", seen.screen);
}

/// Every DELETE is answered so.
fn undeletable(fault: tests::faults::Fault, code: u16, message: &'static str) -> tests::faults::Seen {
    let hook = move |cluster: &LocalCluster| {
        cluster.faults().on("delete", "jobs", "*").answer(Answer::status(code, message));
    };
    let seen = fault.script("a", program()).cluster(hook).run();
    assert!(seen.screen.contains(message), "{}", seen.screen);
    seen
}

#[test]
fn f84_a_job_that_cannot_be_deleted_is_named_and_the_verdict_stands() {
    undeletable(fault!(), 500, "etcdserver: request timed out")
        .expect(Expected::succeeded().within(seconds(66)).lines(1).leftovers(1).more("delete jobs", 6));
}

#[test]
fn f84_without_the_right_to_delete_the_job_is_named() {
    undeletable(fault!(), 403, "jobs.batch \"a\" is forbidden: User \"u\" cannot delete resource \"jobs\"")
        .expect(Expected::succeeded().within(seconds(66)).lines(1).leftovers(1).more("delete jobs", 6));
}

#[test]
fn f84_a_conflict_that_is_not_about_the_uid_is_no_reason_to_leave_it() {
    undeletable(fault!(), 409, "Operation cannot be fulfilled on jobs.batch \"a\": the object has been modified")
        .expect(
            // After each refusal a look at whose it is.
            Expected::succeeded().within(seconds(66)).lines(1).leftovers(1).more("delete jobs", 6).more("get jobs", 7),
        );
}

#[test]
fn f84_a_deletion_that_fails_for_a_while_is_repeated() {
    fault!()
        .script("a", program())
        .cluster(|cluster| cluster.faults().on("delete", "jobs", "*").first(3).answer(Answer::status(500, "no leader")))
        .run()
        .expect(Expected::succeeded().within(seconds(10)).lines(1).more("delete jobs", 3));
}
