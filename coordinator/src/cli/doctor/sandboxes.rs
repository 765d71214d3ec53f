//! Which sandboxes a node offers to programs of plans, and what keeps it from offering more.

use proto::v1::Node;

use super::{Check, State};

/// What is to be done about a part that is missing, by a word of the agent's reason.
const REMEDIES: [(&str, &str, &str); 6] = [
    ("bubblewrap", "not installed", "on the node: `apt-get install bubblewrap`"),
    (
        "bubblewrap",
        "AppArmor",
        "Ubuntu restricts user namespaces; give bwrap an AppArmor profile with `userns,`, or set \
         kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("bubblewrap", "user namespaces are off", "allow user namespaces with the sysctl that is named"),
    (
        "memory_cgroup",
        "cgroup_disable=memory",
        "put cgroup_enable=memory at the end of the line in /boot/firmware/cmdline.txt and reboot; until then the \
         kernel ignores limits on memory",
    ),
    (
        "landlock",
        "os error 38",
        "this kernel is built without Landlock, as that of Raspberry Pi OS; t3 does without, with bubblewrap and the \
         memory cgroup",
    ),
    (
        "landlock",
        "os error 95",
        "Landlock is off; put `landlock` into the `lsm=` list of the kernel's command line",
    ),
];

/// None where the agent has not said anything of sandboxes.
pub fn check(node: &Node) -> Option<Check> {
    let facts = node.facts.as_ref().filter(|facts| !facts.sandbox.is_empty())?;
    let name = format!("sandbox {}", node.name);
    let rungs: Vec<&str> =
        facts.capabilities.iter().filter_map(|capability| capability.strip_prefix("sandbox.")).collect();
    let missing: Vec<String> = facts
        .sandbox
        .iter()
        .filter(|(_, why)| !why.is_empty())
        .map(|(part, why)| format!("{part}: {why}"))
        .collect();
    let offered = if rungs.is_empty() { "none".to_owned() } else { rungs.join(", ") };
    if missing.is_empty() {
        return Some(Check::new(name, State::Ok, offered));
    }
    let check = Check::new(name, State::Warn, format!("{offered}; missing {}", missing.join("; ")));
    let hints: Vec<&str> = REMEDIES
        .iter()
        .filter(|(part, word, _)| facts.sandbox.get(*part).is_some_and(|why| why.contains(word)))
        .map(|(_, _, hint)| *hint)
        .collect();
    Some(if hints.is_empty() { check } else { check.with_hint(hints.join("; ")) })
}

#[cfg(test)]
mod tests {
    use proto::v1::NodeFacts;

    use super::*;

    #[test]
    fn each_known_obstacle_comes_with_the_way_around_it() {
        let cases = [
            ("bubblewrap", "bubblewrap is not installed: `apt-get install bubblewrap`", "apt-get install"),
            ("bubblewrap", "AppArmor keeps programs from making user namespaces", "userns"),
            ("memory_cgroup", "the kernel was started with cgroup_disable=memory: …", "cmdline.txt"),
            ("landlock", "could not make a ruleset: not implemented (os error 38)", "Raspberry Pi OS"),
            ("landlock", "could not make a ruleset: not supported (os error 95)", "lsm="),
        ];
        for (part, why, expected) in cases {
            let check = check(&node(&[(part, why), ("seccomp", "")])).expect("a check");
            assert_eq!(check.state, State::Warn);
            assert!(check.detail.starts_with(&format!("t1; missing {part}: ")), "{}", check.detail);
            assert!(check.hint.expect("a hint").contains(expected), "{part}: {why}");
        }
    }

    #[test]
    fn what_is_whole_is_told_in_a_word_and_what_is_unknown_not_at_all() {
        assert_eq!(check(&node(&[("seccomp", "")])).map(|check| check.detail).as_deref(), Some("t1"));
        assert_eq!(check(&node(&[])), None);
        assert_eq!(check(&Node::default()), None);
    }

    fn node(parts: &[(&str, &str)]) -> Node {
        let sandbox = parts.iter().map(|(part, why)| ((*part).to_owned(), (*why).to_owned())).collect();
        let capabilities = vec!["apt".to_owned(), "sandbox.t1".to_owned()];
        let facts = NodeFacts { sandbox, capabilities, ..Default::default() };
        Node { name: "attic".into(), facts: Some(facts), ..Default::default() }
    }
}
