//! The last gate before an attempt: the rules are asked about the final values, then what they let pass is made ready.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::config::{CleanupPolicy, DEFAULT_NAMESPACE};
use model::problem::{Problem, Severity};
use model::report::Report;
use model::workflow::{LogOutput, Step, StepKind};

use super::{Context, ReachError, Run};
use crate::admission::{Admission, AdmissionError, Admitted, AdmittedCommand, admit, admit_command};
use crate::cluster::Target;
use crate::event::{EventKind, JobName};
use crate::host::{Launch, Program, Shell, Signal, Streams, signal_named};
use crate::interpolate::Scope;
use crate::journal::{ERROR_LOG, RecordedAttempt};
use crate::manifest;
use crate::outcome::{Outcome, Reason, Verdict};
use crate::output::{DEFAULT_LARGEST, LinePatterns};
use crate::small_file::words;
use crate::step::{Attempt, Begin, Copies, DEFAULT_GRACE, HostAttempt, LogTarget, Policy, TimeLimit, not_started};

/// Between the stop signal and SIGKILL, where the workflow says nothing.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// What the rules have let pass.
enum Passed {
    Job(Box<Admitted>),
    Process(AdmittedCommand),
}

impl Context {
    /// An attempt of a Kubernetes step. An error is its verdict.
    /// `open`: an attempt that an earlier process intended, without a word on what came of it.
    pub(super) async fn prepare_job(
        self: &Arc<Self>,
        step: &Step,
        scope: &Arc<Scope>,
        number: u32,
        limit: Option<TimeLimit>,
        open: Option<&RecordedAttempt>,
    ) -> Result<Attempt, Verdict> {
        let Passed::Job(admitted) = self.review(step, scope).await? else {
            return Err(Verdict::new(invalid(), "it was reviewed as a process of this machine"));
        };
        let config = admitted.config();
        let target = Target { kubeconfig: admitted.kubeconfig().map(PathBuf::from), context: config.context.clone() };
        let namespace = config.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let reached = self.clusters.reach(&target, namespace, config.namespace.is_some()).await;
        let (cluster, watched) = reached.map_err(|error| no_cluster(&error))?;
        let policy = match config.cleanup_policy {
            Some(CleanupPolicy::Keep) => Policy::Keep,
            _ => Policy::Delete,
        };
        let job = manifest::build(&admitted, number);
        if let Some(why) = job.too_large() {
            return Err(Verdict::new(invalid(), format!("[{}] {why}", model::problem::code::RANGE)));
        }
        let grace = config.termination_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let intended = open.and_then(RecordedAttempt::job).map(|job| job.digest.clone());
        Ok(Attempt {
            step: Arc::from(step.name.as_str()),
            number,
            job: JobName { namespace: job.namespace().to_owned(), name: job.name().to_string() },
            begin: Begin::Create { job: Box::new(job), intended },
            target,
            policy,
            grace: grace.map_or(DEFAULT_GRACE, Duration::from_secs),
            limit,
            log: self.log_target(step, scope, number)?,
            cluster,
            watched,
            shared: self.shared.clone(),
        })
    }

    /// An attempt of a host step. An error is its verdict.
    pub(super) async fn prepare_process(
        self: &Arc<Self>,
        step: &Step,
        scope: &Arc<Scope>,
        number: u32,
        limit: Option<TimeLimit>,
    ) -> Result<HostAttempt, Verdict> {
        let Passed::Process(admitted) = self.review(step, scope).await? else {
            return Err(Verdict::new(invalid(), "it was reviewed as a Job"));
        };
        let workflow = self.run.effective.workflow();
        let folder = self.folder_of(step, scope);
        let on_host = self.scope_on_host(step, scope, &folder);
        let shell = Shell::of(Some(step), workflow).map(|word| on_host.text(word));
        let scripts = self.folder.path().join("scripts");
        let program = Program::of(admitted.command(), &shell, &on_host.positional(), &scripts);
        let log = self.log_target(step, scope, number)?;
        // What goes to one place only comes in the order in which it was written; two pipes cannot promise that.
        let is_apart = log.error_file.is_some()
            || log.output.is_some()
            || log.copies.output.is_some()
            || log.copies.error.is_some();
        let launch = Launch {
            program: program.map_err(|error| not_started(&error))?,
            folder,
            environment: on_host.variables(),
            streams: if is_apart { Streams::Apart } else { Streams::Together },
        };
        Ok(HostAttempt {
            step: Arc::from(step.name.as_str()),
            number,
            launch,
            signal: step.signal_on_stop.as_deref().and_then(signal_named).unwrap_or(Signal::TERM),
            grace: workflow.max_clean_up_time_sec.map_or(CLEAN_UP, Duration::from_secs),
            limit,
            log,
            shared: self.shared.clone(),
        })
    }

    /// Asks the rules about the final values. An error is the verdict.
    async fn review(self: &Arc<Self>, step: &Step, scope: &Arc<Scope>) -> Result<Passed, Verdict> {
        let (asked, of, values) = (self.clone(), step.clone(), scope.clone());
        // Components run on threads that may block. The semaphore is never closed.
        let permit = self.reviews.acquire().await;
        let admission = tokio::task::spawn_blocking(move || asked.ask_rules(&of, &values)).await;
        drop(permit);
        match admission {
            Ok(Ok(Admission::Admitted(passed, report))) => {
                let name = Arc::from(step.name.as_str());
                for problem in &report.problems {
                    self.shared.events.step(&name, EventKind::Warning { text: told(problem) });
                }
                Ok(passed)
            }
            Ok(Ok(Admission::Refused(report))) => Err(refused(&report)),
            Ok(Err(error)) => Err(Verdict::new(invalid(), error.to_string())),
            Err(error) => Err(Verdict::new(invalid(), format!("the rules could not be asked: {error}"))),
        }
    }

    fn ask_rules(&self, step: &Step, scope: &Scope) -> Result<Admission<Passed>, AdmissionError> {
        let Run { set, effective, id, .. } = &self.run;
        Ok(match step.kind {
            StepKind::Kubernetes => match admit(set, effective, step, scope, id)? {
                Admission::Admitted(admitted, report) => Admission::Admitted(Passed::Job(Box::new(admitted)), report),
                Admission::Refused(report) => Admission::Refused(report),
            },
            StepKind::Command => match admit_command(set, effective, step, scope, id)? {
                Admission::Admitted(admitted, report) => Admission::Admitted(Passed::Process(admitted), report),
                Admission::Refused(report) => Admission::Refused(report),
            },
        })
    }

    /// The folder of a step on this machine.
    pub(super) fn folder_of(&self, step: &Step, scope: &Scope) -> PathBuf {
        match &step.working_dir {
            Some(folder) => self.run.folder.join(scope.of_step_on_host(step).text(folder)),
            None => self.run.folder.clone(),
        }
    }

    /// The values of a step as its process, its shell and its conditions see them.
    pub(super) fn scope_on_host(&self, step: &Step, scope: &Scope, folder: &Path) -> Scope {
        let mut scope = scope.clone();
        scope.set_managed("PWD", folder.display().to_string());
        scope.of_step_on_host(step)
    }

    /// Where the log of an attempt goes. An error is the verdict.
    pub(super) fn log_target(&self, step: &Step, scope: &Scope, number: u32) -> Result<LogTarget, Verdict> {
        let workflow = self.run.effective.workflow();
        let folder = self.folder_of(step, scope);
        let on_host = scope.of_step_on_host(step);
        let copy = |key: &str, path: &Option<String>| {
            let Some(path) = path.as_deref().map(|path| folder.join(on_host.text(path))) else { return Ok(None) };
            File::create(&path).map(Some).map_err(|error| {
                Verdict::new(invalid(), format!("`{key}`: `{}` cannot be written: {}", path.display(), words(&error)))
            })
        };
        let lines = self.lines(step, scope)?;
        let file = self.folder.log(&step.name, number);
        let log_output = step.log_output.or(workflow.log_output);
        let is_apart = step.kind == StepKind::Command && log_output == Some(LogOutput::Separate);
        Ok(LogTarget {
            error_file: is_apart.then(|| file.with_extension(ERROR_LOG)),
            copies: Copies { output: copy("stdout", &step.stdout)?, error: copy("stderr", &step.stderr)? },
            output: step.output.is_some().then(|| self.largest_output()),
            lines,
            file,
        })
    }

    /// Lines that excuse a failure, and how much of the log is searched; none: nothing is looked for. An error is the
    /// verdict.
    pub(super) fn lines(&self, step: &Step, scope: &Scope) -> Result<Option<(LinePatterns, u64)>, Verdict> {
        let on_host = scope.of_step_on_host(step);
        let texts = step.continue_on.iter().flat_map(|on| &on.output).map(|text| on_host.text(text));
        let texts: Vec<String> = texts.collect();
        if texts.is_empty() {
            return Ok(None);
        }
        let patterns = LinePatterns::new(texts.iter().map(String::as_str))
            .map_err(|error| Verdict::new(invalid(), format!("`continue_on.output`: {error}")))?;
        Ok(Some((patterns, self.largest_output())))
    }

    fn largest_output(&self) -> u64 {
        self.run.effective.workflow().max_output_size.unwrap_or(DEFAULT_LARGEST)
    }
}

pub(super) fn invalid() -> Outcome {
    Outcome::failed(None, Reason::Invalid)
}

/// The verdict on a step whose cluster, or its namespace, cannot be used.
pub(super) fn no_cluster(error: &ReachError) -> Verdict {
    let mut verdict = Verdict::new(Outcome::failed(None, Reason::NoCluster), error.to_string());
    verdict.hint = error.help();
    verdict
}

/// The verdict on a step whose final values the rules refuse.
fn refused(report: &Report) -> Verdict {
    let reason = match report.verdict {
        model::report::Verdict::Denied => Reason::Denied,
        model::report::Verdict::Invalid | model::report::Verdict::Valid => Reason::Invalid,
    };
    let errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error);
    let mut verdict =
        Verdict::new(Outcome::failed(None, reason), errors.clone().map(told).collect::<Vec<_>>().join("\n"));
    verdict.hint = errors.filter_map(|problem| problem.help.clone()).next();
    verdict
}

/// A problem on one line.
fn told(problem: &Problem) -> String {
    let place = match (&problem.file, problem.line, problem.column) {
        (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
        (Some(file), ..) => format!("{file}: "),
        _ => String::new(),
    };
    format!("{place}[{}] {}", problem.code, problem.message)
}
