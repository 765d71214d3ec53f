//! What texts tell without a whole command or a link: one rule, one text.

use super::found::default;
use super::{Reason, readme, reason, with};
use crate::import::{Kind, Method};

#[test]
fn a_container_that_prints_its_options_puts_nothing_into_service() {
    let asked = "```sh\nkubectl apply -f lantern.yaml\n```\n\n```sh\ndocker run --rm lamps.invalid/lantern/lantern:v1 --help\n```\n";
    let import = with(asked);
    assert_eq!(reason(&import), Some(Reason::KubernetesOnly));
    assert!(import.facts.image.is_none());
    assert_eq!(reason(&with(&asked.replace("--rm", "-p 80:80"))), None);
    let tool = asked.replace(" --help", " check");
    assert_eq!(reason(&with(&tool)), Some(Reason::KubernetesOnly), "one talks to the cluster with it");
}

#[test]
fn a_release_may_be_told_of_without_a_link() {
    let route = |text: &str| {
        let import = with(text);
        (reason(&import).is_none()).then_some(import.facts.kind.value)
    };
    let said = [
        "* Download the latest release of Lantern for your platform\n* Light it\n",
        "Download the binary file from the release and light it.\n",
        "Grab an archive from the release section for your system.\n",
        "1) Go to the releases page and download the version for your operating system\n",
    ];
    for text in said {
        assert_eq!(route(&format!("## Getting started\n\n{text}")), Some(Kind::Binary), "{text}");
    }
    assert_eq!(route(&format!("## Contributing\n\n{}", said[0])), None);
    assert_eq!(route("## Getting started\n\nGet the latest release of our news.\n"), None);
    assert_eq!(
        route("## Getting started\n\nDownload the release of the wick library for your platform.\n"),
        None
    );
}

#[test]
fn a_table_may_link_the_files_of_a_release() {
    let table = |file: &str| {
        with(&format!(
            "## Installation\n\n| Here | There |\n|---|---|\n| [Latest](https://github.com/owner/lantern/releases/latest/download/{file}) | other |\n"
        ))
    };
    assert_eq!(table("lantern-linux").facts.install, [Method::BinaryDownload]);
    assert_eq!(reason(&table("lantern-win.exe")), Some(Reason::NoInstallInformation));
}

#[test]
fn one_may_be_told_to_clone_and_to_start_within_sentences() {
    let text = "## Installation\n\n1. Clone this repository.\n\n2. Head to its folder and run `docker compose up -d`.\n";
    let import = with(text);
    assert_eq!((reason(&import), import.facts.kind.value), (None, Kind::Compose));
    assert!(reason(&with(&text.replace("Clone this repository", "Read on"))).is_some());
}

#[test]
fn a_compose_file_elsewhere_is_a_compose_route_with_the_image_of_the_badge() {
    let badge = "[![pulls](https://img.shields.io/docker/pulls/owner/lantern)](https://hub.docker.com/r/owner/lantern)\n\n";
    let import =
        with(&format!("{badge}## Setup\n\nCopy the example, then:\n\n```sh\ndocker-compose up -d\n```\n"));
    assert_eq!((reason(&import), import.facts.kind.value), (None, Kind::Compose));
    assert_eq!(import.facts.image.map(|found| found.value).as_deref(), Some("owner/lantern"));
}

#[test]
fn a_shell_may_read_what_the_net_sends_through_a_redirection() {
    let import =
        with("## Install\n\n```sh\nsudo bash < <(curl -sL https://lantern.invalid/install.sh)\n```\n");
    let dangers: Vec<&str> = import.facts.danger.iter().map(|found| found.value.as_str()).collect();
    assert_eq!((import.facts.install.as_slice(), dangers), (&[Method::Script][..], vec!["bash <(curl)"]));
}

#[test]
fn listings_and_sentences_tell_defaults() {
    let run = "```sh\ndocker run -e TZ=Europe/Riga -e LAMP_OIL=2 owner/lantern\n```\n\n";
    let import = with(&format!(
        "{run}If unset, `TZ` defaults to `UTC`.\n\n## ENV Defaults\n\n```\nLAMP_OIL=7 # litres\n```\n"
    ));
    assert_eq!((default(&import, "TZ"), default(&import, "LAMP_OIL")), (Some("UTC"), Some("7")));
    let import = with(&format!(
        "{run}The `.env` file has these variables:\n\n```\nLAMP_PORT=2500 # Default: 3000\n```\n"
    ));
    assert_eq!(default(&import, "LAMP_PORT"), Some("3000"));
    let import = with(&format!("{run}## Environment\n\n```\nLAMP_OIL=7\n```\n"));
    assert_eq!(default(&import, "LAMP_OIL"), None, "it is an example");
}

#[test]
fn what_is_labelled_required_is_so_whatever_is_optional_in_it() {
    let import = with(
        "## Environment variables\n\n- **`LAMP_HOST`** - *Required:* the host and optional port\n- **`LAMP_OIL`** - *Optional:* how much\n",
    );
    let required: Vec<Option<bool>> = import.facts.env.iter().map(|found| found.value.required).collect();
    assert_eq!(required, [Some(true), Some(false)]);
}

#[test]
fn a_free_licence_may_forbid_what_is_not() {
    let import = with("- AGPLv3 licensed, no proprietary lamps permitted\n");
    assert_eq!(import.facts.license.map(|found| found.value).as_deref(), Some("AGPL-3.0"));
    assert!(with("- A proprietary licence, no GPL\n").facts.license.is_none());
}

#[test]
fn a_column_of_architectures_may_be_explained_by_the_next() {
    let table = "## Docker\n\n| Architecture | Tag |\n|---|---|\n| x86-64 | linux/amd64 |\n| ARM32 | linux/arm/v7 |\n\nThere is a binary for Linux s390x.\n";
    let import = with(table);
    let found: Vec<&str> = import.facts.arch.iter().map(|found| found.value.as_str()).collect();
    assert_eq!(found, ["amd64", "armv7", "s390x"]);
}

#[test]
fn one_sentence_tells_the_ports_of_all_servers() {
    let ports = |text: &str| -> Vec<u16> {
        let import = with(&format!("## Usage\n\n{text}\n"));
        import.facts.ports.iter().map(|found| found.value.port).collect()
    };
    let both = "The lamps start on port 7025, and the pages are available on port 8825.";
    assert_eq!(ports(both), [7025, 8825]);
    assert_eq!(ports("It listens on port 7025 or, where that is taken, is available on port 8825."), [7025]);
}

#[test]
fn a_bold_line_that_says_what_it_is_beats_a_motto() {
    let long = "The simplest way to see many lamps is the lamp table, which uses the names of the rooms to help find \
                the lamps that burn, and shows for each how much oil is left and who has lit it last.";
    let import = readme(&format!(
        "# Lantern\n\n### Light for all rooms\n\n**Lantern is a keeper of all oil lamps.**\n\n{long}\n"
    ));
    let description = import.facts.description.map(|found| found.value);
    assert_eq!(description.as_deref(), Some("Lantern is a keeper of all oil lamps."));
}

#[test]
fn a_fragment_of_a_service_shows_the_check() {
    let path = |code: &str| {
        let import =
            with(&format!("## Docker\n\nTo use another port, change this:\n\n```yml\n{code}\n```\n"));
        import.facts.health_path.map(|found| found.value)
    };
    let check = "healthcheck:\n  test: curl -fs \"http://localhost:7000/api/health\" || exit 1";
    assert_eq!(path(check).as_deref(), Some("/api/health"));
    assert_eq!(path("notify:\n  address: http://localhost:7000/api/health"), None);
}

#[test]
fn a_release_without_a_link_is_of_what_runs() {
    let get = "Download the latest release for your platform.";
    let of = |what: &str, more: &str| {
        reason(&readme(&format!("# Lantern\n\n{what}\n\n## Install\n\n{get}\n{more}")))
    };
    assert_eq!(of("A server for lamps.", ""), None);
    assert_eq!(of("It lights lamps.", "\n```\n./lantern --oil 2\n```\n"), None);
    for what in
        ["A font for the pages of servers.", "A desktop app for lamp servers.", "A theme of a web app."]
    {
        assert!(of(what, "").is_some(), "{what}");
    }
}

#[test]
fn services_for_tests_beside_a_clone_do_not_start_the_project() {
    let of =
        |steps: &str| reason(&readme(&format!("# Lantern\n\nA lamp server.\n\n## Install\n\n{steps}\n")));
    let badge = "[![](https://img.shields.io/docker/pulls/owner/lantern.svg)](https://hub.docker.com/r/owner/lantern)";
    assert_eq!(of(&format!("{badge}\n\nClone this repository and run `docker compose up`.")), None);
    assert!(of("Clone this repository and copy the files. For the tests run `docker compose up`.").is_some());
    assert!(of("Clone this repository, then `docker compose up` for the database.").is_some());
    let steps = "Clone this repository and run `docker compose up`.";
    let course = format!("# Lantern\n\nA workshop about lamp servers.\n\n## Install\n\n{steps}\n");
    assert!(reason(&readme(&course)).is_some());
}

#[test]
fn a_server_that_is_built_with_make_install_is_deployable_and_nothing_else_is() {
    let steps = "```\n./configure\nmake\nmake install\n```\n";
    let of = |what: &str, title: &str| {
        reason(&readme(&format!("# Lantern\n\nLantern is {what}.\n\n## {title}\n\nRun\n\n{steps}")))
    };
    assert_eq!(of("a small lamp daemon", "Installation"), None);
    assert!(of("a small lamp daemon", "Building from source").is_some());
    assert!(of("a lamp library for servers", "Installation").is_some());
    assert!(of("a set of lamps", "Installation").is_some());
}

#[test]
fn the_line_of_an_option_tells_the_port_that_it_listens_on() {
    let options = "```\nOptions:\n    --port=    Lamp port (5432)\n    --listen=  HTTP server listen port (8088)\n```\n";
    let ports: Vec<u16> = with(options).facts.ports.iter().map(|found| found.value.port).collect();
    assert_eq!(ports, [8088]);
}

#[test]
fn what_code_falls_back_to_is_the_default_of_a_known_variable() {
    let told = "The port is in the environment variable `LAMP_PORT`, the wick in the environment variable `LAMP_WICK`.\n\n";
    let code = "```js\nconst port = process.env.LAMP_PORT || 3000;\nconst other = process.env.OTHER_LAMP ?? 'none';\n```\n\n\
                ```python\nwick = os.getenv(\"LAMP_WICK\", \"long\")\n```\n";
    let import = with(&format!("{told}{code}"));
    assert_eq!(default(&import, "LAMP_PORT"), Some("3000"));
    assert_eq!(default(&import, "LAMP_WICK"), Some("long"));
    assert_eq!(import.facts.env.len(), 2, "{:?}", import.facts.env);
}

#[test]
fn variables_of_the_tools_around_are_none_of_the_project() {
    let text = "## pip\n\nFor pip set the environment variable PIP_INDEX_URL to it:\n\n```sh\nexport PIP_INDEX_URL=http://localhost:80/\n```\n";
    assert!(with(text).facts.env.is_empty(), "{:?}", with(text).facts.env);
}

#[test]
fn exports_are_variables_where_the_words_before_say_to_set_them() {
    let exports = "```sh\n$ export LAMP_KEY_ID=AKxxxx\n$ export LAMP_SECRET=xxxx\n```\n";
    let names =
        |before: &str, exports: &str| with(&format!("## Try it\n\n{before}\n\n{exports}")).facts.env.len();
    assert_eq!(names("You'll also need to set your lamp credentials:", exports), 2);
    assert_eq!(names("This is how others do it:", exports), 0);
    assert_eq!(names("Set where it is:", "```sh\nexport WICK_HOME=/opt/wick\n```\n"), 0);
}

#[test]
fn an_option_may_say_what_it_falls_back_to() {
    let import = with(
        "```\nOptions:\n  --port, The port (defaults to the environment\n  variable LAMP_PORT and fallsback to port 8088).\n```\n",
    );
    assert_eq!(default(&import, "LAMP_PORT"), Some("8088"));
}
