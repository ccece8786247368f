//! `runner rbac`: the Role that a run needs, for all that a run may do or for one workflow file.

use std::collections::BTreeSet;

use model::config::{CleanupPolicy, DEFAULT_NAMESPACE};
use model::names::RunId;
use model::syntax::Syntax;
use model::workflow::SecretProvider;

use crate::admission::{Admission, Preview, preview};
use crate::cli::{self, Format};
use crate::interpolate::Scope;
use crate::plan::plan_jobs;
use crate::report::{ExitCode, Failed, Rbac, Streams, show_problems, summary};
use crate::sources::Sources;

/// The run id that names hold while there is no run.
const RUN_ID: &str = "rbac";

pub(super) fn run(arguments: cli::Rbac, streams: Streams) -> ExitCode {
    let cli::Rbac { file, namespaces, service_account, rules } = arguments;
    let namespaces: BTreeSet<String> = namespaces.into_iter().collect();
    let (account_namespace, account) = match service_account.split_once(':') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
        None => (None, service_account),
    };
    let is_name = |name: &String| Syntax::DnsLabel.check(name).is_ok();
    if let Some(wrong) = namespaces.iter().chain(&account_namespace).find(|name| !is_name(name)) {
        return refuse(format!("`{wrong}` is no name of a namespace"), streams);
    }
    if Syntax::DnsSubdomain.check(&account).is_err() {
        return refuse(format!("`{account}` is no name of a service account"), streams);
    }
    let whole = Rbac { namespaces, account_namespace, account, keeps_jobs: true, reads_secrets: true };
    let rbac = match file {
        None if whole.namespaces.is_empty() => {
            Rbac { namespaces: BTreeSet::from([DEFAULT_NAMESPACE.to_owned()]), ..whole }
        }
        None => whole,
        Some(file) => {
            let (set, base, params) = match super::rules(rules, Format::Human, streams) {
                Ok(rules) => rules,
                Err(code) => return code,
            };
            let sources = Sources::read(&base, &file, params);
            let planned = match plan_jobs(&sources, &set) {
                Ok(planned) => planned,
                Err(error) => return super::unanswered(&error, Format::Human, streams),
            };
            let refused = |report: &model::report::Report| {
                streams.words(&show_problems(&report.problems, sources.texts()));
                streams.words(&summary(&report.problems).unwrap_or_default());
                ExitCode::from(report.verdict)
            };
            let code = ExitCode::from(planned.report.verdict);
            let Some(effective) = planned.effective.filter(|_| code == ExitCode::Success) else {
                return refused(&planned.report);
            };
            let Ok(id) = RUN_ID.parse::<RunId>() else { return ExitCode::Invalid };
            let workflow = effective.workflow();
            let scope = Scope::of_run(workflow, RUN_ID, super::host());
            match preview(&set, &effective, &scope, &id) {
                Ok(Admission::Admitted(previews, _)) => {
                    let reads_secrets =
                        workflow.secrets.iter().any(|secret| secret.provider == SecretProvider::Kubernetes);
                    of_steps(whole, &previews, reads_secrets, streams)
                }
                Ok(Admission::Refused(report)) => return refused(&report),
                Err(error) => return super::unanswered(&error, Format::Human, streams),
            }
        }
    };
    streams.data(&rbac.manifests())
}

fn refuse(message: String, streams: Streams) -> ExitCode {
    super::refuse(vec![Failed::of(message, None)], Format::Human, streams)
}

/// What these steps need, and no more.
fn of_steps(whole: Rbac, previews: &[Preview], reads_secrets: bool, streams: Streams) -> Rbac {
    let keeps_jobs = previews.iter().any(|step| step.config().cleanup_policy == Some(CleanupPolicy::Keep));
    let mut namespaces = whole.namespaces;
    if namespaces.is_empty() {
        for step in previews {
            let namespace = step.config().namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
            if namespace.contains('$') {
                let step = step.step();
                streams.warning(&format!(
                    "step `{step}`: namespace `{namespace}` is known only when it runs: name it with `-n`"
                ));
            } else {
                namespaces.insert(namespace.to_owned());
            }
        }
    }
    Rbac { namespaces, keeps_jobs, reads_secrets, ..whole }
}
