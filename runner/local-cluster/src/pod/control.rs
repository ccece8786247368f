//! What is wanted of the pods that run: by the store, through the node, and by whoever disrupts them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::Desired;

/// The pods the node knows, by uid.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    known: Mutex<HashMap<String, Control>>,
}

/// A hold on one pod. Clones hold the same one.
#[derive(Clone, Debug)]
pub(super) struct Control {
    desired: watch::Sender<Desired>,
    fate: Arc<Mutex<Fate>>,
}

/// What its node has decided about a pod.
#[derive(Clone, Debug, Default)]
enum Fate {
    /// It ends as its containers do.
    #[default]
    Own,
    /// It fails, however its containers end.
    Failed(Cause),
    /// Nobody hears of it any more.
    Lost,
}

/// Why a node ends a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

impl Controls {
    pub(super) fn add(&self, uid: &str, control: Control) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), control);
    }

    pub(super) fn forget(&self, uid: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    pub(super) fn find(&self, uid: &str) -> Option<Control> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }
}

impl Control {
    pub(super) fn new() -> Self {
        Self { desired: watch::Sender::new(Desired::Run), fate: Arc::default() }
    }

    pub(super) fn desired(&self) -> watch::Receiver<Desired> {
        self.desired.subscribe()
    }

    pub(super) fn stop_by(&self, then: Timestamp) {
        super::stop_by(&self.desired, then);
    }

    /// The pod is to end by then, and to fail.
    pub(super) fn fail_by(&self, then: Timestamp, cause: Cause) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = Fate::Failed(cause);
        self.stop_by(then);
    }

    pub(super) fn lose(&self) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = Fate::Lost;
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(*self.fate.lock().unwrap_or_else(PoisonError::into_inner), Fate::Lost)
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        match *self.fate.lock().unwrap_or_else(PoisonError::into_inner) {
            Fate::Failed(cause) => Some(cause),
            Fate::Own | Fate::Lost => None,
        }
    }
}
