//! What texts say in further ways of putting it: one rule, one text.

use super::found::{dangers, default, has, image, volumes};
use super::{Files, Import, RUN, Reason, Source, Verdict, import, readme};

fn of(owner: &str, path: &str, text: &str) -> Import {
    repository(owner, "lantern", path, text)
}

fn repository(owner: &str, name: &str, path: &str, text: &str) -> Import {
    let mut files = Files::default();
    files.insert(path, text.as_bytes());
    let source = Source::of_url(&format!("https://github.com/{owner}/{name}"));
    import(&files, &source).expect("it is text")
}

/// A README of the lantern with a part of its own.
fn with(part: &str) -> Import {
    readme(&format!("# Lantern\n\nLantern is a lamp server.\n\n{RUN}\n{part}"))
}

#[test]
fn an_owner_may_be_called_like_a_gap_to_fill() {
    let text = |owner: &str| {
        format!("# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 ghcr.io/{owner}/lantern\n```\n")
    };
    assert_eq!(image(&of("YourLamps", "README.md", &text("yourlamps"))), Some("ghcr.io/yourlamps/lantern"));
    assert_eq!(image(&of("owner", "README.md", &text("yourname"))), None);
}

#[test]
fn an_image_without_a_name_of_the_project_is_only_run_beside_the_one_of_its_badge() {
    let badge = "[![pulls](https://img.shields.io/docker/pulls/keeper/lamp-guard.svg)](https://hub.docker.com/r/keeper/lamp-guard)\n\n";
    let text = "A guard for lamps.\n\n```sh\ndocker run -p 80:80 others/gate\ndocker run -v /wicks:/wicks keeper/lamp-guard\n```\n";
    let beside = of("keepers", "README.md", &format!("{badge}{text}"));
    assert_eq!((image(&beside), volumes(&beside)), (Some("keeper/lamp-guard"), vec!["/wicks"]));
    assert_eq!(image(&of("keepers", "README.md", text)), Some("others/gate"), "nothing tells them apart");
}

#[test]
fn a_script_that_installs_the_tool_is_no_route_with_or_without_a_scheme() {
    let import = readme(&format!(
        "# Lantern\n\nA lamp server.\n\n## Install\n\n```sh\nsudo curl -sSL get.docker.com | sh\n```\n\n{RUN}"
    ));
    assert_eq!(import.facts.kind.value, crate::import::Kind::Container);
    assert!(dangers(&import).is_empty());
}

#[test]
fn a_clone_within_a_sentence_counts_like_one_in_a_block() {
    let text = "# Lantern\n\nA lamp proxy.\n\n## Starting up\n\n1. `git clone https://github.com/owner/lantern.git; cd lantern`\n2. `docker-compose up -d`\n";
    assert!(readme(text).is_deployable());
    assert!(!readme(&text.replace("Starting up", "Contributing")).is_deployable());
}

#[test]
fn comments_and_captions_are_read_as_what_they_are() {
    let asciidoc = "= Lantern\n\n////\nThe registry needs another format of this page.\n////\n\nLantern is a lamp server for small houses.\n";
    let import = of("owner", "README.adoc", asciidoc);
    let description = import.facts.description.map(|found| found.value);
    assert_eq!(description.as_deref(), Some("Lantern is a lamp server for small houses."));
    let figure = ".. figure:: https://lamps.invalid/lantern.png\n   :alt: Logo\n\n   **Lantern** is a lamp server for\n   small houses.\n\n   * `Docs`_\n\n\
         Details\n=======\n\nIt is written with care and oil.\n";
    let import = of("owner", "README.rst", figure);
    let found = import.facts.description.expect("the caption says it");
    assert_eq!(found.value, "Lantern is a lamp server for small houses.");
    assert_eq!(found.origin.line, 4);
}

#[test]
fn a_variable_may_be_the_term_that_a_paragraph_defines() {
    let import = of(
        "owner",
        "README.rst",
        "Lantern\n=======\n\nA lamp server::\n\n    docker run -p 80:80 owner/lantern\n\nEnvironment variables\n---------------------\n\n\
         *LAMP_HOST*\n    Where it is (string, default \"lamp.invalid\")\n\n*LAMP_PORT*\n    Its port (int, default \"25\")\n",
    );
    assert_eq!(default(&import, "LAMP_HOST"), Some("lamp.invalid"));
    assert_eq!(default(&import, "LAMP_PORT"), Some("25"));
}

#[test]
fn one_of_the_values_may_be_called_the_default() {
    let import = with("## Environment variables\n\n- `LAMP_ALL` - `1` (default) lights all, `0` only one\n");
    assert_eq!(default(&import, "LAMP_ALL"), Some("1"));
}

#[test]
fn a_column_for_optional_tells_what_is_required() {
    let import = with(
        "| variable | optional | description |\n|---|---|---|\n| LAMP_HOST | no | where |\n| LAMP_KEY | yes | key |\n",
    );
    let required = |name: &str| {
        import.facts.env.iter().find(|found| found.value.name == name).and_then(|found| found.value.required)
    };
    assert_eq!((required("LAMP_HOST"), required("LAMP_KEY")), (Some(true), Some(false)));
}

#[test]
fn volumes_that_are_listed_count_where_no_example_mounts_any() {
    let list = "## Volumes\n\n* `/var/lib/lantern` : the oil\n* /etc/lantern\n* the wick\n";
    assert_eq!(volumes(&with(list)), ["/var/lib/lantern", "/etc/lantern"]);
    let mounted = readme(&format!(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -v oil:/oil owner/lantern\n```\n\n{list}"
    ));
    assert_eq!(volumes(&mounted), ["/oil"]);
}

#[test]
fn a_password_with_a_stated_default_is_a_ready_one() {
    let password = |default: &str| {
        with(&format!(
            "## Environment variables\n\n- `LAMP_KEYSTORE_PASS`: its password; default `{default}`\n"
        ))
    };
    assert_eq!(dangers(&password("0ilAndW1ck")), ["default credentials"]);
    assert!(dangers(&password("<random>")).is_empty());
}

#[test]
fn a_licence_may_be_a_list_to_choose_from_or_its_own_words_or_a_badge() {
    let license = |text: &str| with(&format!("## License\n\n{text}")).facts.license.map(|found| found.value);
    let choice = "Licensed under either of\n\n* Apache License, Version 2.0\n  ([LICENSE-APACHE](x))\n* MIT License\n\nat your option.\n";
    assert_eq!(license(choice).as_deref(), Some("Apache-2.0 OR MIT"));
    let words = "Copyright (c) 1911 A Keeper\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy\n";
    assert_eq!(license(words).as_deref(), Some("MIT"));
    let badge = "[![CC0](https://mirrors.invalid/cc-zero.svg)](https://creativecommons.invalid/zero/1.0/)\n";
    assert_eq!(license(badge).as_deref(), Some("CC0-1.0"));
}

#[test]
fn requirements_tell_architectures() {
    let import = with("## Requirements\n\n* Linux - x86 / x64\n");
    let found: Vec<&str> = import.facts.arch.iter().map(|found| found.value.as_str()).collect();
    assert_eq!(found, ["amd64"]);
}

#[test]
fn a_package_that_nobody_is_told_to_start_is_a_library_by_fewer_words() {
    let text = "# Lantern\n\nLantern is a pure lamp cipher. It can be used as a lamp\nlibrary as well. See its pages.\n\nInstall it:\n\n    pip install lantern\n";
    let reason = |text: &str| match readme(text).verdict {
        Verdict::NotDeployable { reason, .. } => Some(reason),
        Verdict::Deployable(_) => None,
    };
    assert_eq!(reason(text), Some(Reason::Library));
    assert_eq!(reason(&format!("{text}\nThen run:\n\n    lantern --port 8000\n")), None);
}

#[test]
fn a_line_may_end_within_the_words_that_say_it() {
    let import = with("Set the environment\nvariable `LAMP_MODE` to dim it.\n");
    assert!(import.facts.env.iter().any(|found| found.value.name == "LAMP_MODE"));
}

fn reason(text: &str) -> Option<Reason> {
    match readme(text).verdict {
        Verdict::NotDeployable { reason, .. } => Some(reason),
        Verdict::Deployable(_) => None,
    }
}

#[test]
fn what_one_downloads_to_see_it_work_is_not_the_program() {
    let text = "# Lantern\n\nAn API that makes lamps.\n\n## Making a lamp\n\n```sh\ncurl https://lantern.invalid/lamp.zip -o lamp.zip\n```\n";
    assert_eq!(reason(text), Some(Reason::NoInstallInformation));
    assert_eq!(reason(&text.replace("Making a lamp", "Install")), None);
    let part = "# Lantern\n\nA lamp server.\n\n## Install\n\nDownload [the parts](https://github.com/owner/lantern/releases/download/v1/thirdparty.7z) first.\n";
    assert_eq!(reason(part), Some(Reason::NoInstallInformation));
    assert_eq!(reason(&part.replace("thirdparty", "lantern")), None);
}

#[test]
fn a_script_may_be_fetched_before_it_is_run() {
    let text = "# Lantern\n\nA lamp server.\n\n## Installation\n\n    wget https://github.com/owner/lantern/raw/main/bin/install.sh\n    bash install.sh\n";
    let import = readme(text);
    assert_eq!(import.facts.install, [crate::import::Method::Script]);
    let start = import.facts.start.map(|found| found.value).unwrap_or_default();
    assert!(start.ends_with("install.sh && bash install.sh"), "{start}");
    assert_eq!(reason(&text.replace("bash install.sh", "bash other.sh")), Some(Reason::NoInstallInformation));
}

#[test]
fn of_the_images_of_one_owner_the_one_with_the_name_is_the_project() {
    let import = of(
        "owner",
        "README.md",
        "# owner/lantern\n\nAn image of the lamp server.\n\n```sh\ndocker run -v /srv/db:/db owner/postgresql\n\
         docker run -p 8080:80 -v /srv/wick:/wick owner/lantern\n```\n",
    );
    assert_eq!((image(&import), volumes(&import)), (Some("owner/lantern"), vec!["/wick"]));
}

#[test]
fn a_comment_behind_the_end_of_a_line_does_not_end_the_command() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run \\\n    -e LAMP_URL=http://lamp.invalid \\ # where it is\n    -v /wick:/wick \\\n    owner/lantern\n```\n",
    );
    assert_eq!((image(&import), volumes(&import)), (Some("owner/lantern"), vec!["/wick"]));
}

#[test]
fn who_uses_a_library_is_none() {
    let text = "# Lantern\n\n**Lantern** is a web-based portal for lamps. The portal uses the wick library to manage them.\n\nSee the [docs](https://lantern.invalid).\n";
    assert_eq!(reason(text), Some(Reason::NoInstallInformation));
    let library =
        text.replace("The portal uses the wick library to manage them.", "It is a library for lamps.");
    assert_eq!(reason(&library.replace("web-based portal", "parser")), Some(Reason::Library));
}

#[test]
fn compose_in_a_section_on_installing_is_a_way_though_its_file_is_not_at_hand() {
    let text =
        "# Lantern\n\nLantern is a lamp server.\n\n## Quick start\n\n```sh\ndocker compose up -d\n```\n";
    assert_eq!(reason(text), None);
    assert_eq!(reason(&text.replace("Quick start", "Notes")), Some(Reason::NoInstallInformation));
    assert_eq!(reason(&text.replace("up -d", "-f dev.yml up")), Some(Reason::NoInstallInformation));
    let of_samples = text.replace("```sh", "Go into the folder of each sample:\n\n```sh");
    assert_eq!(reason(&of_samples), Some(Reason::NoInstallInformation));
}

#[test]
fn an_example_that_mounts_a_folder_tells_the_volumes_before_one_that_mounts_a_file() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\nWith your own lamps:\n\n\
         ```sh\ndocker run -v ./lamps.yml:/etc/lamps.yml owner/lantern\n```\n\nTo keep the oil:\n\n\
         ```sh\ndocker run -v /srv/oil:/var/lib/oil owner/lantern\n```\n",
    );
    assert_eq!(volumes(&import), ["/var/lib/oil"]);
}

#[test]
fn a_variable_is_told_by_what_one_sets_it_to_or_as_an_option_of_the_container() {
    let import =
        with("`LAMP_KEY` is an environment variable.\n\nYou may also set `DEBUG=true` to see more.\n");
    assert!(has(&import, "DEBUG"));
    assert!(has(&with("Use the [`LAMP_OWNER` option](docs/options.md) for that.\n"), "LAMP_OWNER"));
    assert!(!has(&readme("# Lantern\n\nUse the `LAMP_OWNER` option.\n"), "LAMP_OWNER"), "nothing runs it");
}

#[test]
fn a_usage_text_may_tell_variables_in_sentences() {
    let import = with(
        "## Usage\n\n```\n$ lantern --help\n\n    --key, The key (defaults to the LAMP_KEY environment\n    variable).\n\n    --port, The port (the environment\n    variable PORT).\n```\n",
    );
    assert!(has(&import, "LAMP_KEY") && has(&import, "PORT"));
}

#[test]
fn what_the_shell_has_of_its_own_is_no_variable() {
    let import = with("```sh\ndocker exec -it lantern env TERM=xterm bash\nGOOS=$(go env GOOS)\n```\n");
    assert!(!has(&import, "TERM") && !has(&import, "GOOS"));
}

#[test]
fn the_default_of_an_option_comes_before_the_address_of_an_example() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```\n    -p, --port PORT    Use PORT for lamps (default: 4222)\n```\n\nTo test, open http://localhost:8222/lamps.\n",
    );
    assert_eq!(import.facts.ports[0].value.port, 4222);
}

#[test]
fn a_licence_is_told_by_where_its_name_leads_and_not_by_that_of_another_part() {
    let license = |text: &str| {
        let text = format!("# Lantern\n\nA lamp server.\n\n## Licence\n\n{text}");
        readme(&text).facts.license.map(|found| found.value)
    };
    let shared = "[Share alike](http://creativecommons.org/licenses/by-sa/3.0/).\n";
    assert_eq!(license(shared).as_deref(), Some("CC-BY-SA-3.0"));
    assert_eq!(license("It is [public domain](UNLICENSE).\n").as_deref(), Some("Unlicense"));
    assert_eq!(license("It uses third party libraries:\n\n- `wick`, MIT\n"), None);
    let of_a_part =
        "See LICENCE.\n\n## Attributions\n\nIt has a class under the terms of the Apache license.\n";
    assert_eq!(license(of_a_part), None);
}

#[test]
fn a_line_in_italics_at_the_top_says_what_it_is() {
    let import = readme(
        "# Lantern\n\n_Keep and light lamps from the browser._\n\n## What?\n\nLantern stands for lamps and turns.\n",
    );
    let description = import.facts.description.map(|found| found.value).unwrap_or_default();
    assert!(description.contains("light lamps from the browser"), "{description}");
    let quoted =
        readme("# Lantern\n\n> **A query builder that is _fun_ to use!**\n\nNode.js is supported.\n");
    let description = quoted.facts.description.map(|found| found.value).unwrap_or_default();
    assert!(description.contains("query builder that is fun"), "{description}");
}

#[test]
fn names_side_by_side_in_an_item_are_told_together() {
    let import = with(
        "## Environment variables\n\n- `LAMP_HOST` - where\n- `LAMP_USER` and `LAMP_PASSWORD` - who\n- `LAMP_MODE` - see `OIL_KIND`\n",
    );
    assert!(has(&import, "LAMP_USER") && has(&import, "LAMP_PASSWORD"));
    assert!(!has(&import, "OIL_KIND"));
}

#[test]
fn a_section_on_making_users_is_part_of_the_project() {
    let import = with("## Registration of new users\n\nSet the `SIGN_UPS` env variable to `false`.\n");
    assert!(has(&import, "SIGN_UPS"));
    assert!(!has(&with("## Known users\n\nOwner sets the `SIGN_UPS` env variable.\n"), "SIGN_UPS"));
}

#[test]
fn where_the_default_login_is_told_elsewhere_there_is_none() {
    let asks = "Check the server for what the default user name and password are or change them.\n";
    let dangers = |text: &str| with(text).facts.danger.len();
    assert_eq!(dangers(asks), 0);
    assert_eq!(dangers("The default user name is lamp and the password is oil.\n"), 1);
}

#[test]
fn an_image_called_like_the_owner_is_the_project_of_a_repository_of_a_common_name() {
    let text = "# Official lamp image\n\nRun lamps.\n\n```sh\ndocker run -d -p 8080:80 adminer\n```\n";
    let import = |owner, name| repository(owner, name, "README.md", text);
    assert_eq!(image(&import("adminer", "docker")), Some("adminer"));
    assert_eq!(image(&import("adminer", "lamps")), None);
}
