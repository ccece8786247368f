//! The network of the node: a bridge that pods hang on, and one rule that leads them to the API server.
//!
//! The API server listens on loopback alone, and pods find it under the address of the service `kubernetes`: the rule
//! turns that address into the loopback one, for packets that come from the bridge. That is what kube-proxy would be for
//! here; no other service needs it. Nothing is forwarded to the outside: pods reach the node and each other.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::command;

/// The bridge; at most 15 characters.
pub(super) const BRIDGE: &str = "runner-k8s";
/// Address of the bridge: the node's own and the pods' gateway.
pub(super) const NODE_ADDRESS: &str = "10.243.0.1";
/// What pods get their addresses from: a thousand.
pub(super) const POD_SUBNET: &str = "10.243.0.0/22";
/// What services get their addresses from.
pub(super) const SERVICE_SUBNET: &str = "10.243.16.0/24";
/// Address of the service `kubernetes`: the first of its subnet.
pub(super) const SERVICE_ADDRESS: &str = "10.243.16.1";
/// Where a cluster would have its DNS; there is none, and without an address each pod gets a warning for an event.
pub(super) const DNS_ADDRESS: &str = "10.243.16.10";

/// Marks the rule.
const COMMENT: &str = "runner-kubernetes";

/// Makes bridge and rule; those that are there stay.
///
/// # Errors
/// When another cluster has the bridge, or something else has its addresses.
pub(super) fn add(folder: &Path, port: u16) -> Result<()> {
    match owner() {
        None => add_bridge(folder)?,
        Some(owner) if owner.is_empty() => {
            command::output(&mut ip(&["link", "delete", BRIDGE]))?;
            add_bridge(folder)?;
        }
        Some(owner) if is_ours(&owner, folder) => {}
        Some(owner) => bail!(
            "the bridge `{BRIDGE}` is there already, made for `{owner}`; there is one cluster a machine\n\
             help: take the other one down: `cargo xtask kubernetes down --folder {owner}`"
        ),
    }
    // Without it the kernel drops packets for loopback that come from elsewhere. It holds for this bridge alone.
    fs::write(format!("/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet"), "1").context("route_localnet")?;
    if !has_rule(port) {
        command::output(&mut iptables("-I", port))
            .context("the rule for the service `kubernetes` could not be made")?;
    }
    Ok(())
}

/// Removes what [`add`] made for this folder; nothing to do when it is not there.
pub(super) fn remove(folder: &Path) -> Result<()> {
    if !owner().is_some_and(|owner| is_ours(&owner, folder)) {
        return Ok(());
    }
    while let Some(rule) = rules()?.first() {
        let mut delete = program("iptables");
        delete.args(["-w", "-t", "nat", "-D"]).args(rule);
        command::output(&mut delete)?;
    }
    command::output(&mut ip(&["link", "delete", BRIDGE]))?;
    Ok(())
}

/// One without an owner was made a moment before its maker was killed.
fn is_ours(owner: &str, folder: &Path) -> bool {
    owner.is_empty() || owner == folder.to_string_lossy()
}

/// Whether a cluster's bridge is there.
pub(super) fn is_there() -> bool {
    owner().is_some()
}

/// Whom the bridge belongs to; none when there is no bridge.
fn owner() -> Option<String> {
    let alias = fs::read_to_string(format!("/sys/class/net/{BRIDGE}/ifalias")).ok()?;
    Some(alias.trim_end().to_owned())
}

fn add_bridge(folder: &Path) -> Result<()> {
    let taken = command::output(&mut ip(&["-4", "-o", "route", "show", "match", NODE_ADDRESS]))?;
    if let Some(route) = taken.lines().find(|route| !route.starts_with("default")) {
        bail!("the addresses `{POD_SUBNET}` are in use on this machine: {}", route.trim_end());
    }
    command::output(&mut ip(&["link", "add", "name", BRIDGE, "type", "bridge"]))
        .with_context(|| format!("the bridge `{BRIDGE}` could not be made"))?;
    let folder = folder.to_string_lossy();
    command::output(&mut ip(&["link", "set", "dev", BRIDGE, "alias", &folder]))?;
    let (_, length) = POD_SUBNET.split_once('/').unwrap_or_default();
    command::output(&mut ip(&["address", "add", &format!("{NODE_ADDRESS}/{length}"), "dev", BRIDGE]))?;
    command::output(&mut ip(&["link", "set", "dev", BRIDGE, "up"]))?;
    Ok(())
}

fn ip(arguments: &[&str]) -> Command {
    let mut ip = program("ip");
    ip.args(arguments);
    ip
}

fn iptables(action: &str, port: u16) -> Command {
    let mut iptables = program("iptables");
    iptables.args(["-w", "-t", "nat", action, "PREROUTING", "-i", BRIDGE, "-d", SERVICE_ADDRESS]);
    iptables.args(["-p", "tcp", "--dport", "443", "-m", "comment", "--comment", COMMENT]);
    iptables.args(["-j", "DNAT", "--to-destination", &format!("127.0.0.1:{port}")]);
    iptables
}

fn has_rule(port: u16) -> bool {
    command::succeeds(&mut iptables("-C", port))
}

/// Our rules as iptables prints them, whatever port they lead to.
fn rules() -> Result<Vec<Vec<String>>> {
    let mut list = program("iptables");
    list.args(["-w", "-t", "nat", "-S", "PREROUTING"]);
    Ok(ours(&command::output(&mut list)?))
}

/// Our rules among those listed, without the `-A` in front.
fn ours(listed: &str) -> Vec<Vec<String>> {
    let rules = listed.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    rules
        .filter(|rule| rule.iter().any(|word| word == COMMENT))
        .map(|rule| rule.into_iter().skip(1).collect())
        .collect()
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", super::process::search_path());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_rules_are_deleted() {
        let listed = "-P PREROUTING ACCEPT\n\
                      -A PREROUTING -i docker0 -j DOCKER\n\
                      -A PREROUTING -d 10.243.16.1/32 -i runner-k8s -m comment --comment runner-kubernetes -j DNAT\n";
        let rules = ours(listed);
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0][..3], ["PREROUTING", "-d", "10.243.16.1/32"]);
    }

    #[test]
    fn the_names_fit_the_kernel() {
        assert!(BRIDGE.len() <= 15);
        assert!(!COMMENT.contains(' '), "iptables prints it without quotes");
    }
}
