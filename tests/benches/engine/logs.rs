//! How fast logs go through: read by the engine, shown to nobody and written to their files, and read by a bare client.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use futures_util::AsyncReadExt as _;
use futures_util::future::join_all;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use local_cluster::Script;
use runner::event::EventKind;

use crate::bare;
use crate::scene::{Scene, Way, parallel};

/// Bytes of all logs of a run.
const TOTAL: usize = 128 * 1024 * 1024;
/// A line with its end.
const LINE: usize = 100;
/// For the programs to write everything before anybody sees them run: what is measured is reading.
const WRITTEN: Duration = Duration::from_secs(2);

/// A program that writes so many bytes at once.
fn program(bytes: usize) -> Script {
    let line = format!("{}\n", "x".repeat(LINE - 1));
    Script::new().print(Bytes::from(line.repeat(bytes / LINE)))
}

pub(crate) fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logs");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for streams in [1, 64] {
        let bytes = TOTAL / streams / LINE * LINE;
        group.throughput(Throughput::Bytes((bytes * streams) as u64));
        for way in Way::ALL {
            let scene = Scene::new(way, program(bytes));
            let runs = |pod: &serde_json::Value| pod["status"]["phase"] == "Running";
            scene.cluster().faults().on("send", "pods", "*").when(runs).hold(WRITTEN);
            let effective = parallel(streams);
            let one = |name| BenchmarkId::new(format!("{name}-{streams}"), way);
            group.bench_function(one("runner"), |bencher| {
                bencher.iter_custom(|count| {
                    let one = || {
                        let span = Arc::new(Mutex::new(Span::default()));
                        let told = span.clone();
                        scene.run(&effective, move |event| match event.kind {
                            EventKind::StepLog { text, .. } => told.lock().unwrap().read(text.len()),
                            EventKind::StepEnded(_) => told.lock().unwrap().end(),
                            _ => {}
                        });
                        span.lock().unwrap().took(bytes * streams)
                    };
                    (0..count).map(|_| one()).sum()
                });
            });
            group.bench_function(one("floor"), |bencher| {
                bencher.iter_custom(|count| (0..count).map(|_| scene.block_on(read(&scene, streams)).took(0)).sum());
            });
        }
    }
    group.finish();
}

/// From the first byte to the end.
#[derive(Debug, Default)]
struct Span {
    began: Option<Instant>,
    ended: Option<Instant>,
    bytes: usize,
}

impl Span {
    fn read(&mut self, bytes: usize) {
        self.began.get_or_insert_with(Instant::now);
        self.bytes += bytes;
    }

    fn end(&mut self) {
        self.ended = Some(Instant::now());
    }

    fn took(&self, least: usize) -> Duration {
        assert!(self.bytes >= least, "{} of {least} bytes", self.bytes);
        self.ended.unwrap().saturating_duration_since(self.began.unwrap())
    }
}

/// Creates Jobs, reads their logs at the same time, and deletes them.
async fn read(scene: &Scene, streams: usize) -> Span {
    let client = scene.client().await;
    let jobs = bare::jobs(client.clone());
    let batch = bare::batch();
    let names: Vec<String> = (0..streams).map(|number| format!("{batch}-{number}")).collect();
    for name in &names {
        jobs.create(&PostParams::default(), &bare::job(name, &batch)).await.unwrap();
    }
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods");
    let pods: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &kind);
    let of_batch = ListParams::default().labels(&format!("batch={batch}"));
    let pods = loop {
        let list = pods.list(&of_batch).await.unwrap().items;
        if list.len() == streams && list.iter().all(|pod| pod.data["status"]["phase"] == "Succeeded") {
            break list;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let span = Mutex::new(Span::default());
    join_all(pods.iter().map(|pod| async {
        let name = pod.metadata.name.as_deref().unwrap();
        let path = format!("/api/v1/namespaces/default/pods/{name}/log?container=step&timestamps=true");
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let mut log = std::pin::pin!(client.request_stream(request).await.unwrap());
        let mut block = vec![0; 64 * 1024];
        loop {
            match log.read(&mut block).await.unwrap() {
                0 => break,
                bytes => span.lock().unwrap().read(bytes),
            }
        }
    }))
    .await;
    let mut span = span.into_inner().unwrap();
    span.end();
    for name in &names {
        drop(jobs.delete(name, &DeleteParams::background()).await.unwrap());
    }
    span
}
