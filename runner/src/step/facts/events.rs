//! What events said about one object: the few newest warnings, and the one that explains why it does not get on.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use super::kept;

/// Reasons that explain why a Job has no pod.
pub(super) const NO_POD: &[&str] = &["FailedCreate"];
/// Reasons that explain why the containers of a pod are not made: volumes and sandbox.
pub(super) const NO_START: &[&str] =
    &["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady"];

/// So many warnings are kept, and shown, of one object.
const MOST: usize = 5;

/// The warnings about one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::step) struct Events {
    /// Newest first.
    pub(in crate::step) warnings: Vec<Warning>,
    /// The newest that explains why the object does not get on. It stays when newer ones push it out of the list.
    pub(in crate::step) cause: Option<Warning>,
}

/// A warning about an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::step) struct Warning {
    /// When it was last said.
    at: Option<Timestamp>,
    pub(in crate::step) reason: String,
    pub(in crate::step) message: String,
}

impl Events {
    pub(super) fn see(&mut self, of_uid: &str, events: &[Event], causes: &[&str]) {
        let about = |event: &&Event| event.involved_object.uid.as_deref().is_none_or(|uid| uid == of_uid);
        for event in events.iter().filter(about).filter(|event| event.type_.as_deref() != Some("Normal")) {
            let warning =
                Warning { at: time(event), reason: kept(event.reason.as_ref()), message: kept(event.message.as_ref()) };
            if causes.contains(&warning.reason.as_str()) {
                self.cause = self.cause.take().max(Some(warning.clone()));
            }
            self.insert(warning);
        }
    }

    fn insert(&mut self, warning: Warning) {
        let same = |other: &Warning| (&other.reason, &other.message) == (&warning.reason, &warning.message);
        match self.warnings.iter_mut().find(|other| same(other)) {
            Some(other) => other.at = other.at.max(warning.at),
            None => self.warnings.push(warning),
        }
        self.warnings.sort_by(|one, other| other.cmp(one));
        self.warnings.truncate(MOST);
    }
}

/// When an event was last seen: new ones and those of series carry their times in other fields.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    series.or(last).or(first).or_else(|| event.first_timestamp.as_ref().map(|time| time.0))
}
