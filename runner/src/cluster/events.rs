//! Events of one object: listed when something is missing or stuck, never watched.

use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;

use super::Cluster;
use super::retry::Failure;

/// More events than this say nothing new about one object.
const MOST: u32 = 100;

impl Cluster {
    /// The events about the object with this uid.
    ///
    /// # Errors
    /// When they cannot be listed: a missing right is no reason to fail anything.
    pub async fn events_of(&self, namespace: &str, uid: &str) -> Result<Vec<Event>, Failure> {
        let events: kube::Api<Event> = kube::Api::namespaced(self.inner.client.clone(), namespace);
        let parameters = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MOST);
        Ok(events.list(&parameters).await?.items)
    }
}
