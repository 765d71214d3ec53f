//! What a command may change: of a module's action, of a plan's step.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a command may change, from the narrowest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "spec", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Twice is the same as once.
    Idempotent,
    /// Can be undone.
    Reversible,
    /// Cannot be undone.
    Destructive,
}

impl Effect {
    pub const ALL: [Effect; 4] = [Effect::Read, Effect::Idempotent, Effect::Reversible, Effect::Destructive];

    /// How each is written, for readers.
    pub const NAMED: [(&'static str, Effect); 4] = [
        ("read", Effect::Read),
        ("idempotent", Effect::Idempotent),
        ("reversible", Effect::Reversible),
        ("destructive", Effect::Destructive),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Idempotent => "idempotent",
            Effect::Reversible => "reversible",
            Effect::Destructive => "destructive",
        }
    }

    /// Whether doing it a second time does no harm.
    pub fn is_repeatable(self) -> bool {
        self <= Effect::Idempotent
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
