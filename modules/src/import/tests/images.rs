//! What READMEs of images say in ways of their own: one rule, one text.

use super::found::{default, description, has, volumes};
use super::{Files, RUN, Source, import, readme, reason, with};

#[test]
fn a_socket_is_no_file_that_is_put_in() {
    let import = with(
        "```sh\ndocker run -v /run/lamp.sock:/run/lamp.sock owner/lantern\n```\n\n```sh\ndocker run -v ./oil:/oil owner/lantern\n```\n",
    );
    assert_eq!(volumes(&import), ["/run/lamp.sock"]);
}

#[test]
fn options_without_a_variable_leave_the_column_of_variables_empty() {
    let table = "| Flag | Env var | Description |\n|--|--|--|\n| `wick` | | A wick |\n| `oil` | | The oil |\n| `glass` | - | The glass |\n| `port` | `LAMP_PORT` | Where (default: `80`) |\n";
    let import = with(&format!("{RUN}\n{table}"));
    assert_eq!(default(&import, "LAMP_PORT"), Some("80"));
}

#[test]
fn a_list_of_bare_names_is_of_variables_where_the_section_above_says_so() {
    let part = |opening: &str| {
        let text = format!(
            "{RUN}\n## Rights\n\n{opening}\n\nEach is `0` or `1`.\n\n### Granted\n\nThese are harmless.\n\n- `WICKS`\n- `OIL`: when `0`, dark\n"
        );
        with(&text)
    };
    let import = part("You grant rights through environment variables.");
    assert!(has(&import, "WICKS") && has(&import, "OIL"));
    assert!(!has(&part("You grant rights in the browser."), "OIL"));
}

#[test]
fn an_option_names_its_variable_in_brackets() {
    let import = with(&format!(
        "{RUN}\n* `--lamp-level` (env. `LAMP_LEVEL`): How bright. If omitted, the default lamp level is `dim`.\n"
    ));
    assert_eq!(default(&import, "LAMP_LEVEL"), Some("dim"));
}

#[test]
fn the_variables_of_dockers_own_client_are_not_the_projects() {
    let import =
        with(&format!("{RUN}\nPoint other containers here with the DOCKER_HOST environment variable.\n"));
    assert!(!has(&import, "DOCKER_HOST"));
}

#[test]
fn a_notice_above_the_title_does_not_say_what_the_project_is() {
    let import = readme(&format!(
        "# Attention\n\nThis is a fork of the older lamp server.\n\n# Lantern\n\nA process that lights lamps at dusk.\n\n{RUN}"
    ));
    assert_eq!(description(&import), "A process that lights lamps at dusk.");
}

#[test]
fn how_to_install_it_does_not_say_what_it_is_whatever_the_level_of_its_heading() {
    let import = readme(&format!(
        "# Lantern image\n\nRun your own smokeless lamp server anywhere!\n\n# Installation\n\n{RUN}\n`--net=host` provides the best service for the lantern container.\n"
    ));
    assert_eq!(description(&import), "Run your own smokeless lamp server anywhere!");
}

#[test]
fn words_before_a_list_do_not_say_what_the_project_is() {
    let import = readme(
        "# Lantern images\n\nImages available there are:\n\n- one\n- two\n\nThis repository provides images of a lamp server.\n",
    );
    assert_eq!(description(&import), "This repository provides images of a lamp server.");
}

#[test]
fn a_repository_that_is_called_image_is_named_by_its_title() {
    let mut files = Files::default();
    let text = format!("# LampTest Docker Image https://hub.invalid/r/lamps\n\nA lamp test.\n\n{RUN}");
    files.insert("README.md", text.as_bytes());
    let source = Source::of_url("https://github.com/lamps/Docker-Image");
    let import = import(&files, &source).expect("it is text");
    assert_eq!(import.facts.name.value, "LampTest Docker Image");
}

#[test]
fn a_comment_in_an_example_tells_which_path_checks_the_health() {
    let import = with(&format!(
        "{RUN}\n```console\n# calls the health check\n$ curl -v http://localhost:80/health\n```\n"
    ));
    assert_eq!(import.facts.health_path.map(|found| found.value).as_deref(), Some("/health"));
}

#[test]
fn brackets_behind_a_default_explain_it() {
    let table = "| Variable | Default |\n|--|--|\n| LAMP_PERIOD | 60 (1 minute) |\n| LAMP_HOST | all of them (every one) |\n";
    let import = with(&format!("{RUN}\n{table}"));
    assert_eq!(default(&import, "LAMP_PERIOD"), Some("60"));
    assert_eq!(default(&import, "LAMP_HOST"), Some("all of them (every one)"));
}

#[test]
fn in_a_table_of_options_only_those_that_set_variables_are_variables() {
    let table = "| Parameter | Function |\n|--|--|\n| `-p 69/udp` | TFTP port |\n| `-p 80` | HTTP port |\n| `-e LAMP_OIL` | Without it the lamp will not start |\n";
    let import = with(&format!("{RUN}\n{table}"));
    let known: Vec<_> =
        import.facts.env.iter().map(|found| (found.value.name.as_str(), found.value.required)).collect();
    assert_eq!(known, [("LAMP_OIL", Some(true))]);
}

#[test]
fn a_table_may_give_the_login_of_a_new_installation() {
    let dangers = |password: &str| {
        let table = format!("| Field | Value |\n|--|--|\n| username | admin |\n| password | {password} |\n");
        with(&format!("{RUN}\nThe default credentials are:\n\n{table}")).facts.danger.len()
    };
    assert_eq!((dangers("oilcan"), dangers("<yours>")), (1, 0));
}

#[test]
fn an_image_without_an_address_does_not_say_what_the_project_is() {
    let import = readme(&format!(
        "# Lantern\n\n![Supports amd64][amd64] ![Supports arm64][arm64]\n\n## What\n\nLights lamps in every room of a house.\n\n{RUN}"
    ));
    assert_eq!(description(&import), "Lights lamps in every room of a house.");
    assert_eq!(import.facts.arch.len(), 2);
}

#[test]
fn a_table_of_exposed_ports_has_them_all() {
    let text = |said: &str| {
        format!(
            "```sh\ndocker pull owner/lantern\n```\n\n## Networking\n\n{said}\n\n| Port | Description |\n|--|--|\n| `80` | Lamps |\n| `5060/udp` | Voice |\n| `9000-9100/udp` | More |\n"
        )
    };
    let ports = |said: &str| {
        let ports = with(&text(said)).facts.ports;
        ports.iter().map(|found| (found.value.port, found.value.is_udp)).collect::<Vec<_>>()
    };
    assert_eq!(ports("The following ports are exposed."), [(80, false), (5060, true)]);
    assert_eq!(ports("Others use these."), []);
}

#[test]
fn a_column_that_is_headed_as_variables_goes_before_one_of_words() {
    let table = "| Name | Description | Environment variables |\n|--|--|--|\n| `--port` | HTTP port of the lamp | `LAMP_PORT` |\n";
    let import = with(&format!("{RUN}\n{table}"));
    assert!(has(&import, "LAMP_PORT") && !has(&import, "HTTP"));
}

#[test]
fn a_sentence_tells_the_default_of_one_of_several_variables() {
    let import = with(&format!(
        "{RUN}\n## 环境变量\n\n- `LAMP_USER`\n- `LAMP_OIL`\n\n如果没有指定，`LAMP_USER` 会默认为 `keeper`，并且 `LAMP_OIL` 会被随机生成。\n"
    ));
    assert_eq!((default(&import, "LAMP_USER"), default(&import, "LAMP_OIL")), (Some("keeper"), None));
}

#[test]
fn to_ask_for_a_user_name_and_a_password_gives_none_away() {
    let asked = with(&format!("{RUN}\nLog in and enter your admin username, admin password, and address.\n"));
    assert!(asked.facts.danger.is_empty());
    let given = with(&format!("{RUN}\nLog in with username: admin, password: oilcan\n"));
    assert_eq!(given.facts.danger.len(), 1);
}

#[test]
fn the_image_that_a_pipeline_runs_in_is_no_service() {
    let job = "image: owner/lantern-ci:1\n  script:\n    - make\n";
    for yaml in [format!("build:\n  {job}"), "image: owner/lantern\nbuild:\n  script: make\n".to_owned()] {
        assert!(reason(&with(&format!("```yaml\n{yaml}\n```\n"))).is_some(), "{yaml}");
    }
    let service = "lantern:\n  image: owner/lantern\n  ports: [\"80:80\"]\n";
    assert_eq!(reason(&with(&format!("```yaml\n{service}\n```\n"))), None);
}

#[test]
fn a_sentence_may_name_the_image_on_docker_hub() {
    let image = |text: &str| with(text).facts.image.map(|found| found.value);
    let named = image("The official image is published on Docker Hub as `owner/lantern`.\n");
    assert_eq!(named.as_deref(), Some("owner/lantern"));
    assert_eq!(image("The code is in `owner/lantern`.\n"), None);
}

#[test]
fn further_languages_tell_defaults_and_what_must_be_set() {
    let import = with(&format!(
        "{RUN}\n## Umgebungsvariablen\n\n- `LAMP_PORT`: Der Port (Standard: `9000`)\n- `LAMP_TONGUE`: Sprache, Standardwert `de`\n\n## 환경 변수\n\n- `LAMP_USER` (필수): 사용자\n\n## 環境変数\n\n```env\n# 鍵（必須）\nLAMP_KEY=\n```\n"
    ));
    assert_eq!((default(&import, "LAMP_PORT"), default(&import, "LAMP_TONGUE")), (Some("9000"), Some("de")));
    let required = import.facts.env.iter().filter(|found| found.value.required == Some(true));
    assert_eq!(
        required.map(|found| found.value.name.as_str()).collect::<Vec<_>>(),
        ["LAMP_USER", "LAMP_KEY"]
    );
    let login = with(&format!("{RUN}\n기본 계정은 admin / oilcan 입니다.\n"));
    assert_eq!(login.facts.danger.len(), 1);
}
