//! Units of systemd: what no step starts or stops, whatever a policy says, and what the policy says of the others.

use super::Policy;
use super::verdict::{Decision, Verdict};
use crate::glob;

/// Kinds of units that stand for one program.
const SINGLE: [&str; 4] = [".service", ".socket", ".timer", ".path"];
/// Kinds that take others with them, end the machine, or change what files are where.
const WIDE: [&str; 8] =
    [".target", ".slice", ".scope", ".mount", ".automount", ".swap", ".device", ".snapshot"];
/// By their names without the kind: the agent itself, what ends the machine, and what lets anybody in.
const NEVER: [&str; 20] = [
    "node-agent*",
    "systemd-poweroff",
    "systemd-reboot",
    "systemd-soft-reboot",
    "systemd-halt",
    "systemd-kexec",
    "systemd-exit",
    "systemd-suspend*",
    "systemd-hibernate*",
    "systemd-hybrid-sleep",
    "systemd-nspawn",
    "emergency",
    "rescue",
    "debug-shell",
    "initrd-*",
    "poweroff",
    "reboot",
    "halt",
    "kexec",
    "user",
];
/// Words of `systemctl` and its like after which units follow that are changed.
const CHANGING: [&str; 22] = [
    "start",
    "stop",
    "restart",
    "try-restart",
    "reload",
    "reload-or-restart",
    "reload-or-try-restart",
    "try-reload-or-restart",
    "force-reload",
    "condrestart",
    "condreload",
    "condstop",
    "enable",
    "disable",
    "reenable",
    "preset",
    "mask",
    "unmask",
    "kill",
    "clean",
    "freeze",
    "thaw",
];

/// Judges a unit that is started, stopped or started again.
pub fn judge(policy: &Policy, name: &str) -> Verdict {
    let mut verdict = Verdict::allow();
    let plain = name.to_ascii_lowercase();
    if let Some(kind) = WIDE.iter().find(|kind| plain.ends_with(**kind)) {
        verdict.add(Decision::Forbid, format!("{name} is a {}, which takes others with it", &kind[1..]));
    }
    if !name.is_ascii() || name.contains(['*', '?', '[', '\\']) {
        verdict.add(Decision::Forbid, format!("{name:?} may stand for any unit"));
    }
    let bare = SINGLE.iter().find_map(|kind| plain.strip_suffix(kind)).unwrap_or(&plain);
    let template = bare.split('@').next().unwrap_or(bare);
    if NEVER.iter().any(|pattern| glob::matches(pattern, bare) || glob::matches(pattern, template)) {
        verdict.add(Decision::Forbid, format!("{name} ends the machine or the agent, or lets anybody in"));
    }
    let names = [name, plain.as_str(), bare, template];
    let fits = |pattern: &str| names.iter().any(|name| glob::matches(pattern, name));
    for (pattern, decision) in policy.services.iter().filter(|(pattern, _)| fits(pattern)) {
        verdict.add(*decision, format!("{bare} is under the rule for {pattern}"));
    }
    verdict
}

/// Judges the units in the words of a command that changes some.
pub(super) fn judge_words(policy: &Policy, program: &str, words: &[String]) -> Verdict {
    let mut verdict = Verdict::allow();
    let knows_units =
        matches!(program, "systemctl" | "service" | "invoke-rc.d" | "deb-systemd-invoke" | "rc-service");
    if !knows_units || !words.iter().any(|word| CHANGING.contains(&word.as_str())) {
        return verdict;
    }
    for word in words.iter().filter(|word| !word.starts_with('-') && !CHANGING.contains(&word.as_str())) {
        verdict.join(judge(policy, word));
    }
    verdict
}
