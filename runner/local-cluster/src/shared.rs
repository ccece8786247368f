//! What the API, the controllers and the node have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::log::Logs;
use crate::pod::Controls;
use crate::requests::Requests;
use crate::store::Store;

/// One cluster's state. Everything that acts on it holds an `Arc`.
pub(crate) struct Shared {
    store: Mutex<Store>,
    version: watch::Receiver<u64>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) credentials: Credentials,
    pub(crate) logs: Logs,
    pub(crate) pods: Controls,
    pub(crate) folder: Folder,
    /// Whoever has it may ask for anything over loopback. It is the same for all servers of a cluster, so that a kubeconfig
    /// outlives a server that is started again.
    pub(crate) token: String,
    /// Cancelled when the cluster ends: streams end, controllers and pods stop.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(clock: Clock, folder: Folder, history_limit: usize) -> Arc<Self> {
        let faults = Faults::new(clock.clone());
        let store = Store::new(history_limit, faults.clone());
        let version = store.subscribe();
        Arc::new(Self {
            store: Mutex::new(store),
            version,
            clock,
            faults,
            requests: Requests::default(),
            credentials: Credentials::default(),
            logs: Logs::default(),
            pods: Controls::default(),
            folder,
            token: Uuid::new_v4().simple().to_string(),
            stop: CancellationToken::new(),
        })
    }

    /// The objects. Never held across an `await`.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        // A panic elsewhere leaves the store whole: each write is one insertion behind its checks.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the newest version and changes with each write.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
