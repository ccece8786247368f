//! Container logs.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use local_cluster::Script;
use serde_json::json;

use crate::support::{self, has_ended, phase, pod, refusal};

#[tokio::test(start_paused = true)]
async fn a_log_can_be_read_whole_in_part_and_by_time() {
    let cluster = support::paused().await;
    let pause = Duration::from_millis(1700);
    cluster.script(Script::new().print("a\n").sleep(pause).print("b\n").sleep(pause).print("c\n").sleep(pause));
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", has_ended).await;
    let pods: Api<Pod> = cluster.api();
    let read = async |params: LogParams| pods.logs("p", &params).await.unwrap();
    assert_eq!(read(LogParams::default()).await, "a\nb\nc\n");
    assert_eq!(read(LogParams { tail_lines: Some(1), ..LogParams::default() }).await, "c\n");
    assert_eq!(read(LogParams { limit_bytes: Some(3), ..LogParams::default() }).await, "a\nb");
    let stamped = read(LogParams { timestamps: true, ..LogParams::default() }).await;
    let second = stamped.lines().nth(1).unwrap();
    let (stamp, text) = second.split_once(' ').unwrap();
    assert_eq!((stamp.len(), text), (30, "b"));
    // The server takes whole seconds: what is older than asked for comes too, and nothing is lost. (The client's own
    // `LogParams` rounds to the nearest second, and would lose `b` here.)
    let uri = format!("/api/v1/namespaces/default/pods/p/log?sinceTime={stamp}");
    let request = http::Request::get(uri).body(Vec::new()).unwrap();
    assert_eq!(cluster.client.request_text(request).await.unwrap(), "b\nc\n");
    assert_eq!(read(LogParams { since_seconds: Some(2), ..LogParams::default() }).await, "c\n");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn following_ends_with_the_container() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(Duration::from_secs(3600)).print("late"));
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", |pod| phase(pod) == "Running").await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let stream = cluster.api::<Pod>().log_stream("p", &follow).await.unwrap();
    let lines: Vec<String> = stream.lines().try_collect().await.unwrap();
    assert_eq!((lines, cluster.seconds()), (vec!["late".to_owned()], 3600));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_not_there_is_refused_as_the_kubelet_does() {
    let cluster = support::paused().await;
    cluster.script(Script::new().waiting("ImagePullBackOff", "no", None));
    let mut two = pod("p", json!({}));
    two["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "other", "image": "x", "command": ["true"]}));
    cluster.create::<Pod>(two).await.unwrap();
    let pods: Api<Pod> = cluster.api();
    let read = async |params: LogParams| refusal(pods.logs("p", &params).await);
    let of = |container: &str| LogParams { container: Some(container.to_owned()), ..LogParams::default() };
    let (code, _, message) = read(LogParams::default()).await;
    assert_eq!(
        (code, message.as_str()),
        (400, "a container name must be specified for pod p, choose one of: [step other]")
    );
    cluster.until::<Pod>("p", |pod| support::waits_for(pod).0 == "ImagePullBackOff").await;
    let (code, _, message) = read(of("step")).await;
    assert_eq!(
        (code, message.as_str()),
        (400, "container \"step\" in pod \"p\" is waiting to start: ImagePullBackOff")
    );
    assert_eq!(read(of("none")).await.2, "container none is not valid for pod p");
    let (code, _, message) = read(LogParams { previous: true, ..of("step") }).await;
    assert_eq!((code, message.as_str()), (400, "previous terminated container \"step\" in pod \"p\" not found"));
    assert_eq!(refusal(pods.logs("none", &LogParams::default()).await).0, 404);
    cluster.end().await;
}

#[tokio::test]
async fn all_that_a_process_printed_is_there_when_it_has_ended() {
    let cluster = support::real().await;
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo err >&2; printf end";
    cluster.create::<Pod>(pod("p", json!({"command": ["sh", "-c", script]}))).await.unwrap();
    cluster.until::<Pod>("p", has_ended).await;
    let log = cluster.api::<Pod>().logs("p", &LogParams::default()).await.unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((lines.len(), lines[19_999], lines[20_000], lines[20_001]), (20_002, "line 19999", "err", "end"));
    assert!(!log.ends_with('\n'));
    cluster.end().await;
}
