use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::*;

#[test]
fn only_the_wanted_name_may_be_set() {
    let check = |archive: &[u8], wanted: &str, expected: &str| {
        let found = read(archive).and_then(|found| found.check(&[name(wanted)]));
        let said = found.map_or_else(|error| error.to_string(), |()| String::new());
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{wanted}: {said}");
    };
    let box_alone = saved(&["box:1"]);
    check(&box_alone, "box:1", "");
    check(&box_alone, "docker.io/library/box:1", "");
    check(&gzip(&box_alone), "box:1", "");
    check(&box_alone, "box", "would also set box:1");
    check(&saved(&["localhost/box:1"]), "box:1", "");
    check(&saved(&[]), "box:1", "");
    check(&saved(&["box:1", "postgres:16"]), "box:1", "would also set postgres:16");
    check(&saved(&["postgres:16"]), "box:1", "would also set postgres:16");
    check(&saved(&["ghcr.io/box:1"]), "box:1", "would also set ghcr.io/box:1");

    let both = [name("box:1"), name("postgres:16")];
    assert!(read(saved(&["box:1", "postgres:16"]).as_slice()).is_ok_and(|found| found.check(&both).is_ok()));

    // Each place that one engine or another takes names from.
    let both = |more: &[(&str, Vec<u8>)]| tar(&[&[("manifest.json", manifest(&["box:1"]))], more].concat());
    let index = |annotation: &str, text: &str| {
        json!({ "manifests": [{ "annotations": { annotation: text } }] }).to_string().into_bytes()
    };
    let containerd = index("io.containerd.image.name", "docker.io/library/postgres:16");
    check(&both(&[("index.json", containerd)]), "box:1", "docker.io/library/postgres:16");
    let oci = "org.opencontainers.image.ref.name";
    check(&both(&[("index.json", index(oci, "postgres:16"))]), "box:1", "postgres:16");
    check(&both(&[("./index.json", index(oci, "1"))]), "box:1", "");
    let legacy = json!({ "postgres": { "16": "abc" } }).to_string().into_bytes();
    check(&both(&[("repositories", legacy)]), "box:1", "postgres:16");
    let lower = json!([{ "repotags": ["postgres:16"], "RepoTags": ["box:1"] }]).to_string().into_bytes();
    check(&tar(&[("manifest.json", lower)]), "box:1", "postgres:16");
    check(&both(&[("x/../manifest.json", manifest(&["postgres:16"]))]), "box:1", "is there twice");

    check(&tar(&[("a", b"{}".to_vec())]), "box:1", "no image in it");
    check(b"\x28\xb5\x2f\xfd....", "box:1", "compressed with zstd");
}

#[test]
fn a_pinned_image_is_what_its_digest_says() {
    let config = br#"{"os":"linux","architecture":"arm","variant":"v7"}"#.to_vec();
    let inner = json!({ "config": { "digest": digest(&config) } }).to_string().into_bytes();
    let index = json!({ "manifests": [{ "digest": digest(&inner) }] }).to_string().into_bytes();
    let archive =
        tar(&[("index.json", index), (&blob(&inner), inner.clone()), (&blob(&config), config.clone())]);
    let found = read(archive.as_slice()).expect("reads");
    let ids = found.pinned(&name(&format!("box@{}", digest(&inner)))).expect("is in it").expect("is pinned");
    assert_eq!(ids, BTreeSet::from([digest(&inner), digest(&config)]));
    let platforms: Vec<String> = found.platforms().iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/arm/v7"]);

    let other = name(&format!("box@{}", digest(b"other")));
    assert!(matches!(found.check(std::slice::from_ref(&other)), Err(ArchiveError::OtherDigest { .. })));
    // A blob that is called so, and is another.
    let lie = tar(&[
        ("manifest.json", manifest(&[])),
        (&format!("blobs/{}", digest(b"other").replace(':', "/")), inner),
    ]);
    assert!(matches!(
        read(lie.as_slice()).expect("reads").check(std::slice::from_ref(&other)),
        Err(ArchiveError::OtherDigest { .. })
    ));
}

#[test]
fn the_processor_is_read_from_the_config_of_what_docker_saved() {
    let config = br#"{"os":"linux","architecture":"arm64"}"#.to_vec();
    let archive = tar(&[
        ("layer.tar", vec![7; 3 << 20]),
        ("abc.json", config),
        ("manifest.json", manifest(&["box:1"])),
    ]);
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&archive).expect("writes");
    file.seek(SeekFrom::Start(0)).expect("seeks");
    for found in [read(archive.as_slice()), read(gzip(&archive).as_slice()), read_file(file)] {
        let platforms = found.expect("reads").platforms();
        assert_eq!(platforms.iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/arm64"]);
    }
}

#[test]
fn a_long_name_is_one_that_counts_and_none_that_fills_the_memory() {
    let reads = |kind: EntryType, said: Vec<u8>| {
        let archive = tar_of(&[(kind, "x", said), (EntryType::Regular, "short", manifest(&["postgres:16"]))]);
        let found = read(archive.as_slice()).and_then(|found| found.check(&[name("box:1")]));
        let error = found.expect_err("it is refused");
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    };
    let long = EntryType::GNULongName;
    assert!(reads(long, b"manifest.json\0".to_vec()).contains("would also set postgres:16"));
    assert!(
        reads(EntryType::XHeader, b"22 path=manifest.json\n".to_vec()).contains("would also set postgres:16")
    );
    assert!(reads(EntryType::XGlobalHeader, b"22 path=manifest.json\n".to_vec()).contains("a path for all"));
    assert!(reads(long, vec![b'a'; 65 << 10]).contains("more than 64 KiB"));
    assert!(reads(EntryType::XHeader, vec![b'a'; 65 << 10]).contains("more than 64 KiB"));
    assert!(reads(EntryType::XHeader, b"9 size=1\n".to_vec()).contains("size"));
    assert!(reads(EntryType::GNUSparse, Vec::new()).contains("a sparse file"));
}

fn name(text: &str) -> ImageName {
    ImageName::parse(text).expect("a name")
}

fn manifest(names: &[&str]) -> Vec<u8> {
    json!([{ "Config": "abc.json", "RepoTags": names }]).to_string().into_bytes()
}

fn saved(names: &[&str]) -> Vec<u8> {
    tar(&[("manifest.json", manifest(names))])
}

fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/{}", digest(bytes).replace(':', "/"))
}

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<(EntryType, &str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (EntryType::Regular, *path, bytes.clone())).collect();
    tar_of(&entries)
}

/// Paths as they are given, also such as `tar` itself would not write.
fn tar_of(entries: &[(EntryType, &str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, path, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).expect("appends");
    }
    builder.into_inner().expect("ends")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("ends")
}
