//! The floor: a client that creates Jobs, waits for their ends on one watch, and deletes them; nothing else.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::{Stream, StreamExt as _, stream};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, PostParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::scene::Scene;

/// Requests at once, as the engine makes them.
const IN_FLIGHT: usize = 16;

/// When the last Job was seen complete.
pub(crate) struct Seen {
    pub(crate) completed: Instant,
}

pub(crate) fn jobs(client: kube::Client) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("batch", "v1", "Job"), "jobs");
    Api::default_namespaced_with(client, &kind)
}

/// The Job that the engine sends for such a step, in substance.
pub(crate) fn job(name: &str, batch: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "labels": {"batch": batch}},
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": {
            "metadata": {"labels": {"batch": batch}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "step", "image": "x", "command": ["work"]}]}}},
    }))
    .unwrap()
}

/// A name that no Job had before.
pub(crate) fn batch() -> String {
    static BATCHES: AtomicUsize = AtomicUsize::new(0);
    format!("bare-{}", BATCHES.fetch_add(1, Ordering::Relaxed))
}

fn is_complete(job: &DynamicObject) -> bool {
    let conditions = job.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Complete" && condition["status"] == "True")
}

/// One Job, from its creation to its deletion.
pub(crate) async fn one(scene: &Scene) -> Seen {
    chain(scene, 1).await
}

/// So many Jobs, each when the one before is complete, until the last is deleted.
pub(crate) async fn chain(scene: &Scene, count: usize) -> Seen {
    let jobs = jobs(scene.client().await);
    let batch = batch();
    let mut completions = std::pin::pin!(completions(&jobs, &batch).await);
    let mut completed = Instant::now();
    let mut deletions = JoinSet::new();
    for number in 0..count {
        let name = format!("{batch}-{number}");
        jobs.create(&PostParams::default(), &job(&name, &batch)).await.unwrap();
        while completions.next().await.unwrap() != name {}
        completed = Instant::now();
        let jobs = jobs.clone();
        deletions.spawn(async move { drop(jobs.delete(&name, &DeleteParams::background()).await.unwrap()) });
    }
    deletions.join_all().await;
    Seen { completed }
}

/// So many Jobs side by side, until the last is deleted.
pub(crate) async fn many(scene: &Scene, count: usize) {
    let jobs = &jobs(scene.client().await);
    let batch = batch();
    let completions = completions(jobs, &batch).await;
    let create = stream::iter(0..count).for_each_concurrent(IN_FLIGHT, |number| {
        let job = job(&format!("{batch}-{number}"), &batch);
        async move { drop(jobs.create(&PostParams::default(), &job).await.unwrap()) }
    });
    // Whoever deletes must not keep the watch from being read.
    let (done, completed) = mpsc::unbounded_channel();
    let watch = completions.take(count).for_each(move |name| {
        done.send(name).unwrap();
        std::future::ready(())
    });
    let completed =
        stream::unfold(completed, |mut completed| async move { Some((completed.recv().await?, completed)) });
    let delete = completed.for_each_concurrent(IN_FLIGHT, |name| async move {
        drop(jobs.delete(&name, &DeleteParams::background()).await.unwrap());
    });
    tokio::join!(create, watch, delete);
}

/// The names of the Jobs of a batch, each once, as they are complete.
async fn completions(jobs: &Api<DynamicObject>, batch: &str) -> impl Stream<Item = String> + use<> {
    let watch = WatchParams::default().labels(&format!("batch={batch}"));
    let events = jobs.watch(&watch, "0").await.unwrap();
    let mut seen = HashSet::new();
    events.filter_map(move |event| {
        let complete = match event.unwrap() {
            WatchEvent::Modified(job) if is_complete(&job) => job.metadata.name,
            _ => None,
        };
        std::future::ready(complete.filter(|name| seen.insert(name.clone())))
    })
}
