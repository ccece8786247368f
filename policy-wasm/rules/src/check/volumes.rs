//! Mounts refer to volumes.

use std::collections::HashSet;

use model::config::EffectiveConfig;
use model::path;
use model::problem::{CoreProblem, code};

use super::Checking;
use crate::suggest;
use crate::yaml::cut;

/// Every mount names one of the volumes.
pub(super) fn merged(checking: &mut Checking<'_>, config: &EffectiveConfig) {
    let open = |checking: &Checking<'_>| {
        checking.lacks_parts("volumes")
            || (0..config.volumes.len())
                .any(|index| !checking.is_judged(&path::key(&path::index("volumes", index), "name")))
    };
    if open(checking) {
        return;
    }
    // More names than that are no help.
    const LISTED: usize = 20;
    let mut known: HashSet<&str> = HashSet::new();
    let mut names: Vec<&str> = config.volumes.iter().filter_map(|volume| volume.name.as_deref()).collect();
    names.retain(|name| known.insert(name));
    for (index, mount) in config.volume_mounts.iter().enumerate() {
        let at = path::key(&path::index("volume_mounts", index), "name");
        let Some(name) = mount.name.as_deref().filter(|name| !name.trim().is_empty()) else { continue };
        if known.contains(name) || !checking.is_judged(&at) {
            continue;
        }
        let problem = CoreProblem::error(code::REFERENCE, format!("no volume is called `{}`", cut(name)));
        let problem = match suggest::nearest(name, names.iter().copied()) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
            None if names.is_empty() => {
                problem.help("add it under `volumes`; a list in a step replaces the inherited one as a whole")
            }
            None => {
                let listed = names.get(..LISTED.min(names.len())).unwrap_or_default().join("`, `");
                problem.help(format!("the volumes: `{listed}`"))
            }
        };
        checking.say(problem, &at);
    }
}
