//! What people name, and what it is taken for.

use super::git::Address;
use super::github::Repository;
use super::*;

#[test]
fn a_place_is_told_by_its_look() {
    let shown = |text: &str| match Place::parse(text, &Access::default()) {
        Ok(Place::GitHub(Repository { owner, name, revision, folder })) => {
            let revision = revision.map_or(String::new(), |revision| format!("@{revision}"));
            let folder = if folder.is_empty() { folder } else { format!(":{folder}") };
            format!("github {owner}/{name}{revision}{folder}")
        }
        Ok(Place::Git(address)) => format!("git {}", address.shown()),
        Ok(Place::Url(url)) => format!("url {url}"),
        Ok(Place::Folder(path)) => format!("folder {}", path.display()),
        Ok(Place::File(path)) => format!("file {}", path.display()),
        Ok(Place::Package(path)) => format!("package {}", path.display()),
        Err(error) => format!("error {}", error.code()),
    };
    let cases = [
        ("https://github.com/owner/repo", "github owner/repo"),
        ("http://www.github.com/owner/repo.git", "github owner/repo"),
        ("github.com/owner/repo/", "github owner/repo"),
        ("owner/repo", "github owner/repo"),
        ("https://github.com/owner/repo?tab=readme-ov-file#install", "github owner/repo"),
        ("https://github.com/owner/repo/tree/dev/deploy/docker", "github owner/repo@dev:deploy/docker"),
        ("https://github.com/owner/repo/blob/v1.0/docs/README.md", "github owner/repo@v1.0:docs"),
        ("https://github.com/owner/repo/issues/7", "github owner/repo"),
        ("https://github.com/owner", "error invalid_input"),
        ("https://github.com/own er/re%00po", "error invalid_input"),
        ("https://gitlab.com/group/sub/repo", "git https://gitlab.com/group/sub/repo"),
        (
            "https://gitlab.com/group/repo/-/raw/main/README.md",
            "url https://gitlab.com/group/repo/-/raw/main/README.md",
        ),
        ("https://example.org/x.git", "git https://example.org/x.git"),
        ("git+https://example.org/x", "git https://example.org/x"),
        ("https://me:secret@example.org/x.git", "git https://***@example.org/x.git"),
        ("git@example.org:me/x.git", "git git@example.org:me/x.git"),
        ("ssh://git@example.org/x", "git ssh://git@example.org/x"),
        ("https://example.org/MODULE.yaml", "url https://example.org/MODULE.yaml"),
        ("ext::sh -c id", "error invalid_input"),
        ("git+ext::sh", "error invalid_input"),
        ("ssh://-oProxyCommand=id/x", "error invalid_input"),
        ("-x@host:path", "error not_found"),
        ("./nowhere", "error not_found"),
        ("nowhere", "error not_found"),
        ("/proc/self/mem/x", "error failed"),
        ("file.txt\u{0}", "error failed"),
        ("", "error invalid_input"),
        ("src", "folder src"),
        ("Cargo.toml", "file Cargo.toml"),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn nothing_but_addresses_gets_to_git() {
    for bad in [
        "",
        "-u",
        "--upload-pack=x",
        "a b",
        "a\nb",
        "x::y",
        "fd::17",
        "http://-x/y",
        "nowhere",
        "user@-host:x:y\t",
    ] {
        assert!(Address::exactly(bad).is_err(), "{bad:?}");
    }
    for good in ["https://h/x", "git@h:x", "ssh://h/x", "file:///x", "."] {
        assert!(Address::exactly(good).is_ok(), "{good:?}");
    }
}

#[test]
fn the_telling_files_are_read_and_the_most_telling_first() {
    let paths = [
        "src/main.rs",
        "README.md",
        "docker-compose.yml",
        "docs/README.md",
        "node_modules/x/README.md",
        "LICENSE",
        "deploy/docker-compose.prod.yaml",
        "Dockerfile",
        "a/b/c/d/e/README.md",
        "docs/install.md",
        "MODULE.yaml",
        "app.service",
        "package.json",
        "logo.png",
        "README_zh.md",
        "readme.html",
    ];
    let chosen = |folder: &str| {
        let wanted = Wanted { folder: folder.to_owned(), revision: None };
        wanted::choose(paths.into_iter(), &wanted).join(" ")
    };
    let all = chosen("");
    assert!(all.starts_with("MODULE.yaml README.md docker-compose.yml "), "{all}");
    for out in ["node_modules", "main.rs", "logo.png", "d/e", ".html"] {
        assert!(!all.contains(out), "{out} in {all}");
    }
    assert_eq!(chosen("deploy"), "deploy/docker-compose.prod.yaml");
    assert_eq!(chosen("doc"), "");
}

#[test]
fn bytes_become_text_where_they_are_some() {
    /// The text and, where it is not UTF-8, the encoding.
    type Text = Option<(&'static str, Option<&'static str>)>;
    let cases: [(&[u8], Text); 7] = [
        (b"plain", Some(("plain", None))),
        ("gr\u{fc}n".as_bytes(), Some(("gr\u{fc}n", None))),
        (b"\xef\xbb\xbfmarked", Some(("marked", None))),
        (b"\xff\xfeh\0i\0", Some(("hi", Some("UTF-16")))),
        (b"caf\xe9 and a long line of text", Some(("caf\u{e9} and a long line of text", Some("Latin-1")))),
        (b"\x7fELF\x01\0\0", None),
        (b"\xff\xd8\xff\xe0\x10JFIF\x01\x02", None),
    ];
    for (bytes, expected) in cases {
        let found = text::decode(bytes.to_vec());
        let found = found.map(|(bytes, encoding)| (String::from_utf8(bytes).expect("UTF-8"), encoding));
        assert_eq!(found, expected.map(|(text, encoding)| (text.to_owned(), encoding)));
    }
}

#[test]
fn a_token_is_never_shown() {
    let access = Access { token: Some(Token::new("hunter2")), ..Access::default() };
    assert!(!format!("{access:?}").contains("hunter2"));
}
