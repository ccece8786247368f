//! Deletion: preconditions, finalizers, dependents, namespaces.

use either::Either;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use local_cluster::Script;
use serde_json::json;

use crate::support::{self, Cluster, job, phase, refusal};

async fn running_job(cluster: &Cluster) -> String {
    cluster.script(Script::new().forever());
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let pod = cluster.pod_of("j").await;
    cluster.until::<Pod>(&pod, |pod| phase(pod) == "Running").await;
    pod
}

fn with(policy: PropagationPolicy) -> DeleteParams {
    DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() }
}

#[tokio::test(start_paused = true)]
async fn in_the_background_the_job_goes_first_and_its_pod_ends_with_grace() {
    let cluster = support::paused().await;
    let pod = running_job(&cluster).await;
    let delete = async {
        let deleted = cluster.api::<Job>().delete("j", &with(PropagationPolicy::Background)).await.unwrap();
        assert!(matches!(deleted, Either::Right(status) if status.is_success()));
        assert!(cluster.api::<Job>().get_opt("j").await.unwrap().is_none());
    };
    let (seen, ()) = tokio::join!(cluster.watch_until::<Pod>(&pod, |pod| pod.is_none()), delete);
    let last = seen.last().unwrap();
    assert_eq!((phase(last), support::end_of(last).0), ("Failed", 143));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_stopped_gives_up_the_rest_of_its_grace_with_its_stamp() {
    let cluster = support::paused().await;
    cluster.script(Script::new().forever());
    cluster.create::<Pod>(support::pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", |pod| phase(pod) == "Running").await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let delete = async {
        cluster.api::<Pod>().delete("p", &DeleteParams::default().grace_period(20)).await.unwrap();
    };
    let (seen, ()) = tokio::join!(cluster.watch_until::<Pod>("p", |pod| pod.is_none()), delete);
    let mut marks: Vec<(i64, String)> = seen
        .iter()
        .filter_map(|pod| {
            let then = pod.metadata.deletion_timestamp.as_ref()?.0;
            Some((pod.metadata.deletion_grace_period_seconds?, then.to_string()))
        })
        .collect();
    marks.dedup();
    // The stamp less the grace is always the time of the request.
    let expected = [(20, "2026-01-01T00:00:25Z"), (0, "2026-01-01T00:00:05Z")];
    assert_eq!(marks, expected.map(|(grace, then)| (grace, then.to_owned())));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_the_job_goes_last() {
    let cluster = support::paused().await;
    let pod = running_job(&cluster).await;
    let deleted = cluster.api::<Job>().delete("j", &with(PropagationPolicy::Foreground)).await.unwrap();
    assert!(matches!(deleted, Either::Left(job) if job.finalizers() == ["foregroundDeletion"]));
    cluster.until_gone::<Job>("j").await;
    assert!(cluster.api::<Pod>().get_opt(&pod).await.unwrap().is_none());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_orphaned_pod_runs_on_and_belongs_to_nobody() {
    let cluster = support::paused().await;
    let pod = running_job(&cluster).await;
    // What batch/v1 does by itself.
    cluster.api::<Job>().delete("j", &DeleteParams::default()).await.unwrap();
    cluster.until_gone::<Job>("j").await;
    let pod = cluster.until::<Pod>(&pod, |pod| pod.owner_references().is_empty() && pod.finalizers().is_empty()).await;
    assert_eq!((phase(&pod), &pod.metadata.deletion_timestamp), ("Running", &None));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn preconditions_protect_a_successor() {
    let cluster = support::paused().await;
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "a"}})).await.unwrap();
    let other = Preconditions { uid: Some("other".to_owned()), ..Preconditions::default() };
    let params = DeleteParams { preconditions: Some(other), ..DeleteParams::default() };
    let (code, reason, message) = refusal(cluster.api::<ConfigMap>().delete("a", &params).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(message.contains("Precondition failed: UID in precondition: other, UID in object meta: "), "{message}");
    assert!(cluster.api::<ConfigMap>().get_opt("a").await.unwrap().is_some());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_holds_an_object_and_its_name() {
    let cluster = support::paused().await;
    let maps: Api<ConfigMap> = cluster.api();
    let held = json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}});
    cluster.create::<ConfigMap>(held.clone()).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get("a").await.unwrap().metadata.deletion_timestamp.is_some());
    let (code, reason, message) = refusal(cluster.create::<ConfigMap>(held).await);
    assert_eq!((code, reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(message, "object is being deleted: configmaps \"a\" already exists");
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}));
    assert_eq!(refusal(maps.patch("a", &PatchParams::default(), &more).await).0, 422);
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("a", &PatchParams::default(), &free).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_of_several_owners_takes_its_dependents_along() {
    let cluster = support::paused().await;
    let maps: Api<ConfigMap> = cluster.api();
    let mut owners = Vec::new();
    for name in ["a", "b"] {
        let made: ConfigMap = cluster.create(json!({"metadata": {"name": name}})).await.unwrap();
        owners.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made.uid()}));
    }
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "child", "ownerReferences": owners}})).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let child = cluster.until::<ConfigMap>("child", |child| child.owner_references().len() == 1).await;
    assert_eq!(child.owner_references()[0].name, "b");
    maps.delete("b", &DeleteParams::default()).await.unwrap();
    cluster.until_gone::<ConfigMap>("child").await;
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_ends_its_contents_and_takes_nothing_new() {
    let cluster = support::paused().await;
    cluster.cluster.ensure_namespace("team").unwrap();
    cluster.script(Script::new().forever().ignoring_stop());
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), "team");
    let new: Job = serde_json::from_value(job("j", json!({}))).unwrap();
    jobs.create(&PostParams::default(), &new).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    let (code, _, message) = refusal(jobs.create(&PostParams::default(), &new).await);
    assert_eq!(code, 403);
    assert!(message.contains("because it is being terminated"), "{message}");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(namespaces.get_opt("team").await.unwrap().is_none());
    assert!(Api::<Pod>::all(cluster.client.clone()).list(&ListParams::default()).await.unwrap().items.is_empty());
    assert_eq!(refusal(namespaces.delete("default", &DeleteParams::default()).await).0, 403);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let cluster = support::paused().await;
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let map = json!({"metadata": {"name": name, "labels": {"app": label}}});
        cluster.create::<ConfigMap>(map).await.unwrap();
    }
    let maps: Api<ConfigMap> = cluster.api();
    let chosen = ListParams::default().labels("app=x");
    maps.delete_collection(&DeleteParams::default(), &chosen).await.unwrap();
    let left = maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b"]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ignores_sigterm_is_killed_at_the_end_of_its_grace_or_at_once() {
    let cluster = support::paused().await;
    cluster.script(Script::new().forever().ignoring_stop());
    let pods: Api<Pod> = cluster.api();
    for (name, params, seconds) in [
        ("a", DeleteParams::default().grace_period(7), 7),
        ("b", DeleteParams::default(), 30),
        ("c", DeleteParams::default().grace_period(0), 0),
    ] {
        cluster.create::<Pod>(support::pod(name, json!({}))).await.unwrap();
        cluster.until::<Pod>(name, |pod| phase(pod) == "Running").await;
        let start = cluster.seconds();
        pods.delete(name, &params).await.unwrap();
        cluster.until_gone::<Pod>(name).await;
        assert_eq!(cluster.seconds() - start, seconds, "{name}");
    }
    cluster.end().await;
}
