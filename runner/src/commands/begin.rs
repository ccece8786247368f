//! What a run begins with beside its rules: the values of its texts, and its folders on this machine.

use std::path::{Path, PathBuf};

use model::names::RunId;

use crate::dotenv;
use crate::interpolate::Scope;
use crate::journal::RunFolder;
use crate::plan::Effective;
use crate::report::Failed;
use crate::sources::Source;
use crate::wasm::Role;

/// The file with variables that is read where the workflow names none.
const DOTENV: &str = ".env";

/// What a run begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    /// The values of the run, without its secrets.
    pub(super) scope: Scope,
    /// Folder of host steps, and base of relative paths.
    pub(super) folder: PathBuf,
    /// Folder of the log files; none: in the folder of the run.
    pub(super) logs: Option<PathBuf>,
}

impl Beginning {
    /// Of a run whose folder is `state`; nothing is written.
    ///
    /// # Errors
    /// All that is wrong with files of variables.
    pub(super) fn of(effective: &Effective, id: &RunId, state: &Path) -> Result<Beginning, Vec<Failed>> {
        let workflow = effective.workflow();
        let text = |path: PathBuf| path.display().to_string();
        let state_variables = || {
            [
                ("DAG_RUN_WORK_DIR", text(RunFolder::work_in(state))),
                ("DAG_RUN_LOG_FILE", text(RunFolder::journal_in(state))),
            ]
        };
        let host = super::host();
        let own = folder_of_file(effective.sources());
        let folder = match &workflow.working_dir {
            None => own,
            Some(folder) => {
                let scope = Scope::managed(workflow, id.as_str(), host.clone(), state_variables());
                own.join(scope.text(folder))
            }
        };
        let variables = state_variables().into_iter().chain([("PWD", text(folder.clone()))]);
        let mut scope = Scope::managed(workflow, id.as_str(), host, variables);
        let default = [DOTENV.to_owned()];
        let files = workflow.dotenv.as_deref().unwrap_or(&default);
        let files: Vec<String> = files.iter().map(|file| scope.text(file)).collect();
        match dotenv::read(&folder, &files) {
            Ok(variables) => scope.add_dotenv(variables),
            Err(errors) => {
                let failed =
                    |error: &dotenv::DotenvError| Failed::of(error.to_string(), error.help().map(str::to_owned));
                return Err(errors.iter().map(failed).collect());
            }
        }
        let logs = workflow.log_dir.as_ref().map(|logs| {
            let logs = folder.join(scope.text(logs));
            logs.join(&workflow.name).join(id.as_str())
        });
        Ok(Beginning { scope, folder, logs })
    }
}

/// The folder of the workflow file, else where the program was started.
fn folder_of_file(sources: &[Source]) -> PathBuf {
    let file = sources.iter().rfind(|source| source.role == Role::Workflow);
    let parent = file.and_then(|source| Path::new(&source.name).parent()).unwrap_or(Path::new("."));
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
}
