//! Small words that change what a text says: one rule, one text.

use super::found::{has, license, ports};
use super::{Reason, readme, reason, with};
use crate::import::Method;

#[test]
fn an_option_may_stand_before_what_the_package_manager_does() {
    let import = with("## Installing\n\n* `sudo npm -g install lantern`\n* Light it\n");
    assert_eq!(import.facts.install, [Method::Npm]);
    assert_eq!(import.facts.package.map(|found| found.value).as_deref(), Some("lantern"));
}

#[test]
fn a_package_of_headers_is_one_of_a_library() {
    let text = |package: &str| {
        readme(&format!(
            "# liblantern\n\nliblantern is a C library for lamps.\n\n## Getting started\n\n```sh\nsudo apt-get install {package}\n```\n"
        ))
    };
    assert_eq!(reason(&text("liblantern-dev")), Some(Reason::Library));
    let server = with("## Install\n\n```sh\nsudo apt-get install lantern\n```\n");
    assert_eq!(reason(&server), None);
}

#[test]
fn a_package_in_a_file_is_a_way_to_install_though_no_source_has_it() {
    for command in ["sudo apt-get install ./lanternserver_*.deb", "sudo dpkg -i lantern.deb"] {
        let import = with(&format!("## Install\n\n```sh\nwget <package_url>\n{command}\n```\n"));
        assert_eq!(reason(&import), None, "{command}");
        assert_eq!(import.facts.install, [Method::Apt]);
        assert!(import.facts.package.is_none(), "a file is no name of a package");
    }
    let other = with("## Install\n\n```sh\nsudo apt-get install ./wick_1.0.deb\n```\n");
    assert_eq!(reason(&other), Some(Reason::NoInstallInformation));
}

#[test]
fn a_list_of_releases_to_look_at_offers_none() {
    let text = "## Usage\n\nGet to know the lamps, or obtain a full list of releases from [here](https://github.com/owner/lantern/releases).\n";
    assert_eq!(reason(&with(text)), Some(Reason::NoInstallInformation));
    assert_eq!(reason(&with(&text.replace("a full list of releases", "the program"))), None);
}

#[test]
fn an_address_of_releases_counts_without_a_link_where_the_text_shows_a_program() {
    let text = "# Lantern\n\nBinaries for all systems：https://github.com/owner/lantern/releases\n\n{}See the pages.\n";
    let run = "```sh\nlantern --lit\n```\n\n";
    assert_eq!(reason(&readme(&text.replace("{}", run))), None);
    assert_eq!(reason(&readme(&text.replace("{}", ""))), Some(Reason::NoInstallInformation));
    let other = text.replace("owner/lantern", "others/wick").replace("{}", run);
    assert_eq!(reason(&readme(&other)), Some(Reason::NoInstallInformation));
}

#[test]
fn a_heading_about_getting_it_may_also_be_about_compiling_it() {
    let text = "## Download and compile\n\n```sh\nsudo apt install lantern\n```\n";
    assert_eq!(reason(&with(text)), None);
    assert_eq!(
        reason(&with(&text.replace("Download and compile", "Compile it"))),
        Some(Reason::NoInstallInformation)
    );
}

#[test]
fn a_program_for_a_screen_is_nothing_that_a_node_runs() {
    let text = |said: &str| {
        readme(&format!(
            "# Lantern\n\n{said}\n\n## Installation\n\nDownload the program from the [releases](https://github.com/owner/lantern/releases).\n"
        ))
    };
    for said in [
        "A simple GTK lamp viewer.",
        "Lantern is a desktop application for lamps.",
        "A free lamp player for the Android operating system.",
        "Lantern is an Android lamp app.",
    ] {
        assert_eq!(reason(&text(said)), Some(Reason::NotDraftable), "{said}");
    }
    for said in [
        "A lamp server with a desktop client.",
        "A web-based desktop app for lamps.",
        "A lamp viewer.",
        "A tool to see what is lit on Android.",
    ] {
        assert_eq!(reason(&text(said)), None, "{said}");
    }
}

#[test]
fn what_a_container_is_told_to_listen_on_is_its_port() {
    let text = "Lighting it on port 1234 is fine too.\n\n```sh\ndocker run -d --net host owner/lantern --port 3000\n```\n";
    assert_eq!(ports(&with(text)), [3000]);
    assert_eq!(ports(&with(&text.replace("--net host", "-p 80:8080"))), [8080]);
    assert_eq!(ports(&with(&text.replace("--port 3000", "--port=3001"))), [3001]);
}

#[test]
fn a_web_server_that_serves_what_it_made_listens_on_no_port_of_the_project() {
    let text = "```sh\npip install lantern\n```\n\n```conf\nserver {\n    listen 127.0.0.1:80;\n    root /srv/lamps;\n}\n```\n";
    assert!(ports(&with(text)).is_empty());
    assert_eq!(ports(&with(&text.replace("server {", "lamps {").replace("root", "in"))), [80]);
}

#[test]
fn a_licence_of_something_else_is_none_of_the_project() {
    let others = [
        "* [Wick](https://wicks.invalid) - Threads for lamps. MIT Licensed.\n",
        "It has a copy of [Wick](https://wicks.invalid), which is licensed under the GPL.\n",
        "This includes parts from [Wick](https://wicks.invalid), under the MIT license.\n",
    ];
    for text in others {
        assert_eq!(license(&with(text)), None, "{text}");
    }
    assert_eq!(license(&with("* Distributed under the [MIT License](https://mit.invalid)\n")), Some("MIT"));
    assert_eq!(license(&with("Lantern is under the MIT license.\n")), Some("MIT"));
}

#[test]
fn the_version_of_a_licence_may_stand_after_who_published_it() {
    let text = |version: &str| {
        with(&format!(
            "## License\n\nYou can change it under the terms of the GNU General Public\nLicense as published by the Free Software\nFoundation; either version {version} of the License, or any later one.\n"
        ))
    };
    assert_eq!(license(&text("2")), Some("GPL-2.0"));
    assert_eq!(license(&text("3")), Some("GPL-3.0"));
}

#[test]
fn what_is_given_to_a_script_is_not_to_be_set() {
    let text = "It can {} for each lamp, with its number in the `LAMP_NUMBER` environment variable.\n";
    assert!(!has(&with(&text.replace("{}", "execute a script")), "LAMP_NUMBER"));
    assert!(has(&with(&text.replace("{}", "be lit")), "LAMP_NUMBER"));
}

#[test]
fn exports_below_the_words_of_an_item_are_variables_and_so_are_those_like_them() {
    let import = with(
        "- Set the oil\n\n  You may use environment variables:\n\n  ```console\n  $ export LAMP_OIL='much'\n  ```\n\n\
         - Set the wick\n\n  As an alternative:\n\n  ```console\n  $ export LAMP_WICK='long'\n  ```\n\n\
         - Build\n\n  ```console\n  $ export MATCH_BOX='full'\n  ```\n",
    );
    assert!(has(&import, "LAMP_OIL") && has(&import, "LAMP_WICK"));
    assert!(!has(&import, "MATCH_BOX"));
}

#[test]
fn what_the_name_does_comes_before_what_the_repository_is() {
    let import = readme(
        "# Lantern\n\nLantern shows your porch to the world for easy finding! No need of matches.\n\n\
         This repo is the server part.\n\n## Overview\n\nThe default lantern client finds the server of the keeper.\n",
    );
    let found = import.facts.description.expect("the first sentence says it").value;
    assert!(found.starts_with("Lantern shows your porch"), "{found}");
}

#[test]
fn a_heading_may_say_what_the_project_is_an_alternative_to() {
    let import = readme(
        "<h1>Lantern</h1>\n\n#### A free alternative to the torch, for many hands\n\n## Installation\n\nThe default login is keeper.\n",
    );
    let found = import.facts.description.map(|found| found.value);
    assert_eq!(found.as_deref(), Some("A free alternative to the torch, for many hands"));
    let others = with("## Alternatives to Lantern\n\n```sh\ndocker run -p 80:80 others/lantern-like\n```\n");
    assert_eq!(reason(&others), Some(Reason::NoInstallInformation));
}

#[test]
fn a_row_of_an_address_to_listen_on_tells_the_port() {
    let row = |name: &str| {
        with(&format!(
            "| option | meaning |\n|---|---|\n| `{name}` | where (such as `127.0.0.1:80`) (*default* `0.0.0.0:4747`) |\n"
        ))
    };
    assert_eq!(ports(&row("LAMP_LISTEN_ADDR")), [4747]);
    assert!(ports(&row("LAMP_OIL_ADDR")).is_empty(), "the oil listens there");
}

#[test]
fn a_first_heading_below_the_words_on_the_project_is_no_title() {
    let text = "Lantern is a lamp server that is easy to light and to keep for long nights.\n\n# Installation\n\n\
                ```sh\ngit clone https://github.com/owner/lantern\ncd lantern\ngo build\n./lantern &\n```\n\n# Usage\n\nLight it.\n";
    assert_eq!(reason(&readme(text)), None);
    assert_eq!(
        reason(&readme(&text.replace("# Installation", "# Contributing"))),
        Some(Reason::DevelopmentOnly)
    );
}

#[test]
fn what_stands_before_the_command_that_starts_it_is_a_variable() {
    let text = "## Running\n\n```sh\ngit clone https://github.com/owner/lantern\nnpm install\nLAMP_PORT=80 npm start\nGOOS=linux ./lantern\n```\n";
    let import = with(text);
    assert!(has(&import, "LAMP_PORT") && !has(&import, "GOOS"));
    assert!(!has(&with(&text.replace("Running", "Development")), "LAMP_PORT"));
    assert!(!has(&with(&text.replace("npm start", "npm run build")), "LAMP_PORT"));
}
