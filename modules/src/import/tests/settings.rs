//! What can be set, in the less usual ways of telling it.

use super::found::{dangers, names};
use super::{RUN, Reason, read, readme, reason, report, with};
use crate::import::Kind;

#[test]
fn a_server_that_another_program_starts_is_in_its_settings() {
    let settings = "## Usage\n\nAdd this to the settings of your assistant:\n\n```json\n{\n  // comes with 1.2\n  \"mcpServers\": {\n    \"lamps\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"@owner/lantern\"],\n      \"env\": {\"LAMP_TOKEN\": \"your-token\"}\n    }\n  }\n}\n```\n";
    for text in
        [settings.to_owned(), settings.replace("{\n  // comes with 1.2\n", "").replace("  }\n}\n", "  }\n")]
    {
        let import = with(&text);
        assert_eq!((reason(&import), import.facts.kind.value), (None, Kind::Node), "{text}");
        assert_eq!(import.facts.package.as_ref().map(|found| found.value.as_str()), Some("@owner/lantern"));
        assert_eq!(names(&import), ["LAMP_TOKEN"]);
    }
    let docker = "```json\n{\"lamps\": {\"command\": \"docker\", \"args\": [\"run\", \"-i\", \"-e\", \"LAMP_TOKEN\", \"-p\", \"80:80\", \"owner/lantern\"]}}\n```\n";
    assert_eq!(with(docker).facts.image.map(|found| found.value).as_deref(), Some("owner/lantern"));
    let others =
        "```json\n{\"scripts\": {\"command\": \"npx lantern\"}, \"command\": 3, \"args\": {}}\n```\n";
    assert!(reason(&with(others)).is_some());
}

#[test]
fn a_block_of_bare_names_lists_variables() {
    let list =
        "## Environment variables\n\n```\nLAMP_USER\nLAMP_PASSWORD\nLAMP_PASSWORD_FILE\nADDRESS\n```\n";
    let import = with(&format!("{RUN}\n{list}"));
    assert_eq!(names(&import), ["LAMP_USER", "LAMP_PASSWORD", "LAMP_PASSWORD_FILE", "ADDRESS"]);
    let codes = "## Answers\n\n```\nLAMP_OK\nLAMP_FAILED\n```\n";
    assert!(names(&with(&format!("{RUN}\n{codes}"))).is_empty());
}

#[test]
fn what_must_be_there_before_and_what_does_not_work_otherwise_is_required() {
    let text = "Set the `ORIGIN` environment variable to your address, otherwise you will see nothing.\n\n## Requisitos\n\n* Variável de ambiente `LAMP_URI` com as credenciais\n\n## Environment variables\n\n* `LAMP_AGE`: its age\n";
    let import = with(&format!("{RUN}\n{text}"));
    let required = import.facts.env.iter().filter(|found| found.value.required == Some(true));
    let required: Vec<&str> = required.map(|found| found.value.name.as_str()).collect();
    assert_eq!(required, ["ORIGIN", "LAMP_URI"]);
}

#[test]
fn how_names_begin_is_no_name() {
    let text = "Options can be set by environment variables too, whose names are prefixed with `LAMP_BOX`: `LAMP_BOX_AGE=3`.\n\nThe `WICK_PREFIX` environment variable sets the prefix.\n";
    assert_eq!(names(&with(&format!("{RUN}\n{text}"))), ["LAMP_BOX_AGE", "WICK_PREFIX"]);
    let family = "## Environment variables\n\n- `WICK_HOST`: host\n- `WICK_PORT`: port\n\nWith a link none of the `WICK` environment variables are needed.\n";
    assert_eq!(names(&with(&format!("{RUN}\n{family}"))), ["WICK_HOST", "WICK_PORT"]);
}

#[test]
fn where_an_installer_puts_it_and_how_a_compiler_is_called_is_no_setting() {
    let text = "Change the installation directory with the `PREFIX` environment variable.\n\n```sh\nenv LDFLAGS=-L/opt/lib pip install wick\n```\n";
    assert!(names(&with(&format!("{RUN}\n{text}"))).is_empty());
}

#[test]
fn a_comment_of_several_lines_tells_the_default() {
    let text = "## Environment variables\n\n```ini\n# How the lamp is reached.\n# Defaults to \"https\". Another one is for those\n# who have their own.\n\n# LAMP_PROTO=\"https\"\n\n# Brightness\nLAMP_LIGHT=3\n```\n";
    let import = with(&format!("{RUN}\n{text}"));
    let defaults =
        import.facts.env.iter().map(|found| (found.value.name.as_str(), found.value.default.as_deref()));
    assert_eq!(defaults.collect::<Vec<_>>(), [("LAMP_PROTO", Some("https")), ("LAMP_LIGHT", None)]);
}

#[test]
fn what_is_built_on_the_spot_tells_what_can_be_set() {
    let text = "```sh\npip install lantern\nlantern serve\n```\n\n## Docker\n\n```sh\ndocker build -t lantern .\n```\n\n```yaml\nservices:\n  lantern:\n    image: lantern\n    network_mode: host\n    environment:\n    - LAMP_HOST=desk\n    #- LAMP_USER=me\n    #- LAMP_PASSWORD=password\n```\n";
    let import = with(text);
    assert_eq!(
        (import.facts.kind.value, names(&import)),
        (Kind::Python, vec!["LAMP_HOST", "LAMP_USER", "LAMP_PASSWORD"])
    );
    assert_eq!(dangers(&import), ["network host"]);
    assert!(import.facts.image.is_none(), "{}", report(&import));
}

#[test]
fn how_long_something_lasts_is_no_password() {
    let text = "```yaml\nservices:\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n    environment:\n      LAMP_TOKEN_TIME: 72\n```\n";
    assert!(dangers(&with(text)).is_empty());
}

#[test]
fn a_compose_file_for_work_is_no_way_to_run_what_is_cloned() {
    let compose = "services:\n  db:\n    image: postgres:9.5\n  lantern:\n    build: {context: ., dockerfile: Dockerfile.dev}\n    volumes: ['./:/app']\n    ports: ['3000:3000']\n    environment: [RAILS_ENV=development]\n";
    let text = "# Lantern\n\nLantern is a lamp server.\n\n## Installation\n\n1. Clone it: `git clone https://github.com/owner/lantern`\n2. Run `docker-compose build`\n3. Run `docker-compose up`\n";
    let import =
        read(&[("README.md", text.as_bytes()), ("docker-compose.yml", compose.as_bytes())]).expect("text");
    assert_eq!(reason(&import), Some(Reason::DevelopmentOnly));
    let services: Vec<&str> = import.facts.services.iter().map(|found| found.value.name.as_str()).collect();
    assert_eq!(services, ["db", "lantern"]);
}

#[test]
fn an_option_tells_its_port_and_others_images_are_not_the_project() {
    let options = "```sh\npip install lantern\nlantern serve\n```\n\n## Options\n\n* ``-p``, ``--port``: default is 8099\n* ``-x``, ``--export``: default is 9000\n";
    let import = with(options);
    assert_eq!(import.facts.ports.iter().map(|found| found.value.port).collect::<Vec<_>>(), [8099]);
    let others = "```sh\ncargo install lantern\n```\n\n## Third-party usage & implementations\n\n- Docker: [wicks/big-lantern](https://hub.docker.com/r/wicks/big-lantern) _(lantern in Docker)_\n";
    assert!(with(others).facts.image.is_none());
}

#[test]
fn who_made_it_is_not_what_it_is() {
    let text = "# lantern\n\n[`lantern`](https://lamps.invalid) was created by, and is maintained by [Wick](https://w.invalid).\nIt allows you to light lamps from afar and to put them out.\n";
    let description = readme(text).facts.description.map(|found| found.value).unwrap_or_default();
    assert!(description.starts_with("It allows you to light lamps"), "{description}");
}

#[test]
fn a_badge_of_a_package_is_no_repository_of_another() {
    let badge =
        "[![version](https://badge.fury.invalid/py/lantern.svg)](https://badge.fury.invalid/py/lantern)";
    let text = format!(
        "# Lantern client\n\n{badge}\n\nA program for lamps.\n\n```sh\npip install lantern\nlantern serve\n```\n"
    );
    let mut files = super::Files::default();
    files.insert("README.md", text.as_bytes());
    let source = super::Source::of_url("https://github.com/owner/lantern-python");
    let package = super::import(&files, &source).expect("text").facts.package;
    assert_eq!(package.map(|found| found.value).as_deref(), Some("lantern"));
}

#[test]
fn a_cell_may_have_the_names_of_one_setting_in_several_places() {
    let table = "## Configuration\n\n| YAML key / Env. variable | Default | Description |\n|---|---|---|\n| `lamp.level` /<br>`LAMP_LEVEL` | `3` | How bright |\n| `lamp.sweep` /<br>`LAMP_SWEEP` | `0 15 2 * * *` | When it is wiped |\n| `lamp.names` | - | Only in the file |\n";
    let import = with(&format!("{RUN}\n{table}"));
    let defaults =
        import.facts.env.iter().map(|found| (found.value.name.as_str(), found.value.default.as_deref()));
    let expected = [("LAMP_LEVEL", Some("3")), ("LAMP_SWEEP", Some("0 15 2 * * *"))];
    assert_eq!(defaults.collect::<Vec<_>>(), expected);
}

#[test]
fn a_name_in_code_with_its_value_beside_it_tells_the_default() {
    let list = "## Environment variables\n\n* `LAMP_PORT`=8099\n* `LAMP_AGE=3`\n\nAll are optional except `LAMP_SECRET`, which signs. If it is not set, `LAMP_USER` will default to `lamp`.\n\n* `LAMP_SECRET`: signs\n* `LAMP_USER`: who\n";
    let import = with(&format!("{RUN}\n{list}"));
    let told = import.facts.env.iter().map(|found| {
        (found.value.name.as_str(), found.value.default.as_deref(), found.value.required == Some(true))
    });
    let expected = [
        ("LAMP_PORT", Some("8099"), false),
        ("LAMP_AGE", None, false),
        ("LAMP_SECRET", None, true),
        ("LAMP_USER", Some("lamp"), false),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn where_the_text_starts_the_compose_file_counts_and_a_script_that_is_asked_for_help_installs_nothing() {
    let compose = "services:\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n";
    let text = "# Lantern\n\nLantern is a lamp server.\n\n## Install\n\n```sh\nwget https://raw.githubusercontent.com/owner/lantern/main/setup.sh\n./setup.sh help\ndocker-compose up -d\n./setup.sh add lamp\n```\n";
    let import =
        read(&[("README.md", text.as_bytes()), ("docker-compose.yml", compose.as_bytes())]).expect("text");
    assert_eq!(import.facts.kind.value, Kind::Compose);
}

#[test]
fn platforms_of_images_and_checks_below_a_heading_are_told() {
    let text = "We have images on the hub for `linux/amd64` and `linux/arm64`.\n\n## Health check\n\n### Request\n\n`GET http://localhost:3333/api/v1/health`\n";
    let facts = with(&format!("{RUN}\n{text}")).facts;
    let arches: Vec<String> = facts.arch.into_iter().map(|found| found.value).collect();
    assert_eq!(arches, ["amd64", "arm64"]);
    assert_eq!(facts.health_path.map(|found| found.value).as_deref(), Some("/api/v1/health"));
}

#[test]
fn a_table_may_list_only_the_ends_of_names() {
    let text = "## Settings\n\nPass them as environment variables in the format `LAMP_{X}`, with `{X}` in capitals.\n\n| Name | Possible values | Default value |\n|---|---|---|\n| `THEME` | light, dark | `light` |\n| `WIDE_VIEW` | on, off | `off` |\n";
    let import = with(&format!("{RUN}\n{text}"));
    assert_eq!(names(&import), ["LAMP_THEME", "LAMP_WIDE_VIEW"]);
}

#[test]
fn each_variable_may_have_a_paragraph_of_its_own_and_values_are_none() {
    let text = "Configure it via environment variables.\n\n`LAMP_KEY`: signs\n\n`DEBUG`: tells more\n\n`LAMP_URL`: where\n\n- `LAMP_MODE`: one of these values:\n  - `LATEST`: the last\n  - `NEXT`: the next\n";
    assert_eq!(names(&with(&format!("{RUN}\n{text}"))), ["LAMP_KEY", "DEBUG", "LAMP_URL", "LAMP_MODE"]);
}

#[test]
fn what_is_only_pulled_is_the_image_and_names_in_a_cluster_are_none() {
    let text = "```sh\ncargo install lantern\n```\n\n```sh\ndocker run --rm owner/lantern --help\n```\n";
    assert_eq!(with(text).facts.image.map(|found| found.value).as_deref(), Some("owner/lantern"));
    let cluster = "## Install\n\nClone and apply: `git clone https://github.com/owner/lantern`\n\n```sh\nkubectl create -f deploy/lantern.yaml\nmake run\n```\n\nThe name `lamps-sigs.io/lantern` is that of the provisioner.\n";
    assert_eq!(reason(&with(cluster)), Some(Reason::KubernetesOnly));
}

#[test]
fn a_port_may_be_of_datagrams() {
    let text = "```sh\npip install lantern\nlantern serve\n```\n\nIts traffic (default port udp/4242) must come in.\n";
    let ports = with(text).facts.ports;
    assert_eq!(
        ports.iter().map(|found| (found.value.port, found.value.is_udp)).collect::<Vec<_>>(),
        [(4242, true)]
    );
}

#[test]
fn what_is_used_by_the_container_belongs_to_it_and_a_name_is_not_a_part_of_another() {
    let text = "## Environment variables used by the container\n\n- `LAMP_AGE`: its age\n\n## Third-party login providers\n\n- `-e LAMP_CLIENT`: who\n\n## Requirements\n\n- the environment variable `DB_PASSWORD_FILE`, in a file\n- `-e DB_PASSWORD`: or this\n";
    let import = with(&format!("{RUN}\n{text}"));
    assert!(
        ["LAMP_AGE", "LAMP_CLIENT"].iter().all(|name| names(&import).contains(name)),
        "{:?}",
        names(&import)
    );
    let both = "```sh\npip install lantern\nlantern serve\n```\n\nIt listens on port 443, and the old one on 8443/udp.\n";
    let ports = with(both).facts.ports;
    assert_eq!(ports.first().map(|found| (found.value.port, found.value.is_udp)), Some((443, false)));
}

#[test]
fn each_launched_command_has_its_own_line_and_what_stands_before_it_is_no_program() {
    let text = "```json\n{\"servers\": {\n  \"wick\": {\"command\": \"npx\", \"args\": [\"wick\"]},\n  \"lamp\": {\n    \"command\": \"env\",\n    \"args\": [\"LAMP_TOKEN=x\", \"npx\", \"-y\", \"@owner/lantern\"]\n  }\n}}\n```\n";
    let facts = with(text).facts;
    let package = facts.package.map(|found| (found.value, found.origin.line));
    assert_eq!(package, Some(("@owner/lantern".to_owned(), 10)));
    assert_eq!(facts.env.iter().map(|found| found.value.name.as_str()).collect::<Vec<_>>(), ["LAMP_TOKEN"]);
}

#[test]
fn defaults_stand_behind_a_dash_and_behind_the_value_itself() {
    let table = "## Environment variables\n\n| Variable | Description |\n|---|---|\n| `LAMP_TREE` | How: <br> `MIRROR` - (Default) as it is <br> `FLAT` - flat |\n\n```sh\n-e LAMP_OPS \"1,2\"\n```\n\nGive it `CAP_NET_ADMIN` in the environment variables of the service.\n";
    let import = with(&format!("{RUN}\n{table}"));
    let told =
        import.facts.env.iter().map(|found| (found.value.name.as_str(), found.value.default.as_deref()));
    assert_eq!(told.collect::<Vec<_>>(), [("LAMP_TREE", Some("MIRROR")), ("LAMP_OPS", None)]);
    let compose = "```yaml\nservices:\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n    environment:\n      - LAMP_MOST=50 #most,默认50\n      - LAMP_LEAST=5 #least,默认50\n```\n";
    let import = with(compose);
    let told = import.facts.env.iter().map(|found| found.value.default.as_deref());
    assert_eq!(told.collect::<Vec<_>>(), [Some("50"), None]);
}

#[test]
fn a_title_with_one_word_more_than_the_repository_is_the_name_and_go_get_installs() {
    let named = |title: &str| {
        let mut files = super::Files::default();
        files.insert("README.md", format!("# {title}\n\nA server of lamps.\n\n{RUN}").as_bytes());
        let source = super::Source::of_url("https://github.com/owner/lamp-server-docker");
        super::import(&files, &source).expect("text").facts.name.value
    };
    assert_eq!(named("Lamp Dedicated Server Docker"), "Lamp Dedicated Server Docker");
    assert_ne!(named("The very best of all Lamp Server Docker"), "The very best of all Lamp Server Docker");
    let get = "## Install\n\n```sh\ngo get github.com/owner/lantern\nlantern --port 80\n```\n";
    assert_eq!(with(get).facts.install, [crate::import::Method::GoInstall]);
}

#[test]
fn what_leads_to_a_list_says_nothing() {
    let text =
        "# lantern\n\nOther lamps of mine:\n\n- wick\n\nLantern is a server that lights lamps from afar.\n";
    let description = readme(text).facts.description.map(|found| found.value).unwrap_or_default();
    assert!(description.starts_with("Lantern is a server"), "{description}");
}
