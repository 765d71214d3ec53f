//! Processor architectures, with the many names the world has for them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The architecture of a node, or of what a module can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    #[serde(rename = "x86_64", alias = "amd64", alias = "x64")]
    X86_64,
    #[serde(alias = "arm64")]
    Aarch64,
    #[serde(alias = "armv7l", alias = "armhf")]
    Armv7,
    #[serde(alias = "armv6l", alias = "armel")]
    Armv6,
    Riscv64,
    #[serde(alias = "i386", alias = "i486", alias = "i586")]
    I686,
}

impl Arch {
    pub const ALL: [Arch; 6] =
        [Arch::X86_64, Arch::Aarch64, Arch::Armv7, Arch::Armv6, Arch::Riscv64, Arch::I686];

    /// The architecture behind what `uname -m`, Docker, Debian or a person calls it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "x86_64" | "amd64" | "x64" | "x86-64" => Some(Arch::X86_64),
            "aarch64" | "arm64" | "arm64v8" | "armv8" => Some(Arch::Aarch64),
            "armv7" | "armv7l" | "armhf" | "arm32v7" => Some(Arch::Armv7),
            "armv6" | "armv6l" | "armel" | "arm32v6" => Some(Arch::Armv6),
            "riscv64" | "riscv64gc" => Some(Arch::Riscv64),
            "i686" | "i386" | "i486" | "i586" | "x86" => Some(Arch::I686),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
            Arch::Armv7 => "armv7",
            Arch::Armv6 => "armv6",
            Arch::Riscv64 => "riscv64",
            Arch::I686 => "i686",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_reads_its_own_name_and_the_usual_ones() {
        for arch in Arch::ALL {
            assert_eq!(Arch::parse(arch.as_str()), Some(arch));
        }
        assert_eq!(Arch::parse("AMD64"), Some(Arch::X86_64));
        assert_eq!(Arch::parse("arm64"), Some(Arch::Aarch64));
        assert_eq!(Arch::parse("armv7l"), Some(Arch::Armv7));
        assert_eq!(Arch::parse("mips"), None);
    }
}
