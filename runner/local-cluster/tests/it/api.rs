//! create, get, list, update, patch: what is kept, what is refused and in which words.

use std::collections::BTreeMap;

use http::{Method, Request};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::{self, job, refusal};

fn map(name: &str, value: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": value}}, "data": {"key": value}})
}

#[tokio::test(start_paused = true)]
async fn objects_are_created_read_replaced_and_deleted() {
    let cluster = support::paused().await;
    let maps: Api<ConfigMap> = cluster.api();
    let made: ConfigMap = cluster.create(map("a", "1")).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(refusal(cluster.create::<ConfigMap>(map("a", "2")).await).1, "AlreadyExists");
    let mut changed = made.clone();
    changed.data = Some(BTreeMap::from([("key".to_owned(), "3".to_owned())]));
    maps.replace("a", &PostParams::default(), &changed).await.unwrap();
    let (code, reason, message) = refusal(maps.replace("a", &PostParams::default(), &changed).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(
        message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    assert_eq!(maps.get("a").await.unwrap().data.unwrap()["key"], "3");
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let (code, reason, message) = refusal(maps.get("a").await);
    assert_eq!((code, reason.as_str(), message.as_str()), (404, "NotFound", "configmaps \"a\" not found"));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn names_can_be_generated_and_dry_runs_keep_nothing() {
    let cluster = support::paused().await;
    let made: ConfigMap = cluster.create(json!({"metadata": {"generateName": "a-"}})).await.unwrap();
    assert_eq!(made.name_any().len(), 7);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let maps: Api<ConfigMap> = cluster.api();
    let map: ConfigMap = serde_json::from_value(map("b", "1")).unwrap();
    assert!(maps.create(&dry, &map).await.unwrap().uid().is_some());
    assert!(maps.get_opt("b").await.unwrap().is_none());
    maps.delete(&made.name_any(), &DeleteParams { dry_run: true, ..DeleteParams::default() }).await.unwrap();
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 1);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_gets_the_defaults_of_a_real_server() {
    let cluster = support::paused().await;
    cluster.cluster.faults().on("create", "pods", "j-").answer(local_cluster::Answer::status(403, "no"));
    let made: Job = cluster.create(job("j", json!({}))).await.unwrap();
    let made = serde_json::to_value(made).unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap();
    assert_eq!(made["spec"]["selector"]["matchLabels"], json!({"batch.kubernetes.io/controller-uid": uid}));
    assert_eq!(
        made["spec"]["template"]["metadata"]["labels"],
        json!({"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "j",
            "controller-uid": uid, "job-name": "j"})
    );
    for (path, expected) in [
        ("/metadata/generation", json!(1)),
        ("/spec/completions", json!(1)),
        ("/spec/parallelism", json!(1)),
        ("/spec/completionMode", json!("NonIndexed")),
        ("/spec/suspend", json!(false)),
        ("/spec/template/spec/dnsPolicy", json!("ClusterFirst")),
        ("/spec/template/spec/terminationGracePeriodSeconds", json!(30)),
        ("/spec/template/spec/securityContext", json!({})),
        ("/spec/template/spec/containers/0/imagePullPolicy", json!("Always")),
        ("/spec/template/spec/containers/0/terminationMessagePolicy", json!("File")),
    ] {
        assert_eq!(made.pointer(path), Some(&expected), "{path}");
    }
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_an_object_is_said_all_at_once() {
    let cluster = support::paused().await;
    let spec = json!({"backoffLimit": -1, "template": {"spec": {"restartPolicy": "Always", "containers": [{
        "name": "Step", "image": "", "env": [{"name": "A=B"}],
        "volumeMounts": [{"name": "none", "mountPath": "/x"}],
        "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
    }]}}});
    let (code, reason, message) = refusal(cluster.create::<Job>(job("Bad_Name", spec)).await);
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    assert!(message.starts_with("Job.batch \"Bad_Name\" is invalid: ["), "{message}");
    for part in [
        "metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain",
        "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
        "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        "spec.template.spec.containers[0].name: Invalid value: \"Step\"",
        "spec.template.spec.containers[0].image: Required value",
        "spec.template.spec.containers[0].env[0].name: Invalid value: \"A=B\"",
        "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"none\"",
        "spec.template.spec.containers[0].resources.requests: Invalid value: \"2Gi\": must be less than or equal to memory",
    ] {
        assert!(message.contains(part), "{part}\nis not in\n{message}");
    }
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn failure_policies_have_their_own_rules() {
    let cluster = support::paused().await;
    let refused = async |rules: Value| {
        let made = cluster.create::<Job>(job("j", json!({"podFailurePolicy": {"rules": rules}}))).await;
        refusal(made).2
    };
    let text = refused(json!([{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 0]}}])).await;
    assert!(text.contains("values[1]: Invalid value: 0: must not be 0 for the In operator"), "{text}");
    assert!(text.contains("values: Invalid value: [2,0]: must be ordered"), "{text}");
    let text = refused(json!([{"action": "Stop"}])).await;
    assert!(text.contains("rules[0].action: Unsupported value: \"Stop\""), "{text}");
    assert!(text.contains("specifying one of OnExitCodes and OnPodConditions is required"), "{text}");
    let codes = json!({"containerName": "other", "operator": "NotIn", "values": [1]});
    let text = refused(json!([{"action": "Ignore", "onExitCodes": codes}])).await;
    assert!(text.contains("must be one of the container or initContainer names in the pod template"), "{text}");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_must_exist_and_a_template_cannot_change() {
    let cluster = support::paused().await;
    let elsewhere: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "nowhere");
    let new: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let (code, _, message) = refusal(elsewhere.create(&PostParams::default(), &new).await);
    assert_eq!((code, message.as_str()), (404, "namespaces \"nowhere\" not found"));
    cluster.create::<Job>(job("j", json!({"suspend": false}))).await.unwrap();
    let jobs: Api<Job> = cluster.api();
    let patch = json!({"spec": {"template": {"spec": {"priorityClassName": "high"}}}});
    let patched = jobs.patch("j", &PatchParams::default(), &Patch::Merge(patch)).await;
    assert!(refusal(patched).2.contains("field is immutable"));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn patches_merge_or_operate_or_are_refused() {
    let cluster = support::paused().await;
    cluster.create::<ConfigMap>(map("a", "1")).await.unwrap();
    let maps: Api<ConfigMap> = cluster.api();
    let merge = Patch::Merge(json!({"data": {"key": null, "new": "2"}, "metadata": {"labels": {"app": "2"}}}));
    let merged = maps.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(merged.data.unwrap(), BTreeMap::from([("new".to_owned(), "2".to_owned())]));
    let strategic = Patch::Strategic(json!({"data": {"other": "3"}, "$setElementOrder/x": ["a"]}));
    assert_eq!(maps.patch("a", &PatchParams::default(), &strategic).await.unwrap().data.unwrap().len(), 2);
    let send = async |content_type: &str, body: Value| {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri("/api/v1/namespaces/default/configmaps/a")
            .header("content-type", content_type)
            .body(body.to_string().into_bytes())
            .unwrap();
        cluster.client.request::<ConfigMap>(request).await
    };
    let operations = json!([{"op": "test", "path": "/data/new", "value": "2"}, {"op": "remove", "path": "/data/new"}]);
    assert_eq!(send("application/json-patch+json", operations.clone()).await.unwrap().data.unwrap().len(), 1);
    assert_eq!(refusal(send("application/json-patch+json", operations).await).0, 422);
    assert_eq!(refusal(send("application/apply-patch+yaml", json!({})).await).1, "UnsupportedMediaType");
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}});
    assert_eq!(refusal(send("application/merge-patch+json", stale).await).1, "Conflict");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_in_pieces_shows_one_state() {
    let cluster = support::paused_with_history(40).await;
    for name in ["a", "b", "c", "d"] {
        cluster.create::<ConfigMap>(map(name, "x")).await.unwrap();
    }
    let maps: Api<ConfigMap> = cluster.api();
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(2));
    let token = first.metadata.continue_.clone().unwrap();
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    cluster.create::<ConfigMap>(map("e", "x")).await.unwrap();
    let rest = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    let names: Vec<String> = rest.items.iter().map(ResourceExt::name_any).collect();
    assert_eq!((names, rest.metadata.continue_), (vec!["c".to_owned(), "d".to_owned()], None));
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    for count in 0..50 {
        let patch = Patch::Merge(json!({"data": {"count": count.to_string()}}));
        maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    }
    let (code, reason, _) = refusal(maps.list(&ListParams::default().continue_token(&token)).await);
    assert_eq!((code, reason.as_str()), (410, "Expired"));
    let chosen =
        maps.list(&ListParams::default().labels("app in (x,y),!gone").fields("metadata.name!=a")).await.unwrap();
    assert_eq!(chosen.items.len(), 3);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_are_warned_about_and_strictly_refused() {
    let cluster = support::paused().await;
    let send = async |query: &str, body: &Value| {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/v1/namespaces/default/configmaps?dryRun=All{query}"))
            .header("content-type", "application/json")
            .body(kube::client::Body::from(body.to_string().into_bytes()))
            .unwrap();
        cluster.client.send(request).await.unwrap()
    };
    let body = json!({"metadata": {"name": "a"}, "dta": {}});
    let answer = send("", &body).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["warning"], "299 - \"unknown field 'dta'\"");
    assert_eq!(send("&fieldValidation=Strict", &body).await.status(), 400);
    assert!(!send("&fieldValidation=Ignore", &body).await.headers().contains_key("warning"));
    assert_eq!(send("", &json!({"kind": "Pod"})).await.status(), 400);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn too_much_is_refused_as_the_server_or_etcd_would() {
    let cluster = support::paused().await;
    let of_size = |size: usize| {
        job(
            "j",
            json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": {
        "containers": [{"name": "step", "image": "x", "command": ["x".repeat(size)]}]}}}),
        )
    };
    assert_eq!(refusal(cluster.create::<Job>(of_size(2_000_000)).await).2, "etcdserver: request is too large");
    assert_eq!(refusal(cluster.create::<Job>(of_size(4_000_000)).await).0, 413);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_server_describes_itself() {
    let cluster = support::paused().await;
    let client: &Client = &cluster.client;
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    let groups = client.list_api_groups().await.unwrap();
    assert_eq!(groups.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["batch"]);
    let jobs = client.list_api_group_resources("batch/v1").await.unwrap();
    assert_eq!(jobs.resources.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["jobs", "jobs/status"]);
    assert_eq!(client.list_core_api_resources("v1").await.unwrap().group_version, "v1");
    let nodes: Api<Node> = Api::all(client.clone());
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items[0].name_any(), "local");
    let request = Request::builder().method(Method::POST).uri("/version").body(Vec::new()).unwrap();
    assert_eq!(refusal(client.request::<Value>(request).await).0, 405);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn objects_come_from_manifests_and_bring_their_namespace() {
    let cluster = support::paused().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "team"},
        "stringData": {"token": "abc"}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}}]});
    assert_eq!(cluster.cluster.apply_objects([secret.clone(), list]).unwrap(), 2);
    assert_eq!(cluster.cluster.apply_objects([secret]).unwrap(), 1);
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "team");
    let found = secrets.get("s").await.unwrap();
    assert_eq!(
        (found.type_.as_deref(), found.data.unwrap()["token"].0.as_slice()),
        (Some("Opaque"), b"abc".as_slice())
    );
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    assert!(namespaces.get_opt("team").await.unwrap().is_some());
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let error = cluster.cluster.apply_objects([pod]).unwrap_err();
    assert_eq!(error.to_string(), "v1 Pod `p`: the local cluster takes Secrets and ConfigMaps from manifests");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted() {
    let cluster = support::paused().await;
    let pods: Api<Pod> = cluster.api();
    pods.list(&ListParams::default()).await.unwrap();
    pods.get_opt("a").await.unwrap();
    let seen: Vec<(&str, String, String)> =
        cluster.cluster.requests().into_iter().map(|request| (request.verb, request.resource, request.name)).collect();
    let expected = [("list", "pods".to_owned(), String::new()), ("get", "pods".to_owned(), "a".to_owned())];
    assert_eq!(seen, expected);
    cluster.cluster.forget_requests();
    assert!(cluster.cluster.requests().is_empty());
    cluster.end().await;
}
