//! Playing a fault: the cluster, the engine and the screen on one paused clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use local_cluster::{Clock, LocalCluster, Options};
use runner::cluster::Cluster;
use runner::event::{Event, EventKind, Events};
use runner::interpolate::Scope;
use runner::journal::RunFolder;
use runner::plan::plan_jobs;
use runner::run::{Clusters, Run, Signal};
use runner::sources::{Source, Sources};
use runner::step::waits::Waits;
use runner::wasm::Role;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::screen::Screen;
use super::seen::{Seen, Stored};
use super::{Fault, RULES};
use crate::Workdir;

/// When every run begins, by the clock of the cluster.
const BEGIN: &str = "2026-01-01T00:00:00Z";
/// Nothing lasts longer; a hang would otherwise last for ever.
const LONGEST: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// For the cluster to remove what nobody holds: beyond every grace period.
const SETTLED: Duration = Duration::from_secs(15 * 60);
/// The options of kubectl that would lead to the cluster.
const KUBECTL: &str = "--context test ";

/// What somebody may do while the workflow runs.
#[derive(Clone)]
pub struct Stage {
    cluster: LocalCluster,
    signals: mpsc::UnboundedSender<Signal>,
    local_offset: Arc<AtomicI64>,
    tokens: Arc<Tokens>,
    shown: watch::Receiver<String>,
}

impl Stage {
    /// The cluster.
    pub fn cluster(&self) -> &LocalCluster {
        &self.cluster
    }

    /// The program gets a signal.
    pub fn signal(&self, signal: Signal) {
        // A run that has ended hears nothing.
        let _ = self.signals.send(signal);
    }

    /// The clock of the runner's machine is so far ahead of the cluster's from now on.
    pub fn offset_local_clock(&self, offset: SignedDuration) {
        self.local_offset.store(i64::try_from(offset.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Whoever fetches credentials from now on gets old ones.
    pub fn stop_renewing(&self) {
        self.tokens.stuck.store(1, Ordering::Relaxed);
    }

    /// Waits until the screen has shown this text, log lines included.
    pub async fn shown(&mut self, text: &str) {
        if self.shown.wait_for(|shown| shown.contains(text)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Credentials as a plugin would hand them out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    made: AtomicI64,
    stuck: AtomicI64,
}

impl Tokens {
    fn next(&self) -> String {
        if self.stuck.load(Ordering::Relaxed) == 0 {
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        format!("token-{}", self.made.load(Ordering::Relaxed))
    }
}

pub(super) async fn play(fault: Fault) -> Seen {
    let Fault { test, dag, run_id, waits: given, set_up, acts, slow_reader, history } = fault;
    let workdir = Workdir::new().unwrap();
    let began = Instant::now();
    let clock = Clock::starting_at(BEGIN.parse().unwrap());
    let mut options = Options { clock: clock.clone(), ..Options::new(workdir.path().join("cluster")) };
    options.history = history.unwrap_or(options.history);
    let cluster = LocalCluster::start(options).await.unwrap();
    set_up.into_iter().for_each(|set_up| set_up(&cluster));

    let mut waits = Waits::default();
    given.iter().for_each(|wait| waits.set(wait).unwrap());
    let source = Source { name: "dag.yaml".to_owned(), text: dag, role: Role::Workflow };
    let planned = plan_jobs(&Sources::from_texts(vec![source], Vec::new()), &RULES).unwrap();
    let effective = planned.effective.unwrap_or_else(|| panic!("the workflow: {:#?}", planned.report.problems));
    let scope = Scope::of_run(effective.workflow(), run_id.as_str(), BTreeMap::new());
    let folder = RunFolder::create(&workdir.path().join("state"), &run_id).unwrap();
    let run_folder = folder.path().to_owned();
    let journal = folder.journal().unwrap();

    let local_offset = Arc::new(AtomicI64::new(0));
    let local_now = {
        let offset = local_offset.clone();
        move || {
            let offset = SignedDuration::from_millis(offset.load(Ordering::Relaxed));
            clock.now().checked_add(offset).unwrap_or(Timestamp::MAX)
        }
    };
    let (screen, shown) = Screen::new(began);
    let told = Arc::new(Mutex::new(Vec::new()));
    let unread = Arc::new(Unread::default());
    let listener = {
        let (screen, told) = (screen.clone(), told.clone());
        let reader = slow_reader.map(|each| reader(each, unread.clone()));
        let unread = unread.clone();
        move |mut event: Event| {
            if let (Some(reader), EventKind::StepLog { text, permit, .. }) = (&reader, &mut event.kind) {
                unread.add(text.len());
                // Its permit is given back when the reader has come to it.
                let _ = reader.send((text.len(), permit.take()));
            }
            told.lock().unwrap().push(screen.show(event));
        }
    };
    let events = Events::told(listener, local_now);

    let tokens = Arc::new(Tokens::default());
    let connect = {
        let (cluster, tokens) = (cluster.clone(), tokens.clone());
        move || WithToken { cluster: cluster.clone(), token: tokens.next() }
    };
    let cluster_of_steps = Cluster::behind(connect, Some(KUBECTL.to_owned()));
    let clusters = Clusters::only(run_id.clone(), &waits, events.clone(), journal.clone(), cluster_of_steps);
    let (signals, received) = mpsc::unbounded_channel();
    let signalled = stream::unfold(received, |mut received| async move { Some((received.recv().await?, received)) });
    let stage = Stage { cluster: cluster.clone(), signals, local_offset, tokens, shown };
    let mut actors = JoinSet::new();
    for act in acts {
        actors.spawn(act(stage.clone()));
    }
    let max_active = effective.workflow().max_active_steps.unwrap_or(0);
    let resume = format!("runner runs resume {run_id}");
    let run = Run {
        set: RULES.clone(),
        effective: Arc::new(effective),
        scope: Arc::new(scope),
        folder: workdir.path().to_owned(),
        id: run_id,
        max_active: usize::try_from(max_active).unwrap(),
        exit_code_from: None,
        earlier: None,
        resume,
    };
    let running = run.execute(folder, journal, clusters, waits, events, Box::pin(signalled));
    let Ok(end) = tokio::time::timeout(LONGEST, running).await else {
        panic!("the run does not end; the screen:\n{}", screen.transcript());
    };
    let took = began.elapsed();
    actors.shutdown().await;
    screen.finish();
    let requests = cluster.requests();
    let stored = Stored::after(&cluster, SETTLED).await;
    cluster.shutdown().await.unwrap();
    let told = std::mem::take(&mut *told.lock().unwrap());
    let most_unread = unread.most.load(Ordering::Relaxed);
    Seen::new(test, end, took, &run_folder, told, &screen, &requests, stored, most_unread)
}

/// Log text that a slow reader has not come to.
#[derive(Debug, Default)]
struct Unread {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Unread {
    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }
}

/// Somebody who reads slowly: takes one thing after the other, each so much later.
fn reader<T: Send + 'static>(each: Duration, unread: Arc<Unread>) -> mpsc::UnboundedSender<(usize, T)> {
    let (sender, mut queue) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((bytes, thing)) = queue.recv().await {
            tokio::time::sleep(each).await;
            unread.now.fetch_sub(bytes, Ordering::Relaxed);
            drop(thing);
        }
    });
    sender
}

/// The cluster as somebody reaches it who has this token.
struct WithToken {
    cluster: LocalCluster,
    token: String,
}

impl<B> tower_service::Service<http::Request<B>> for WithToken
where
    LocalCluster: tower_service::Service<http::Request<B>>,
{
    type Response = <LocalCluster as tower_service::Service<http::Request<B>>>::Response;
    type Error = <LocalCluster as tower_service::Service<http::Request<B>>>::Error;
    type Future = <LocalCluster as tower_service::Service<http::Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.cluster.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let token = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert(http::header::AUTHORIZATION, token);
        self.cluster.call(request)
    }
}
