//! `module pack|verify|schema`: work on files, with no coordinator.

use std::path::{Path, PathBuf};

use modules::safety::Severity;
use serde::Serialize;

use crate::cli::Context;
use crate::cli::deploy::source::Source;
use crate::cli::package::{self, Packed};
use crate::cli::problem::Failure;
use crate::cli::units::bytes;

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    version: String,
    digest: String,
    bytes: u64,
    path: String,
}

impl Shown {
    fn new(packed: &Packed, path: &Path) -> Self {
        Self {
            name: packed.spec.name.to_string(),
            version: packed.spec.version.to_string(),
            digest: packed.digest.to_string(),
            bytes: packed.bytes.len() as u64,
            path: path.display().to_string(),
        }
    }
}

pub fn pack(context: &Context, folder: &Path, out: Option<PathBuf>) -> Result<u8, Failure> {
    let packed = package::pack(folder)?;
    let default = || PathBuf::from(format!("{}-{}.tar.gz", packed.spec.name, packed.spec.version));
    let out = out.unwrap_or_else(default);
    write(&out, &packed.bytes)?;
    let shown = Shown::new(&packed, &out);
    context.print_or(&shown, |_| format!("{} {} {}\n", shown.path, bytes(shown.bytes), shown.digest))?;
    Ok(0)
}

/// Whole or not at all: beside its place first, then renamed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |cause| Failure::io(format!("could not write {}", path.display()), &cause);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".pack-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(failed)?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

pub fn verify(context: &Context, module: &Path, key: Option<&Path>) -> Result<u8, Failure> {
    let text = module.to_str().ok_or_else(|| Failure::invalid("the path is not UTF-8"))?;
    let packed = match Source::find(text)? {
        Source::Folder(path) => package::pack(&path)?,
        Source::Package(path) => package::read(&path)?,
        Source::Registry(name) => {
            return Err(Failure::invalid(format!(
                "{name} is neither a folder with a MODULE.yaml nor a package"
            )));
        }
    };
    if let Some(key) = key {
        super::sign::check(&packed, module, key)?;
    }
    for finding in package::findings(&packed)?.iter().filter(|finding| finding.severity >= Severity::Medium) {
        context.console.say(&finding.to_string());
    }
    for note in packed.notes() {
        context.console.say(note);
    }
    let shown = Shown::new(&packed, module);
    context.print_or(&shown, |_| {
        format!("{} {} is good: {} {}\n", shown.name, shown.version, bytes(shown.bytes), shown.digest)
    })?;
    Ok(0)
}

/// Writes the index of a folder of modules.
pub fn index(context: &Context, folder: &Path, out: Option<PathBuf>) -> Result<u8, Failure> {
    let index = modules::index::of_folder(folder)?;
    let text = index.to_json();
    match out {
        Some(out) if out == Path::new("-") => context.console.print(&text)?,
        out => {
            let out = out.unwrap_or_else(|| folder.join(modules::index::FILE));
            write(&out, text.as_bytes())?;
            let count = index.modules.len();
            context.print_or(&index, |_| format!("{}: {count} modules\n", out.display()))?;
        }
    }
    Ok(0)
}

pub fn schema(context: &Context) -> Result<u8, Failure> {
    context.console.print_json(&modules::spec::json_schema())?;
    Ok(0)
}
