//! Nothing runs on the machine of the runner: every step and every handler is a Kubernetes step.
//!
//! A command step has no config, so there is no value to demand; what is reviewed is the kind of the step. The text of its
//! command is not looked at: its shell makes something else of it anyway.

use runner_policy_sdk::prelude::*;

/// The policy.
pub struct NoHostSteps;

impl Policy for NoHostSteps {
    const NAME: &str = "no-host-steps";
    const SUMMARY: &str = "every step and every handler runs on Kubernetes, none on the machine of the runner";

    fn review(request: &Request) -> Vec<Problem> {
        if request.step.kind == StepKind::Kubernetes {
            return Vec::new();
        }
        let (what, help) = match &request.step.command {
            Some(Command::Argv(_)) => {
                ("a program", "make it a Kubernetes step: `type: k8s`, and as `config.image` an image with the program")
            }
            Some(Command::Script(_)) => ("a script", THROUGH_A_SHELL),
            Some(Command::Shell(_)) | None => ("a shell command", THROUGH_A_SHELL),
        };
        let message = format!("this step runs {what} on the machine of the runner");
        vec![Problem::error("no-host-steps/command", message).help(help)]
    }
}

/// A Kubernetes step has no shell but the one its image brings along.
const THROUGH_A_SHELL: &str = "make it a Kubernetes step: `type: k8s`, as `config.image` an image with a shell, and \
                               `command: [sh, -c, \"…\"]`";

export_policy!(NoHostSteps);

#[cfg(test)]
mod tests {
    #[test]
    fn cases() {
        runner_policy_sdk::testing::cases::<super::NoHostSteps>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    }
}
