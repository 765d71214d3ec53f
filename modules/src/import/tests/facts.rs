//! Single facts, out of the ways that texts tell them.

use super::found::{arches, dangers, image, names, ports};
use super::readme;
use crate::import::Import;

fn variable<'i>(import: &'i Import, name: &str) -> Option<&'i crate::import::EnvFact> {
    import.facts.env.iter().map(|found| &found.value).find(|fact| fact.name == name)
}

#[test]
fn an_image_that_developers_rebuild_is_still_published() {
    let import = readme(
        "# owner/lantern\n\n## Usage\n\n```yaml\nservices:\n  lantern:\n    image: ghcr.io/owner/lantern\n    ports: [\"80:80\"]\n```\n\n## Building locally\n\n\
         ```sh\ngit clone https://github.com/owner/lantern\ndocker build --pull -t ghcr.io/owner/lantern:latest .\n```\n",
    );
    assert!(import.is_deployable());
    assert_eq!(image(&import), Some("ghcr.io/owner/lantern"));
}

#[test]
fn a_default_in_words_is_the_value_alone() {
    let import = readme(
        "# Lantern\n\n## Environment variables\n\n- `-e LAMP_DRIVER=...` (defaults to \"pdo_sqlite\", sets the driver)\n- `LAMP_LEVEL` (default `3`)\n- `LAMP_HOST` (default: \
         0.0.0.0)\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n",
    );
    let default = |name: &str| variable(&import, name).and_then(|fact| fact.default.clone());
    assert_eq!(default("LAMP_DRIVER").as_deref(), Some("pdo_sqlite"));
    assert_eq!(default("LAMP_LEVEL").as_deref(), Some("3"));
    assert_eq!(default("LAMP_HOST").as_deref(), Some("0.0.0.0"));
}

#[test]
fn the_usage_text_of_a_program_tells_variables_and_defaults() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ncargo install lantern\n```\n\n```\nUsage: lantern [OPTIONS]\n\n  -p, --port <PORT>\n          Where it listens\n\n          \
         [env: LANTERN_PORT=]\n          [default: 8480]\n\n  -q  Be quiet [env: LANTERN_QUIET]\n```\n\n```sh\ndocker run --env LANTERN_MODE=\"dim\" -p 8480:8480 owner/lantern\n```\n",
    );
    let port = variable(&import, "LANTERN_PORT").expect("it is in the usage text");
    assert_eq!(port.default.as_deref(), Some("8480"));
    assert!(variable(&import, "LANTERN_QUIET").is_some());
    let mode = variable(&import, "LANTERN_MODE").expect("it is in the command");
    assert_eq!(mode.description, "", "a piece of a command describes nothing");
}

#[test]
fn options_with_their_variables_beside_them_are_variables() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\n## Environment variables\n\n```\n-p, --port <port>     LANTERN_PORT=80\n    --quiet           \
         LANTERN_QUIET=true\n[folder]              LANTERN_FOLDER=\".\"\n```\n\n| Variable | What it is for |\n|---|---|\n| `ServerIP: <address>` | The address |\n| `IPv6: <bool>` | Whether |\n",
    );
    for name in ["LANTERN_PORT", "LANTERN_QUIET", "LANTERN_FOLDER"] {
        assert!(names(&import).contains(&name), "{name} of {:?}", names(&import));
    }
}

#[test]
fn a_column_of_variables_may_name_them_in_any_case() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\n| Environment variable | What it is for |\n|---|---|\n| `TZ: <zone>` | The zone |\n| `DNS1: <address>` | A server \
         |\n| `ServerIP: <address>` | The address |\n",
    );
    assert_eq!(names(&import), ["TZ", "DNS1", "ServerIP"]);
}

#[test]
fn samples_are_no_facts() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -e LAMP_TOKEN=token owner/lantern\n```\n\n## Parameters\n\nFor example, `-p 8080:80` would expose port `80` to the host's port `8080` outside.\n\n\
         ## Environment variables from files\n\n```sh\n-e FILE__PASSWORD=/run/secrets/sample\n```\n\nWill set the environment variable `PASSWORD` from that file.\n",
    );
    assert_eq!(names(&import), ["LAMP_TOKEN"]);
    assert!(ports(&import).is_empty(), "{:?}", ports(&import));
    assert!(dangers(&import).is_empty(), "{:?}", dangers(&import));
}

#[test]
fn a_login_told_in_a_list_is_a_default_login() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\n**Default Credentials**\n\n- **Username**: `lamp@lantern.invalid`\n- **Password**: `glimmer`\n",
    );
    assert_eq!(dangers(&import), ["default credentials"]);
}

#[test]
fn the_description_is_a_sentence_without_its_marks() {
    let import = readme(
        "# Lantern\n\nhttps://lantern.invalid\n\nLantern is a self-hosted lamp server [disclaimer] for small houses [^1].\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n",
    );
    let text = |found: &Option<crate::import::Found<String>>| found.as_ref().map(|found| found.value.clone());
    assert_eq!(
        text(&import.facts.description).as_deref(),
        Some("Lantern is a self-hosted lamp server for small houses.")
    );
    assert_eq!(text(&import.facts.homepage).as_deref(), Some("https://lantern.invalid"));
}

#[test]
fn a_health_check_may_be_shown_by_a_command() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\nHealth checks\n\n```sh\ncurl http://127.0.0.1:80/__lantern__/health\n```\n",
    );
    assert_eq!(import.facts.health_path.map(|found| found.value).as_deref(), Some("/__lantern__/health"));
}

#[test]
fn families_of_architectures_stay_families_and_are_required_of_no_node() {
    let text = "# Lantern\n\nA lamp server.\n\n- Supports x86 and ARM\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n";
    let import = readme(text);
    assert_eq!(arches(&import), ["x86", "arm"]);
    let crate::import::Verdict::Deployable(draft) = &import.verdict else { panic!("it has a command") };
    assert!(draft.spec.requires.arch.is_empty(), "{}", draft.yaml);
    assert_eq!(
        arches(&readme(&text.replace("x86 and ARM", "x86, amd64 and ARM (arm64)"))),
        ["amd64", "arm64"]
    );
}

#[test]
fn a_compose_file_that_is_not_at_hand_is_still_a_way() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n## How to start\n\nClone it, then:\n\n```sh\ndocker compose -f docker/compose.sqlite.yml up\n```\n",
    );
    assert!(import.is_deployable());
    assert_eq!(import.facts.kind.value.as_str(), "compose");
    let badge = readme(
        "# Lantern\n\n[![Pulls](https://img.shields.io/docker/pulls/owner/lantern)](https://hub.docker.com/r/owner/lantern)\n\nA lamp server.\n\n## Install\n\n```sh\nwget \
         https://raw.githubusercontent.com/owner/lantern/main/docker-compose.yml\ndocker-compose up -d\n```\n",
    );
    assert!(badge.is_deployable());
    assert_eq!(image(&badge), Some("owner/lantern"));
}

#[test]
fn a_script_put_where_programs_are_is_a_way_to_install() {
    let text = "# lantern\n\nA lamp tool.\n\n## Install\n\n```sh\ncurl -L https://raw.githubusercontent.com/owner/lantern/main/lantern.sh -o ~/.local/bin/lantern.sh\n```\n";
    assert!(readme(text).is_deployable());
    assert!(
        !readme(&text.replace("lantern.sh -o ~/.local/bin/lantern.sh", "lantern.yml -o lantern.yml"))
            .is_deployable()
    );
}

#[test]
fn a_sentence_as_a_heading_is_about_anything() {
    let import = readme(
        "# Lantern\n\n### Lantern is in beta testing and a work in progress, so that lamps may go out at night\n\nLantern is a collection manager for lamps.\n\n## Support\n\n\
         This project is supported by LampCorp.\n",
    );
    let description = import.facts.description.map(|found| found.value).unwrap_or_default();
    assert!(description.contains("a collection manager for lamps"), "{description}");
}

#[test]
fn a_piece_of_a_command_sets_a_variable_whose_default_the_words_before_tell() {
    let import = readme(
        "# Lantern\n\nA lamp server. See <https://lantern.invalid>。\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\n## Tweaks\n\n* Set the level (default is 7):\n\n  ```sh\n  -e \
         LAMP_LEVEL=7\n  ```\n\n## Versions\n\n* Built for amd64\n* Shift to the arm32v7 tag\n",
    );
    let level = variable(&import, "LAMP_LEVEL").expect("it is in the piece");
    assert_eq!(level.default.as_deref(), Some("7"));
    assert!(arches(&import).is_empty(), "a history supports nothing: {:?}", arches(&import));
}
