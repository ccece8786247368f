//! What happens to the events of watches.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::WatchEvent;
use kube::api::{Api, WatchParams};
use local_cluster::Script;
use serde_json::{Value, json};

use crate::support::{self, Cluster, phase, pod};

/// Three config maps, and a watch of them that lasts 200 seconds: type and name of each event, and when it came.
async fn watch(cluster: &Cluster) -> Vec<String> {
    for name in ["a", "b", "c"] {
        if cluster.api::<ConfigMap>().get_opt(name).await.unwrap().is_none() {
            cluster.create::<ConfigMap>(json!({"metadata": {"name": name}})).await.unwrap();
        }
    }
    let uri = "/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=200&allowWatchBookmarks=true";
    let request = http::Request::get(uri).body(Vec::new()).unwrap();
    let start = cluster.seconds();
    let events = cluster.client.request_stream(request).await.unwrap().lines();
    let seen = events.map_ok(|line| {
        let event: Value = serde_json::from_str(&line).unwrap();
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-").to_owned();
        format!("{} {name} {}", event["type"].as_str().unwrap(), cluster.seconds() - start)
    });
    seen.try_collect().await.unwrap()
}

const MARKS: [&str; 4] = ["BOOKMARK - 60", "BOOKMARK - 120", "BOOKMARK - 180", "BOOKMARK - 200"];

/// What [`watch`] sees after this, up to the bookmarks.
#[track_caller]
fn begins_with(seen: &[String], expected: &[&str]) {
    let expected: Vec<&str> = expected.iter().chain(&MARKS).copied().collect();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_doubled_swapped_or_of_another_type() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    begins_with(&watch(&cluster).await, &["ADDED a 0", "ADDED b 0", "ADDED c 0"]);
    faults.on("send", "configmaps", "*").nth(2).lose();
    begins_with(&watch(&cluster).await, &["ADDED a 0", "ADDED c 0"]);
    faults.clear();
    faults.on("send", "configmaps", "b").repeat();
    begins_with(&watch(&cluster).await, &["ADDED a 0", "ADDED b 0", "ADDED b 0", "ADDED c 0"]);
    faults.clear();
    faults.on("send", "configmaps", "a").swap();
    begins_with(&watch(&cluster).await, &["ADDED b 0", "ADDED a 0", "ADDED c 0"]);
    faults.clear();
    faults.on("send", "configmaps", "b").retype("NOVEL");
    begins_with(&watch(&cluster).await, &["ADDED a 0", "NOVEL b 0", "ADDED c 0"]);
    faults.clear();
    // Bookmarks only.
    faults.on("send", "configmaps", "*").lose();
    begins_with(&watch(&cluster).await, &[]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_event_holds_what_is_behind_it() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    faults.on("send", "configmaps", "b").hold(Duration::from_secs(70));
    let expected = [
        "ADDED a 0",
        "ADDED b 70",
        "ADDED c 70",
        "BOOKMARK - 70",
        "BOOKMARK - 130",
        "BOOKMARK - 190",
        "BOOKMARK - 200",
    ];
    assert_eq!(watch(&cluster).await, expected);
    faults.clear();
    faults.on("send", "configmaps", "b").hold(None);
    let start = cluster.seconds();
    assert_eq!(watch(&cluster).await, ["ADDED a 0"]);
    assert_eq!(cluster.seconds() - start, 200);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_a_stream_among_events_and_in_silence() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    faults.on("send", "configmaps", "*").nth(2).error(500, "etcd is not there");
    assert_eq!(watch(&cluster).await, ["ADDED a 0", "ERROR - 0"]);
    faults.clear();
    faults.on("mark", "configmaps", "*").nth(2).gone();
    assert_eq!(watch(&cluster).await, ["ADDED a 0", "ADDED b 0", "ADDED c 0", "BOOKMARK - 60", "ERROR - 120"]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_seems_to_end_without_having_run() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(Duration::from_secs(5)));
    let is_over = |pod: &Value| pod["status"]["phase"] == "Succeeded";
    cluster.cluster.faults().on("send", "pods", "p").from(2).when(move |pod| !is_over(pod)).lose();
    let pods: Api<Pod> = cluster.api();
    let mut events = Box::pin(pods.watch(&WatchParams::default(), "0").await.unwrap());
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|phase| phase != "Succeeded") {
        match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => seen.push(phase(&pod).to_owned()),
            WatchEvent::Bookmark(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["Pending", "Succeeded"]);
    cluster.end().await;
}
