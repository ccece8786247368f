//! Requests and limits together.

use model::config::EffectiveConfig;
use model::path;
use model::problem::{CoreProblem, code};
use model::quantity::{Amount, Quantity};
use model::syntax::Syntax;

use super::Checking;

/// A request is at most its limit; what cannot be overcommitted is requested as it is limited, and whole.
pub(super) fn merged(checking: &mut Checking<'_>, config: &EffectiveConfig) {
    let resources = &config.resources;
    let blocks = [("resources.requests", &resources.requests), ("resources.limits", &resources.limits)];
    for (block, quantities) in blocks {
        for (name, quantity) in quantities {
            fraction(checking, &path::key(block, name), name, quantity);
        }
    }
    for (name, request) in &resources.requests {
        let at = path::key("resources.requests", name);
        let of_limit = path::key("resources.limits", name);
        let Some(limit) = resources.limits.get(name) else {
            if is_exact(name) && !checking.lacks_parts(&of_limit) {
                let message =
                    format!("`{name}` is requested without a limit: Kubernetes refuses it unless a webhook adds one");
                checking.doubtful(message, "set the same limit", &at);
            }
            continue;
        };
        let (Some(requested), Some(limited)) = (judged(checking, &at, request), judged(checking, &of_limit, limit))
        else {
            continue;
        };
        let message = if requested > limited {
            format!("the request `{}` of `{name}` is larger than its limit `{}`", request.as_str(), limit.as_str())
        } else if is_exact(name) && requested != limited {
            format!("the request `{}` of `{name}` must equal its limit `{}`", request.as_str(), limit.as_str())
        } else {
            continue;
        };
        let problem = CoreProblem::error(code::RANGE, message)
            .help(checking.also(&of_limit))
            .related(checking.position(&of_limit), "the limit is here");
        checking.say(problem, &at);
    }
}

fn judged(checking: &Checking<'_>, path: &str, quantity: &Quantity) -> Option<Amount> {
    if checking.is_judged(path) { quantity.parse().ok() } else { None }
}

/// Extended resources and huge pages cannot be overcommitted.
/// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources>
fn is_exact(name: &str) -> bool {
    (name.contains('/') || name.starts_with("hugepages-")) && Syntax::ResourceName.check(name).is_ok()
}

fn fraction(checking: &mut Checking<'_>, path: &str, name: &str, quantity: &Quantity) {
    let Some(amount) = judged(checking, path, quantity) else { return };
    if amount.is_whole() {
        return;
    }
    let written = quantity.as_str();
    if name.contains('/') {
        let problem =
            CoreProblem::error(code::QUANTITY, format!("`{name}` is counted in whole numbers, found `{written}`"))
                .help("write a whole number");
        checking.say(problem, path);
    } else if matches!(name, "memory" | "ephemeral-storage") {
        let meant = written.strip_suffix('m').map_or_else(|| "128Mi".to_owned(), |number| format!("{number}Mi"));
        checking.doubtful(
            format!("`{written}` of `{name}` is a fraction of a byte"),
            &format!("was `{meant}` meant?"),
            path,
        );
    }
}
