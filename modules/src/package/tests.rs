use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use proptest::prelude::*;

use super::*;
use crate::unpack::{Limits, Outcome, unpack};

const SPEC: &str = "name: m\nversion: 1.0.0\nruntime: {process: {command: [./run.sh]}}\n";

#[test]
fn the_same_input_gives_the_same_bytes_on_any_machine() {
    let first = module();
    write(first.path(), "data/noise", &noise(200_000));
    write(first.path(), &format!("data/{}/long", "l".repeat(120)), b"a long name");
    symlink("../run.sh", first.path().join("data/link")).expect("links");
    let second = tempfile::tempdir().expect("a folder");
    let mut names: Vec<_> = walk(first.path());
    names.reverse();
    for name in names {
        let (from, to) = (first.path().join(&name), second.path().join(&name));
        fs::create_dir_all(to.parent().expect("a folder above")).expect("makes");
        if from.is_symlink() {
            symlink(fs::read_link(from).expect("a link"), to).expect("links");
        } else if from.is_file() {
            fs::copy(&from, &to).expect("copies");
            // Other bits for group and others, another time.
            let mode = fs::metadata(&from).expect("is there").permissions().mode();
            fs::set_permissions(&to, fs::Permissions::from_mode(mode & 0o700)).expect("sets the mode");
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7);
            fs::File::options()
                .append(true)
                .open(&to)
                .and_then(|file| file.set_modified(time))
                .expect("sets the time");
        }
    }
    let (first, second) = (packed(first.path()), packed(second.path()));
    assert_eq!(first.files, second.files);
    // A change here changes the digest of every release ever packed: it needs a reason.
    let expected = "sha256:f1a666f5ec26b00b8d7e4bc15c87508f31b8b2eaf30a5f6b3997cce945f7b697";
    assert_eq!((first.digest.to_string().as_str(), second.digest), (expected, first.digest));
    let digest = first.digest;
    assert_eq!(digest, Digest::of(&first.into_bytes().expect("bytes")));
}

#[test]
fn a_package_unpacks_to_the_folder_it_came_from() {
    let folder = module();
    write(folder.path(), "templates/a/m.conf", b"port ${node} $${x}");
    fs::create_dir(folder.path().join("empty")).expect("makes");
    symlink("run.sh", folder.path().join("start")).expect("links");
    let package = packed(folder.path());
    let (digest, size) = (package.digest, package.size);
    let bytes = package.into_bytes().expect("bytes");
    let releases = tempfile::tempdir().expect("a folder");
    let outcome = unpack(&*bytes, &digest, size, releases.path(), &Limits::default()).expect("unpacks");
    assert_eq!(outcome, Outcome::Stored);
    let release = releases.path().join(digest.hex());
    assert_eq!(walk(&release), walk(folder.path()));
    assert_eq!(fs::read(release.join("start")).expect("a link"), b"#!/bin/sh\n");
    let mode = |name: &str| fs::metadata(release.join(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("MODULE.yaml")), (0o755, 0o644));

    let file = releases.path().join("m.tar.gz");
    fs::write(&file, &bytes).expect("writes");
    let verified = verify(&file).expect("a good package");
    assert_eq!(
        (verified.digest, verified.size, verified.release().to_string()),
        (digest, size, "m@1.0.0".to_owned())
    );
    assert_eq!(verified.files.len(), 4);
    fs::write(&file, &bytes[..bytes.len() - 1]).expect("writes");
    let error = verify(&file).expect_err("cut");
    assert!(matches!(&error, PackageError::Bad { cause: UnpackError::Truncated, .. }), "{error:?}");
}

#[test]
fn what_the_ignore_file_names_stays_out() {
    let folder = module();
    for path in
        ["a.log", "keep.log", "target/x", "sub/target/y", "sub/b.log", ".git/config", ".hidden", "sub/.git"]
    {
        write(folder.path(), path, b"x");
    }
    write(folder.path(), IGNORE_FILE, b"# comment\n*.log\n!keep.log\n/target/\nMODULE.yaml\n");
    write(folder.path(), ".gitignore", b"*\n");
    let files: Vec<String> = packed(folder.path()).files.into_iter().map(|file| file.path).collect();
    assert_eq!(files, [".gitignore", ".hidden", "MODULE.yaml", "keep.log", "run.sh", "sub/target/y"]);
}

#[test]
fn a_folder_that_cannot_be_a_package_is_refused_with_the_path() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 16] = [
        ("is no module: it has no MODULE.yaml", |folder| {
            fs::remove_file(folder.join(MANIFEST)).expect("removes")
        }),
        ("MODULE.yaml:1:1: found an empty file", |folder| write(folder, MANIFEST, b"")),
        ("leaves the package: \"/etc/passwd\"", |folder| {
            symlink("/etc/passwd", folder.join("l")).expect("links")
        }),
        ("leaves the package: \"../x\"", |folder| symlink("../x", folder.join("l")).expect("links")),
        ("socket is a socket", |folder| drop(UnixListener::bind(folder.join("socket")).expect("binds"))),
        ("su has the setuid", |folder| {
            write(folder, "su", b"");
            fs::set_permissions(folder.join("su"), fs::Permissions::from_mode(0o4755))
                .expect("sets the mode");
        }),
        ("is not UTF-8", |folder| {
            use std::os::unix::ffi::OsStrExt;
            fs::write(folder.join(std::ffi::OsStr::from_bytes(b"a\xff")), "").expect("writes");
        }),
        ("has a control character", |folder| write(folder, "a\nb", b"")),
        ("is nested deeper", |folder| write(folder, &format!("{}x", "d/".repeat(40)), b"")),
        ("more than 1073741824 bytes", |folder| {
            let file = fs::File::create(folder.join("sparse")).expect("creates");
            file.set_len(2 << 30).expect("grows");
        }),
        ("run.sh\", which is not executable, expected an executable file; chmod +x run.sh", |folder| {
            fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o644))
                .expect("sets the mode");
        }),
        (
            "MODULE.yaml:3:31: runtime.process.command[0]: found \"./run.sh\", which is not in the package",
            |folder| {
                fs::remove_file(folder.join("run.sh")).expect("removes");
            },
        ),
        ("templates/m.conf:2:3: found ${config.x}, expected a reference", |folder| {
            write(folder, "templates/m.conf", "ä\nä ${config.x}".as_bytes());
        }),
        ("templates/m.conf:1:1: found \"${HOME:-x}\"", |folder| {
            write(folder, "templates/m.conf", b"${HOME:-x}")
        }),
        ("templates/m.bin:1:1: found bytes that are no text", |folder| {
            write(folder, "templates/m.bin", b"\xff")
        }),
        (
            "templates/m.service:2:17: found ${config.api-key}, expected no secret in a unit, which `systemctl show` \
             tells everybody on the node; the unit has it in its environment, as CONFIG_API_KEY",
            |folder| {
                let spec = "name: m\nversion: 1.0.0\nconfig: [{name: api-key, secret: true}]\n\
                    runtime: {systemd: {unit: m.service}}\n";
                write(folder, MANIFEST, spec.as_bytes());
                // Any other file may have it.
                write(folder, "templates/m.conf", b"key=${config.api-key}");
                write(folder, "templates/m.service", b"[Service]\nEnvironment=KEY=${config.api-key}\n");
            },
        ),
    ];
    for (says, spoil) in cases {
        let folder = module();
        spoil(folder.path());
        let error = pack(folder.path()).expect_err(says);
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error}: {source}");
        assert!(text.contains(says), "{says}: {text}");
        assert!(text.contains(&*folder.path().to_string_lossy()), "{text}");
    }
    let missing = pack(Path::new("/nowhere/at/all")).expect_err("is missing").to_string();
    assert_eq!(missing, "/nowhere/at/all is no module: it has no MODULE.yaml");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_folder_survives_packing_and_unpacking(
        files in prop::collection::btree_map("[a-zä ~]{1,3}(/[a-z.]{1,2}[a-z]){0,3}", (prop::collection::vec(any::<u8>(), 0..3000), any::<bool>()), 0..12)
    ) {
        let folder = module();
        for (path, (content, is_executable)) in &files {
            let place = folder.path().join(path);
            let above = place.parent().expect("a folder above");
            if fs::create_dir_all(above).is_ok() && !place.is_dir() && path != "templates" && !path.starts_with("templates/") {
                fs::write(&place, content).expect("writes");
                let mode = if *is_executable { 0o755 } else { 0o644 };
                fs::set_permissions(&place, fs::Permissions::from_mode(mode)).expect("sets the mode");
            }
        }
        let package = packed(folder.path());
        let (digest, size) = (package.digest, package.size);
        let releases = tempfile::tempdir().expect("a folder");
        let bytes = package.into_bytes().expect("bytes");
        unpack(&*bytes, &digest, size, releases.path(), &Limits::default()).expect("unpacks");
        let release = releases.path().join(digest.hex());
        prop_assert_eq!(walk(&release), walk(folder.path()));
        for name in walk(&release) {
            let (from, to) = (folder.path().join(&name), release.join(&name));
            if from.is_file() {
                prop_assert_eq!(fs::read(&from).expect("reads"), fs::read(&to).expect("reads"));
                let mode = |place| fs::metadata(place).expect("is there").permissions().mode();
                prop_assert_eq!(mode(from) & 0o111, mode(to) & 0o111);
            }
        }
    }
}

#[test]
fn the_image_in_a_package_says_on_which_nodes_it_runs() {
    let check = |requires: &str, names: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = format!(
            "name: m\nversion: 1.0.0\n{requires}runtime: {{container: {{image: 'box:1', load: image.tar}}}}\n"
        );
        write(folder.path(), MANIFEST, spec.as_bytes());
        write(folder.path(), "image.tar", &saved(names));
        let arches = |spec: &ModuleSpec| {
            spec.requires.arch.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let found = match pack(folder.path()) {
            Ok(package) => {
                let place = folder.path().join("package");
                let packed = arches(&package.spec);
                fs::write(&place, package.into_bytes().expect("bytes")).expect("writes");
                assert_eq!(arches(&verify(&place).expect("is good").spec), packed);
                packed
            }
            Err(error) => std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string),
        };
        assert!(found.contains(expected), "{requires}{names}: {found}");
    };
    check("", "\"box:1\"", "aarch64 armv7");
    check("requires: {arch: [armv7, armv6]}\n", "\"box:1\"", "armv7");
    let other = "the image box:1 in image.tar is for linux/arm/v7, and the module for x86_64";
    check("requires: {arch: [x86_64]}\n", "\"box:1\"", other);
    check("", "\"box:1\", \"postgres:16\"", "would also set postgres:16");
}

/// As `docker save` writes it, for ARMv7.
fn saved(names: &str) -> Vec<u8> {
    let config = r#"{"os":"linux","architecture":"arm","variant":"v7"}"#;
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":[{names}]}}]"#);
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in [("config.json", config), ("manifest.json", &manifest)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).expect("appends");
    }
    archive.into_inner().expect("ends")
}

fn module() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), MANIFEST, SPEC.as_bytes());
    write(folder.path(), "run.sh", b"#!/bin/sh\n");
    fs::set_permissions(folder.path().join("run.sh"), fs::Permissions::from_mode(0o755))
        .expect("sets the mode");
    folder
}

fn write(folder: &Path, path: &str, content: &[u8]) {
    let place = folder.join(path);
    fs::create_dir_all(place.parent().expect("a folder above")).expect("makes");
    fs::write(place, content).expect("writes");
}

fn packed(folder: &Path) -> Package {
    pack(folder).unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// Everything below a folder, sorted.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let place = entry.expect("an entry").path();
            found.push(place.strip_prefix(folder).expect("below").to_string_lossy().into_owned());
            if place.is_dir() && !place.is_symlink() {
                open.push(place);
            }
        }
    }
    found.sort();
    found
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as u8
    };
    (0..size).map(|_| next()).collect()
}
