//! What happens to requests and to the bodies of their answers.

use std::io;
use std::time::Duration;

use futures_util::{AsyncBufReadExt, AsyncReadExt, TryStreamExt};
use http::header::{AUTHORIZATION, WARNING};
use http::{Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams, WatchParams};
use local_cluster::{After, Answer, Body, ConnectionLost, Interruption, Script};
use serde_json::json;
use tower_service::Service;

use crate::support::{self, Cluster, has_ended, phase, pod, refusal};

async fn map(cluster: &Cluster, name: &str) {
    cluster.create::<ConfigMap>(json!({"metadata": {"name": name}})).await.unwrap();
}

async fn raw(cluster: &Cluster, request: Request<String>) -> Response<Body> {
    cluster.cluster.clone().call(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_fails_in_four_ways_that_can_be_told_apart() {
    let cluster = support::paused().await;
    let maps: Api<ConfigMap> = cluster.api();
    let faults = cluster.cluster.faults();
    for (lost, kind) in [
        (ConnectionLost::Refused, io::ErrorKind::ConnectionRefused),
        (ConnectionLost::Reset, io::ErrorKind::ConnectionReset),
        (ConnectionLost::Tls, io::ErrorKind::InvalidData),
        (ConnectionLost::Dns, io::ErrorKind::Other),
    ] {
        faults.on("get", "configmaps", "*").connect(lost);
        let kube::Error::Service(error) = maps.get_opt("a").await.unwrap_err() else {
            panic!("no error of the service")
        };
        assert_eq!(error.downcast_ref::<ConnectionLost>(), Some(&lost));
        assert_eq!(error.source().unwrap().downcast_ref::<io::Error>().unwrap().kind(), kind);
        faults.clear();
    }
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_text_comes_in_place_of_an_answer_or_behind_a_part_of_it() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    cluster.script(Script::new().print("1\n2\n3\n"));
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", has_ended).await;
    // As a kubelet that cannot read the file.
    let text = "unable to retrieve container logs for local://p/step";
    faults.on("get", "pods/log", "p").nth(1).body(text);
    faults.on("get", "pods/log", "p").nth(2).body_after(After::Lines(2), text);
    let read = async || cluster.api::<Pod>().logs("p", &LogParams::default()).await.unwrap();
    assert_eq!([read().await, read().await, read().await], [text, &format!("1\n2\n{text}"), "1\n2\n3\n"]);
    faults.on("list", "configmaps", "*").nth(1).body("<!DOCTYPE html>");
    faults.on("list", "configmaps", "*").nth(2).interrupt(After::Bytes(20), Interruption::Eof);
    let maps: Api<ConfigMap> = cluster.api();
    for _ in 0..2 {
        assert!(matches!(maps.list(&ListParams::default()).await, Err(kube::Error::SerdeError(_))));
    }
    maps.list(&ListParams::default()).await.unwrap();
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_log_stream_is_reset_and_a_watch_ends_or_stalls() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    let pause = Duration::from_secs(40);
    cluster.script(Script::new().print("1\n").sleep(pause).print("2\n").sleep(2 * pause).print("3\n").forever());
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", |pod| phase(pod) == "Running").await;
    faults.on("get", "pods/log", "p").interrupt(After::Idle(Duration::from_secs(60)), Interruption::Reset);
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = cluster.api::<Pod>().log_stream("p", &follow).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("1"));
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("2"));
    lines.try_next().await.unwrap_err();
    assert_eq!(cluster.seconds(), 100);

    faults.on("watch", "configmaps", "*").nth(1).interrupt(After::Time(Duration::from_secs(30)), Interruption::Eof);
    faults.on("watch", "configmaps", "*").nth(2).interrupt(After::Lines(1), Interruption::Stall);
    let maps: Api<ConfigMap> = cluster.api();
    let open = async || Box::pin(maps.watch(&WatchParams::default().timeout(200), "0").await.unwrap());
    let mut events = open().await;
    assert!(events.try_next().await.unwrap().is_none());
    assert_eq!(cluster.seconds(), 130);
    map(&cluster, "a").await;
    let mut events = open().await;
    map(&cluster, "b").await;
    assert!(events.try_next().await.unwrap().is_some());
    tokio::time::timeout(Duration::from_secs(4000), events.try_next()).await.unwrap_err();
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_carries_warnings() {
    let cluster = support::paused().await;
    cluster.cluster.faults().on("create", "configmaps", "a").warning("image was changed by webhook \"w\"");
    let body = json!({"metadata": {"name": "a"}}).to_string();
    let request = Request::post("/api/v1/namespaces/default/configmaps").body(body).unwrap();
    let answer = raw(&cluster, request).await;
    assert_eq!(
        (answer.status().as_u16(), answer.headers()[WARNING].to_str().unwrap()),
        (201, "299 - \"image was changed by webhook 'w'\"")
    );
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn reads_show_an_older_state() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    map(&cluster, "a").await;
    let before = cluster.cluster.version();
    map(&cluster, "b").await;
    faults.on("list", "configmaps", "*").nth(1).rewind(before);
    faults.on("get", "configmaps", "b").nth(1).rewind(before);
    faults.on("watch", "configmaps", "*").nth(1).rewind(before);
    let maps: Api<ConfigMap> = cluster.api();
    let list = async || {
        let list = maps.list(&ListParams::default()).await.unwrap();
        (list.metadata.resource_version.unwrap(), list.items.len())
    };
    assert_eq!(list().await, (before.to_string(), 1));
    assert_eq!(list().await, (cluster.cluster.version().to_string(), 2));
    assert!(maps.get_opt("b").await.unwrap().is_none());
    assert!(maps.get_opt("b").await.unwrap().is_some());
    let now = cluster.cluster.version().to_string();
    let mut events = Box::pin(maps.watch(&WatchParams::default(), &now).await.unwrap());
    let Some(kube::api::WatchEvent::Added(seen)) = events.try_next().await.unwrap() else { panic!("no event") };
    assert_eq!(seen.name_any(), "b");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_is_gone_in_three_ways() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    map(&cluster, "a").await;
    map(&cluster, "b").await;
    let maps: Api<ConfigMap> = cluster.api();
    faults.on("watch", "configmaps", "*").nth(1).gone();
    let watch = async || maps.watch(&WatchParams::default(), "0").await;
    assert_eq!(refusal(watch().await.map(drop)).0, 410);
    faults.on("send", "configmaps", "b").nth(1).gone();
    let mut events = Box::pin(watch().await.unwrap());
    assert!(matches!(events.try_next().await.unwrap(), Some(kube::api::WatchEvent::Added(_))));
    let Some(kube::api::WatchEvent::Error(status)) = events.try_next().await.unwrap() else { panic!("no error") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert!(events.try_next().await.unwrap().is_none());
    faults.on("continue", "configmaps", "*").nth(1).gone();
    let first = maps.list(&ListParams::default().limit(1)).await.unwrap();
    let rest = ListParams::default().continue_token(&first.metadata.continue_.unwrap());
    let (code, _, message) = refusal(maps.list(&rest).await.map(drop));
    assert!(code == 410 && message.starts_with("The provided continue parameter is too old"), "{message}");
    assert_eq!(maps.list(&rest).await.unwrap().items.len(), 1);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_may_begin_with_an_error() {
    let cluster = support::paused().await;
    cluster.cluster.faults().on("watch", "configmaps", "*").nth(1).error(500, "etcd is not there");
    let maps: Api<ConfigMap> = cluster.api();
    let mut events = Box::pin(maps.watch(&WatchParams::default(), "0").await.unwrap());
    let Some(kube::api::WatchEvent::Error(status)) = events.try_next().await.unwrap() else { panic!("no error") };
    assert_eq!((status.code, status.message.as_str()), (500, "etcd is not there"));
    assert!(events.try_next().await.unwrap().is_none());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_and_a_fresh_one_is_taken() {
    let cluster = support::paused().await;
    let ask = async |token: &str| {
        let request = Request::get("/api/v1/namespaces/default/configmaps").header(AUTHORIZATION, token);
        raw(&cluster, request.body(String::new()).unwrap()).await.status().as_u16()
    };
    assert_eq!(ask("Bearer old").await, 200);
    cluster.cluster.expire_tokens();
    assert_eq!([ask("Bearer old").await, ask("Bearer new").await, ask("Bearer new").await], [401, 200, 200]);
    let maps: Api<ConfigMap> = cluster.api();
    assert_eq!(refusal(maps.list(&ListParams::default()).await.map(drop)).0, 401);
    cluster.cluster.renew_tokens();
    assert_eq!(ask("Bearer old").await, 200);
    maps.list(&ListParams::default()).await.unwrap();
    // A number of times, whatever the token.
    cluster.cluster.faults().on("*", "*", "*").first(2).answer(Answer::status(401, "Unauthorized"));
    assert_eq!([ask("Bearer x").await, ask("Bearer y").await, ask("Bearer y").await], [401, 401, 200]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotated_log_shows_its_newest_file_and_streams_read_on() {
    let cluster = support::paused().await;
    cluster.script(Script::new().print("1\n").sleep(Duration::from_secs(5)).print("2\n"));
    cluster.cluster.faults().on("run", "pods", "p").rotate_log(40);
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", |pod| phase(pod) == "Running").await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut log = cluster.api::<Pod>().log_stream("p", &follow).await.unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), cluster.seconds()), ("1\n", 5));
    assert_eq!(cluster.api::<Pod>().logs("p", &LogParams::default()).await.unwrap(), "2\n");
    cluster.end().await;
}
