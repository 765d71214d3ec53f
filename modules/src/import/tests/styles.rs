//! What texts of other styles tell: one rule, one text.

use super::found::{arches, names};
use super::{RUN, readme};
use crate::import::{EnvFact, Import, Verdict};

fn variable<'i>(import: &'i Import, name: &str) -> &'i EnvFact {
    let fact = import.facts.env.iter().map(|found| &found.value).find(|fact| fact.name == name);
    fact.unwrap_or_else(|| panic!("{name} is not among {:?}", names(import)))
}

fn value<T: Clone>(found: &Option<crate::import::Found<T>>) -> Option<T> {
    found.as_ref().map(|found| found.value.clone())
}

fn draft(import: &Import) -> &str {
    match &import.verdict {
        Verdict::Deployable(draft) => &draft.yaml,
        Verdict::NotDeployable { sentence, .. } => panic!("{sentence}"),
    }
}

/// A README of the lantern with a part of its own.
fn with(part: &str) -> Import {
    readme(&format!("# Lantern\n\nLantern is a lamp server.\n\n{RUN}\n{part}"))
}

#[test]
fn an_exporter_for_a_database_is_not_the_database() {
    let mut files = crate::import::Files::default();
    let text = "# Exporter\n\nMetrics of a database.\n\n```sh\n# a database to try it with\ndocker run --net=host postgres\n\
                docker run --net=host -e LAMP_DSN=x owner/postgres_exporter\n```\n";
    files.insert("README.md", text.as_bytes());
    let source = crate::import::Source::of_url("https://github.com/keepers/postgres_exporter");
    let import = crate::import::import(&files, &source).expect("it is text");
    assert_eq!(value(&import.facts.image).as_deref(), Some("owner/postgres_exporter"));
}

#[test]
fn a_list_of_names_on_setting_it_up_is_a_list_of_variables() {
    let import =
        with("## Setup\n\n- `LAMP_URL` - where the lamp is\n- `LAMP_KEY` - its key (Default `wick`)\n");
    assert_eq!(variable(&import, "LAMP_KEY").default.as_deref(), Some("wick"));
    assert!(names(&import).contains(&"LAMP_URL"));
}

#[test]
fn a_name_that_is_set_to_a_value_is_a_variable_where_others_are() {
    let text = "## Environment variables\n\n- `LAMP_MODE`: the mode\n\n## Login\n\nEnable it by setting `LAMP_LOGIN` to `true`.\n";
    assert!(names(&with(text)).contains(&"LAMP_LOGIN"));
    let in_file = text.replace("Enable it", "Enable it in lamp.conf");
    assert!(!names(&with(&in_file)).contains(&"LAMP_LOGIN"));
}

#[test]
fn bold_is_the_default_where_the_text_says_so() {
    let values = "## Environment variables\n\n### LAMP_LEVEL\n\n- **3** => bright\n- 1 => dim\n\n### LAMP_KEY\n\n- **empty** => none\n";
    let import = with(&format!("Values in **bold** are the default values.\n\n{values}"));
    assert_eq!(variable(&import, "LAMP_LEVEL").default.as_deref(), Some("3"));
    assert_eq!(variable(&import, "LAMP_KEY").default, None);
    assert_eq!(variable(&with(values), "LAMP_LEVEL").default, None);
}

#[test]
fn a_default_may_be_told_for_what_is_left_unset_or_refer_to_another() {
    let import = with(
        "## Environment variables\n\n- `LAMP_MASK`: the mask, default if left unset is 022.\n- `LAMP_HOST` (Default: $LAMP_IP): the host\n",
    );
    assert_eq!(variable(&import, "LAMP_MASK").default.as_deref(), Some("022"));
    assert_eq!(variable(&import, "LAMP_HOST").default.as_deref(), Some("$LAMP_IP"));
}

#[test]
fn the_value_in_code_ends_with_the_code() {
    let import = with("## Environment variables\n\n- `-e LAMP_NAME=...`(defaults to \"wick\", its name)\n");
    let fact = variable(&import, "LAMP_NAME");
    assert_eq!((fact.default.as_deref(), fact.example.as_deref()), (Some("wick"), None));
    assert!(fact.description.starts_with("(defaults to"), "{}", fact.description);
}

#[test]
fn an_option_behind_the_image_still_sets_a_variable() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 owner/lantern -e LAMP_MODE=dim\n```\n",
    );
    assert_eq!(variable(&import, "LAMP_MODE").example.as_deref(), Some("dim"));
}

#[test]
fn comments_of_a_compose_file_tell_what_is_required_and_what_is_the_default() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```yaml\nservices:\n  lantern:\n    image: owner/lantern\n    environment:\n      # Required:\n      # Where it is reached\n      \
         - LAMP_HOST=lamp.invalid\n      #   Default port\n      # - LAMP_PORT=80\n      # LAMP_MODE: dim\n      # LAMP_LEVEL: three\n    ports: [\"80:80\"]\n#    browser:\n#        \
         image: keepers/browser\n#        environment:\n#            - SCREEN_WIDTH=1920\n```\n",
    );
    let host = variable(&import, "LAMP_HOST");
    assert_eq!((host.required, host.description.as_str()), (Some(true), "Required. Where it is reached"));
    assert_eq!(variable(&import, "LAMP_PORT").default.as_deref(), Some("80"));
    assert_eq!(variable(&import, "LAMP_LEVEL").description, "", "another setting describes nothing");
    assert!(!names(&import).contains(&"SCREEN_WIDTH"), "it is another service's");
}

#[test]
fn a_check_of_a_compose_file_tells_its_path_and_line() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```yaml\nservices:\n  lantern:\n    image: owner/lantern\n    ports: [\"80:80\"]\n    healthcheck:\n      test: [\"CMD\", \"curl\", \
         \"http://localhost/lampz\"]\n```\n",
    );
    let found = import.facts.health_path.as_ref().expect("the file has a check");
    assert_eq!((found.value.as_str(), found.origin.line), ("/lampz", 10));
}

#[test]
fn architectures_are_read_in_short_lists_and_beside_other_scripts_but_not_among_alternatives() {
    assert_eq!(arches(&with("- Arch: armv7, arm64\n")), ["armv7", "arm64"]);
    assert_eq!(arches(&with("- 支持Linux系统，支持ARM、x86架构\n")), ["x86", "arm"]);
    assert_eq!(
        arches(&with("## Updating\n\n### Raspberry Pi?\n\nlinux/arm/v6 and arm64 devices are supported!\n")),
        ["armv6", "arm64"]
    );
    let list = "- Image <https://lamps.invalid/lite_armhf/>\n- alternativ kann auch ein x86_64 System verwendet werden\n";
    assert!(arches(&with(list)).is_empty());
}

#[test]
fn a_choice_of_two_licences_stays_one_and_a_change_is_about_the_new_one() {
    let license = |text: &str| value(&with(text).facts.license);
    let both = "## License\n\nUnder either the MIT License or the Apache License 2.0, at your option.\n";
    assert_eq!(license(both).as_deref(), Some("MIT OR Apache-2.0"));
    let changed = "## Credits\n\nShe agreed to change the license from LGPL to MIT for this project.\n";
    assert_eq!(license(changed).as_deref(), Some("MIT"));
}

#[test]
fn the_least_memory_counts_before_the_recommended() {
    let import = with("## Requirements\n\nRecommended:\n\n- 2GB RAM\n\nMinimum:\n\n- 512MB RAM\n");
    assert_eq!(value(&import.facts.memory), Some(512));
}

#[test]
fn of_two_ways_with_one_image_the_one_that_asks_for_less_is_taken() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n## Docker\n\n```sh\ndocker run -p 80:80 owner/lantern\n```\n\n## IPv6\n\nRecommended:\n\n```sh\ndocker run --net=host owner/lantern\n```\n",
    );
    assert!(!draft(&import).contains("network: host"), "{}", draft(&import));
}

#[test]
fn a_password_in_an_address_is_no_default() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n```sh\ndocker run -p 80:80 -e LAMP_DSN=lamps://keeper:wick@db/lamps owner/lantern\n```\n",
    );
    assert!(!draft(&import).contains("wick"), "{}", draft(&import));
    assert!(import.warnings.iter().any(|warning| warning.text.contains("LAMP_DSN")));
}

#[test]
fn what_a_heading_says_of_the_name_is_a_description_and_legal_words_are_none() {
    let import = readme(
        "<h3 align=\"center\">Lantern - A self-hosted backup solution for lamps</h3>\n\n## Demo\n\nYou can access the demo at https://demo.lantern.invalid\n",
    );
    assert_eq!(value(&import.facts.description).as_deref(), Some("A self-hosted backup solution for lamps"));
    let german = readme(
        "# Lantern\n\n## Lizenz\n\nDie Nutzung ist nur nach Absprache erlaubt.\n\n## Wofür?\n\nSteuerung von Lampen in kleinen Häusern.\n",
    );
    assert_eq!(value(&german.facts.description).as_deref(), Some("Steuerung von Lampen in kleinen Häusern."));
}

#[test]
fn a_port_is_a_whole_number_and_may_be_told_as_an_address() {
    let ports = |text: &str| -> Vec<u16> {
        let import = readme(&format!(
            "# Lantern\n\nA lamp server.\n\n```sh\npip install lantern\nlantern\n```\n\n{text}"
        ));
        import.facts.ports.iter().map(|found| found.value.port).collect()
    };
    assert!(ports("Open `http://localhost:900{1,2,3}`.\n").is_empty());
    assert_eq!(ports("* `web.listen-address`\n  Address to listen on. Default is `:9187`.\n"), [9187]);
}

#[test]
fn a_short_host_of_many_is_not_every_host_that_ends_like_it() {
    let mut files = crate::import::Files::default();
    files.insert(
        "README.md",
        "# Lantern-ix\n\nA lamp server, see [its site](https://lantern-ix.com).\n".as_bytes(),
    );
    let source = crate::import::Source::of_url("https://github.com/owner/lantern-ix");
    let import = crate::import::import(&files, &source).expect("it is text");
    assert_eq!(value(&import.facts.homepage).as_deref(), Some("https://lantern-ix.com"));
}

#[test]
fn what_one_hosts_is_no_library() {
    let import = readme(
        "# Lantern\n\nAn open source, self-hosted implementation of the lamp control server.\n\n## Running it\n\nSee the documentation.\n",
    );
    let Verdict::NotDeployable { reason, .. } = &import.verdict else {
        panic!("there is no way to install it")
    };
    assert_eq!(reason.as_str(), "no-install-information");
}

#[test]
fn a_start_keeps_what_it_sets_for_itself() {
    let import = readme(
        "# Lantern\n\nA lamp server.\n\n## Install\n\n```sh\ngit clone https://github.com/owner/lantern\ncd lantern\nnpm install\nLAMP_ENV=production npm start\n```\n",
    );
    assert!(draft(&import).contains("env LAMP_ENV=production npm start"), "{}", draft(&import));
}
