//! What READMEs of images say in ways of their own: one rule, one text.

use super::{Import, readme};

fn description(import: &Import) -> &str {
    import.facts.description.as_ref().map_or("", |found| found.value.as_str())
}

const RUN: &str = "```sh\ndocker run -p 80:80 owner/lantern\n```\n";

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
fn an_image_without_an_address_does_not_say_what_the_project_is() {
    let import = readme(&format!(
        "# Lantern\n\n![Supports amd64][amd64] ![Supports arm64][arm64]\n\n## What\n\nLights lamps in every room of a house.\n\n{RUN}"
    ));
    assert_eq!(description(&import), "Lights lamps in every room of a house.");
    assert_eq!(import.facts.arch.len(), 2);
}
