//! What happens to objects: changed when created, held when removed, slow controllers, containers of others.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use local_cluster::{Resource, Script};
use serde_json::json;

use crate::support::{self, Cluster, conditions, end_of, has, has_ended, job, phase, why};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Reasons of the Events about Jobs, in the order of time.
async fn reasons(cluster: &Cluster) -> Vec<String> {
    let events = cluster.events().await;
    events.iter().map(|event| event.split(':').next().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_webhook_changes_a_job_and_an_old_server_drops_a_field() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    faults.on("create", "jobs", "j").mutate(json!({"spec": {"suspend": true, "backoffLimit": null}}));
    faults.on("create", "jobs", "j").forget("/spec/podReplacementPolicy");
    let made: Job = cluster.create(job("j", json!({}))).await.unwrap();
    let spec = made.spec.unwrap();
    assert_eq!((spec.suspend, spec.backoff_limit, spec.pod_replacement_policy), (Some(true), Some(6), None));
    let stored = cluster.api::<Job>().get("j").await.unwrap();
    assert_eq!(stored.spec.unwrap().pod_replacement_policy, None);
    assert_eq!(stored.metadata.generation, Some(1));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn containers_of_others_are_in_the_pod() {
    let cluster = support::paused().await;
    cluster.script(Script::new().exit(3));
    let faults = cluster.cluster.faults();
    faults.on("create", "pods", "j-").sidecar("proxy", Script::new().forever().stopping_with(0));
    faults.on("create", "pods", "j-").native_sidecar("mesh", Script::new().forever().ignoring_stop());
    faults.on("create", "pods", "j-").init("setup", Script::new().sleep(seconds(2)));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let name = cluster.pod_of("j").await;
    let step_ended = |pod: &Pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut ended = statuses.filter(|status| status.state.as_ref().is_some_and(|state| state.terminated.is_some()));
        ended.any(|status| status.name == "step")
    };
    let pod = cluster.until::<Pod>(&name, step_ended).await;
    assert_eq!((phase(&pod), end_of(&pod).0, cluster.seconds()), ("Running", 3, 2));
    let spec = pod.spec.unwrap();
    let names = |containers: &[k8s_openapi::api::core::v1::Container]| -> Vec<String> {
        containers.iter().map(|container| container.name.clone()).collect()
    };
    assert_eq!(names(&spec.containers), ["proxy", "step"]);
    assert_eq!(names(&spec.init_containers.unwrap()), ["setup", "mesh"]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_init_container_that_fails_fails_the_pod() {
    let cluster = support::paused().await;
    cluster.script(Script::new());
    cluster.cluster.faults().on("create", "pods", "j-*").init("setup", Script::new().print("no\n").exit(1));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    let status = cluster.pods().await.remove(0).status.unwrap();
    let init = status.init_container_statuses.unwrap().remove(0);
    assert_eq!((init.name.as_str(), init.state.unwrap().terminated.unwrap().exit_code), ("setup", 1));
    assert!(status.container_statuses.unwrap()[0].state.clone().unwrap().waiting.is_some());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_has_no_pods_with_and_without_a_reason() {
    let cluster = support::paused().await;
    cluster.script(Script::new());
    let faults = cluster.cluster.faults();
    faults.on("create", "pods", "told-").first(3).no_pods(Some("pods \"told-\" is forbidden: exceeded quota: q"));
    faults.on("create", "pods", "silent-").no_pods(None);
    cluster.create::<Job>(job("told", json!({}))).await.unwrap();
    cluster.create::<Job>(job("silent", json!({}))).await.unwrap();
    cluster.until::<Job>("told", |job| has(job, "Complete")).await;
    // One, two and four seconds.
    assert_eq!(cluster.seconds(), 7);
    let events = cluster.events().await;
    let why = "FailedCreate: Error creating: pods \"told-\" is forbidden: exceeded quota: q";
    assert_eq!(events.iter().filter(|event| event.starts_with("FailedCreate")).collect::<Vec<_>>(), [why]);
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(cluster.pods().await.len(), 1);
    assert_eq!(conditions(&cluster.api::<Job>().get("silent").await.unwrap()), [""; 0]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_appears_after_its_job_has_gone() {
    let cluster = support::paused().await;
    cluster.script(Script::new().forever());
    cluster.cluster.faults().on("create", "pods", "j-").delay(seconds(4));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    tokio::time::sleep(seconds(2)).await;
    assert!(cluster.pods().await.is_empty());
    cluster.api::<Job>().delete("j", &DeleteParams::background()).await.unwrap();
    assert!(cluster.api::<Job>().get_opt("j").await.unwrap().is_none());
    let pod = cluster.pod_of("j").await;
    assert_eq!(cluster.seconds(), 4);
    cluster.until_gone::<Pod>(&pod).await;
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_says_late_or_never_how_it_ended() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(5)));
    let faults = cluster.cluster.faults();
    faults.on("conclude", "jobs", "slow").hold(seconds(30));
    faults.on("conclude", "jobs", "stuck").hold(None);
    cluster.create::<Job>(job("slow", json!({}))).await.unwrap();
    cluster.create::<Job>(job("stuck", json!({}))).await.unwrap();
    let pod = cluster.pod_of("slow").await;
    cluster.until::<Pod>(&pod, has_ended).await;
    assert_eq!(cluster.seconds(), 5);
    cluster.until::<Job>("slow", |job| has(job, "Complete")).await;
    assert_eq!(cluster.seconds(), 35);
    tokio::time::sleep(seconds(3600)).await;
    let stuck = cluster.api::<Job>().get("stuck").await.unwrap();
    assert_eq!((conditions(&stuck), stuck.status.unwrap().active), (Vec::new(), Some(1)));
    cluster.api::<Job>().delete("stuck", &DeleteParams::foreground()).await.unwrap();
    cluster.until_gone::<Job>("stuck").await;
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_holds_what_is_being_deleted_for_a_while_or_for_ever() {
    let cluster = support::paused().await;
    cluster.script(Script::new().forever());
    let faults = cluster.cluster.faults();
    faults.on("remove", "jobs", "j").hold(seconds(5));
    faults.on("remove", "configmaps", "*").hold(None);
    faults.on("remove", "pods", "j-*").nth(1).hold(seconds(60));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let pod = cluster.pod_of("j").await;
    cluster.until::<Pod>(&pod, |pod| phase(pod) == "Running").await;
    cluster.api::<Job>().delete("j", &DeleteParams::background()).await.unwrap();
    let (code, _, message) = support::refusal(cluster.create::<Job>(job("j", json!({}))).await);
    assert_eq!((code, message.as_str()), (409, "object is being deleted: jobs.batch \"j\" already exists"));
    cluster.until_gone::<Job>("j").await;
    assert_eq!(cluster.seconds(), 5);
    let held = cluster.until::<Pod>(&pod, has_ended).await;
    assert!(held.finalizers().iter().any(|finalizer| finalizer == "example.com/held"));
    cluster.until_gone::<Pod>(&pod).await;
    assert_eq!(cluster.seconds(), 65);
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "a"}})).await.unwrap();
    cluster.api::<ConfigMap>().delete("a", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(seconds(3600)).await;
    assert!(cluster.api::<ConfigMap>().get("a").await.unwrap().metadata.deletion_timestamp.is_some());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_is_suspended_for_a_while() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(100)));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let first = cluster.pod_of("j").await;
    cluster.until::<Pod>(&first, |pod| phase(pod) == "Running").await;
    cluster.cluster.suspend("default", "j", Some(seconds(600))).unwrap();
    cluster.until::<Job>("j", |job| has(job, "Suspended")).await;
    cluster.until_gone::<Pod>(&first).await;
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(cluster.seconds(), 700);
    assert_eq!(reasons(&cluster).await.iter().filter(|reason| *reason == "SuccessfulCreate").count(), 2);
    cluster.cluster.suspend("default", "none", None).unwrap_err();
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn scheduling_gates_hold_a_pod_until_they_are_opened() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(5)));
    let gate = json!({"spec": {"schedulingGates": [{"name": "example.com/quota"}]}});
    cluster.cluster.faults().on("create", "pods", "j-").mutate(gate);
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let pod = cluster.pod_of("j").await;
    tokio::time::sleep(seconds(60)).await;
    cluster.cluster.open_gates("default", &pod).unwrap();
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(cluster.seconds(), 65);
    cluster.cluster.open_gates("default", "none").unwrap_err();
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn somebody_else_deletes_and_shortens_the_life_of_things() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(5)));
    let (jobs, pods): (Api<Job>, Api<Pod>) = (cluster.api(), cluster.api());
    for name in ["expires", "deleted"] {
        cluster.create::<Job>(job(name, json!({}))).await.unwrap();
    }
    cluster.cluster.set_ttl("default", "expires", 0).unwrap();
    cluster.until_gone::<Job>("expires").await;
    assert_eq!(cluster.seconds(), 5);
    let pod = cluster.pod_of("deleted").await;
    cluster.cluster.delete(Resource::Jobs, "default", "deleted").unwrap();
    assert!(jobs.get_opt("deleted").await.unwrap().is_none());
    cluster.until_gone::<Pod>(&pod).await;
    assert!(pods.get_opt(&pod).await.unwrap().is_none());
    cluster.cluster.ensure_namespace("team").unwrap();
    cluster.cluster.delete(Resource::Namespaces, "", "team").unwrap();
    tokio::time::sleep(seconds(1)).await;
    let all = cluster.cluster.requests().len();
    assert_eq!(cluster.cluster.delete(Resource::Namespaces, "", "team").unwrap_err().code, 404);
    assert_eq!(cluster.cluster.requests().len(), all);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_recorded_about_a_job_or_a_pod() {
    let cluster = support::paused().await;
    let waits = Script::new()
        .waiting("ContainerCreating", "", Some(seconds(30)))
        .warn("FailedMount", "MountVolume.SetUp failed")
        .waiting("ContainerCreating", "", Some(seconds(30)));
    cluster.script(waits);
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    cluster.cluster.warn(Resource::Jobs, "default", "j", "FailedCreate", "exceeded quota").unwrap();
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(cluster.seconds(), 60);
    let events = cluster.events().await;
    assert!(events.contains(&"FailedMount: MountVolume.SetUp failed".to_owned()), "{events:?}");
    assert!(events.contains(&"FailedCreate: exceeded quota".to_owned()), "{events:?}");
    assert_eq!(why(&cluster.api::<Job>().get("j").await.unwrap(), "Complete").0, "CompletionsReached");
    cluster.end().await;
}
