//! How much the engine costs beyond the cluster it talks to, which is the embedded one: called in this process, and over
//! loopback.
//!
//! Beside each figure stands its floor: a bare client that asks the same cluster for the same Jobs and does nothing else.
//! What a figure means and what it should be is in `docs/benchmarks.md`. Nothing here fails because a machine is slow.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what cannot be set up cannot be measured; it reports"
)]

mod bare;
mod logs;
mod memory;
mod scene;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group};
use local_cluster::Script;
use runner::event::EventKind;

use scene::{Scene, Way, chain, parallel};

/// Steps in a row.
const CHAIN: usize = 20;
/// Steps side by side.
const PARALLEL: usize = 1_000;

/// From the end of a container, as the cluster tells it, to the end of the step.
fn end(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("end");
    group.sample_size(20);
    for way in Way::ALL {
        let scene = Scene::new(way, Script::new().print("line\n").sleep(Duration::from_millis(20)));
        let effective = chain(1);
        let moments = Moments::of(&scene);
        for (name, from) in [("after-the-container", Moment::Container), ("after-the-job", Moment::Job)] {
            group.bench_function(BenchmarkId::new(name, way), |bencher| {
                bencher.iter_custom(|count| {
                    let one = || {
                        moments.clear();
                        let ended = Arc::new(Mutex::new(None));
                        let told = ended.clone();
                        scene.run(&effective, move |event| {
                            if let EventKind::StepEnded(_) = event.kind {
                                *told.lock().unwrap() = Some(Instant::now());
                            }
                        });
                        let ended = ended.lock().unwrap().unwrap();
                        ended.saturating_duration_since(moments.get(from))
                    };
                    (0..count).map(|_| one()).sum()
                });
            });
        }
        group.bench_function(BenchmarkId::new("floor", way), |bencher| {
            bencher.iter_custom(|count| {
                let one = || {
                    moments.clear();
                    let completed = scene.block_on(bare::one(&scene)).completed;
                    completed.saturating_duration_since(moments.get(Moment::Job))
                };
                (0..count).map(|_| one()).sum()
            });
        });
    }
    group.finish();
}

/// When a cluster told something for the first time.
#[derive(Clone, Default)]
struct Moments(Arc<Mutex<[Option<Instant>; 2]>>);

#[derive(Clone, Copy)]
enum Moment {
    Container,
    Job,
}

impl Moments {
    fn of(scene: &Scene) -> Moments {
        let moments = Moments::default();
        for (resource, moment, pointer) in [
            ("pods", Moment::Container, "/status/containerStatuses/0/state/terminated"),
            ("jobs", Moment::Job, "/status/completionTime"),
        ] {
            let moments = moments.clone();
            let look = move |object: &serde_json::Value| {
                if object.pointer(pointer).is_some() {
                    moments.0.lock().unwrap()[moment as usize].get_or_insert_with(Instant::now);
                }
                false
            };
            scene.cluster().faults().on("send", resource, "*").when(look).lose();
        }
        moments
    }

    fn clear(&self) {
        *self.0.lock().unwrap() = [None; 2];
    }

    fn get(&self, moment: Moment) -> Instant {
        self.0.lock().unwrap()[moment as usize].unwrap()
    }
}

/// One short step after the other: what each takes, by the engine and by a bare client.
fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10).throughput(Throughput::Elements(CHAIN as u64));
    for way in Way::ALL {
        let scene = Scene::new(way, Script::new());
        let effective = chain(CHAIN);
        group.bench_function(BenchmarkId::new("runner", way), |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| scene.run(&effective, |_| {})).sum());
        });
        group.bench_function(BenchmarkId::new("floor", way), |bencher| {
            bencher.iter_custom(|count| {
                let one = || {
                    let began = Instant::now();
                    scene.block_on(bare::chain(&scene, CHAIN));
                    let took = began.elapsed();
                    scene.wait_until_empty();
                    took
                };
                (0..count).map(|_| one()).sum()
            });
        });
    }
    group.finish();
}

/// A thousand short steps side by side, and what the cluster alone needs for as many Jobs.
fn thousand(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("thousand");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(PARALLEL as u64));
    for way in Way::ALL {
        let scene = Scene::new(way, Script::new());
        let effective = parallel(PARALLEL);
        group.bench_function(BenchmarkId::new("runner", way), |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| scene.run(&effective, |_| {})).sum());
        });
        group.bench_function(BenchmarkId::new("floor", way), |bencher| {
            bencher.iter_custom(|count| {
                let one = || {
                    let began = Instant::now();
                    scene.block_on(bare::many(&scene, PARALLEL));
                    let took = began.elapsed();
                    scene.wait_until_empty();
                    took
                };
                (0..count).map(|_| one()).sum()
            });
        });
    }
    group.finish();
}

/// What the engine asks for, from the count of the cluster itself.
fn requests() {
    for (name, lasts) in [("ends at once", Duration::ZERO), ("runs for a while", Duration::from_millis(300))] {
        let scene = Scene::new(Way::InProcess, Script::new().print("line\n").sleep(lasts));
        scene.run_alone(&parallel(100));
        let mut kinds = std::collections::BTreeMap::new();
        for request in scene.cluster().requests() {
            *kinds.entry(format!("{} {}", request.verb, request.resource)).or_insert(0_usize) += 1;
        }
        println!("requests of 100 steps whose program {name}: {kinds:?}");
    }
}

criterion_group!(benches, end, step, thousand, logs::throughput);

fn main() {
    if memory::is_child() {
        return memory::child();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    if is_wanted("requests") {
        requests();
    }
    if is_wanted("memory") {
        memory::report();
    }
}
