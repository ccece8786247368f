//! No container gets the rights of its node: neither `privileged`, nor a way to gain rights, nor the capabilities that
//! amount to the same.

use runner_policy_sdk::prelude::*;

/// The policy.
pub struct NoPrivileged;

/// Capabilities that amount to all rights of the node.
const REFUSED: [&str; 2] = ["ALL", "SYS_ADMIN"];

impl Policy for NoPrivileged {
    const NAME: &str = "no-privileged";
    const SUMMARY: &str = "no privileged containers, no privilege escalation, neither ALL nor SYS_ADMIN added";

    fn review(request: &Request) -> Vec<Problem> {
        let context = &request.config.security_context;
        let mut problems = Vec::new();
        if context.privileged == Some(true) {
            problems.push(
                Problem::error("no-privileged/container", "a privileged container has all rights of its node")
                    .at("security_context.privileged")
                    .help("remove `privileged`, or write `privileged: false`")
                    .fix(false),
            );
        }
        if context.allow_privilege_escalation == Some(true) {
            problems.push(
                Problem::error("no-privileged/escalation", "a process could gain more rights than it starts with")
                    .at("security_context.allow_privilege_escalation")
                    .help("write `allow_privilege_escalation: false`")
                    .fix(false),
            );
        }
        for (index, capability) in context.capabilities.add.iter().enumerate() {
            // The container runtime takes any case, of all of Unicode, and the name with and without its prefix.
            let name = capability.trim().to_uppercase();
            if REFUSED.contains(&name.strip_prefix("CAP_").unwrap_or(&name)) {
                problems.push(
                    Problem::error(
                        "no-privileged/capability",
                        format!("the capability `{capability}` amounts to all rights of the node"),
                    )
                    .at(format!("security_context.capabilities.add[{index}]"))
                    .help("add only the capabilities that the program needs"),
                );
            }
        }
        problems
    }
}

export_policy!(NoPrivileged);

#[cfg(test)]
mod tests {
    #[test]
    fn cases() {
        runner_policy_sdk::testing::cases::<super::NoPrivileged>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"));
    }
}
