//! Watches: order, selectors, bookmarks, time limits and versions that are too old.

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::support::{self, Cluster, refusal};

async fn put(cluster: &Cluster, name: &str, label: &str) {
    let object = json!({"metadata": {"name": name, "labels": {"app": label}}});
    if cluster.api::<ConfigMap>().get_opt(name).await.unwrap().is_some() {
        let patch = Patch::Merge(object);
        cluster.api::<ConfigMap>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    } else {
        cluster.create::<ConfigMap>(object).await.unwrap();
    }
}

fn show(event: WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(object) => format!("added {}", object.name_any()),
        WatchEvent::Modified(object) => format!("modified {}", object.name_any()),
        WatchEvent::Deleted(object) => format!("deleted {}", object.name_any()),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {} {}", status.code, status.reason),
    }
}

async fn take(cluster: &Cluster, params: WatchParams, version: &str, count: usize) -> Vec<String> {
    let events = cluster.api::<ConfigMap>().watch(&params, version).await.unwrap();
    events.take(count).map_ok(show).try_collect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_from_a_version_and_knows_what_its_selector_lets_through() {
    let cluster = support::paused().await;
    put(&cluster, "before", "x").await;
    let version = cluster.api::<ConfigMap>().list(&ListParams::default()).await.unwrap().metadata.resource_version;
    let version = version.unwrap();
    put(&cluster, "a", "x").await;
    put(&cluster, "b", "y").await;
    put(&cluster, "a", "y").await;
    put(&cluster, "b", "x").await;
    cluster.api::<ConfigMap>().delete("b", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        take(&cluster, WatchParams::default(), &version, 5).await,
        ["added a", "added b", "modified a", "modified b", "deleted b"]
    );
    assert_eq!(
        take(&cluster, WatchParams::default().labels("app=x"), &version, 4).await,
        ["added a", "deleted a", "added b", "deleted b"]
    );
    assert_eq!(take(&cluster, WatchParams::default(), "0", 2).await, ["added a", "added before"]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_watch_sends_bookmarks_and_ends_at_its_time_limit() {
    let cluster = support::paused().await;
    let events = take(&cluster, WatchParams::default().timeout(150), "0", 100).await;
    assert_eq!(events, ["bookmark", "bookmark", "bookmark"]);
    assert_eq!(cluster.seconds(), 150);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_or_unknown_is_refused() {
    let cluster = support::paused_with_history(5).await;
    for count in 0..10 {
        put(&cluster, "a", &count.to_string()).await;
    }
    assert_eq!(take(&cluster, WatchParams::default(), "2", 9).await, ["error 410 Expired"]);
    let future = cluster.api::<ConfigMap>().watch(&WatchParams::default(), "9999").await;
    assert_eq!(refusal(future.map(drop)).0, 504);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_begin_with_what_is_there() {
    let cluster = support::paused().await;
    put(&cluster, "a", "x").await;
    let uri = "/api/v1/namespaces/default/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30";
    let request = http::Request::get(uri).body(Vec::new()).unwrap();
    let events = cluster.client.request_events::<ConfigMap>(request).await.unwrap();
    let events: Vec<WatchEvent<ConfigMap>> = events.map(Result::unwrap).collect().await;
    match events.as_slice() {
        [WatchEvent::Added(_), WatchEvent::Bookmark(mark), WatchEvent::Bookmark(_)] => {
            assert_eq!(mark.metadata.annotations["k8s.io/initial-events-end"], "true");
        }
        other => panic!("{other:?}"),
    }
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_the_cluster() {
    let cluster = support::paused().await;
    let api: Api<ConfigMap> = cluster.api();
    let mut events = Box::pin(api.watch(&WatchParams::default(), "0").await.unwrap());
    let (next, ()) = tokio::join!(events.try_next(), cluster.end());
    assert!(next.unwrap().is_none());
}
