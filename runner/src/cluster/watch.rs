//! One watch on Jobs and one on Pods for a run in one namespace, however many steps it has.
//!
//! What they bring is put into the facts of the attempt it is about. The end of a watch, an error or a stale version is
//! no statement about any Job: the watch is listed again and reopened, and how long that fails is told as [`Contact`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, ObjectList, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Cluster;
use super::exchange::about;
use super::frames::Frames;
use super::retry::{ANSWER, Backoff, Failure, Kind, of_status};
use super::sleep;
use crate::manifest::{RUN_ID, label_value};
use crate::step::facts::Facts;

/// Objects in one piece of a list.
const PAGE: u32 = 500;
/// The server ends a watch so much before silence on it counts as a broken connection.
const MARGIN: Duration = Duration::from_secs(10);
/// Seconds: what clients usually ask for, and no proxy minds.
const LONGEST_WATCH: u64 = 290;
/// Labels by which the Job controller marks its pods, newest first.
const JOB_NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

/// The watches of a run in one namespace of one cluster. They end when this is dropped.
#[derive(Debug)]
pub struct Watched {
    registry: Arc<Registry>,
    _stop: DropGuard,
}

/// The watches could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A list or a watch was refused, or not answered in time.
    #[error("cannot {verb} {resource} in namespace `{namespace}`: {failure}")]
    Refused {
        /// `list` or `watch`.
        verb: &'static str,
        /// `jobs` or `pods`.
        resource: &'static str,
        /// The namespace.
        namespace: String,
        /// Why.
        failure: Failure,
    },
    /// A Job of this run is there already.
    #[error("run id `{run}` is in use: Job `{job}` in namespace `{namespace}` has it")]
    InUse {
        /// The id.
        run: String,
        /// The namespace.
        namespace: String,
        /// A Job that has it.
        job: String,
    },
}

impl OpenError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            OpenError::InUse { .. } => Some("choose another `--run-id`, or leave it out".to_owned()),
            OpenError::Refused { resource, failure, .. } if failure.kind == Kind::Forbidden => {
                let group = if *resource == "jobs" { "batch" } else { "" };
                Some(format!(
                    "a Role needs the rule {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [list, watch]}}"
                ))
            }
            OpenError::Refused { .. } => None,
        }
    }
}

/// Which Jobs a run may have before its watches are opened.
#[derive(Debug, Clone, Copy)]
pub enum Earlier<'a> {
    /// None: the run begins. One that has its id belongs to somebody else.
    Nothing,
    /// Those that an earlier process began, by name, with their uids where that learnt them.
    Begun(&'a [(String, Option<String>)]),
}

/// What is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Id of the run.
    pub run: &'a str,
    /// The Jobs that it may have.
    pub earlier: Earlier<'a>,
}

/// Whether the cluster answers the watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// What each watch that is not answered met, by its resource, and since when.
    lost: BTreeMap<&'static str, (Instant, Failure)>,
}

impl Contact {
    /// Since when one of the watches is not answered, and what came instead; none: both are.
    pub fn lost(&self) -> Option<(Instant, &Failure)> {
        self.lost.values().min_by_key(|(since, _)| *since).map(|(since, failure)| (*since, failure))
    }
}

/// What is known about one attempt, kept up to date by the watches. Dropping it ends that.
#[derive(Debug)]
pub struct Attempted {
    name: String,
    facts: watch::Sender<Facts>,
    registry: Arc<Registry>,
}

impl Attempted {
    /// The facts as they change.
    pub fn facts(&self) -> watch::Receiver<Facts> {
        self.facts.subscribe()
    }

    /// Adds what was learnt in another way.
    pub fn learn(&self, learn: impl FnOnce(&mut Facts)) {
        self.facts.send_modify(learn);
    }

    /// The Job was created, or found: from this version on a list that lacks it says that it has gone.
    pub fn created(&self, uid: &str, version: Option<&str>) {
        let mut entries = self.registry.lock();
        if let Some(entry) = entries.get_mut(&self.name) {
            entry.created = version.and_then(|version| version.parse().ok());
        }
        drop(entries);
        self.learn(|facts| facts.set_uid(uid));
    }

    /// Whether the cluster answers the watches, as that changes.
    pub fn contact(&self) -> watch::Receiver<Contact> {
        self.registry.contact.subscribe()
    }
}

impl Drop for Attempted {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.name);
    }
}

#[derive(Debug)]
struct Registry {
    /// By the name of the Job.
    attempts: Mutex<HashMap<String, Entry>>,
    contact: watch::Sender<Contact>,
}

#[derive(Debug)]
struct Entry {
    facts: watch::Sender<Facts>,
    /// Version at which the Job was created.
    created: Option<u64>,
    /// Whether a list or a watch has shown the Job, and the newest version of that.
    seen: Option<Option<u64>>,
    /// Uids of the pods that a list or a watch has shown, each with its newest version.
    pods: HashMap<String, Option<u64>>,
}

/// The version of an object as a number, which it is for all built-in kinds.
fn version_of(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_ref()?.parse().ok()
}

/// Whether a list from this version must hold what was seen with that one: a server may lag behind.
fn must_hold(list: Option<u64>, seen: Option<u64>) -> bool {
    match (list, seen) {
        (Some(list), Some(seen)) => list >= seen,
        _ => true,
    }
}

impl Entry {
    /// Of a Job whose uid is known, every list must know it.
    fn new(uid: Option<String>) -> Entry {
        let created = uid.is_some().then_some(0);
        Entry { facts: watch::Sender::new(Facts::new(uid)), created, seen: None, pods: HashMap::new() }
    }
}

impl Earlier<'_> {
    fn entries(self) -> HashMap<String, Entry> {
        match self {
            Earlier::Nothing => HashMap::new(),
            Earlier::Begun(jobs) => jobs.iter().map(|(name, uid)| (name.clone(), Entry::new(uid.clone()))).collect(),
        }
    }
}

impl Registry {
    fn take_list<K: Seen>(&self, listed: &Listed<K>) {
        for item in &listed.items {
            item.see(self, false);
        }
        K::miss(&listed.items, listed.version.parse().ok(), self);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// Lists, then watches the Jobs and pods of a run: also those that an earlier process began. Lists that are not answered are repeated within `limit`; `tell` hears
    /// why, each time.
    ///
    /// # Errors
    /// When a list or a watch is refused, or the run id is in use.
    ///
    /// # Cancellation
    /// Nothing is left behind.
    pub async fn open(
        cluster: &Cluster,
        opening: Opening<'_>,
        limit: Duration,
        silence: Duration,
        clock: sleep::Clock,
        tell: impl Fn(&Failure),
    ) -> Result<Watched, OpenError> {
        let Opening { namespace, run, earlier } = opening;
        let labels = format!("{RUN_ID}={}", label_value(run));
        let jobs = Selected::<Job>::new(cluster, namespace, labels.clone(), silence);
        let pods = Selected::<Pod>::new(cluster, namespace, labels, silence);
        let refused = |resource| {
            move |(verb, failure)| OpenError::Refused { verb, resource, namespace: namespace.to_owned(), failure }
        };
        let (of_jobs, of_pods) = tokio::join!(jobs.begin(limit, &tell), pods.begin(limit, &tell));
        let (of_jobs, job_events) = of_jobs.map_err(refused("jobs"))?;
        let (of_pods, pod_events) = of_pods.map_err(refused("pods"))?;
        if let (Earlier::Nothing, Some(job)) = (earlier, of_jobs.items.first()) {
            let (run, namespace, job) = (run.to_owned(), namespace.to_owned(), job.name_any());
            return Err(OpenError::InUse { run, namespace, job });
        }
        let registry = Arc::new(Registry {
            attempts: Mutex::new(earlier.entries()),
            contact: watch::Sender::new(Contact::default()),
        });
        registry.take_list(&of_jobs);
        registry.take_list(&of_pods);
        let stop = CancellationToken::new();
        let watch_jobs = keep(jobs, of_jobs.version, job_events, registry.clone());
        let watch_pods = keep(pods, of_pods.version, pod_events, registry.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch_jobs));
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch_pods));
        tokio::spawn(stop.clone().run_until_cancelled_owned(sleep::notice(cluster.clone(), clock)));
        Ok(Watched { registry, _stop: stop.drop_guard() })
    }

    /// From now on what is seen of the Job with this name is put into the facts: begin before it is created. Of one that
    /// an earlier process began it is what was seen since the watches were opened.
    pub fn attempt(&self, name: &str) -> Attempted {
        let mut attempts = self.registry.lock();
        let entry = attempts.entry(name.to_owned()).or_insert_with(|| Entry::new(None));
        let facts = entry.facts.clone();
        drop(attempts);
        Attempted { name: name.to_owned(), facts, registry: self.registry.clone() }
    }
}

/// A kind of object that is watched.
trait Seen: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static {
    /// Its name in requests.
    const PLURAL: &'static str;
    /// Puts an object, or its deletion, into the facts it is about.
    fn see(&self, registry: &Registry, deleted: bool);
    /// Tells the facts what a complete list no longer holds.
    fn miss(items: &[Self], version: Option<u64>, registry: &Registry);
}

impl Seen for Job {
    const PLURAL: &'static str = "jobs";

    fn see(&self, registry: &Registry, deleted: bool) {
        let Some(name) = &self.metadata.name else { return };
        let mut attempts = registry.lock();
        let Some(entry) = attempts.get_mut(name) else { return };
        let uid = entry.facts.borrow().uid().map(str::to_owned);
        if uid.is_none() || uid == self.metadata.uid {
            entry.seen = Some(entry.seen.flatten().max(version_of(self)));
        }
        entry.facts.send_modify(|facts| if deleted { facts.see_job_deleted(self) } else { facts.see_job(self) });
    }

    fn miss(items: &[Job], version: Option<u64>, registry: &Registry) {
        let uid = |job: &'_ Job| job.metadata.uid.clone();
        let there: HashMap<&str, Option<String>> =
            items.iter().filter_map(|job| Some((job.metadata.name.as_deref()?, uid(job)))).collect();
        for (name, entry) in registry.lock().iter() {
            // A list from before its creation does not know it yet.
            let expected = match entry.seen {
                Some(seen) => must_hold(version, seen),
                None => matches!((entry.created, version), (Some(of), Some(at)) if at >= of),
            };
            // Another one of the same name is not it.
            let is_it = |uid: &Option<String>| entry.facts.borrow().uid().is_none_or(|of| Some(of) == uid.as_deref());
            if expected && !there.get(name.as_str()).is_some_and(is_it) {
                entry.facts.send_modify(Facts::see_job_gone);
            }
        }
    }
}

impl Seen for Pod {
    const PLURAL: &'static str = "pods";

    fn see(&self, registry: &Registry, deleted: bool) {
        let labels = self.metadata.labels.as_ref();
        let Some(job) = labels.and_then(|labels| JOB_NAME_LABELS.iter().find_map(|label| labels.get(*label))) else {
            return;
        };
        let mut attempts = registry.lock();
        let Some(entry) = attempts.get_mut(job) else { return };
        if let Some(uid) = self.metadata.uid.clone() {
            let seen = entry.pods.entry(uid).or_default();
            *seen = (*seen).max(version_of(self));
        }
        entry.facts.send_modify(|facts| if deleted { facts.see_pod_deleted(self) } else { facts.see_pod(self) });
    }

    fn miss(items: &[Pod], version: Option<u64>, registry: &Registry) {
        let there: HashSet<&str> = items.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        for entry in registry.lock().values() {
            let missing = entry.pods.iter().filter(|(uid, _)| !there.contains(uid.as_str()));
            for (uid, _) in missing.filter(|(_, seen)| must_hold(version, **seen)) {
                entry.facts.send_modify(|facts| facts.see_pod_gone(uid));
            }
        }
    }
}

/// A complete list.
struct Listed<K> {
    items: Vec<K>,
    version: String,
}

/// The objects of a run, of one kind, in one namespace.
struct Selected<K> {
    cluster: Cluster,
    namespace: String,
    labels: String,
    silence: Duration,
    kind: PhantomData<K>,
}

impl<K: Seen> Selected<K> {
    fn new(cluster: &Cluster, namespace: &str, labels: String, silence: Duration) -> Selected<K> {
        Selected { cluster: cluster.clone(), namespace: namespace.to_owned(), labels, silence, kind: PhantomData }
    }

    /// Lists, then opens the watch, until both are answered, at most for `limit`.
    async fn begin(
        &self,
        limit: Duration,
        tell: impl Fn(&Failure),
    ) -> Result<(Listed<K>, Frames<WatchEvent<K>>), (&'static str, Failure)> {
        let end = Instant::now() + limit;
        let mut backoff = self.cluster.inner.backoff.clone();
        let mut verb = "list";
        loop {
            let begun = async {
                let listed = self.list().await?;
                verb = "watch";
                let events = self.watch(&listed.version).await?;
                Ok((listed, events))
            };
            let failure = match tokio::time::timeout_at(end, begun).await {
                Ok(Ok(begun)) => return Ok(begun),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::unavailable(format!("no answer for {} s", limit.as_secs())),
            };
            let wait = failure.wait(&mut backoff);
            if !failure.may_pass() || Instant::now() + wait >= end {
                return Err((verb, failure));
            }
            tell(&failure);
            tokio::time::sleep(wait).await;
        }
    }

    async fn list(&self) -> Result<Listed<K>, Failure> {
        let mut items = Vec::new();
        let mut parameters = ListParams::default().labels(&self.labels).limit(PAGE);
        loop {
            let request = about::<K>(&self.namespace).list(&parameters);
            let page = self.cluster.call::<ObjectList<K>>(ANSWER, request).await?.value;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => return Ok(Listed { items, version: page.metadata.resource_version.unwrap_or_default() }),
            }
        }
    }

    async fn watch(&self, version: &str) -> Result<Frames<WatchEvent<K>>, Failure> {
        let seconds = self.silence.saturating_sub(MARGIN).as_secs().clamp(1, LONGEST_WATCH);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let parameters = WatchParams::default().labels(&self.labels).timeout(seconds);
        let request = about::<K>(&self.namespace).watch(&parameters, version);
        Ok(Frames::new(self.cluster.open(ANSWER, request).await?))
    }
}

/// Reads a watch, and opens it again, for as long as it is polled.
async fn keep<K: Seen>(of: Selected<K>, mut version: String, first: Frames<WatchEvent<K>>, registry: Arc<Registry>) {
    let mut backoff = of.cluster.inner.backoff.clone();
    let mut woken = of.cluster.inner.woken.subscribe();
    let mut opened = Ok(first);
    loop {
        let ended = match opened {
            Ok(events) => {
                registry.contact.send_if_modified(|contact| contact.lost.remove(K::PLURAL).is_some());
                let read = read(events, &mut version, &registry, of.silence, &mut backoff);
                tokio::select! {
                    biased;
                    ended = read => ended,
                    Ok(()) = woken.changed() => Ended::Asleep,
                }
            }
            Err(failure) => Ended::Broken(failure),
        };
        match ended {
            Ended::Whole => {}
            Ended::Asleep => version = relist(&of, &registry, &mut backoff).await,
            Ended::Broken(failure) => {
                // A version that is too old says nothing about the server.
                if failure.kind != Kind::Gone {
                    let wait = failure.wait(&mut backoff);
                    lost::<K>(&registry, failure);
                    pause(wait, &mut woken).await;
                }
                version = relist(&of, &registry, &mut backoff).await;
            }
        }
        opened = of.watch(&version).await;
    }
}

/// Lists until it is answered. Returns the version of the list.
async fn relist<K: Seen>(of: &Selected<K>, registry: &Registry, backoff: &mut Backoff) -> String {
    let mut woken = of.cluster.inner.woken.subscribe();
    loop {
        match of.list().await {
            Ok(listed) => {
                registry.take_list(&listed);
                return listed.version;
            }
            Err(failure) => {
                let wait = failure.wait(backoff);
                lost::<K>(registry, failure);
                pause(wait, &mut woken).await;
            }
        }
    }
}

/// Waits before the next try; whoever was asleep has waited long enough.
async fn pause(wait: Duration, woken: &mut watch::Receiver<u64>) {
    let _ = tokio::time::timeout(wait, woken.changed()).await;
}

fn lost<K: Seen>(registry: &Registry, failure: Failure) {
    registry.contact.send_modify(|contact| {
        let since = contact.lost.get(K::PLURAL).map_or_else(Instant::now, |(since, _)| *since);
        contact.lost.insert(K::PLURAL, (since, failure));
    });
}

/// How a watch ended.
enum Ended {
    /// As one ends whose time is up; the version is that of the last event.
    Whole,
    /// The machine was asleep: whatever is open may be dead.
    Asleep,
    /// Otherwise: what was missed is unknown.
    Broken(Failure),
}

async fn read<K: Seen>(
    mut events: Frames<WatchEvent<K>>,
    version: &mut String,
    registry: &Registry,
    silence: Duration,
    backoff: &mut Backoff,
) -> Ended {
    let began = Instant::now();
    loop {
        match tokio::time::timeout(silence, events.next()).await {
            Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
                version.clone_from(&object.resource_version().unwrap_or_default());
                object.see(registry, false);
            }
            Ok(Some(Ok(WatchEvent::Deleted(object)))) => {
                version.clone_from(&object.resource_version().unwrap_or_default());
                object.see(registry, true);
            }
            Ok(Some(Ok(WatchEvent::Bookmark(bookmark)))) => version.clone_from(&bookmark.metadata.resource_version),
            Ok(Some(Ok(WatchEvent::Error(status)))) => return Ended::Broken(of_status(&status, None)),
            Ok(Some(Err(failure))) => return Ended::Broken(failure),
            // A server that ends a watch at once is not well, and must not be asked without a pause.
            Ok(None) if began.elapsed() < Duration::from_secs(1) => {
                return Ended::Broken(Failure::unavailable("the watch ended at once"));
            }
            Ok(None) => return Ended::Whole,
            Err(_) => return Ended::Broken(Failure::unavailable(format!("no byte for {} s", silence.as_secs()))),
        }
        // It works again.
        backoff.reset();
    }
}
