//! The secrets of a run, fetched before anything runs.

use std::path::PathBuf;

use model::config::DEFAULT_NAMESPACE;
use model::layer::Origin;

use super::{Context, Run};
use crate::admission::kubeconfig_at;
use crate::cluster::Target;
use crate::event::EventKind;
use crate::interpolate::Scope;
use crate::secrets::{ClusterSecret, Data, Refusal, SecretError, Secrets, Wanted};
use crate::step::waits::WaitKind;

impl Context {
    /// Adds the secrets of the workflow to the values of the run; from here on they are hidden wherever something is
    /// shown or written. All that fail are told; then nothing may run.
    pub(super) async fn fetch_secrets(&self) -> Option<Scope> {
        let Run { effective, scope, folder, .. } = &self.run;
        let mut scope = Scope::clone(scope);
        let secrets = &effective.workflow().secrets;
        let (mut wanted, mut errors) = (Vec::new(), Vec::new());
        for secret in secrets {
            match Wanted::of(secret, folder, |text| scope.text(text)) {
                Ok(one) => wanted.push(one),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() && !wanted.is_empty() {
            let variable = |name: &str| scope.of_files(name).map(str::to_owned).or_else(|| std::env::var(name).ok());
            let fetched = Secrets::fetch(&wanted, variable, |secret| self.secret(secret)).await;
            match fetched.and_then(|fetched| fetched.mask().map(|mask| (fetched, mask)).map_err(too_large)) {
                Ok((fetched, mask)) => {
                    self.shared.events.hide(mask);
                    scope.add_secrets(fetched.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
                }
                Err(failed) => errors = failed,
            }
        }
        for error in &errors {
            self.shared.events.run(EventKind::Fatal { text: error.to_string(), help: error.help.clone() });
        }
        errors.is_empty().then_some(scope)
    }

    /// Reads a Secret from the cluster that is named beside it, else by the root `kubernetes` blocks.
    async fn secret(&self, secret: ClusterSecret) -> Result<Data, Refusal> {
        let Run { effective, scope, .. } = &self.run;
        // Of several the last lies on top: base.yaml, the workflow file, the command line.
        let of_root = |key: &str| {
            let layers = effective
                .layers()
                .iter()
                .filter(|layer| matches!(layer.origin, Origin::Base | Origin::Dag | Origin::CommandLine));
            let text = layers.filter_map(|layer| Some((layer, layer.value.get(key)?.as_str()?))).next_back();
            text.map(|(layer, text)| {
                let source = layer.positions.get(key).map(|place| place.value.source);
                (if layer.origin.is_file() { scope.text(text) } else { text.to_owned() }, source)
            })
        };
        let named =
            |own: &Option<String>, key| own.clone().map(|text| (text, Some(secret.source))).or_else(|| of_root(key));
        let file = named(&secret.kubeconfig, "kubeconfig");
        let kubeconfig: Option<PathBuf> =
            file.map(|(text, source)| kubeconfig_at(&text, source.map(|source| source as usize), effective.sources()));
        let context = named(&secret.context, "context").map(|(text, _)| text);
        let namespace =
            named(&secret.namespace, "namespace").map_or_else(|| DEFAULT_NAMESPACE.to_owned(), |(text, _)| text);
        let target = Target { kubeconfig, context };
        let cluster = self
            .clusters
            .cluster(&target)
            .await
            .map_err(|error| Refusal { reason: error.to_string(), help: error.help() })?;
        let limit = self.shared.waits.get(WaitKind::Api);
        let answer = cluster.secret(&namespace, &secret.name, limit).await;
        answer.map_err(|failure| Refusal::of(&failure, &namespace))
    }
}

fn too_large(error: crate::mask::MaskError) -> Vec<SecretError> {
    vec![SecretError { name: "all of them".to_owned(), reason: error.to_string(), help: None }]
}
