//! What drafts come of which texts, and that no text breaks the importer.

use proptest::prelude::*;

use super::{Files, Import, ImportError, Reason, Source, Verdict, import};

mod described;
mod facts;
mod found;
mod further;
mod hints;
mod images;
mod libraries;
mod nuances;
mod phrases;
mod repository;
mod settings;
mod steps;
mod styles;
mod told;

fn read(files: &[(&str, &[u8])]) -> Result<Import, ImportError> {
    let mut known = Files::default();
    for (path, bytes) in files {
        known.insert(*path, *bytes);
    }
    import(&known, &Source::of_url("https://github.com/owner/lantern"))
}

fn readme(text: &str) -> Import {
    read(&[("README.md", text.as_bytes())]).expect("it is text")
}

const RUN: &str = "```sh\ndocker run -p 80:80 owner/lantern\n```\n";
const HEAD: &str = "# Lantern\n\nLantern is a lamp server.\n\n";

fn with(part: &str) -> Import {
    readme(&format!("{HEAD}{part}"))
}

fn reason(import: &Import) -> Option<Reason> {
    match import.verdict {
        Verdict::NotDeployable { reason, .. } => Some(reason),
        Verdict::Deployable(_) => None,
    }
}

/// The draft, where each field comes from, and what to look at.
fn report(import: &Import) -> String {
    let mut report = match &import.verdict {
        Verdict::Deployable(draft) => {
            let files: Vec<String> = draft
                .files
                .iter()
                .map(|(path, bytes)| format!("--- {path}\n{}", String::from_utf8_lossy(bytes)))
                .collect();
            format!("{}{}", draft.yaml, files.join(""))
        }
        Verdict::NotDeployable { reason, sentence } => format!("{}: {sentence}\n", reason.as_str()),
    };
    report.push_str("--- provenance\n");
    import.provenance.iter().for_each(|trace| report.push_str(&format!("{trace}\n")));
    report.push_str("--- warnings\n");
    for warning in &import.warnings {
        let place = warning.origin.as_ref().map(|origin| format!(" ({}:{})", origin.file, origin.line));
        report.push_str(&format!("{}: {}{}\n", warning.field, warning.text, place.unwrap_or_default()));
    }
    report
}

#[test]
fn a_docker_run_becomes_a_container_with_its_sources() {
    let import = readme(
        "# Lantern\n\nLantern is a server for lanterns.\n\n## Install\n\n```sh\n# start it\n$ sudo docker run -dp 8080:80 \\\n    \
         --volume=/srv/lantern:/data:rw -e LANTERN_TOKEN=abc123 --env LEVEL=3 \\\n    --cap-add NET_ADMIN --device=/dev/ttyUSB0 \
         --restart=always ghcr.io/owner/lantern:1.4.2 serve --quiet\n```\n\n## License\n\nMIT\n",
    );
    insta::assert_snapshot!(report(&import));
}

#[test]
fn a_compose_file_comes_along_without_its_secrets() {
    let compose = "services:\n  web:\n    image: owner/lantern\n    ports: [\"${PORT:-8080}:80\"]\n    environment:\n      DB_PASSWORD: hunter2\n      \
                   MODE: ${MODE}\n    depends_on: [db]\n  db:\n    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: hunter2\n";
    let text = b"# Lantern\n\nA server for lanterns.\n\nRun `docker compose up -d`.\n";
    let import = read(&[("README.md", text), ("compose.yaml", compose.as_bytes())]).expect("both are text");
    insta::assert_snapshot!(report(&import));
}

#[test]
fn a_package_becomes_a_process_that_installs_it() {
    let import = readme(
        "# lantern\n\nlantern is a small web server for lanterns.\n\n```\npip install lantern\nlantern --port 9000\n```\n\n\
         | Variable | Default | Required |\n|---|---|---|\n| `LANTERN_HOST` | `0.0.0.0` | no |\n| `LANTERN_SECRET` | | yes |\n",
    );
    insta::assert_snapshot!(report(&import));
}

#[test]
fn every_refusal_has_its_reason() {
    let table = [
        (
            "# lantern\n\nA library.\n\n```\nnpm install lantern\n```\n\n```js\nimport x from 'lantern'\n```\n",
            Reason::Library,
        ),
        ("# lantern\n\nSee the [docs](https://lantern.example.org/install).\n", Reason::NoInstallInformation),
        ("# lantern\n\n## Install\n\n```\nhelm install lantern owner/lantern\n```\n", Reason::KubernetesOnly),
        (
            "# lantern\n\n## Development\n\n```\ndocker build -t lantern .\ndocker run lantern\n```\n",
            Reason::NoInstallInformation,
        ),
    ];
    for (text, expected) in table {
        match readme(text).verdict {
            Verdict::NotDeployable { reason, .. } => assert_eq!(reason, expected, "{text}"),
            Verdict::Deployable(draft) => panic!("{text}\n{}", draft.yaml),
        }
    }
}

#[test]
fn what_is_no_text_is_refused_with_its_reason() {
    let large = vec![b'a'; 50 * 1024 * 1024];
    let error = read(&[("README.md", &large)]).expect_err("too large");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(
        format!("{error}: {cause}"),
        "could not read README.md: it has 50 MiB; at most 4 MiB are read"
    );
    let error = read(&[("README.md", b"\x7fELF\0\0")]).expect_err("binary");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "it is binary: byte 0 at offset 4");
    assert!(matches!(read(&[("main.rs", b"fn main() {}")]), Err(ImportError::NoReadme { count: 1 })));
}

#[test]
fn the_encoding_changes_nothing() {
    let text = "# Läntern\r\n\r\nLäntern is a server.\r\n\r\n```\r\ndocker run -p 80:80 owner/lantern:1.0\r\n```\r\n";
    let plain = report(&readme(&text.replace("\r\n", "\n")));
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for bytes in [utf16, latin, marked, text.as_bytes().to_vec()] {
        assert_eq!(report(&read(&[("README.md", &bytes)]).expect("it is text")), plain);
    }
}

/// Nested, open and endless things that have broken readers.
#[test]
fn hostile_texts_take_no_time() {
    let many = |part: &str| part.repeat(30_000 / part.len());
    let texts = [
        many("> "),
        many("- "),
        many("["),
        many("<a \""),
        many("<!--"),
        many("`"),
        many("*a_"),
        many("| a "),
        many("&amp;"),
        many("<table><tr><td>"),
        many("<details>"),
        format!("```sh\n{}", many("a \\\n")),
        format!("```sh\n{}", many("'")),
        format!("```sh\n{}", many("$(")),
        format!("```sh\n{}", many("< ")),
        format!("```yaml\nimage: x\n{}", many("a: [")),
        format!("```yaml\nimage: &a x\n{}", many("b: *a\n")),
        many("- A_B: c\n"),
        many("A_B=1\n"),
        many("#"),
        many("port default "),
        many("docker run "),
        many("| `A_B` | `c` |\n"),
    ];
    for text in texts {
        let start = std::time::Instant::now();
        let head: String = text.chars().take(30).collect();
        let _ = read(&[
            ("README.md", text.as_bytes()),
            ("README.rst", text.as_bytes()),
            ("compose.yaml", text.as_bytes()),
        ]);
        let _ = read(&[("README.rst", text.as_bytes())]);
        let _ = read(&[("README.adoc", text.as_bytes())]);
        assert!(start.elapsed().as_secs() < 60, "{head:?} took {:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes of a text, a draft reads back as it was written, and every trace is in a file.
    #[test]
    fn any_text_gives_a_valid_draft_or_a_reason(parts in prop::collection::vec(part(), 0..12), ending in "md|rst|adoc") {
        let text = parts.join("\n");
        let path = format!("README.{ending}");
        let import = read(&[(&path, text.as_bytes())]).expect("it is text");
        if let Verdict::Deployable(draft) = &import.verdict {
            prop_assert_eq!(&crate::spec::ModuleSpec::parse("MODULE.yaml", &draft.yaml).expect("valid"), &draft.spec);
        }
        if let Verdict::NotDeployable { reason, sentence } = &import.verdict {
            prop_assert!(*reason != Reason::NotDraftable, "{}", sentence);
        }
        let lines = u32::try_from(text.lines().count()).expect("few lines") + 1;
        for trace in &import.provenance {
            prop_assert!(trace.origin.line <= lines, "{} of {}", trace, lines);
        }
    }
}

/// Pieces of READMEs, sound and broken.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,60}",
        "# \\PC{0,20}",
        "```(sh|yaml|)\ndocker run( -[a-z]{1,3}| --[a-z]{2,8}(=| )[a-zA-Z0-9/:.$<>{}-]{0,12}){0,6} [a-z]{1,8}/lantern(:[a-z0-9.]{1,5})?( [\\PC]{0,10})?\n```",
        "```yaml\nservices:\n  lantern:\n    image: [a-z]{1,5}/[a-zA-Z]{1,8}(:[0-9.]{1,5})?\n    ports: \\[\"[0-9:${}A-Z-]{1,12}\"\\]\n    environment:\n      [A-Z_]{1,9}: \"?[a-z0-9${}:-]{0,9}\"?\n```",
        "(pip|npm|cargo|apt|brew|pipx|uvx|npx|go) install (-g )?lantern[@=a-z0-9.-]{0,6}",
        "\\| `[A-Z_]{1,10}` \\| \\PC{0,10} \\| \\PC{0,20} \\|",
        "- `[A-Z_]{2,10}`[:=(]? \\PC{0,20}",
        "<(table|tr|td|th|li|pre|code|a href=\"x|img alt=\"y)\"?>\\PC{0,10}",
        "[.]{2} [a-z]{1,8}:: \\PC{0,10}\n\n   \\PC{0,10}",
    ]
}
