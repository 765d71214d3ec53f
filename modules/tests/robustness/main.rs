//! Runs what the fuzz targets run, on mutated seeds, within the ordinary tests.

use proptest::prelude::*;

mod bodies;

const FULL: &[u8] = include_bytes!("../full.yaml");
const SMALL: &[u8] = b"name: m\nversion: 1.0.0\nruntime: {process: {command: [./run]}}\n";
/// What a mutation may write: what YAML and this format give a meaning to.
const WORDS: [&str; 34] = [
    "\n",
    "\t",
    " ",
    "  - ",
    ": ",
    "? ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "...\n",
    "#",
    "<<: ",
    "${",
    "${config.port}",
    "$${",
    "null",
    "~",
    "name",
    "runtime:",
    "\u{feff}",
    "\r\n",
    "%TAG",
    "-0x1",
];
const COMPOSE: &[u8] = include_bytes!("../compose/app.yaml");
const SCRIPT: &[u8] = b"#!/bin/sh\nset -e\nf() { curl -s \"$1\"; }\nfor x in a b; do if [ -f $x ]; then f $x | sh; else `f y`; fi; done\ncat <<E >f\n$(f z)\nE\ncase $1 in a|b) eval \"${2:-$(f q)}\" ;; *) : ;; esac\nbash <(f w) && (f u | sh -c 'x') || { echo $'\\x41' > /dev/sda; }\n";
/// The same for scripts.
const SIGNS: [&str; 30] = [
    "\n",
    " ",
    ";",
    "&",
    "&&",
    "|",
    "||",
    "(",
    ")",
    "{ ",
    "}",
    "<",
    ">",
    "<<E\n",
    "<<<",
    "<(",
    "$(",
    "${",
    "$((",
    "`",
    "'",
    "\"",
    "\\",
    "$x",
    "#",
    "if ",
    "done",
    "case x in ",
    ";;",
    "x=$x$x;",
];
/// The same for archives: paths, and the kinds of entries.
const BYTES: [&[u8]; 16] = [
    b"..",
    b"../",
    b"/",
    b"./",
    b"\0",
    b"MODULE.yaml",
    b"link",
    b"0",
    b"1",
    b"2",
    b"5",
    b"7777",
    b"L",
    b"x",
    b"\xff",
    b"ustar",
];

#[derive(Debug, Clone)]
enum Mutation {
    Put(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    Delete(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize, usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_module_yaml_is_read_or_refused_with_places(
        seed in prop::sample::select(vec![FULL, SMALL]),
        mutations in prop::collection::vec(mutation(WORDS.map(str::as_bytes).to_vec()), 0..6),
    ) {
        bodies::module_yaml(&mutated(seed, &mutations));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_package_is_unpacked_inside_its_folder_or_leaves_nothing(
        kind in 0..3_u8,
        mutations in prop::collection::vec(mutation(BYTES.to_vec()), 0..5),
    ) {
        let archive = archive();
        let seed = if kind == 0 { bodies::gzip(&archive) } else { archive };
        let mut bytes = vec![kind];
        bytes.extend(mutated(&seed, &mutations));
        bodies::unpack(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_compose_file_is_read_or_refused_with_places(
        mutations in prop::collection::vec(mutation(WORDS.map(str::as_bytes).to_vec()), 0..6),
    ) {
        bodies::compose(&mutated(COMPOSE, &mutations));
    }

    #[test]
    fn any_script_is_followed_to_its_end(
        mutations in prop::collection::vec(mutation(SIGNS.map(str::as_bytes).to_vec()), 0..8),
    ) {
        bodies::script(&mutated(SCRIPT, &mutations));
    }
}

#[test]
fn the_seeds_are_good() {
    bodies::compose(COMPOSE);
    bodies::script(SCRIPT);
    bodies::module_yaml(FULL);
    bodies::unpack(&[&[1], &archive()[..]].concat());
    assert!(modules::spec::ModuleSpec::parse_bytes("full.yaml", FULL).is_ok());
}

fn mutation(words: Vec<&'static [u8]>) -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    let word = || {
        let known = prop::sample::select(words.clone()).prop_map(<[u8]>::to_vec);
        prop_oneof![3 => known, 1 => prop::collection::vec(any::<u8>(), 1..4)]
    };
    prop_oneof![
        (at(), word()).prop_map(|(at, word)| Mutation::Put(at, word)),
        (at(), word()).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (at(), 1..600_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (at(), 1..40_usize, 1..80_usize).prop_map(|(at, length, times)| Mutation::Repeat(at, length, times)),
    ]
}

fn mutated(seed: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for mutation in mutations.iter() {
        let length = bytes.len();
        match mutation {
            _ if length == 0 => {}
            Mutation::Put(at, word) => {
                let at = at.index(length);
                let end = length.min(at + word.len());
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
            Mutation::Insert(at, word) => {
                let at = at.index(length);
                bytes.splice(at..at, word.iter().copied());
            }
            Mutation::Delete(at, count) => {
                let at = at.index(length);
                bytes.drain(at..length.min(at + count));
            }
            Mutation::Repeat(at, count, times) => {
                let at = at.index(length);
                let part = bytes[at..length.min(at + count)].repeat(*times);
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// An archive with one of everything that is allowed.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, target: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        match target {
            "" => builder.append_data(&mut header, path, content).expect("memory"),
            _ => builder.append_link(&mut header, path, target).expect("memory"),
        }
    };
    add(tar::EntryType::Regular, "MODULE.yaml", "", SMALL);
    add(tar::EntryType::Directory, "bin/", "", b"");
    add(tar::EntryType::Regular, "bin/run", "", b"#!/bin/sh\n");
    add(tar::EntryType::Symlink, "bin/link", "../MODULE.yaml", b"");
    add(tar::EntryType::Symlink, "bin/up", "..", b"");
    add(tar::EntryType::Regular, &format!("deep/{}", "n".repeat(150)), "", b"a long name");
    builder.into_inner().expect("memory")
}
