//! The ladder of sandboxes: what each rung is made of, what a node was seen to offer, and whether a step may run there.
//!
//! It fails closed: what asks for a rung does not run on a lower one, and what was not probed is not there.

use std::collections::BTreeMap;
use std::fmt;

use modules::effect::Effect;
use serde::{Deserialize, Serialize};

use crate::step::{Step, Tier as Thinker};
use crate::tool::{Kind, Tool};

/// A rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// no_new_privs, seccomp, rlimits and a watchdog over memory.
    T1,
    /// Landlock, seccomp and a cgroup.
    T2,
    /// Bubblewrap, seccomp and a cgroup.
    T3,
}

/// Something a rung is made of; each is probed with a canary that must be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    NoNewPrivs,
    Seccomp,
    Rlimits,
    MemoryWatchdog,
    /// The agent's own files are out of reach: by another account, or where the agent has no choice of accounts, by Landlock.
    Apart,
    Landlock,
    MemoryCgroup,
    PidsCgroup,
    Bubblewrap,
    /// A network namespace of its own, without a way out.
    NetworkNamespace,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// The canary was stopped.
    Works,
    /// Why it is not there, and what to do about it where that is known.
    Missing { why: String },
}

/// What a node offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offer {
    pub parts: BTreeMap<Part, Probed>,
}

/// What a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub tier: Tier,
    /// No domains are named: the network must be off.
    pub is_offline: bool,
}

/// What a step runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandbox {
    pub tier: Tier,
    /// The network is cut by a namespace; otherwise by seccomp, which stops every socket but the local ones.
    pub network: Network,
}

/// How the network is kept from a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The named domains only, through the agent.
    Named,
    CutByNamespace,
    CutBySeccomp,
}

/// The node does not offer what the step needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("needs sandbox {tier}; missing: {}", missing.join("; "))]
pub struct Refused {
    pub tier: Tier,
    pub missing: Vec<String>,
}

impl Tier {
    pub const NAMED: [(&'static str, Tier); 3] = [("t1", Tier::T1), ("t2", Tier::T2), ("t3", Tier::T3)];

    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, tier)| *tier == self).map_or("", |(name, _)| name)
    }

    /// What it is made of.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Tier::T1 => &[Part::NoNewPrivs, Part::Seccomp, Part::Rlimits, Part::MemoryWatchdog, Part::Apart],
            Tier::T2 => {
                &[Part::NoNewPrivs, Part::Seccomp, Part::Landlock, Part::MemoryCgroup, Part::PidsCgroup]
            }
            Tier::T3 => {
                &[Part::NoNewPrivs, Part::Seccomp, Part::Bubblewrap, Part::MemoryCgroup, Part::PidsCgroup]
            }
        }
    }
}

impl Part {
    /// As it is written on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Part::NoNewPrivs => "no_new_privs",
            Part::Seccomp => "seccomp",
            Part::Rlimits => "rlimits",
            Part::MemoryWatchdog => "memory_watchdog",
            Part::Apart => "apart",
            Part::Landlock => "landlock",
            Part::MemoryCgroup => "memory_cgroup",
            Part::PidsCgroup => "pids_cgroup",
            Part::Bubblewrap => "bubblewrap",
            Part::NetworkNamespace => "network_namespace",
        }
    }
}

impl Offer {
    fn lacks(&self, part: Part) -> Option<String> {
        match self.parts.get(&part) {
            Some(Probed::Works) => None,
            Some(Probed::Missing { why }) => Some(format!("{part} ({why})")),
            None => Some(format!("{part} (not probed)")),
        }
    }

    /// What is missing for a rung.
    pub fn missing(&self, tier: Tier) -> Vec<String> {
        tier.parts().iter().filter_map(|part| self.lacks(*part)).collect()
    }

    /// The highest rung it offers; published as the capabilities `sandbox.t1` to that.
    pub fn best(&self) -> Option<Tier> {
        [Tier::T3, Tier::T2, Tier::T1].into_iter().find(|tier| self.missing(*tier).is_empty())
    }

    /// The lowest rung that is enough.
    ///
    /// # Errors
    /// When the node does not offer it, with all that is missing.
    pub fn decide(&self, need: Need) -> Result<Sandbox, Refused> {
        let enough = [Tier::T1, Tier::T2, Tier::T3].into_iter().filter(|tier| *tier >= need.tier);
        let tier = enough.into_iter().find(|tier| self.missing(*tier).is_empty());
        let refused = || Refused { tier: need.tier, missing: self.missing(need.tier) };
        let tier = tier.ok_or_else(refused)?;
        let network = match (need.is_offline, self.lacks(Part::NetworkNamespace)) {
            (false, None) => Network::Named,
            // Without a namespace around the program, its way out could not be watched.
            (false, Some(lacking)) => return Err(Refused { tier: need.tier, missing: vec![lacking] }),
            (true, None) => Network::CutByNamespace,
            (true, Some(_)) => Network::CutBySeccomp,
        };
        Ok(Sandbox { tier, network })
    }
}

/// What a step needs at least: the more it can do and the less a person chose it, the more. Nothing where no program
/// is started.
pub fn need(step: &Step) -> Option<Need> {
    let is_model = step.tier != Thinker::None;
    if step.call.tool.kind() != Kind::Exec && !is_model {
        return None;
    }
    let least = match (step.call.tool, step.effect) {
        (Tool::ExecShell, _) => Tier::T2,
        _ if is_model => Tier::T2,
        (_, Effect::Read | Effect::Idempotent | Effect::Reversible | Effect::Destructive) => Tier::T1,
    };
    let names_domains = step.call.args.get("domains").and_then(|value| value.as_array());
    Some(Need {
        tier: step.sandbox.map_or(least, |asked| asked.max(least)),
        is_offline: names_domains.is_none_or(Vec::is_empty),
    })
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::NoNewPrivs => "no_new_privs",
            Part::Seccomp => "seccomp",
            Part::Rlimits => "rlimits",
            Part::MemoryWatchdog => "a watchdog over memory",
            Part::Apart => "an account of its own",
            Part::Landlock => "Landlock",
            Part::MemoryCgroup => "the memory cgroup",
            Part::PidsCgroup => "the pids cgroup",
            Part::Bubblewrap => "bubblewrap",
            Part::NetworkNamespace => "network namespaces",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: [Part; 5] =
        [Part::NoNewPrivs, Part::Seccomp, Part::Rlimits, Part::MemoryWatchdog, Part::Apart];
    const FULL: [Part; 5] =
        [Part::Landlock, Part::MemoryCgroup, Part::PidsCgroup, Part::Bubblewrap, Part::NetworkNamespace];

    #[test]
    fn what_asks_for_a_rung_never_runs_on_a_lower_one() {
        let pi = offer(&BASE).without(Part::MemoryCgroup, "cmdline.txt has cgroup_disable=memory");
        let ubuntu = offer(&[&BASE[..], &FULL].concat()).without(Part::Bubblewrap, "AppArmor");
        let server = offer(&[&BASE[..], &FULL].concat());
        let no_watchdog = server.clone().without(Part::MemoryWatchdog, "");
        let cases = [
            (&pi, Tier::T1, "t1 CutBySeccomp"),
            (
                &pi,
                Tier::T2,
                "needs sandbox t2; missing: Landlock (not probed); the memory cgroup (cmdline.txt has \
                 cgroup_disable=memory); the pids cgroup (not probed)",
            ),
            (&ubuntu, Tier::T2, "t2 CutByNamespace"),
            (&ubuntu, Tier::T3, "needs sandbox t3; missing: bubblewrap (AppArmor)"),
            (&server, Tier::T3, "t3 CutByNamespace"),
            (&server, Tier::T1, "t1 CutByNamespace"),
            (&no_watchdog, Tier::T1, "t2 CutByNamespace"),
            (
                &Offer::default(),
                Tier::T1,
                "needs sandbox t1; missing: no_new_privs (not probed); seccomp (not probed); \
                 rlimits (not probed); a watchdog over memory (not probed); \
                 an account of its own (not probed)",
            ),
        ];
        for (offer, tier, expected) in cases {
            let got = match offer.decide(Need { tier, is_offline: true }) {
                Ok(sandbox) => format!("{} {:?}", sandbox.tier, sandbox.network),
                Err(refused) => refused.to_string(),
            };
            assert_eq!(got, expected);
        }
        let online = Need { tier: Tier::T1, is_offline: false };
        assert_eq!(server.decide(online).map(|sandbox| sandbox.network), Ok(Network::Named));
        let refused = pi.decide(online).expect_err("no namespace").to_string();
        assert_eq!(refused, "needs sandbox t1; missing: network namespaces (not probed)");
        assert_eq!(
            (pi.best(), ubuntu.best(), server.best()),
            (Some(Tier::T1), Some(Tier::T2), Some(Tier::T3))
        );
        assert_eq!(Offer::default().best(), None);
    }

    fn offer(parts: &[Part]) -> Offer {
        Offer { parts: parts.iter().map(|part| (*part, Probed::Works)).collect() }
    }

    impl Offer {
        fn without(mut self, part: Part, why: &str) -> Self {
            self.parts.insert(part, Probed::Missing { why: why.to_owned() });
            self
        }
    }
}
