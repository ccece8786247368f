//! The values of a Secret, read once before a run.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use tokio::time::Instant;

use super::Cluster;
use super::exchange::about;
use super::retry::{ANSWER, Failure, Kind};

/// What a request gets at least, also when its limit is 0.
const LEAST: Duration = Duration::from_secs(1);

impl Cluster {
    /// The data of a Secret by key, decoded. None: there is no such Secret. What may pass is repeated within `limit`.
    ///
    /// # Errors
    /// When the server refuses, or does not answer within the limit.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
        limit: Duration,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, Failure> {
        let secrets = about::<Secret>(namespace);
        let end = Instant::now() + limit;
        let mut backoff = self.inner.backoff.clone();
        loop {
            let patience = end.saturating_duration_since(Instant::now()).min(ANSWER).max(LEAST);
            let failure = match self.call::<Secret>(patience, secrets.get(name, &GetParams::default())).await {
                Ok(secret) => {
                    let data = secret.value.data.unwrap_or_default();
                    return Ok(Some(data.into_iter().map(|(key, value)| (key, value.0)).collect()));
                }
                Err(Failure { kind: Kind::NotFound, .. }) => return Ok(None),
                Err(failure) => failure,
            };
            let wait = match failure.kind {
                Kind::Unavailable { after } => after.unwrap_or_else(|| backoff.wait()),
                _ => return Err(failure),
            };
            if Instant::now() + wait >= end {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use local_cluster::{Answer, LocalCluster, Options};
    use serde_json::json;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn the_data_of_a_secret_is_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalCluster::start(Options::new(folder.path())).await.unwrap();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
            "data": {"password": "aHVudGVyMgo=", "empty": ""},
        });
        local.apply_objects([secret]).unwrap();
        let cluster = Cluster::local(&local);
        let data = cluster.secret("default", "db", LIMIT).await.unwrap().unwrap();
        let expected = [("empty", &b""[..]), ("password", b"hunter2\n")];
        assert_eq!(data, expected.map(|(key, value)| (key.to_owned(), value.to_vec())).into());
        assert_eq!(cluster.secret("default", "none", LIMIT).await, Ok(None));
        assert_eq!(cluster.secret("elsewhere", "db", LIMIT).await, Ok(None));
    }

    #[tokio::test]
    async fn what_may_pass_is_asked_again_and_a_refusal_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalCluster::start(Options::new(folder.path())).await.unwrap();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}});
        local.apply_objects([secret]).unwrap();
        let cluster = Cluster::local(&local);
        local.faults().on("get", "secrets", "db").first(1).answer(Answer::status(503, "starting"));
        assert_eq!(cluster.secret("default", "db", LIMIT).await, Ok(Some(BTreeMap::new())));
        local.faults().on("get", "secrets", "db").answer(Answer::status(503, "away"));
        let failure = cluster.secret("default", "db", Duration::ZERO).await.unwrap_err();
        assert_eq!((failure.may_pass(), failure.words.as_str()), (true, "away"));
        local.faults().clear();
        local.faults().on("get", "secrets", "db").first(1).answer(Answer::status(403, "no right"));
        let failure = cluster.secret("default", "db", LIMIT).await.unwrap_err();
        assert_eq!((failure.kind, failure.words.as_str()), (Kind::Forbidden, "no right"));
    }
}
