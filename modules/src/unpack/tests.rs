use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;

#[test]
fn a_good_package_is_stored_once_and_whole() {
    let package = gzip(&archive(&[
        (EntryType::Directory, "./", "", 0o755, b""),
        (EntryType::Regular, "./MODULE.yaml", "", 0o600, b"name: m\n"),
        (EntryType::Regular, "bin/run", "", 0o700, b"#!/bin/sh\n"),
        (EntryType::Directory, "bin/", "", 0o755, b""),
        (EntryType::Symlink, "bin/link", "../MODULE.yaml", 0o777, b""),
        (EntryType::XGlobalHeader, "pax", "", 0o644, b"14 comment=ab\n"),
        (EntryType::XHeader, "pax", "", 0o644, b"20 path=long/er.txt\n"),
        (EntryType::Regular, "cut", "", 0o644, b""),
        (EntryType::GNULongName, "././@LongLink", "", 0, b"gnu/long.txt\0"),
        (EntryType::Regular, "cut", "", 0o644, &[7; 1000]),
    ]));
    let releases = tempfile::tempdir().expect("a folder");
    let digest = Digest::of(&package);
    let unpack = || unpack(&*package, &digest, package.len() as u64, releases.path(), &Limits::default());
    assert_eq!(unpack().expect("unpacks"), Outcome::Stored);
    assert_eq!(unpack().expect("is there"), Outcome::Present);

    let release = releases.path().join(digest.hex());
    let mode = |path: &str| fs::metadata(release.join(path)).expect(path).permissions().mode() & 0o7777;
    assert_eq!(mode("MODULE.yaml"), 0o644);
    assert_eq!(mode("bin/run"), 0o755);
    assert_eq!(mode(""), 0o755);
    assert_eq!(fs::read(release.join("bin/link")).expect("a link"), b"name: m\n");
    assert_eq!(fs::read(release.join("long/er.txt")).expect("a pax name"), b"");
    assert_eq!(fs::read(release.join("gnu/long.txt")).expect("a long name"), [7; 1000]);
    assert_eq!(list(releases.path()), [digest.hex()]);
}

#[test]
fn a_hostile_entry_is_refused_by_name_and_leaves_nothing() {
    use EntryType as E;
    let deep = format!("{}x", "d/".repeat(40));
    let long = format!("{}/x", "e".repeat(300));
    let wide = vec![b'w'; 2000];
    let pax_size = b"14 size=99999\n";
    let cases: &[(&str, &[Entry<'_>])] = &[
        ("Absolute", &[(E::Regular, "/etc/passwd", "", 0o644, b"x")]),
        ("Parent", &[(E::Regular, "../x", "", 0o644, b"x")]),
        ("Parent", &[(E::Regular, "a/../../x", "", 0o644, b"x")]),
        ("Parent", &[(E::Directory, "a/..", "", 0o755, b"")]),
        ("EmptyPath", &[(E::Regular, "", "", 0o644, b"x")]),
        ("ControlCharacter", &[(E::Regular, "a\nb", "", 0o644, b"x")]),
        ("NotUtf8", &[(E::GNULongName, "l", "", 0, b"a\xff\0"), (E::Regular, "x", "", 0o644, b"")]),
        ("LinkLeaves", &[(E::Symlink, "l", "/etc", 0o777, b"")]),
        ("LinkLeaves", &[(E::Symlink, "l", "..", 0o777, b"")]),
        ("LinkLeaves", &[(E::Symlink, "d/l", "../../x", 0o777, b"")]),
        ("LinkLeaves", &[(E::Symlink, "d/l", "..", 0o777, b""), (E::Symlink, "m", "d/l/../..", 0o777, b"")]),
        ("LinkLeaves", &[(E::Symlink, "l", "", 0o777, b"")]),
        ("ThroughLink", &[(E::Symlink, "l", "d", 0o777, b""), (E::Regular, "l/x", "", 0o644, b"x")]),
        ("ThroughLink", &[(E::Symlink, "l", ".", 0o777, b""), (E::Directory, "l/x", "", 0o755, b"")]),
        ("HardLink", &[(E::Link, "l", "/etc/shadow", 0o644, b"")]),
        ("HardLink", &[(E::Link, "l", "MODULE.yaml", 0o644, b"")]),
        ("Special", &[(E::Char, "dev", "", 0o644, b"")]),
        ("Special", &[(E::Block, "dev", "", 0o644, b"")]),
        ("Special", &[(E::Fifo, "pipe", "", 0o644, b"")]),
        ("Special", &[(E::GNUSparse, "sparse", "", 0o644, b"")]),
        ("Special", &[(E::Continuous, "c", "", 0o644, b"")]),
        ("Special", &[(E::new(b'V'), "label", "", 0o644, b"")]),
        ("SpecialMode", &[(E::Regular, "su", "", 0o4755, b"x")]),
        ("SpecialMode", &[(E::Regular, "sg", "", 0o2755, b"x")]),
        ("SpecialMode", &[(E::Directory, "sticky", "", 0o1777, b"")]),
        ("Duplicate", &[(E::Regular, "a", "", 0o644, b"1"), (E::Regular, "./a", "", 0o644, b"2")]),
        ("Duplicate", &[(E::Regular, "MODULE.yaml", "", 0o644, b"name: n")]),
        ("Duplicate", &[(E::Directory, "a", "", 0o755, b""), (E::Directory, "./a//", "", 0o755, b"")]),
        ("Duplicate", &[(E::Regular, "a", "", 0o644, b"1"), (E::Symlink, "a", "b", 0o777, b"")]),
        ("Conflict", &[(E::Regular, "a", "", 0o644, b"1"), (E::Regular, "a/b", "", 0o644, b"2")]),
        ("Conflict", &[(E::Regular, "a/b", "", 0o644, b"1"), (E::Regular, "a", "", 0o644, b"2")]),
        ("Conflict", &[(E::Directory, "a", "", 0o755, b""), (E::Symlink, "a", "b", 0o777, b"")]),
        ("Conflict", &[(E::Symlink, ".", "b", 0o777, b"")]),
        ("TooDeep", &[(E::Regular, &deep, "", 0o644, b"x")]),
        ("PathTooLong", &[(E::GNULongName, "l", "", 0, long.as_bytes()), (E::Regular, "x", "", 0o644, b"")]),
        ("PathTooLong", &[(E::GNULongName, "l", "", 0, &wide), (E::Regular, "x", "", 0o644, b"")]),
        ("PathTooLong", &[(E::GNULongLink, "l", "", 0, &wide), (E::Symlink, "x", "", 0o644, b"")]),
        ("Extension", &[(E::XHeader, "p", "", 0, pax_size), (E::Regular, "x", "", 0o644, b"")]),
        (
            "Extension",
            &[(E::XHeader, "p", "", 0, b"22 GNU.sparse.major=1\n"), (E::Regular, "x", "", 0o644, b"")],
        ),
        ("Header", &[(E::XHeader, "p", "", 0, b"99 path=x\n"), (E::Regular, "x", "", 0o644, b"")]),
        ("Header", &[(E::XGlobalHeader, "p", "", 0, b"10 path=x\n"), (E::Regular, "x", "", 0o644, b"")]),
        ("Header", &[(E::GNULongName, "l", "", 0, b"a"), (E::GNULongName, "l", "", 0, b"b")]),
        ("Header", &[(E::GNULongName, "l", "", 0, b"a")]),
        ("Header", &[(E::Directory, "d", "", 0o755, b"content")]),
        ("Header", &[(E::Symlink, "d", "x", 0o755, b"content")]),
        ("Header", &[(E::Regular, "d/", "", 0o644, b"content")]),
    ];
    for (expected, entries) in cases {
        let all = [&[(E::Regular, "MODULE.yaml", "", 0o644, b"name: m\n" as &[u8])], *entries].concat();
        check(expected, &gzip(&archive(&all)));
    }
}

#[test]
fn a_malformed_stream_is_refused_by_name_and_leaves_nothing() {
    let tar = archive(&[MANIFEST_ENTRY, (EntryType::Regular, "noise", "", 0o644, &noise(100_000))]);
    let good = gzip(&tar);
    let mut wrong_crc = good.clone();
    let crc = good.len() - 8;
    wrong_crc[crc] ^= 1;
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x55;
    let mut wrong_checksum = tar.clone();
    wrong_checksum[0] ^= 1;
    let mut reserved = wrong_checksum.clone();
    reserved[..512].copy_from_slice(&[0xff; 512]);
    let cases: &[(&str, Vec<u8>)] = &[
        ("Empty", vec![]),
        ("Empty", gzip(&[0; 1024])),
        ("Truncated", gzip(b"")),
        ("NotGzip", b"PK\x03\x04 a zip".to_vec()),
        ("NotGzip", tar.clone()),
        ("Truncated", good[..1].to_vec()),
        ("Truncated", good[..9].to_vec()),
        ("Truncated", good[..good.len() / 2].to_vec()),
        ("Truncated", good[..good.len() - 1].to_vec()),
        ("Truncated", gzip(&tar[..tar.len() - 1024])),
        ("Truncated", gzip(&tar[..600])),
        ("Truncated", gzip(&tar[..300])),
        ("Corrupt", wrong_crc),
        ("Corrupt", flipped),
        ("TrailingData", [&good[..], b"x"].concat()),
        ("TrailingData", [good.clone(), good.clone()].concat()),
        ("TrailingData", gzip(&[&tar[..], b"x"].concat())),
        ("TrailingData", gzip(&[tar.clone(), tar.clone()].concat())),
        ("Header", gzip(&wrong_checksum)),
        ("Header", gzip(&reserved)),
        ("NoManifest", gzip(&archive(&[(EntryType::Regular, "a", "", 0o644, b"x")]))),
        ("NoManifest", gzip(&archive(&[(EntryType::Regular, "m/MODULE.yaml", "", 0o644, b"x")]))),
        ("NoManifest", gzip(&archive(&[(EntryType::Symlink, "MODULE.yaml", "b", 0o644, b"")]))),
    ];
    for (expected, package) in cases {
        check(expected, package);
    }
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let zeros =
        |size| gzip(&archive(&[MANIFEST_ENTRY, (EntryType::Regular, "zeros", "", 0o644, &vec![0; size])]));
    let many: Vec<String> = (0..200).map(|n| format!("f{n}")).collect();
    let many: Vec<Entry<'_>> =
        many.iter().map(|n| (EntryType::Regular, n.as_str(), "", 0o644, b"" as &[u8])).collect();
    let implied: Vec<String> = (0..30).map(|n| format!("{n}/a/b/c/d/e/f")).collect();
    let implied: Vec<Entry<'_>> =
        implied.iter().map(|n| (EntryType::Regular, n.as_str(), "", 0o644, b"" as &[u8])).collect();
    let names = vec![(EntryType::XGlobalHeader, "g", "", 0, b"" as &[u8]); 500];
    let name = vec![b'n'; 100_000];
    let mut claims = header(EntryType::Regular, "huge", "", 0o644, 0);
    claims.set_size(1 << 60);
    claims.set_cksum();
    let claims = [&archive(&[MANIFEST_ENTRY])[..1024], claims.as_bytes()].concat();

    let small = Limits { package_bytes: 1 << 20, unpacked_bytes: 3 << 20, entries: 100, ..Limits::default() };
    check_with(&small, "TooBig", &zeros(4 << 20));
    check_with(&small, "TooBig", &gzip(&claims));
    check_with(&small, "TooManyEntries", &gzip(&archive(&many)));
    check_with(&small, "TooManyEntries", &gzip(&archive(&implied)));
    check_with(&small, "TooManyEntries", &gzip(&archive(&names)));
    check_with(&small, "Header", &gzip(&archive(&[(EntryType::GNULongName, "l", "", 0, &name)])));
    check_with(&small, "PackageTooBig", &noise(2 << 20));
    check("Ratio", &zeros(2 << 20));
}

#[test]
fn other_bytes_than_announced_are_a_fault_of_the_transfer() {
    let package = gzip(&archive(&[MANIFEST_ENTRY]));
    let (digest, size) = (Digest::of(&package), package.len() as u64);
    let mut changed = package.clone();
    changed[size as usize / 2] ^= 1;
    let more = [&package[..], b"x"].concat();
    let cases: &[(&str, &[u8], Digest, u64)] = &[
        ("SizeMismatch", &package[..20], digest, size),
        ("SizeMismatch", b"", digest, size),
        ("SizeMismatch", &package, digest, size + 1),
        ("TooMuch", &more, digest, size),
        ("DigestMismatch", &changed, digest, size),
        ("DigestMismatch", &package, Digest::of(b"other"), size),
    ];
    for (expected, sent, digest, size) in cases {
        let error = refused(*sent, digest, *size, &Limits::default());
        assert!(format!("{error:?}").starts_with(expected), "{expected}: {error:?}");
        assert_eq!(error.fault(), Fault::Transfer, "{error:?}");
    }
    let error = refused(package[..20].chain(Broken), &digest, size, &Limits::default());
    assert!(matches!(error, UnpackError::Read { .. }), "{error:?}");
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_lives_is_not() {
    let releases = tempfile::tempdir().expect("a folder");
    let left = releases.path().join(".incoming-1-0");
    fs::create_dir_all(left.join("deep")).expect("a folder");
    fs::create_dir(releases.path().join("kept")).expect("a folder");
    let living = incoming::Incoming::create(releases.path()).expect("a folder");
    assert_eq!(sweep(releases.path()).expect("sweeps"), 1);
    assert!(!left.exists() && living.path().exists());
    drop(living);
    assert_eq!(list(releases.path()), ["kept"]);
    assert_eq!(sweep(&releases.path().join("missing")).expect("sweeps"), 0);
}

#[test]
fn two_that_unpack_the_same_package_at_once_both_succeed() {
    let package =
        gzip(&archive(&[MANIFEST_ENTRY, (EntryType::Regular, "noise", "", 0o644, &noise(300_000))]));
    let releases = tempfile::tempdir().expect("a folder");
    let digest = Digest::of(&package);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    sweep(releases.path()).expect("sweeps");
                    unpack(&*package, &digest, package.len() as u64, releases.path(), &Limits::default())
                        .expect("unpacks");
                }
            });
        }
    });
    assert_eq!(list(releases.path()), [digest.hex()]);
}

#[test]
fn a_disk_that_refuses_is_named() {
    let package = gzip(&archive(&[MANIFEST_ENTRY]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("writes");
    let error = unpack(
        &*package,
        &Digest::of(&package),
        package.len() as u64,
        &file.join("releases"),
        &Limits::default(),
    )
    .expect_err("a file is no folder");
    assert_eq!(error.fault(), Fault::Disk);
    assert!(error.to_string().contains("releases"), "{error}");
}

type Entry<'e> = (EntryType, &'e str, &'e str, u32, &'e [u8]);

const MANIFEST_ENTRY: Entry<'static> = (EntryType::Regular, "MODULE.yaml", "", 0o644, b"name: m\n");

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

fn check(expected: &str, package: &[u8]) {
    check_with(&Limits::default(), expected, package);
}

fn check_with(limits: &Limits, expected: &str, package: &[u8]) {
    let error = refused(package, &Digest::of(package), package.len() as u64, limits);
    let name = format!("{error:?}");
    let name = name.split([' ', '{']).next().expect("the variant's name");
    assert_eq!(name, expected, "{error}");
    assert_eq!(error.fault(), Fault::Package);
}

/// The error for a bad package, after seeing that nothing was left in, or changed around, the releases folder.
fn refused(package: impl Read, digest: &Digest, size: u64, limits: &Limits) -> UnpackError {
    let folder = tempfile::tempdir().expect("a folder");
    let (releases, outside) = (folder.path().join("releases"), folder.path().join("d"));
    fs::create_dir(&outside).expect("a folder");
    symlink(&outside, folder.path().join("link")).expect("a link");
    let before = fs::metadata(&outside).expect("is there").mtime_nsec();
    let error = unpack(package, digest, size, &releases, limits).expect_err("is refused");
    assert_eq!(
        list(folder.path()),
        if releases.exists() { vec!["d", "link", "releases"] } else { vec!["d", "link"] }
    );
    assert!(!releases.exists() || list(&releases).is_empty(), "{error}");
    assert_eq!(fs::metadata(&outside).expect("is there").mtime_nsec(), before);
    error
}

fn header(kind: EntryType, path: &str, link: &str, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..path.len().min(100)].copy_from_slice(&path.as_bytes()[..path.len().min(100)]);
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_cksum();
    header
}

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, path, link, mode, data) in entries {
        bytes.extend_from_slice(header(*kind, path, link, *mode, data.len()).as_bytes());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

fn list(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
