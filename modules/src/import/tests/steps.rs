//! What the steps around a run tell: builds before it, gaps in it, words that lead to settings.

use super::found::{arches, default, description, image, license, names, ports, required, volumes};
use super::{RUN, read, readme, reason, with};
use crate::import::Method;

#[test]
fn how_to_run_an_image_may_stand_below_how_to_build_it() {
    let text = |heading: &str| {
        with(&format!(
            "## Build the container\n\n```sh\ndocker build -t lantern .\n```\n\n### {heading}\n\n{RUN}"
        ))
    };
    assert_eq!(image(&text("Run the container")), Some("owner/lantern"));
    assert_eq!(image(&text("(or) Pull the image")), Some("owner/lantern"));
    assert_eq!(image(&text("Test the code")), None);
}

#[test]
fn an_image_that_is_run_first_is_published_though_those_who_work_on_it_build_it() {
    let build = "## Build your own image\n\n```sh\ndocker build -t owner/lantern .\n```\n";
    let helper =
        "## On other machines\n\n```sh\ndocker run --privileged --rm someone/binfmt --install all\n```\n";
    assert_eq!(image(&with(&format!("## Usage\n\n{RUN}\n{helper}\n{build}"))), Some("owner/lantern"));
    let local = with(&format!("{build}\n## Usage\n\n{RUN}"));
    assert_eq!(image(&local), None);
}

#[test]
fn a_run_with_a_gap_for_the_image_tells_of_the_image_that_is_named() {
    let import = with(
        "## Server\n\nUse my image on the hub: [owner/lantern-server](https://registry.hub.docker.com/u/owner/lantern-server/).\n\n\
         - `port, -p`: the port to listen on, defaults to 8080\n\n\
         ```sh\ndocker run -d -e LAMP_OIL=1 -v /lamps:/data docker_image_name -b https://lamps.example\n```\n",
    );
    assert_eq!((image(&import), ports(&import)), (Some("owner/lantern-server"), vec![8080]));
    assert_eq!((names(&import), volumes(&import)), (vec!["LAMP_OIL"], vec!["/data"]));
}

#[test]
fn words_on_a_file_may_lead_to_variables_all_the_same() {
    let lead = |words: &str| {
        let items = " * LAMP_CONF=\"/etc/lamp.conf\"\n * LAMP_PORT=8080\n";
        with(&format!("{RUN}\n## Configuration\n\n{words}\n{items}"))
    };
    let both = "The file is `/etc/lamp.conf`. Besides, these environment variables can be passed:";
    assert_eq!(names(&lead(both)), ["LAMP_CONF", "LAMP_PORT"]);
    assert!(names(&lead("Write this into `/etc/lamp.conf`:")).is_empty());
}

#[test]
fn a_listing_that_must_be_there_and_values_that_a_compose_file_falls_back_to() {
    let listing = "## Configuration\n\nSet variables in `.env`. It should at least contain the following:\n\n```dotenv\nTOKEN=\"x\"\n\
                   LAMP_URL=http://lamp.example\n```\n";
    let compose = "```yaml\nservices:\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n    \
                   environment:\n      URL: ${LAMP_URL:-http://localhost}\n      # OTHER: ${TOKEN:-y}\n```\n";
    let import = with(&format!("{compose}\n{listing}"));
    assert_eq!((required(&import, "TOKEN"), required(&import, "LAMP_URL")), (Some(true), Some(true)));
    let run = "```sh\ndocker run -e TOKEN=x -p 80:80 owner/lantern\n```\n";
    let for_work = with(&format!("{run}\n{}", listing.replace("Configuration", "Development")));
    assert_eq!((names(&for_work), required(&for_work, "TOKEN")), (vec!["TOKEN"], None));
    assert_eq!((default(&import, "LAMP_URL"), default(&import, "TOKEN")), (Some("http://localhost"), None));
}

#[test]
fn one_sentence_may_tell_the_defaults_of_several_variables() {
    let import = with(&format!(
        "{RUN}\n## Settings\n\nThe image defaults `LAMP_SERVER` to `unix:/tmp/s` and `LAMP_COOKIE` to `/tmp/c`. Override them by \
         environment variables:\n\n```\n-e LAMP_SERVER=a -e LAMP_COOKIE=b\n```\n\n- `LAMP_SERVER`: where\n- `LAMP_COOKIE`: what\n"
    ));
    let defaults = (default(&import, "LAMP_SERVER"), default(&import, "LAMP_COOKIE"));
    assert_eq!(defaults, (Some("unix:/tmp/s"), Some("/tmp/c")));
}

#[test]
fn what_it_is_stands_right_below_the_title_be_it_a_notice_before_it() {
    let notice = format!(
        "**This has been moved to another place, where it is kept**\n\n# Lantern\n\nPlain and small lamp service in Go.\n\n\
         The aim is to have a lamp service for all who host lamps. It has no database.\n\n{RUN}"
    );
    assert!(
        description(&readme(&notice)).starts_with("Plain and small"),
        "{}",
        description(&readme(&notice))
    );
    let motto = format!(
        "## Lantern\n\n> share your lamps on the net!\n\n## Usage\n\n> lantern --folder [folder] --port [port]\n\n{RUN}"
    );
    assert!(description(&readme(&motto)).starts_with("share your lamps"));
    let html = "<h2>Lantern</h2>\n<h3>A fast, small reader of lamps.</h3>\n\nGo to [another place](https://lamps.example) to see what it looks like.\n\n";
    assert!(description(&readme(&format!("{html}{RUN}"))).starts_with("A fast, small reader"));
    let heading = format!(
        "# **Lantern**\n\n## Lantern based on the official lamp image\n\n# Who we are\n\nOur goal is to make a small, simple and convenient image.\n\n{RUN}"
    );
    assert!(description(&readme(&heading)).starts_with("Lantern based on the official"));
    assert_eq!(reason(&readme(&heading)), None);
    assert!(readme(&heading).facts.install.contains(&Method::DockerRun));
}

#[test]
fn a_licence_stands_by_itself_between_signs_of_another_script() {
    let import = with(&format!("{RUN}\n## 许可\n\n本项目使用MIT协议。\n"));
    assert_eq!(license(&import), Some("MIT"));
}

#[test]
fn the_port_by_default_stands_behind_a_comma_too_and_an_example_is_none() {
    let package = "```sh\ncargo install lantern\n```\n";
    let told = with(&format!(
        "{package}\nRun it on port 3000 with `-p 3000`\n\nRun lantern on the default port, 8888\n"
    ));
    assert_eq!(ports(&told), [8888]);
    let example =
        with(&format!("{package}\n* Drops what it may\n  * Example: Run on port 80, but as \"nobody\"\n"));
    assert!(ports(&example).is_empty());
}

#[test]
fn items_tell_the_machines_of_each_system_and_those_of_linux_count() {
    let items = "Available for:\n\n- Linux (x86_64, arm64, armv7)\n- macOS (x86_64, arm64)\n- Windows (x86_64, i386)\n";
    assert_eq!(arches(&with(&format!("{RUN}\n{items}"))), ["amd64", "arm64", "armv7"]);
}

#[test]
fn the_port_of_the_pages_comes_before_those_of_other_protocols() {
    let text = "- SMTP server (default `0.0.0.0:1025`)\n\nThe web UI listens by default on `http://0.0.0.0:8025`, and the SMTP port on `0.0.0.0:1025`.\n";
    assert_eq!(ports(&with(&format!("```sh\ncargo install lantern\n```\n\n{text}"))), [8025, 1025]);
}

#[test]
fn the_sources_are_no_data_of_a_service_that_is_shown_beside() {
    let compose = "```yaml\nservices:\n  lantern:\n    image: other/lantern\n    ports: ['80:80']\n    volumes: ['.:/app']\n```\n";
    assert!(volumes(&with(&format!("{RUN}\n{compose}"))).is_empty());
    assert_eq!(volumes(&with(&format!("{RUN}\n{}", compose.replace("'.:", "'data:")))), ["/app"]);
}

#[test]
fn lines_are_no_defaults_and_pages_of_others_are_no_home() {
    let table = "| Environment variable | Default |\n|---|---|\n| `LAMP_A` | `---` |\n| `LAMP_B` | ~ |\n| `LAMP_C` | -1 |\n";
    let page =
        "If you do not know how such a schedule is written, see this [website](https://schedules.dev).\n";
    let import = with(&format!("{RUN}\n{table}\n{page}"));
    let defaults = ["LAMP_A", "LAMP_B", "LAMP_C"].map(|name| default(&import, name));
    assert_eq!(defaults, [None, None, Some("-1")]);
    assert!(import.facts.homepage.is_none());
}

#[test]
fn a_paragraph_of_assignments_is_a_listing_with_defaults_where_its_heading_says_so() {
    let lines = "LAMP_ID=1000  \nLAMP_TZ=Europe/Vienna  \nLAMP_KEY=\n";
    let import = with(&format!("{RUN}\n## Available Environment Variables and defaults ##\n\n{lines}"));
    assert_eq!(names(&import), ["LAMP_ID", "LAMP_TZ", "LAMP_KEY"]);
    assert_eq!((default(&import, "LAMP_TZ"), default(&import, "LAMP_KEY")), (Some("Europe/Vienna"), None));
    assert_eq!(default(&with(&format!("{RUN}\n## Environment Variables\n\n{lines}")), "LAMP_ID"), None);
}

#[test]
fn comments_of_a_compose_file_may_hold_variables_in_small_letters_like_those_that_are_set() {
    let compose = |set: &str| {
        with(&format!(
            "```yaml\nservices:\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n    environment:\n      - {set}=/db\n                   # site_url=https://lamps.example\n      # - use_wick = True\n      # How much oil, defaults to 16.\n      # - oil=8\n```\n"
        ))
    };
    assert_eq!(default(&compose("db_url"), "oil"), Some("16"));
    assert_eq!(names(&compose("db_url")), ["db_url", "use_wick", "oil"]);
    assert_eq!(names(&compose("DB_URL")), ["DB_URL"]);
}

#[test]
fn a_piece_of_a_compose_file_has_the_services_of_the_whole() {
    let piece = "# Lantern\n\nA lamp server.\n\n```yaml\nlantern:\n  image: owner/lantern:4\n```\n\n```sh\ndocker compose up\n```\n";
    let whole = b"services:\n  db:\n    image: postgres\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n";
    let import = read(&[("README.md", piece.as_bytes()), ("compose.yaml", whole)]).expect("text");
    let services: Vec<&str> = import.facts.services.iter().map(|found| found.value.name.as_str()).collect();
    assert_eq!(services, ["db", "lantern"]);
}

#[test]
fn a_bold_line_before_the_first_heading_says_what_it_is_where_that_heading_is_no_title() {
    let text = format!(
        "**A small server for the lamps of all**\n\n# Features\n\nOil, wicks and glass.\n\n# Installation\n\n{RUN}"
    );
    assert!(description(&readme(&text)).starts_with("A small server for the lamps"));
}
