//! `runner exec`: the workflow as Jobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::local_cluster::LocalCluster;
use futures_util::StreamExt as _;
use model::names::RunId;
use model::problem::Problem;
use model::workflow::Workflow;
use tokio::sync::oneshot;

use super::begin::Beginning;
use super::dry_run::Rehearsal;
use crate::cli::{Exec, Format, Output, Shown, State};
use crate::event::{EventKind, Events};
use crate::journal::{FolderError, Journal, Recorded, RecordedOptions, Retention, RunFolder, state_folder};
use crate::local::{self, Objects};
use crate::plan::{Effective, plan_jobs};
use crate::policy_set::PolicySet;
use crate::report::{
    self, Checked, ExitCode, Failed, ReportError, Reporting, RunReporter, RunStreams, Streams, junit, show_problems,
    summary,
};
use crate::run::{Clusters, Run};
use crate::signals::signals;
use crate::sources::Sources;
use crate::step::waits::Waits;

/// What `--wait` takes.
const WAITS_HELP: &str = "write KIND=DURATION, as `pull=90s` or `schedule=1h30m`; `0` gives up at once";

pub(super) fn run(arguments: Exec, streams: Streams) -> ExitCode {
    let (format, junit) = (arguments.shown.format(), arguments.shown.junit.clone());
    match prepare(arguments, streams) {
        Ok(Prepared::Run(run, place, shown)) => launch(*run, *place, shown, streams),
        Ok(Prepared::Rehearsed(code)) => code,
        Err(refused) => refused.tell(format, junit.as_deref(), streams),
    }
}

/// What a command line comes to.
enum Prepared {
    Run(Box<Run>, Box<Place>, Shown),
    /// A dry run has said everything.
    Rehearsed(ExitCode),
}

/// Why nothing runs.
enum Refused {
    /// Something is wrong with the command, or with what it needs.
    Failures(Vec<Failed>),
    /// The rules refuse the file; people have been told.
    File(Box<Checked>),
}

impl From<Vec<Failed>> for Refused {
    fn from(failures: Vec<Failed>) -> Refused {
        Refused::Failures(failures)
    }
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Refused {
        Refused::Failures(vec![failed])
    }
}

impl From<FolderError> for Refused {
    fn from(error: FolderError) -> Refused {
        Failed::new(&error, error.help()).into()
    }
}

impl Refused {
    fn tell(self, format: Format, report: Option<&Path>, streams: Streams) -> ExitCode {
        let (code, checked) = match self {
            Refused::Failures(failures) => {
                let checked = report.map(|_| Checked::failed(failures.clone()));
                (super::refuse(failures, format, streams), checked)
            }
            Refused::File(checked) => {
                if format == Format::Json {
                    let problems: Vec<Problem> = checked.problems().cloned().collect();
                    streams.rejected(&problems, checked.policies(), checked.code());
                }
                (checked.code(), Some(*checked))
            }
        };
        // Whoever reads the report learns why there are no tests.
        let (Some(file), Some(checked)) = (report, checked) else { return code };
        if let Err(error) = junit(&checked).and_then(|text| std::fs::write(file, text)) {
            streams.error(&Failed::of(format!("`{}` cannot be written: {error}", file.display()), None));
        }
        code
    }
}

/// Reads everything and asks the rules; nothing has run yet.
fn prepare(arguments: Exec, streams: Streams) -> Result<Prepared, Refused> {
    let Exec {
        file,
        rules,
        local,
        local_objects,
        kubeconfig,
        context,
        run_id,
        max_active,
        exit_code_from,
        only,
        dry_run,
        waits: wait_texts,
        shown,
        state: State { state_dir },
    } = arguments;
    let format = shown.format();
    let waits = read_waits(&wait_texts)?;
    let id = run_id.map_or_else(new_run_id, |id| id.parse().map_err(|error| bad_run_id(&id, &error)))?;
    let (set, base, params) = super::in_force(rules)?;
    let sources = Sources::read(&base, &file, params).with_cluster(kubeconfig.as_deref(), context.as_deref());
    let effective = admitted(&sources, &set, format, streams)?;
    let only: Result<Vec<String>, Failed> =
        only.iter().map(|asked| named_step(effective.workflow(), "--only", asked)).collect();
    let only = only?;
    let effective = if only.is_empty() { effective } else { effective.only(&only) };
    let workflow = effective.workflow();
    let exit_code_from = exit_code_from.map(|asked| named_step(workflow, "--exit-code-from", &asked)).transpose()?;
    let objects = local_objects.as_deref().map(Objects::read).transpose();
    let objects = objects.map_err(|error| Failed::new(&error, None))?;
    let most = max_active.or_else(|| workflow.max_active_steps.and_then(|most| usize::try_from(most).ok()));
    let resume = super::resume_command(&id, state_dir.as_deref());
    let state = state_folder(state_dir)?;
    let beginning = Beginning::of(&effective, &id, &RunFolder::path_of(&state, &id))?;
    if let Some(by) = dry_run {
        let scope = beginning.scope;
        let rehearsal = Rehearsal { by, id, scope, waits, local, objects, state, format };
        return Ok(Prepared::Rehearsed(rehearsal.run(&set, &effective, streams)));
    }
    let options = RecordedOptions {
        max_active: most.unwrap_or(0),
        exit_code_from,
        only,
        waits: wait_texts,
        hist_retention_days: workflow.hist_retention_days,
        hist_retention_runs: workflow.hist_retention_runs,
    };
    let recorded = Recorded::new(&sources, &set, local, options);
    let folder = RunFolder::create(&state, &id)?;
    let folder = match beginning.logs {
        Some(logs) => folder.with_logs(logs)?,
        None => folder,
    };
    folder.record(&recorded)?;
    let journal = folder.journal()?;
    let run = Run {
        set: Arc::new(set),
        effective: Arc::new(effective),
        scope: Arc::new(beginning.scope),
        folder: beginning.folder,
        id,
        max_active: recorded.options.max_active,
        exit_code_from: recorded.options.exit_code_from,
        earlier: None,
        resume,
    };
    let place = Place { state, folder, journal, waits, local, objects };
    Ok(Prepared::Run(Box::new(run), Box::new(place), shown))
}

/// The file, when no rule has anything against it. What the rules remark is told.
fn admitted(sources: &Sources, set: &PolicySet, format: Format, streams: Streams) -> Result<Effective, Refused> {
    let planned = plan_jobs(sources, set).map_err(|error| Failed::new(&error, error.help()))?;
    if format == Format::Human {
        streams.policies(set);
        streams.words(&show_problems(&planned.report.problems, sources.texts()));
        streams.words(&summary(&planned.report.problems).unwrap_or_default());
    }
    let is_valid = ExitCode::from(planned.report.verdict) == ExitCode::Success;
    planned.effective.filter(|_| is_valid).ok_or_else(|| {
        let mut checked = Checked::under(set);
        checked.add(sources.texts(), planned.report);
        Refused::File(Box::new(checked))
    })
}

impl Shown {
    /// How mistakes are told.
    pub(super) fn format(&self) -> Format {
        if self.output == Output::Json { Format::Json } else { Format::Human }
    }
}

/// Runs it and shows it, to the end.
pub(super) fn launch(run: Run, place: Place, shown: Shown, streams: Streams) -> ExitCode {
    let format = shown.format();
    let output = match shown.output {
        Output::Auto => report::Output::auto(),
        Output::Plain => report::Output::Plain,
        Output::Json => report::Output::Json,
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return super::refuse(vec![Failed::new(&error, None)], format, streams),
    };
    let reporter = RunReporter::new(output, RunStreams::of(streams), shown.quiet);
    let reporter = match shown.junit {
        Some(file) => reporter.with_junit(file),
        None => reporter,
    };
    let (queue, thread) = match report::spawn(reporter) {
        Ok(spawned) => spawned,
        Err(error) => return super::refuse(vec![Failed::new(&error, None)], format, streams),
    };
    let code = runtime.block_on(drive(run, place, Events::new(queue)));
    let written = runtime.block_on(shown_to_the_end(thread));
    // Whatever still blocks, as a credential plugin that nobody waits for any more, must not hold up the end.
    runtime.shutdown_background();
    match written {
        Err(error) => {
            streams.error(&Failed::new(&error, None));
            code.max(ExitCode::Failed)
        }
        Ok(()) => code,
    }
}

/// All events are shown before the program ends, unless somebody who does not read them asks it to end.
async fn shown_to_the_end(shown: Reporting) -> Result<(), ReportError> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // A reporter that panicked has said so.
        let _ = end.send(shown.join().unwrap_or(Ok(())));
    });
    let Ok(mut signals) = signals() else { return ended.await.unwrap_or(Ok(())) };
    tokio::select! {
        written = ended => written.unwrap_or(Ok(())),
        _ = signals.next() => Ok(()),
    }
}

/// Where a run has its state and its cluster.
pub(super) struct Place {
    pub(super) state: PathBuf,
    pub(super) folder: RunFolder,
    pub(super) journal: Journal,
    pub(super) waits: Waits,
    pub(super) local: bool,
    pub(super) objects: Option<Objects>,
}

/// Runs it, with the embedded cluster around it if it has one.
async fn drive(run: Run, place: Place, events: Events) -> ExitCode {
    let Place { state, folder, journal, waits, local, objects } = place;
    let workflow = run.effective.workflow();
    let retention = Retention::new(workflow.hist_retention_days, workflow.hist_retention_runs);
    let (workflow, id) = (workflow.name.clone(), run.id.clone());
    let fatal = |text: String| {
        events.run(EventKind::Fatal { text, help: None });
        ExitCode::NoCluster
    };
    // Before anything is made: a signal from here on ends the run in order.
    let signals = match signals() {
        Ok(signals) => signals,
        Err(error) => return fatal(format!("signals cannot be received: {error}")),
    };
    let cluster = match start_local(local, &state, objects).await {
        Ok(cluster) => cluster,
        Err(failed) => return fatal(failed),
    };
    let clusters =
        Clusters::new(run.id.clone(), &waits, events.clone(), journal.clone(), cluster.clone(), run.earlier.clone());
    let end = run.execute(folder, journal, clusters, waits, events.clone(), signals).await;
    if let Some(cluster) = cluster
        && let Err(error) = cluster.shutdown().await
    {
        events.run(EventKind::Warning { text: format!("the folder of the local cluster stays: {error}") });
    }
    // A few old folders more or less are no reason to wait for a slow disk, nor to fail.
    drop(tokio::task::spawn_blocking(move || retention.apply(&state, &workflow, &id)).await);
    end.exit_code
}

async fn start_local(wanted: bool, state: &Path, objects: Option<Objects>) -> Result<Option<LocalCluster>, String> {
    if !wanted {
        return Ok(None);
    }
    let started = local::start(state, objects).await;
    let cluster = started.map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })?;
    Ok(Some(cluster))
}

fn new_run_id() -> Result<RunId, Failed> {
    let id = uuid::Uuid::now_v7().to_string();
    id.parse().map_err(|error| bad_run_id(&id, &error))
}

fn bad_run_id(id: &str, error: &model::syntax::Violation) -> Failed {
    Failed::of(format!("`--run-id {id}`: {error}"), Some("use 1 to 64 letters, digits, `-` and `_`".to_owned()))
}

pub(super) fn read_waits(given: &[String]) -> Result<Waits, Vec<Failed>> {
    let mut waits = Waits::default();
    let failures: Vec<Failed> = given
        .iter()
        .filter_map(|text| {
            let error = waits.set(text).err()?;
            Some(Failed::of(format!("`--wait {text}`: {error}"), Some(WAITS_HELP.to_owned())))
        })
        .collect();
    if failures.is_empty() { Ok(waits) } else { Err(failures) }
}

/// The name of the step that `asked` means.
fn named_step(workflow: &Workflow, option: &str, asked: &str) -> Result<String, Failed> {
    let found = workflow.steps.iter().find(|step| step.name == asked || step.id.as_deref() == Some(asked));
    found.map(|step| step.name.clone()).ok_or_else(|| {
        let names: Vec<String> = workflow.steps.iter().take(20).map(|step| format!("`{}`", step.name)).collect();
        let more = if workflow.steps.len() > names.len() { ", …" } else { "" };
        Failed::of(
            format!("`{option} {asked}`: there is no such step"),
            Some(format!("the steps are {}{more}", names.join(", "))),
        )
    })
}
