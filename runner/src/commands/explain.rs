//! `runner explain`: the effective config of steps with the origin of every value.

use model::workflow::StepKind;
use serde_json::json;

use crate::cli::{Explain, Format};
use crate::plan::plan;
use crate::report::{
    ExitCode, ExplainedStep, Failed, PolicyInForce, Streams, explain, field_path, show_problems, summary,
};
use crate::sources::Sources;

pub(super) fn run(arguments: Explain, streams: Streams) -> ExitCode {
    let Explain { file, step: asked, field, rules, format } = arguments;
    let (set, base, params) = match super::rules(rules, format, streams) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let field = match field.as_deref().map(field_path).transpose() {
        Ok(field) => field,
        Err(failed) => return super::refuse(vec![failed], format, streams),
    };
    let field = field.as_deref();
    let sources = Sources::read(&base, &file, params);
    let planned = match plan(&sources, &set) {
        Ok(planned) => planned,
        Err(error) => return super::unanswered(&error, format, streams),
    };
    let code = ExitCode::from(planned.report.verdict);
    let is_asked =
        |name: &str, id: Option<&str>| asked.as_deref().is_none_or(|asked| asked == name || Some(asked) == id);
    let pairs: Vec<_> = planned
        .steps
        .iter()
        .filter(|step| is_asked(&step.name, step.id.as_deref()))
        .filter_map(|step| Some((step, planned.merged.iter().find(|merged| merged.step == step.name)?)))
        .collect();
    if format == Format::Human {
        streams.policies(&set);
        streams.words(&show_problems(&planned.report.problems, sources.texts()));
        streams.words(&summary(&planned.report.problems).unwrap_or_default());
    }
    if let Some(asked) = asked.as_deref().filter(|_| pairs.is_empty()) {
        let known = planned.steps.iter().find(|step| is_asked(&step.name, step.id.as_deref()));
        let (message, help) = match known {
            Some(step) if step.kind == StepKind::Command => {
                (format!("step `{asked}` runs on this machine: it has no Kubernetes config"), None)
            }
            _ => {
                let names: Vec<&str> = planned.steps.iter().map(|step| step.name.as_str()).collect();
                (format!("there is no step `{asked}`"), Some(format!("the steps: `{}`", names.join("`, `"))))
            }
        };
        return super::refuse(vec![Failed::of(message, help)], format, streams);
    }
    match format {
        Format::Human => {
            let texts: Vec<String> =
                pairs.iter().map(|(step, merged)| explain(step, merged, field, sources.texts())).collect();
            code.max(streams.data(&texts.join("\n")))
        }
        Format::Json => {
            let steps: Vec<ExplainedStep> =
                pairs.iter().map(|(step, merged)| ExplainedStep::new(step, merged, field, sources.texts())).collect();
            streams.warnings(&set);
            code.max(streams.json(&json!({
                "version": 1,
                "policies": PolicyInForce::list(&set),
                "steps": steps,
                "problems": planned.report.problems,
            })))
        }
    }
}
