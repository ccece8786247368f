//! `runner runs resume`: the rest of a run whose process is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Refused, named};
use crate::cli::RunsResume;
use crate::commands::begin::Beginning;
use crate::commands::exec::{Place, launch, read_waits};
use crate::journal::{FolderError, History, Opened, Recorded, RecordedPolicy, RunFolder};
use crate::plan::{Effective, plan_jobs};
use crate::policy_set::PolicySet;
use crate::report::{ExitCode, Failed, Streams};
use crate::run::Run;
use crate::wasm::ComponentFile;

pub(super) fn run(arguments: RunsResume, streams: Streams) -> Result<ExitCode, Refused> {
    let RunsResume { run, policies, waits, mut shown, state } = arguments;
    // It is named from here, and the run may go on elsewhere.
    shown.junit = shown.junit.map(|file| std::path::absolute(&file).unwrap_or(file));
    let command = |id| crate::commands::resume_command(id, state.state_dir.as_deref());
    let state_folder = state.folder()?;
    let policies: Vec<PathBuf> =
        policies.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect();
    let (id, opened) = named(&state_folder, &run)?;
    if let Some(holder) = opened.holder {
        return Err(FolderError::Held { run: id.to_string(), holder }.into());
    }
    // From here on nobody else takes it up; what was read before that may be old.
    let folder = RunFolder::take(&state_folder, &id)?;
    let opened = Opened::read(&state_folder, &id)?;
    goes_on(&opened.history)?;
    let recorded = opened.recorded()?;
    // Paths of the file are relative to where the run began. Where that is gone, those that need it are told as missing.
    let _ = std::env::set_current_dir(&recorded.folder);
    let waits = if waits.is_empty() { recorded.options.waits.clone() } else { waits };
    let waits = match read_waits(&waits) {
        Ok(waits) => waits,
        Err(failures) => return Ok(crate::commands::refuse(failures, shown.format(), streams)),
    };
    let set = rules(&recorded, &policies)?;
    let effective = effective(&recorded, &set)?;
    let journal = folder.resume_journal(opened.length, opened.seq)?;
    let beginning = match Beginning::of(&effective, &id, folder.path()) {
        Ok(beginning) => beginning,
        Err(failures) => return Ok(crate::commands::refuse(failures, shown.format(), streams)),
    };
    let folder = match &opened.history.logs {
        Some(logs) => folder.with_logs(logs.clone())?,
        None => folder,
    };
    let resume = command(&id);
    let run = Run {
        set: Arc::new(set),
        effective: Arc::new(effective),
        scope: Arc::new(beginning.scope),
        folder: beginning.folder,
        id,
        max_active: recorded.options.max_active,
        exit_code_from: recorded.options.exit_code_from,
        earlier: Some(Arc::new(opened.history.resumed())),
        resume,
    };
    let place = Place { state: state_folder, folder, journal, waits, local: false, objects: None };
    Ok(launch(run, place, shown, streams))
}

/// Whether there is anything to take up.
fn goes_on(history: &History) -> Result<(), Failed> {
    let run = &history.run;
    if history.is_over() {
        let help = format!("`runner runs show {run}` shows how; a new run begins with `runner exec`");
        return Err(Failed::of(format!("run `{run}` has ended"), Some(help)));
    }
    if history.local {
        let help = "begin a new run; Jobs of a cluster outside of the program can be taken up".to_owned();
        return Err(Failed::of(format!("the local cluster of run `{run}` ended with its process"), Some(help)));
    }
    Ok(())
}

/// The rules that were in force when the run began, and no others.
fn rules(recorded: &Recorded, places: &[PathBuf]) -> Result<PolicySet, Refused> {
    let digest = |file: &Path| Some(ComponentFile::read(file).ok()?.sha256().to_string());
    let files = recorded.policy_files(places, digest).map_err(|missing| missing_policies(&missing))?;
    let set = PolicySet::load(&files).map_err(|error| {
        let failed = crate::commands::failures(&error).into_iter().next();
        failed.unwrap_or_else(|| Failed::new(&error, None))
    })?;
    let core = set.core().component().sha256().to_string();
    if core != recorded.core {
        let message =
            format!("the run began under core policy sha256:{}; this version has sha256:{core}", recorded.core);
        return Err(Failed::of(message, Some("use the version of runner that began it".to_owned())).into());
    }
    Ok(set)
}

fn missing_policies(missing: &[RecordedPolicy]) -> Failed {
    let named: Vec<String> = missing
        .iter()
        .map(|policy| {
            let RecordedPolicy { name, version, sha256, file } = policy;
            format!("policy `{name}` {version} with sha256:{sha256} is not in `{}` any more", file.display())
        })
        .collect();
    let help = "name where it is now with `--policy`: a run goes on under the rules it began with".to_owned();
    Failed::of(named.join("; "), Some(help))
}

/// The workflow as it was read then.
fn effective(recorded: &Recorded, set: &PolicySet) -> Result<Effective, Failed> {
    let planned = plan_jobs(&recorded.sources(), set).map_err(|error| Failed::new(&error, error.help()))?;
    let is_refused = ExitCode::from(planned.report.verdict) != ExitCode::Success;
    let only = &recorded.options.only;
    let effective = planned.effective.map(|effective| if only.is_empty() { effective } else { effective.only(only) });
    effective.filter(|_| !is_refused).ok_or_else(|| {
        let first = planned.report.problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
        Failed::of(format!("the recorded workflow is refused now: {first}"), None)
    })
}
