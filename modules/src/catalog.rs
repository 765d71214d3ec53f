//! The built-in modules, which travel inside the binary.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use crate::name::ModuleName;
use crate::package::{Package, PackageError, pack};
use crate::spec::ModuleSpec;
use crate::unpack::MANIFEST;

#[cfg(test)]
mod tests;

type Embedded = &'static [(&'static str, &'static [EmbeddedFile])];

/// Written by build.rs.
const EMBEDDED: Embedded = include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

static BUILT_IN: LazyLock<Catalog> = LazyLock::new(|| Catalog::read(EMBEDDED));

/// The modules that are always there.
#[derive(Debug)]
pub struct Catalog {
    modules: BTreeMap<ModuleName, CatalogModule>,
}

/// A built-in module.
#[derive(Debug)]
pub struct CatalogModule {
    pub spec: ModuleSpec,
    pub files: &'static [EmbeddedFile],
}

/// A file of a built-in module.
#[derive(Debug)]
pub struct EmbeddedFile {
    pub path: &'static str,
    pub is_executable: bool,
    pub content: &'static [u8],
}

impl Catalog {
    /// The catalog that was built into this program.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    fn read(embedded: Embedded) -> Self {
        let modules = embedded.iter().map(|(folder, files)| {
            let module = CatalogModule::read(folder, files);
            (module.spec.name.clone(), module)
        });
        Self { modules: modules.collect() }
    }

    pub fn get(&self, name: &ModuleName) -> Option<&CatalogModule> {
        self.modules.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &CatalogModule> {
        self.modules.values()
    }
}

impl CatalogModule {
    /// The tests of this crate read every built-in module, so a bad one never ships.
    fn read(folder: &str, files: &'static [EmbeddedFile]) -> Self {
        let manifest = files.iter().find(|file| file.path == MANIFEST);
        let manifest = manifest.expect("a built-in module has a MODULE.yaml").content;
        let spec = ModuleSpec::parse_bytes(&format!("catalog/{folder}/{MANIFEST}"), manifest);
        Self { spec: spec.expect("a built-in module is a good one"), files }
    }

    /// Writes the module's folder, which a person can then change.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_to(&self, folder: &Path) -> io::Result<()> {
        for file in self.files {
            let place = folder.join(file.path);
            fs::create_dir_all(place.parent().expect("a file has a folder"))?;
            fs::write(&place, file.content)?;
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Packs the module: the same bytes that packing its folder gives.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn pack(&self) -> Result<Package, PackageError> {
        let failed = |cause| PackageError::Write { cause };
        let folder = tempfile::tempdir().map_err(failed)?;
        self.write_to(folder.path()).map_err(failed)?;
        pack(folder.path())
    }
}
