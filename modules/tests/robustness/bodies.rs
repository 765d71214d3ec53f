//! What must hold for any bytes whatever: shared by the tests and by the fuzz targets in `fuzz/`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use modules::digest::Digest;
use modules::spec::ModuleSpec;
use modules::unpack::{Limits, unpack as unpack_package};

const BLOCK: usize = 512;
const LIMITS: Limits = Limits {
    package_bytes: 1 << 20,
    unpacked_bytes: 4 << 20,
    entries: 200,
    ratio: 200,
    path_bytes: 300,
    depth: 8,
};

/// A MODULE.yaml is read, and then reads back what it writes, or every error has a place.
pub fn module_yaml(bytes: &[u8]) {
    match ModuleSpec::parse_bytes("MODULE.yaml", bytes) {
        Ok(spec) => {
            let written = spec.to_yaml();
            let again = ModuleSpec::parse("MODULE.yaml", &written);
            assert_eq!(again.as_ref(), Ok(&spec), "{written}");
        }
        Err(errors) => {
            assert!(!errors.errors.is_empty());
            for error in &errors.errors {
                assert!(error.place.line >= 1 && error.place.column >= 1, "{error}");
                assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
            }
            assert!(errors.to_string().len() < 200_000, "an error must not be longer than a person can read");
        }
    }
}

/// A compose file is read or refused with places; leniently, something is always given, with places too.
pub fn compose(bytes: &[u8]) {
    use modules::compose::{Source, parse, read};
    let source = Source::alone("compose.yaml", bytes);
    let lenient = read(&source);
    for note in &lenient.notes {
        assert!(note.origin.place.line >= 1 && !note.text.is_empty(), "{note}");
    }
    match parse(&source) {
        Ok(project) => {
            assert!(!project.services.is_empty());
            let mut started = std::collections::BTreeSet::new();
            for service in &project.services {
                assert!(service.image.is_some(), "{}", service.name);
                for dependency in &service.depends_on {
                    assert!(started.contains(dependency.service.as_str()), "{} is too early", service.name);
                }
                started.insert(service.name.as_str());
            }
        }
        Err(errors) => {
            assert!(!errors.errors.is_empty());
            for error in &errors.errors {
                assert!(error.place.line >= 1 && error.place.column >= 1, "{error}");
                assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
            }
            assert!(errors.to_string().len() < 400_000, "an error must not be longer than a person can read");
        }
    }
}

/// Any text is followed as a script to its end, and every finding has a line of it.
pub fn script(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.matches('\n').count() + 1;
    let check = |finding: &modules::safety::Finding| {
        assert!((1..=lines + 1).contains(&finding.line), "{finding}");
        assert!(!finding.text.is_empty() && !finding.id.is_empty());
    };
    modules::safety::check_commands("x.sh", 1, &text).iter().for_each(check);
    for path in ["Dockerfile", "x.service", "x.py", "compose.yaml", "x.sh"] {
        let file = modules::safety::SourceFile { path, bytes, mode: 0 };
        modules::safety::check_source(file).iter().for_each(check);
    }
}

/// A package is unpacked to plain files that stay in their folder, or refused with nothing left behind.
///
/// The first byte says what the others are: a package, a tar archive, or one whose checksums are put right.
pub fn unpack(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let package = match kind % 3 {
        0 => rest.to_vec(),
        1 => gzip(rest),
        _ => gzip(&with_checksums(rest)),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let releases = folder.path().join("releases");
    let digest = Digest::of(&package);
    let unpacked = unpack_package(&*package, &digest, package.len() as u64, &releases, &LIMITS);
    assert!(fs::read_dir(folder.path()).expect("a folder").count() <= 1, "something is beside the releases");
    let stored = fs::read_dir(&releases).map_or(0, Iterator::count);
    match unpacked {
        Ok(_) => {
            assert_eq!(stored, 1);
            let release = releases.join(digest.hex());
            assert!(release.join("MODULE.yaml").is_file());
            check_tree(&release, &fs::canonicalize(&release).expect("is there"));
        }
        Err(error) => assert_eq!(stored, 0, "{error}"),
    }
}

/// Everything below is a plain file, a folder, or a link that stays inside.
fn check_tree(folder: &Path, root: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let place = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&place).expect("is there");
        if metadata.is_symlink() {
            // A link that leads nowhere is harmless.
            let inside = fs::canonicalize(&place).map_or(true, |target| target.starts_with(root));
            assert!(inside, "{} leads out", place.display());
            continue;
        }
        assert!(metadata.is_dir() || metadata.is_file(), "{}", place.display());
        assert!([0o644, 0o755].contains(&(metadata.permissions().mode() & 0o7777)), "{}", place.display());
        if metadata.is_dir() {
            check_tree(&place, root);
        }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Puts right the checksum of every block that could be a header, so that mutations get past it.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}
