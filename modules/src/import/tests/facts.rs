//! Single facts, out of the ways that texts tell them.

use super::readme;
use crate::import::Import;

fn variable<'i>(import: &'i Import, name: &str) -> Option<&'i crate::import::EnvFact> {
    import.facts.env.iter().map(|found| &found.value).find(|fact| fact.name == name)
}

fn image(import: &Import) -> Option<&str> {
    import.facts.image.as_ref().map(|found| found.value.as_str())
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
