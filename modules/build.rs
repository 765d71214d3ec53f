//! Embeds the built-in modules: every file under `catalog/<name>/`, with its executable bit.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let catalog = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("catalog");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", catalog.display());
    if env::var_os("CARGO_FEATURE_PACK").is_none() {
        return;
    }
    let mut table = String::from("&[\n");
    for folder in sorted(&catalog) {
        let name = folder.file_name().expect("a module's folder").to_str().expect("a UTF-8 name");
        writeln!(table, "    ({name:?}, &[").expect("memory");
        let mut files = Vec::new();
        collect(&folder, &mut files);
        for file in files {
            let path = file.strip_prefix(&folder).expect("below").to_str().expect("a UTF-8 name");
            let is_executable = fs::metadata(&file).expect("readable").permissions().mode() & 0o111 != 0;
            let place = file.to_str().expect("a UTF-8 name");
            let entry = format!(
                "EmbeddedFile {{ path: {path:?}, is_executable: {is_executable}, content: include_bytes!({place:?}) }}"
            );
            writeln!(table, "        {entry},").expect("memory");
        }
        table.push_str("    ]),\n");
    }
    table.push_str("]\n");
    let output = PathBuf::from(env::var("OUT_DIR").expect("set by cargo")).join("catalog.rs");
    fs::write(output, table).expect("the build folder is writable");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for place in sorted(folder) {
        assert!(!place.is_symlink(), "{} is a link; the catalog has only files", place.display());
        if place.is_dir() {
            collect(&place, files);
        } else {
            files.push(place);
        }
    }
}

/// What is in a folder, by name; a folder that is not there is empty.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut places: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    places.sort();
    places
}
