//! The clusters and namespaces of a run, each opened once, when it is first needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use local_cluster::{LocalCluster, NOTICE};
use model::names::RunId;
use tokio::sync::OnceCell;

use crate::cluster::{
    Clock, Cluster, ConnectError, Earlier, Failure, OpenError, Opening, Target, Watched, connect, connect_again,
};
use crate::event::{EventKind, Events};
use crate::journal::{Entry, History, Journal, RecordedAttempt};
use crate::step::remember;
use crate::step::waits::{WaitKind, Waits};

/// For the lists that begin the watches, with their repetitions.
const OPEN: Duration = Duration::from_secs(30);

/// The clusters of a run.
#[derive(Debug)]
pub struct Clusters {
    run: RunId,
    silence: Duration,
    events: Events,
    journal: Journal,
    local: Option<LocalCluster>,
    /// The one that all steps go to, whatever their config names.
    only: Option<Cluster>,
    /// What an earlier process knew.
    earlier: Option<Arc<History>>,
    connected: Slots<Target, Cluster>,
    watched: Slots<(Target, String), (Cluster, Arc<Watched>)>,
}

/// Values that are made once each; whoever needs one that is being made waits for it.
type Slots<K, V> = Mutex<HashMap<K, Arc<OnceCell<V>>>>;

/// A namespace of a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// There is no client for the cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its Jobs and pods cannot be watched.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The embedded cluster refuses the namespace.
    #[error("namespace `{namespace}` cannot be made: {reason}")]
    Namespace {
        /// Its name.
        namespace: String,
        /// Why.
        reason: String,
    },
}

impl ReachError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            ReachError::Connect(error) => error.help().map(str::to_owned),
            ReachError::Open(error) => error.help(),
            ReachError::Namespace { .. } => None,
        }
    }
}

impl Clusters {
    /// None is opened yet. With `local` all steps go to the embedded cluster, whatever their config names.
    /// `earlier`: what the run knows of its clusters, if it is taken up.
    pub fn new(
        run: RunId,
        waits: &Waits,
        events: Events,
        journal: Journal,
        local: Option<LocalCluster>,
        earlier: Option<Arc<History>>,
    ) -> Clusters {
        Clusters {
            run,
            silence: waits.get(WaitKind::Silence),
            events,
            journal,
            local,
            only: None,
            earlier,
            connected: Slots::default(),
            watched: Slots::default(),
        }
    }

    /// All steps go to this cluster, whatever their config names.
    pub fn only(run: RunId, waits: &Waits, events: Events, journal: Journal, cluster: Cluster) -> Clusters {
        Clusters { only: Some(cluster), ..Clusters::new(run, waits, events, journal, None, None) }
    }

    /// Whether all steps go to the embedded cluster.
    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// A client for a cluster; nothing of it is watched.
    ///
    /// # Errors
    /// When it cannot be connected to.
    pub async fn cluster(&self, target: &Target) -> Result<Cluster, ReachError> {
        let is_named = self.local.is_none() && self.only.is_none();
        let target = if is_named { target.clone() } else { Target::default() };
        self.connect(&target, true).await
    }

    /// A namespace of a cluster, watched. `names_namespace`: whether a layer of the config names it.
    ///
    /// # Errors
    /// When it cannot be connected to or watched.
    pub async fn reach(
        &self,
        target: &Target,
        namespace: &str,
        names_namespace: bool,
    ) -> Result<(Cluster, Arc<Watched>), ReachError> {
        let is_named = self.local.is_none() && self.only.is_none();
        let target = if is_named { target.clone() } else { Target::default() };
        let slot = slot(&self.watched, (target.clone(), namespace.to_owned()));
        let reached = slot.get_or_try_init(|| async {
            let cluster = self.connect(&target, names_namespace).await?;
            if let Some(local) = &self.local {
                let reason = |refusal: local_cluster::Refusal| ReachError::Namespace {
                    namespace: namespace.to_owned(),
                    reason: refusal.to_string(),
                };
                local.ensure_namespace(namespace).map_err(reason)?;
            }
            let told = AtomicBool::new(false);
            let tell = |failure: &Failure| {
                // Both lists meet the same, again and again.
                if !told.swap(true, Ordering::Relaxed) {
                    let text = format!("the cluster does not answer: {failure}; tried for {} s", OPEN.as_secs());
                    self.events.run(EventKind::Note { text });
                }
            };
            let begun = self.begun(&target, namespace);
            let earlier = begun.as_deref().map_or(Earlier::Nothing, Earlier::Begun);
            let opening = Opening { namespace, run: self.run.as_str(), earlier };
            let events = self.events.clone();
            let clock: Clock = Box::new(move || events.now());
            let watched = Watched::open(&cluster, opening, OPEN, self.silence, clock, tell).await?;
            let address = cluster.address().clone();
            let opened = Entry::ClusterOpened { target: target.clone(), namespace: namespace.to_owned(), address };
            remember(&self.journal, &self.events, opened).await;
            Ok::<_, ReachError>((cluster, Arc::new(watched)))
        });
        reached.await.cloned()
    }

    /// The Jobs that an earlier process has begun there; none: the run begins.
    fn begun(&self, target: &Target, namespace: &str) -> Option<Vec<(String, Option<String>)>> {
        let attempts = self.earlier.as_ref()?.steps.iter().flat_map(|step| &step.attempts);
        let jobs = attempts.filter_map(RecordedAttempt::job);
        let here = jobs.filter(|job| job.target == *target && job.name.namespace == namespace);
        Some(here.map(|job| (job.name.name.clone(), job.uid.clone())).collect())
    }

    async fn connect(&self, target: &Target, names_namespace: bool) -> Result<Cluster, ReachError> {
        let slot = slot(&self.connected, target.clone());
        let connected = slot.get_or_try_init(|| async {
            let cluster = match (&self.local, &self.only) {
                (Some(local), _) => {
                    self.events.run(EventKind::Note { text: NOTICE.to_owned() });
                    Cluster::local(local)
                }
                (None, Some(only)) => only.clone(),
                // Where the run was, although a current context or `KUBECONFIG` may lead elsewhere now.
                (None, None) => {
                    match self.earlier.iter().flat_map(|earlier| &earlier.clusters).find(|(of, ..)| of == target) {
                        Some((.., address)) => connect_again(address).await?,
                        None => connect(target).await?,
                    }
                }
            };
            if !names_namespace
                && let Some((context, namespace)) = cluster.context()
                && namespace != model::config::DEFAULT_NAMESPACE
            {
                let text = format!(
                    "context `{context}` names namespace `{namespace}`; Jobs go to `{}`",
                    model::config::DEFAULT_NAMESPACE
                );
                self.events.run(EventKind::Note { text });
            }
            Ok::<_, ConnectError>(cluster)
        });
        Ok(connected.await.cloned()?)
    }
}

fn slot<K: std::hash::Hash + Eq, V>(slots: &Slots<K, V>, key: K) -> Arc<OnceCell<V>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
}
