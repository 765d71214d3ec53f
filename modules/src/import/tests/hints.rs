//! What a text lets a reader infer: which program it means, where it listens, what it is.

use super::found::{default, names, ports};
use super::{RUN, read, readme, reason, with};
use crate::import::{Kind, Reason};

fn description(text: &str) -> String {
    readme(text).facts.description.map_or_else(String::new, |found| found.value)
}

#[test]
fn a_tag_in_brackets_may_be_left_out() {
    let run = with("```text\ndocker run -d -p 80:80/udp owner/lantern[:tag]\n```\n");
    let image = run.facts.image.as_ref().map(|found| found.value.as_str());
    assert_eq!((reason(&run), image, run.facts.tag.as_deref()), (None, Some("owner/lantern"), None));
}

#[test]
fn a_package_for_a_system_is_no_library_and_neither_is_what_a_script_installs() {
    let script = "```sh\ncurl -sL https://owner.github.io/lantern/install.sh | sh\n```\n";
    let package = format!(
        "# Lantern\n\nA lamp client that just works.\n\nLantern is a Debian package that wraps the wick library as a daemon.\n\n## Installation\n\n{script}"
    );
    assert_eq!(reason(&readme(&package)), None);
    let elided = with("## Installation\n\nIn the tradition of `curl ${script} | sudo sh -`, clone it.\n");
    assert_eq!(reason(&elided), Some(Reason::NoInstallInformation));
}

#[test]
fn what_is_started_right_after_it_was_added_is_a_program() {
    let started =
        "## Run\n\nInstall:\n\n```sh\n$> npm install lantern\n```\n\n```sh\n$> lantern --port 9000\n```\n";
    let code = "```js\nvar server = require('lantern').Server({ port: 9000 });\n```\n";
    let import = with(&format!("{started}\n{code}"));
    assert_eq!((reason(&import), import.facts.kind.value), (None, Kind::Node));
    let library = with(&format!("```sh\n$> npm install lantern\n```\n\n{code}\n{code}"));
    assert_eq!(reason(&library), Some(Reason::Library));
}

#[test]
fn a_manifest_of_a_release_and_sources_beside_it_are_no_program() {
    let release = "https://github.com/owner/lantern/releases";
    let manifest =
        with(&format!("## Deploying\n\nSee [lantern.yaml]({release}/download/v1/lantern.yaml).\n"));
    assert_eq!(reason(&manifest), Some(Reason::NoInstallInformation));
    let sources =
        with(&format!("## Setup\n\n1. git clone this repo or download the latest [release]({release})\n"));
    assert_eq!(reason(&sources), Some(Reason::NoInstallInformation));
}

#[test]
fn a_compose_file_that_builds_counts_where_the_chapter_says_to_start_it() {
    let compose = b"services:\n  lantern:\n    build: ./app\n    ports: ['1935:1935']\n";
    let text = "# Lantern\n\nA lamp server.\n\n## Usage\n\n##### Setup\n\n1. Edit `docker-compose.yml`\n\n##### More\n\nStart it with `docker-compose up -d`.\n";
    let import = read(&[("README.md", text.as_bytes()), ("compose.yaml", compose)]).expect("text");
    assert_eq!((import.facts.kind.value, ports(&import)), (Kind::Compose, vec![1935]));
}

#[test]
fn of_services_with_one_image_the_one_that_is_called_so_counts_and_the_proxy_has_the_ports() {
    let compose = b"services:\n  lantern:\n    image: owner/lantern:latest\n    volumes: ['./var:/data']\n    environment: [LAMP_SIZE=5]\n  nginx:\n    image: owner/lantern:nginx\n    ports: ['80:80']\n    environment: [SSL_KEY=x]\n";
    let text = "# Lantern\n\nA lamp server.\n\n## Installation\n\n1. Adjust `docker-compose.yml` with:\n    - LAMP_SIZE - how many, default 5\n1. Run `docker-compose up -d`\n";
    let import = read(&[("README.md", text.as_bytes()), ("compose.yaml", compose)]).expect("text");
    assert_eq!((names(&import), ports(&import)), (vec!["LAMP_SIZE"], vec![80]));
    assert_eq!(default(&import, "LAMP_SIZE"), Some("5"));
    let store = b"services:\n  db:\n    image: owner/lantern-db\n    ports: ['5432:5432']\n  api:\n    image: owner/lantern-api\n";
    let import = read(&[("README.md", text.as_bytes()), ("compose.yaml", store)]).expect("text");
    let image = import.facts.image.as_ref().map(|found| found.value.as_str());
    assert_eq!(image, Some("owner/lantern-api"));
}

#[test]
fn lines_of_names_and_words_are_a_list_of_variables() {
    let list = "The following environment variables are available:\n\n```\nLAMP_OIL (DEFAULT: \"whale\" - what burns)\nLAMP_HOURS (DEFAULT: \"\" - all night if blank)\nLAMP_COLOR - its color\n```\n";
    let import = with(&format!("{RUN}\n{list}"));
    assert_eq!(names(&import), ["LAMP_OIL", "LAMP_HOURS", "LAMP_COLOR"]);
    assert_eq!((default(&import, "LAMP_OIL"), default(&import, "LAMP_HOURS")), (Some("whale"), None));
    let prose = with(&format!("{RUN}\nIt prints:\n\n```\nLAMP_ON (at dusk)\nLAMP_OFF (at dawn)\n```\n"));
    assert!(names(&prose).is_empty(), "{:?}", names(&prose));
}

#[test]
fn a_piece_of_a_compose_file_and_items_below_words_on_variables_tell_names() {
    let piece =
        "- Only some lamps:\n\n```yaml\nenvironment:\n    - LAMP_MAIL=\n    - LAMP_NAMES=hall, porch\n```\n";
    assert_eq!(names(&with(&format!("{RUN}\n{piece}"))), ["LAMP_MAIL", "LAMP_NAMES"]);
    let of = |service: &str| {
        let piece = format!("{service}:\n  environment:\n    - LAMP_NAMES=hall\n    - LAMP_MAIL=\n");
        names(&with(&format!("{RUN}\n```yaml\n{piece}```\n"))).len()
    };
    assert_eq!((of("lantern"), of("mysql")), (2, 0));
    let items = "You can also choose the oil with environment variables:\n\n- For whale: `WHALE_NAME` and `WHALE_KEY`\n";
    assert_eq!(names(&with(&format!("{RUN}\n{items}"))), ["WHALE_NAME", "WHALE_KEY"]);
    let example = "| Variable | Required | Example |\n|---|---|---|\n| `LAMP_PORT` | No | `7331` (default) |\n| `LAMP_URL` | No | `http://lamp` |\n";
    let import = with(&format!("{RUN}\n{example}"));
    assert_eq!((default(&import, "LAMP_PORT"), default(&import, "LAMP_URL")), (Some("7331"), None));
}

#[test]
fn a_port_is_told_by_what_serves_there_and_before_all_by_the_program_itself() {
    let install = "```sh\ncargo install lantern\n```\n";
    let served =
        with(&format!("{install}\nIt will start serving your folder on `127.0.0.1:8888` by default.\n"));
    assert_eq!(ports(&served), [8888]);
    let usage = "```\n$ lantern --help\n  -d, --dir string   Folder\n  -p, --port int     Port of the server. (default 8000)\n```\n\nWith `--tls` it also listens on port 80.\n";
    assert_eq!(ports(&with(&format!("{install}\n{usage}"))), [8000]);
    let folded = "```\n    --port, -p, Defines the listening port (defaults to the variable\n    PORT and falls back to port 8080).\n```\n";
    assert_eq!(ports(&with(&format!("{install}\n{folded}"))), [8080]);
}

#[test]
fn a_page_that_is_called_by_its_address_is_the_projects() {
    let home = |text: &str| with(&format!("{RUN}\n{text}\n")).facts.homepage.map(|found| found.value);
    let page = home("See [somebody.org/lantern](https://somebody.org/lantern/) for more.");
    assert_eq!(page.as_deref(), Some("https://somebody.org/lantern/"));
    assert_eq!(home("See [somebody.org/oil](https://somebody.org/oil/) for more."), None);
}

#[test]
fn a_short_exclamation_takes_the_next_sentence_along_and_a_weak_one_leaves_it_to_the_title() {
    let short = description(&format!("# Lantern\n\nA friend of lamps! Helps people to light them.\n\n{RUN}"));
    assert_eq!(short, "A friend of lamps! Helps people to light them.");
    let note = "**NOTE**: it installs on startup. The path `/lamps` can be mounted on the host.";
    let titled = description(&format!("# Lamp server that runs in a container\n\n{note}\n\n{RUN}"));
    assert!(titled.starts_with("Lamp server that runs in a container."), "{titled}");
    let tagline =
        "<h3 align=\"center\">A small, self-hosted server for lamps.</h3>\n\n## Features\n\n- Light\n";
    assert_eq!(description(&format!("{tagline}\n{RUN}")), "A small, self-hosted server for lamps.");
    let both = description(&format!(
        "# Lantern\n\n*An open source multi-tool for lamps*\n\nLantern is a tool for lamps and wicks.\n\n{RUN}"
    ));
    assert!(both.contains("Lantern is a tool for lamps and wicks."), "{both}");
}

#[test]
fn a_text_that_only_tells_how_to_work_on_it_gives_that_as_the_reason() {
    let work = "## Development\n\n### Installation\n\n```sh\ngit clone https://github.com/owner/lantern.git\nnpm install\nnpm run dev\n```\n\nOpen http://localhost:8000.\n";
    let import = with(work);
    assert_eq!((reason(&import), ports(&import)), (Some(Reason::DevelopmentOnly), vec![]));
    let other = work.replace("owner/lantern", "other/wick");
    assert_eq!(reason(&with(&other)), Some(Reason::NoInstallInformation));
}

#[test]
fn names_that_begin_with_the_projects_are_variables_once_one_of_them_is() {
    let run = "```sh\ndocker run -e LANTERN_OIL=whale -p 80:80 owner/lantern\n```\n";
    let text = "The size is told by a number, `LANTERN_SIZE`, or by `LANTERN_COMMAND=\"wc -c\"`; `OIL_SIZE` is another.\n";
    assert_eq!(names(&with(&format!("{run}\n{text}"))), ["LANTERN_OIL", "LANTERN_SIZE", "LANTERN_COMMAND"]);
    assert!(names(&with(&format!("{RUN}\n{text}"))).is_empty());
}

#[test]
fn an_image_is_read_with_the_defaults_of_its_variables() {
    let image = |image: &str| {
        let compose = format!("services:\n  lantern:\n    image: {image}\n    ports: ['80:80']\n");
        let import =
            with(&format!("## Install\n\n```yaml\n{compose}```\n\n```sh\ndocker compose up -d\n```\n"));
        import.facts.image.map(|found| found.value)
    };
    assert_eq!(
        image("${LAMP_IMAGE:-ghcr.io/owner/lantern:latest}").as_deref(),
        Some("ghcr.io/owner/lantern")
    );
    assert_eq!(
        image("${REGISTRY-ghcr.io}/owner/lantern:${TAG:-2}").as_deref(),
        Some("ghcr.io/owner/lantern")
    );
    assert_eq!(image("${REGISTRY}/owner/lantern"), None);
}

#[test]
fn a_compose_file_with_an_image_for_tests_is_none_to_deploy() {
    let compose = b"services:\n  lantern:\n    image: owner/lantern-test:1\n    ports: ['80:80']\n";
    let text = "# Lantern\n\nLantern is a lamp server.\n";
    let import = read(&[("README.md", text.as_bytes()), ("compose.yaml", compose)]).expect("text");
    assert_eq!(reason(&import), Some(Reason::DevelopmentOnly));
}

#[test]
fn of_two_that_are_called_so_the_proxy_is_not_the_project() {
    let compose = b"services:\n  lantern-nginx:\n    image: owner/lantern:nginx\n    ports: ['80:80']\n  lantern:\n    image: owner/lantern:app\n    volumes: ['data:/lamps']\nvolumes: {data: }\n";
    let text = "# Lantern\n\nA lamp server.\n\n```sh\ndocker compose up\n```\n";
    let import = read(&[("README.md", text.as_bytes()), ("compose.yaml", compose)]).expect("text");
    let volumes: Vec<&str> = import.facts.volumes.iter().map(|found| found.value.path.as_str()).collect();
    assert_eq!((volumes, ports(&import)), (vec!["/lamps"], vec![80]));
}

#[test]
fn a_sentence_tells_the_path_to_keep_where_no_example_mounts_one() {
    let volumes = |text: &str| -> Vec<String> {
        let import = with(&format!("{RUN}\n{text}\n"));
        import.facts.volumes.iter().map(|found| found.value.path.clone()).collect()
    };
    assert_eq!(volumes("You should mount a volume at `/var/lib/lamps`."), ["/var/lib/lamps"]);
    assert_eq!(volumes("The path ```/lamps``` can be mounted on the host."), ["/lamps"]);
    assert!(volumes("The path `/lamps` is where it looks, and `/mnt` is mounted at night.").is_empty());
}

#[test]
fn a_run_goes_on_with_an_image_on_a_line_of_its_own_and_a_local_one_tells_ports() {
    let cut = with(
        "```\nsudo docker run \\\n  --name=lamp \\ \n  -v /lamps:/config \\\n  -e HOURS=\"3\"\n owner/lantern\n```\n",
    );
    let image = cut.facts.image.as_ref().map(|found| found.value.as_str());
    assert_eq!((reason(&cut), image, names(&cut)), (None, Some("owner/lantern"), vec!["HOURS"]));
    let local = with(
        "```sh\ncargo install lantern\n```\n\n```sh\ndocker build -t lantern .\ndocker run -p 1080:1080 lantern --no-auth\n```\n",
    );
    assert_eq!(ports(&local), [1080]);
}

#[test]
fn a_default_may_be_told_in_a_sentence_of_its_own() {
    let item = "## Environment\n\n- `LAMP_NETS`: who may see it. By default, this is set to `10.0.0.0/8;172.16.0.0/12`.\n- `SOCKS5` is spoken.\n";
    let import = with(&format!("{RUN}\n{item}"));
    assert_eq!(
        (names(&import), default(&import, "LAMP_NETS")),
        (vec!["LAMP_NETS"], Some("10.0.0.0/8;172.16.0.0/12"))
    );
}

#[test]
fn a_text_so_long_that_two_threads_read_it_keeps_its_order() {
    let chapter = |number: u32| {
        format!(
            "## Lamp {number}\n\nWords.\n\n```sh\ndocker run -p 80:80 -e LAMP_{number}=on owner/lantern\n```\n\n"
        )
    };
    let import = with(&(0..600).map(chapter).collect::<String>());
    let expected: Vec<String> = (0..600).map(|number| format!("LAMP_{number}")).collect();
    assert_eq!(names(&import), expected);
    let lines = import.facts.env.iter().map(|found| found.origin.line);
    assert!(lines.clone().zip(lines.skip(1)).all(|(one, next)| one < next));
}
