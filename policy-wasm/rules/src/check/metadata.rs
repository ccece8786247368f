//! Labels and annotations.

use model::config::EffectiveConfig;
use model::problem::{CoreProblem, code};

use super::Checking;

/// What the API server accepts for all annotations of an object together, in bytes.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/>
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// All annotations together have a limit.
pub(super) fn merged(checking: &mut Checking<'_>, config: &EffectiveConfig) {
    let size: usize = config.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_ANNOTATIONS {
        let problem = CoreProblem::error(
            code::RANGE,
            format!("the annotations have {size} bytes together, more than the limit of {MAX_ANNOTATIONS}"),
        )
        .help("put large data into a ConfigMap");
        checking.say(problem, "annotations");
    }
}
