//! What further projects showed: one rule, one text.

use super::found::default;
use super::{Files, Import, RUN, Source, import, read, readme, reason, report, with};
use crate::import::Kind;

fn told(part: &str) -> Import {
    readme(&format!("# Lantern\n\nLantern is a lamp server.\n\n{RUN}\n{part}"))
}

#[test]
fn a_whole_command_goes_before_a_release_without_an_address() {
    let release = "## Installation\n\nDownload the binary from the [releases](https://github.com/owner/lantern/releases).\n\n";
    let both = with(&format!("{release}{RUN}"));
    assert_eq!(both.facts.kind.value, Kind::Container);
    let alone = with(release);
    assert_eq!(alone.facts.kind.value, Kind::Binary);
    let report = report(&alone);
    assert!(
        report.contains("test -x ./lantern") && report.contains("put the program into its folder"),
        "{report}"
    );
}

#[test]
fn an_env_file_that_is_not_at_hand_is_made_of_what_the_text_tells() {
    let compose = "services:\n  lantern:\n    image: owner/lantern\n    ports: ['80:80']\n    env_file: ./conf/lamp.env\n";
    let text = "# Lantern\n\nA lamp server.\n\n```sh\ndocker compose up -d\n```\n\n## Environment variables\n\n| Variable | Default |\n|---|---|\n| `LAMP_COLOR` | `red` |\n| `LAMP_PASSWORD` | |\n";
    let import = read(&[("README.md", text.as_bytes()), ("compose.yaml", compose.as_bytes())]).expect("text");
    let report = report(&import);
    assert!(report.contains("--- conf/lamp.env\n"), "{report}");
    assert!(report.contains("LAMP_COLOR=red\n# LAMP_PASSWORD=\n"), "{report}");
    assert!(report.contains("reads conf/lamp.env, which is not at hand"), "{report}");
    let lamp = b"LAMP_COLOR=blue\nLAMP_PASSWORD=dark\n";
    let files: [(&str, &[u8]); 3] =
        [("README.md", text.as_bytes()), ("compose.yaml", compose.as_bytes()), ("conf/lamp.env", lamp)];
    let own = super::report(&read(&files).expect("text"));
    assert!(own.contains("LAMP_COLOR=blue\n# to be set: LAMP_PASSWORD\n") && !own.contains("dark"), "{own}");
}

#[test]
fn a_line_that_pipes_into_a_shell_is_a_command_without_any_mark() {
    let line = |line: &str| with(&format!("## Install\n\n{line}\n"));
    let dangers = |import: &Import| {
        import.facts.danger.iter().map(|found| found.value.clone()).collect::<Vec<_>>().join(", ")
    };
    let url = "https://github.com/owner/lantern/raw/main/install.sh";
    let plain = line(&format!("curl -s {url} | sudo bash"));
    assert_eq!((reason(&plain), dangers(&plain).as_str()), (None, "curl | sudo bash"));
    let words = line(&format!("Never curl {url} | bash what you have not read"));
    assert_eq!(dangers(&words), "");
}

#[test]
fn the_column_beside_the_names_may_say_whether_they_must_be_set() {
    let table = "## Configuración\n\n| CLAVE | OBLIGATORIO | VALOR |\n|---|:-:|---|\n| LAMP_TOKEN | ✅ | Token de la lámpara |\n| LAMP_HOURS | ❌ | Horas de luz. Por defecto 4 |\n";
    let import = told(table);
    let required = |name: &str| {
        import.facts.env.iter().find(|found| found.value.name == name).and_then(|found| found.value.required)
    };
    assert_eq!((required("LAMP_TOKEN"), required("LAMP_HOURS")), (Some(true), Some(false)));
    assert_eq!(default(&import, "LAMP_HOURS"), Some("4"));
}

#[test]
fn the_word_for_a_default_may_come_after_it_and_in_more_languages() {
    for said in [
        "`7` par défaut",
        "`7` por defecto",
        "(`7` по умолчанию)",
        "`7` (Standard)",
        "(Standard `7`)",
        "standardmäßig `7`",
        "Vorgabe: 7",
        "기본값은 `7`",
    ] {
        let import = told(&format!("## Environment variables\n\n- `LAMP_PORT`: {said}\n- `LAMP_X`: x\n"));
        assert_eq!(default(&import, "LAMP_PORT"), Some("7"), "{said}");
    }
}

#[test]
fn the_licence_of_what_a_project_uses_is_not_its_own() {
    let license = |part: &str| told(part).facts.license.map(|found| found.value);
    let uses =
        "## Credits\n\nThis software uses libraries from the Wick project under the LGPLv2.1 license.\n";
    assert_eq!(license(uses), None);
    assert_eq!(
        license("## Acknowledgements\n\nMade by Owner. Licensed under the MIT license.\n").as_deref(),
        Some("MIT")
    );
}

#[test]
fn a_table_may_head_a_column_as_the_least() {
    let text = "## 서버 요구 사양\n\n| | 최소 | 권장 |\n|---|---|---|\n| RAM | 4GB | 8GB |\n";
    assert_eq!(told(text).facts.memory.map(|found| found.value), Some(4096));
}

#[test]
fn a_badge_of_an_image_service_shows_that_the_image_is_published() {
    let badge = "[![](https://images.microbadger.com/badges/image/owner/lantern:latest.svg)](https://microbadger.com/images/owner/lantern:latest)\n\n";
    let build = "## Build image\n\n```sh\ndocker build -t owner/lantern .\n```\n\n## Usage\n\n";
    assert_eq!(reason(&with(&format!("{badge}{build}{RUN}"))), None);
}

#[test]
fn what_must_be_set_has_no_example_for_a_default() {
    let text = "## Environment variables\n\n- `LAMP_HOST`: Required. The host\n";
    let run = "```sh\ndocker run -p 80:80 -e LAMP_HOST=lamps -e LAMP_NAME=desk owner/lantern\n```\n";
    let report = report(&readme(&format!("# Lantern\n\nLantern is a lamp server.\n\n{run}\n{text}")));
    assert!(report.contains("default: desk") && !report.contains("default: lamps"), "{report}");
}

fn of(name: &str, path: &str, text: &str) -> Import {
    let mut files = Files::default();
    files.insert(path, text.as_bytes());
    import(&files, &Source::of_url(&format!("https://github.com/owner/{name}"))).expect("it is text")
}

#[test]
fn a_part_of_the_name_is_another_project_where_the_text_links_that() {
    let rst = "Wick-template\n=============\n\nWick_ templates for lamps.\n\nInstall it::\n\n    pip install -U wick\n\n.. _Wick: https://github.com/wicks/wick\n";
    assert!(reason(&of("wick-template", "README.rst", rst)).is_some());
    let own = rst.replace("wicks/wick", "owner/wick-template");
    assert_eq!(reason(&of("wick-template", "README.rst", &own)), None);
}

#[test]
fn what_an_exporter_is_run_with_is_not_the_exporter() {
    let text = "# prometheus_lamp_exporter\n\nExports lamps.\n\n```yaml\nservices:\n  prometheus:\n    image: prom/prometheus\n    ports: ['9090:9090']\n```\n\nDownload the binary from [releases](https://github.com/owner/prometheus_lamp_exporter/releases).\n";
    assert_eq!(of("prometheus_lamp_exporter", "README.md", text).facts.kind.value, Kind::Binary);
    let own = "# Prometheus\n\nWatches.\n\n```sh\ndocker run -p 9090:9090 prom/prometheus\n```\n";
    assert_eq!(of("prometheus", "README.md", own).facts.kind.value, Kind::Container);
}

#[test]
fn an_archive_for_nodes_may_lie_anywhere() {
    let link = |file: &str| with(&format!("## Download\n\n- [Linux](http://lamps.invalid/{file})\n"));
    assert_eq!(reason(&link("lantern-linux-amd64.tar.gz")), None);
    assert!(reason(&link("lantern-windows-amd64.zip")).is_some());
    assert!(reason(&link("wick-linux-amd64.tar.gz")).is_some());
}

#[test]
fn the_page_of_an_image_may_be_told_as_a_bare_address() {
    let text = "# Lantern\n\nA lamp server.\n\n## Installation\n\nDocker image: https://hub.docker.com/r/lantern/answers\n";
    let import = readme(text);
    assert_eq!(import.facts.image.map(|found| found.value).as_deref(), Some("lantern/answers"));
}

#[test]
fn a_name_that_begins_like_your_is_no_gap() {
    let image = |namespace: &str| {
        let text =
            format!("# Lantern\n\nA lamp server.\n\n```sh\ndocker run ghcr.io/{namespace}/lantern\n```\n");
        readme(&text).facts.image.map(|found| found.value)
    };
    assert_eq!(image("yourok").as_deref(), Some("ghcr.io/yourok/lantern"));
    assert_eq!((image("yourname"), image("your-org"), image("your")), (None, None, None));
}

#[test]
fn a_sentence_may_list_ports_with_what_they_are_for() {
    let text = "Lantern serves on ports 1025 (SMTP), 1143 (IMAP) and 8080 (CardDAV), listening on port 1025 first.\n";
    let import = with(&format!("```sh\npip install lantern\n```\n\n{text}"));
    let ports: Vec<u16> = import.facts.ports.iter().map(|found| found.value.port).collect();
    assert_eq!(ports, [1025, 1143, 8080]);
    let other = "You can override this by running `lantern --port 80`.\n";
    assert!(with(&format!("```sh\npip install lantern\n```\n\n{other}")).facts.ports.is_empty());
}

#[test]
fn what_is_installed_beside_the_package_comes_along_and_no_sentence_is_a_command() {
    let text = "```sh\npip install lantern wick\n```\n\n```\nLantern 0.4.7 of lamps\n./installLantern.sh\nlantern serve\n```\n";
    let report = report(&with(text));
    let install = report.split("install:").nth(1).unwrap_or_default();
    assert!(install.contains("lantern") && install.contains("wick"), "{report}");
    assert!(report.contains("- serve"), "{report}");
}

#[test]
fn a_bold_word_at_the_end_says_that_it_must_be_set() {
    let import = told(
        "## Environment variables\n\n* `-e LAMP_ZONE` - The zone of the lamp. **Required**\n* `LAMP_AGE` - Its age\n",
    );
    let required = |name: &str| {
        import.facts.env.iter().find(|found| found.value.name == name).and_then(|found| found.value.required)
    };
    assert_eq!((required("LAMP_ZONE"), required("LAMP_AGE")), (Some(true), None));
}

#[test]
fn bold_names_in_a_list_of_settings_are_variables_and_a_table_of_contents_has_none() {
    let list = "## 配置\n\n### 1. **基础设置**\n\n- **LAMP_USER：** 用户，默认`admin`\n- **LAMP_PORT：** 端口，默认`80`\n- **LAMP_HOST：** 主机\n";
    let import = told(&format!("- [API](https://lamps.invalid/lantern#api)\n- [LAMP_X](#lamp-x)\n\n{list}"));
    let names: Vec<&str> = import.facts.env.iter().map(|found| found.value.name.as_str()).collect();
    assert_eq!(names, ["LAMP_USER", "LAMP_PORT", "LAMP_HOST"]);
    assert_eq!(default(&import, "LAMP_PORT"), Some("80"));
}

#[test]
fn what_sections_are_called_is_no_name() {
    let text = format!("## About\n\nLampBits is a relay server for lamps.\n\n{RUN}");
    assert_ne!(of("server", "README.md", &text).facts.name.value.to_lowercase(), "about");
}

#[test]
fn prompts_have_many_signs() {
    for prompt in ["▲", "λ", "~ $", "(venv) $", ">>"] {
        let text = format!("```\n{prompt} npm install -g lantern\n{prompt} lantern --port 80\n```\n");
        let import = with(&text);
        assert_eq!((reason(&import), import.facts.kind.value), (None, Kind::Node), "{prompt}");
    }
}

#[test]
fn what_is_assigned_in_bold_is_a_variable_and_binaries_are_for_processors() {
    let list =
        "## Notices\n\nThe notices need some settings:\n\n- **LAMP_SINK**=http\n- **LAMP_FROM**=desk\n";
    let names: Vec<String> = told(list).facts.env.into_iter().map(|found| found.value.name).collect();
    assert_eq!(names, ["LAMP_SINK", "LAMP_FROM"]);
    let binaries = "## Install\n\nLinux binaries of the release:\n\n* [amd64](https://lamps.invalid/a)\n* [arm64](https://lamps.invalid/b)\n";
    let arches: Vec<String> = told(binaries).facts.arch.into_iter().map(|found| found.value).collect();
    assert_eq!(arches, ["amd64", "arm64"]);
}

#[test]
fn a_server_of_builds_is_no_site_and_a_sentence_may_lead_to_it() {
    let badge = "[![build](https://ci.lantern.invalid/b.svg)](https://ci.lantern.invalid/job)\n\n";
    let site = "Visit the website of the lamps for more information: <https://lamps.invalid/>\n";
    let import = told(&format!("{badge}{site}"));
    assert_eq!(import.facts.homepage.map(|found| found.value).as_deref(), Some("https://lamps.invalid/"));
}
