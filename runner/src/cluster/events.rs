//! Events of one object: listed when something is missing or stuck, never watched.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::api::{ListParams, ObjectList};

use super::Cluster;
use super::exchange::about;
use super::retry::Failure;

/// They only explain: nobody waits long for them.
const SOON: Duration = Duration::from_secs(10);
/// More events than this say nothing new about one object.
const MOST: u32 = 100;

impl Cluster {
    /// The events about the object with this uid.
    ///
    /// # Errors
    /// When they cannot be listed: a missing right is no reason to fail anything.
    pub async fn events_of(&self, namespace: &str, uid: &str) -> Result<Vec<Event>, Failure> {
        let parameters = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MOST);
        let list = self.call::<ObjectList<Event>>(SOON, about::<Event>(namespace).list(&parameters)).await?;
        Ok(list.value.items)
    }
}
