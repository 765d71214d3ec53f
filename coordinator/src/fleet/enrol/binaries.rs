//! Finds the agent's binary for a node's architecture, and looks into it before it is sent anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::fleet::enrol::EnrolError;
use crate::fleet::keyring::encode_hex;

/// Names a folder with agent binaries, searched first.
pub const VARIABLE: &str = "ORCHESTRATOR_AGENT_DIR";

const NAME: &str = "node-agent";

/// An agent's binary that fits an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentBinary {
    pub path: PathBuf,
    /// sha256, hex.
    pub digest: String,
    pub size: u64,
    /// It needs the C library of the node.
    pub is_dynamic: bool,
}

/// Where agent binaries are looked for.
#[derive(Debug, Clone, Default)]
pub struct AgentBinaries {
    folders: Vec<PathBuf>,
}

impl AgentBinaries {
    /// `$ORCHESTRATOR_AGENT_DIR`, the folder of our own executable, and `agents` in the data folder.
    pub fn usual(data_dir: &Path) -> Self {
        let own = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
        let named = std::env::var_os(VARIABLE).map(PathBuf::from);
        Self { folders: [named, own, Some(data_dir.join("agents"))].into_iter().flatten().collect() }
    }

    pub fn in_folders(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Finds `node-agent-<arch>`, or `node-agent` where that is for this architecture.
    pub fn find(&self, arch: &str) -> Result<AgentBinary, EnrolError> {
        let mut unfit = Vec::new();
        for folder in &self.folders {
            for name in [format!("{NAME}-{arch}"), NAME.to_owned()] {
                let path = folder.join(&name);
                let Ok(bytes) = fs::read(&path) else { continue };
                match machine(&bytes) {
                    Some(machine) if runs_on(machine, arch) => return Ok(binary(path, &bytes)),
                    Some(machine) => unfit.push(format!("{} is for {machine}", path.display())),
                    None => unfit.push(format!("{} is not an executable", path.display())),
                }
            }
        }
        Err(EnrolError::NoBinary {
            arch: arch.to_owned(),
            wanted: self
                .folders
                .last()
                .map(|folder| folder.join(format!("{NAME}-{arch}")))
                .unwrap_or_default(),
            unfit,
        })
    }
}

fn binary(path: PathBuf, bytes: &[u8]) -> AgentBinary {
    AgentBinary {
        path,
        digest: encode_hex(digest(&SHA256, bytes).as_ref()),
        size: bytes.len() as u64,
        is_dynamic: has_interpreter(bytes),
    }
}

/// The machine of an ELF file, as we name architectures.
fn machine(bytes: &[u8]) -> Option<&'static str> {
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    Some(architecture(u16::from_le_bytes([*bytes.get(18)?, *bytes.get(19)?])))
}

/// The architecture of an ELF machine number.
pub fn architecture(machine: u16) -> &'static str {
    match machine {
        0x3e => "x86_64",
        0xb7 => "aarch64",
        0x28 => "arm",
        0x03 => "i686",
        0xf3 => "riscv64",
        _ => "an unknown architecture",
    }
}

/// 32-bit ARM binaries do not say which of its versions they need.
fn runs_on(machine: &str, arch: &str) -> bool {
    machine == arch || (machine == "arm" && arch.starts_with("armv"))
}

/// Whether a 64-bit little-endian ELF file asks for a dynamic linker.
fn has_interpreter(bytes: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, size: usize| {
        let slice = bytes.get(at..at + size)?;
        Some(slice.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let is_wide = bytes.get(4) == Some(&2);
    let (table, entry, count) = if is_wide {
        (number(32, 8), number(54, 2), number(56, 2))
    } else {
        (number(28, 4), number(42, 2), number(44, 2))
    };
    let (Some(table), Some(entry), Some(count)) = (table, entry, count) else { return false };
    (0..count).any(|index| {
        let at = usize::try_from(table + index * entry).unwrap_or(usize::MAX - 8);
        number(at, 4) == Some(u64::from(PT_INTERP))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a 64-bit ELF file without program headers.
    fn elf(machine: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..5].copy_from_slice(b"\x7fELF\x02");
        bytes[18] = machine;
        bytes
    }

    #[test]
    fn picks_the_binary_whose_header_fits_the_architecture() {
        let dir = tempfile::tempdir().expect("dir");
        let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).expect("written");
        put("node-agent", &elf(0x3e));
        put("node-agent-aarch64", &elf(0xb7));
        put("node-agent-armv7", &elf(0x3e));
        let binaries = AgentBinaries::in_folders(vec![dir.path().to_owned()]);
        let name = |arch| binaries.find(arch).expect("found").path.file_name().expect("name").to_owned();
        assert_eq!(name("x86_64"), "node-agent");
        assert_eq!(name("aarch64"), "node-agent-aarch64");
        let error = binaries.find("armv7").expect_err("an x86_64 file under the name of another");
        assert!(error.to_string().contains("armv7"), "{error}");
        let hint = error.hint().expect("hint");
        assert!(hint.contains("node-agent-armv7 is for x86_64") && hint.contains("cargo build"), "{hint}");
        fs::remove_file(dir.path().join("node-agent-aarch64")).expect("removed");
        let hint = binaries.find("aarch64").expect_err("gone").hint().expect("hint");
        assert!(hint.contains("/node-agent-aarch64") && hint.contains("`make agent-aarch64`"), "{hint}");
    }
}
