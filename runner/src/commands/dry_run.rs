//! `runner exec --dry-run`: the Jobs of a run, asked about and not created.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ::local_cluster::LocalCluster;
use model::config::DEFAULT_NAMESPACE;
use model::names::RunId;
use model::problem::{Problem, Severity};
use model::report::StepAnswer;
use model::review::ReviewProblem;

use crate::admission::{Admission, Preview, preview, report_of_server};
use crate::cli::{DryRun, Format};
use crate::cluster::{Cluster, FailureKind, Objection, Target, connect};
use crate::interpolate::Scope;
use crate::local::{self, Objects};
use crate::manifest::{self, Manifest, field::config_path};
use crate::plan::Effective;
use crate::policy_set::PolicySet;
use crate::report::{CheckReport, ExitCode, Failed, PolicyInForce, Streams, render, show_problems, summary};
use crate::step::waits::{WaitKind, Waits};

/// What a dry run needs.
pub(super) struct Rehearsal {
    pub(super) by: DryRun,
    pub(super) id: RunId,
    pub(super) scope: Scope,
    pub(super) waits: Waits,
    pub(super) local: bool,
    pub(super) objects: Option<Objects>,
    pub(super) state: PathBuf,
    pub(super) format: Format,
}

/// Why the API server was not asked.
enum Unasked {
    NoCluster(Failed),
}

impl Rehearsal {
    pub(super) fn run(self, set: &PolicySet, effective: &Effective, streams: Streams) -> ExitCode {
        let format = self.format;
        let tell = |problems: &[Problem], code: ExitCode| {
            if format == Format::Json && code != ExitCode::Success {
                let report = CheckReport { version: 1, policies: PolicyInForce::list(set), problems };
                let _ = streams.json(&report);
            }
            streams.words(&show_problems(problems, effective.sources()));
            streams.words(&summary(problems).unwrap_or_default());
            code
        };
        let previews = match preview(set, effective, &self.scope, &self.id) {
            // What the rules remark was told when the file was read.
            Ok(Admission::Admitted(previews, _)) => previews,
            Ok(Admission::Refused(report)) => return tell(&report.problems, ExitCode::from(report.verdict)),
            Err(error) => return super::unanswered(&error, format, streams),
        };
        let manifests: Vec<Manifest> = previews.iter().map(manifest::preview).collect();
        if self.by == DryRun::Server {
            let runtime = match super::runtime() {
                Ok(runtime) => runtime,
                Err(error) => return super::refuse(vec![Failed::new(&error, None)], format, streams),
            };
            let asked = runtime.block_on(self.ask(&previews, &manifests, streams));
            runtime.shutdown_background();
            match asked {
                Ok(answers) => {
                    let report = report_of_server(effective, answers);
                    let is_refused = report.problems.iter().any(|problem| problem.severity == Severity::Error);
                    if is_refused {
                        return tell(&report.problems, ExitCode::Invalid);
                    }
                    tell(&report.problems, ExitCode::Success);
                }
                Err(Unasked::NoCluster(failed)) => {
                    super::refuse(vec![failed], format, streams);
                    return ExitCode::NoCluster;
                }
            }
        }
        match render(&manifests, format) {
            Ok(text) => streams.data(&text),
            Err(error) => super::refuse(vec![Failed::of(error, None)], format, streams),
        }
    }

    /// What the API servers say of the Jobs.
    async fn ask(
        self,
        previews: &[Preview],
        manifests: &[Manifest],
        streams: Streams,
    ) -> Result<Vec<StepAnswer>, Unasked> {
        let embedded = match self.local {
            true => Some(start(&self.state, self.objects).await?),
            false => None,
        };
        let limit = self.waits.get(WaitKind::Api);
        let mut clusters: BTreeMap<Target, Cluster> = BTreeMap::new();
        let mut answers = Vec::new();
        for (preview, manifest) in previews.iter().zip(manifests) {
            let target = match embedded {
                Some(_) => Target::default(),
                None => Target {
                    kubeconfig: preview.kubeconfig().map(PathBuf::from),
                    context: preview.config().context.clone(),
                },
            };
            let cluster = match (clusters.get(&target), &embedded) {
                (Some(cluster), _) => cluster.clone(),
                (None, Some(embedded)) => Cluster::local(embedded),
                (None, None) => {
                    connect(&target).await.map_err(|error| Unasked::NoCluster(Failed::new(&error, error.help())))?
                }
            };
            clusters.insert(target, cluster.clone());
            if let Some(embedded) = &embedded {
                let namespace = preview.config().namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
                embedded
                    .ensure_namespace(namespace)
                    .map_err(|refusal| Unasked::NoCluster(Failed::of(refusal.to_string(), None)))?;
            }
            let problems = match cluster.try_out(manifest, limit).await {
                Ok(warnings) => warnings.into_iter().map(|warning| problem(Severity::Warning, "", warning)).collect(),
                Err(objection) if matches!(objection.failure.kind, FailureKind::Unavailable { .. }) => {
                    let words = format!("the cluster does not answer: {objection}");
                    return Err(Unasked::NoCluster(Failed::of(words, None)));
                }
                Err(objection) => objections(&objection),
            };
            answers.push(StepAnswer { step: preview.step().to_owned(), problems });
        }
        if let Some(embedded) = embedded
            && let Err(error) = embedded.shutdown().await
        {
            streams.warning(&format!("the folder of the local cluster stays: {error}"));
        }
        Ok(answers)
    }
}

async fn start(state: &std::path::Path, objects: Option<Objects>) -> Result<Arc<LocalCluster>, Unasked> {
    let started = local::start(state, objects).await;
    started.map(Arc::new).map_err(|error| Unasked::NoCluster(Failed::new(&error, None)))
}

/// A problem for each field that the server names, at the value of the config that it comes from.
fn objections(objection: &Objection) -> Vec<ReviewProblem> {
    let named: Vec<ReviewProblem> = objection
        .causes
        .iter()
        .map(|cause| match config_path(&cause.field) {
            Some(path) => problem(Severity::Error, &path, cause.message.clone()),
            None if cause.field.is_empty() => problem(Severity::Error, "", cause.message.clone()),
            None => problem(Severity::Error, "", format!("{}: {}", cause.field, cause.message)),
        })
        .collect();
    if named.is_empty() { vec![problem(Severity::Error, "", objection.failure.words.clone())] } else { named }
}

fn problem(severity: Severity, path: &str, words: String) -> ReviewProblem {
    ReviewProblem {
        code: "cluster/dry-run".to_owned(),
        severity,
        message: format!("the API server: {words}"),
        path: path.to_owned(),
        help: None,
        url: None,
        fix: None,
    }
}
