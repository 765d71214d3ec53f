//! What an image is for: operating system, processor, and its variant.

use std::fmt;

use serde_json::Value;

use crate::arch::Arch;

/// As images say it: `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    pub os: String,
    pub arch: String,
    pub variant: String,
}

impl Platform {
    /// Out of an image's config; nothing for what is no image, such as its attestation.
    pub fn of_json(config: &Value) -> Option<Self> {
        let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
        let found = Self { os: text("os"), arch: text("architecture"), variant: text("variant") };
        let is_known = |text: &str| !matches!(text, "" | "unknown");
        (is_known(&found.os) && is_known(&found.arch)).then_some(found)
    }

    /// The kinds of node that run it.
    pub fn runs_on(&self) -> Vec<Arch> {
        if self.os != "linux" {
            return Vec::new();
        }
        match (self.arch.as_str(), self.variant.as_str()) {
            ("amd64", _) => vec![Arch::X86_64],
            ("386", _) => vec![Arch::X86_64, Arch::I686],
            ("arm64", _) => vec![Arch::Aarch64],
            ("arm", "v7") => vec![Arch::Aarch64, Arch::Armv7],
            ("arm", "v8") => vec![Arch::Aarch64],
            ("arm", _) => vec![Arch::Aarch64, Arch::Armv7, Arch::Armv6],
            ("riscv64", _) => vec![Arch::Riscv64],
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Platform { os, arch, variant } = self;
        write!(f, "{os}/{arch}")?;
        if variant.is_empty() { Ok(()) } else { write!(f, "/{variant}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_of_arm_runs_where_its_instructions_are() {
        let check = |text: &str, expected: &[Arch]| {
            let mut parts = text.split('/').map(str::to_owned);
            let mut next = || parts.next().unwrap_or_default();
            let platform = Platform { os: next(), arch: next(), variant: next() };
            assert_eq!(platform.to_string(), text);
            assert_eq!(platform.runs_on(), expected, "{text}");
        };
        check("linux/arm/v7", &[Arch::Aarch64, Arch::Armv7]);
        check("linux/arm/v6", &[Arch::Aarch64, Arch::Armv7, Arch::Armv6]);
        check("linux/arm", &[Arch::Aarch64, Arch::Armv7, Arch::Armv6]);
        check("linux/arm64/v8", &[Arch::Aarch64]);
        check("linux/amd64", &[Arch::X86_64]);
        check("windows/amd64", &[]);
    }
}
