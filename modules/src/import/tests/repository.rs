//! What the other files of a repository add, and drafts that start as they are.

use super::{read, readme, report};
use crate::import::{Confidence, Import, Verdict};
use crate::spec::runtime::Runtime;

const RUN: &str = "# Lantern\n\nLantern is a lamp server.\n\n```sh\ndocker run -d owner/lantern:1.2\n```\n\n\
                   Set the environment variable `LANTERN_LEVEL` to dim it.\n";

#[test]
fn a_dockerfile_fills_what_the_text_leaves_out() {
    let dockerfile = "FROM alpine\nENV LANTERN_LEVEL=3\nEXPOSE 8080 5353/udp\nVOLUME /var/lib/lantern\n\
                      HEALTHCHECK CMD [\"wget\", \"-q\", \"http://localhost:8080/health\"]\n";
    let import = with(&[("Dockerfile", dockerfile)], RUN);
    let ports: Vec<(u16, u32, Confidence)> = import
        .facts
        .ports
        .iter()
        .map(|found| (found.value.port, found.origin.line, found.confidence))
        .collect();
    assert_eq!(ports, [(8080, 3, Confidence::Inferred), (5353, 3, Confidence::Inferred)]);
    assert_eq!(import.facts.volumes[0].value.path, "/var/lib/lantern");
    assert_eq!(import.facts.env[0].value.default.as_deref(), Some("3"));
    let health = import.facts.health_command.as_ref().expect("the image has a check");
    assert_eq!((health.value[0].as_str(), health.origin.file.as_str()), ("CMD", "Dockerfile"));
}

#[test]
fn the_text_overrules_the_dockerfile() {
    let text = RUN.replace("run -d", "run -d -p 80:9000 -v data:/data");
    let import = with(&[("Dockerfile", "FROM alpine\nEXPOSE 8080\nVOLUME /other\n")], &text);
    let ports: Vec<u16> = import.facts.ports.iter().map(|found| found.value.port).collect();
    assert_eq!((ports, import.facts.volumes.len()), (vec![9000], 1));
}

#[test]
fn an_example_of_settings_documents_variables_and_gives_no_defaults() {
    let example = "# How bright\nLANTERN_LEVEL=5\n#LANTERN_TOKEN=abc # from the shop\nnot a setting\n";
    let import = with(&[(".env.example", example)], RUN);
    let found = |name: &str| {
        import.facts.env.iter().find(|found| found.value.name == name).expect("it is in the example")
    };
    assert_eq!(found("LANTERN_LEVEL").value.example.as_deref(), Some("5"));
    assert_eq!(found("LANTERN_LEVEL").value.default, None);
    let token = found("LANTERN_TOKEN");
    assert_eq!((token.value.is_commented, token.value.description.as_str()), (true, "from the shop"));
}

#[test]
fn a_unit_tells_how_a_binary_is_started() {
    let unit = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/local/bin/lantern --log error\n";
    let text = "# Lantern\n\nA lamp server.\n\n```\ncurl -LO https://github.com/owner/lantern/releases/download/v1.0/lantern.tar.gz\n```\n";
    let import = with(&[("contrib/lantern.service", unit)], text);
    assert_eq!(command(&import), ["./lantern", "--log", "error"]);
}

#[test]
fn a_clone_that_the_text_builds_and_starts_becomes_a_module() {
    let text = "# Lantern\n\nA lamp server.\n\n## Installation\n\n```sh\ngit clone https://github.com/owner/lantern.git\ncd lantern\n\
                npm install\nnpm run build\nnpm start\n```\n";
    let import = readme(text);
    let Verdict::Deployable(draft) = &import.verdict else { panic!("{}", report(&import)) };
    let yaml = &draft.yaml;
    assert!(yaml.contains("git clone --depth 1 'https://github.com/owner/lantern.git' src"), "{yaml}");
    assert!(yaml.contains("cd src && npm install && npm run build"), "{yaml}");
    assert_eq!(command(&import), ["/bin/sh", "-c", "cd '${release.dir}/src' && exec npm start"]);
}

#[test]
fn a_clone_with_a_gap_says_which() {
    let text = "# Lantern\n\nA lamp server.\n\n## Installation\n\n```sh\ngit clone https://github.com/owner/lantern.git\ncd lantern\n\
                vim config.toml\nnpm start\n```\n";
    let report = report(&readme(text));
    assert!(report.contains("the text goes on with \"vim config.toml\" (line 10)"), "{report}");
}

#[test]
fn a_compose_file_that_no_deploy_would_take_says_so() {
    let compose =
        "services:\n  web:\n    image: owner/lantern:1\n    ports: [\"80:80\"]\n    depends_on: [db]\n";
    let text = "# Lantern\n\nA lamp server.\n\nRun `docker compose up -d`.\n";
    let two = format!("{compose}  other:\n    image: owner/other:1\n");
    let report = report(&with(&[("compose.yaml", &two)], text));
    assert!(report.contains("it cannot be deployed before this is mended: compose.yaml:5:"), "{report}");
}

#[test]
fn an_env_file_comes_along_without_its_secrets() {
    let compose =
        "services:\n  web:\n    image: owner/lantern:1\n    env_file: .env\n    ports: [\"80:80\"]\n";
    let example = "LANTERN_LEVEL=3\nLANTERN_PASSWORD=hunter2\n";
    let text = "# Lantern\n\nA lamp server.\n\nRun `docker compose up -d`.\n";
    let import = with(&[("compose.yaml", compose), (".env.example", example)], text);
    let Verdict::Deployable(draft) = &import.verdict else { panic!("{}", report(&import)) };
    let env = String::from_utf8_lossy(&draft.files[".env"]).into_owned();
    assert_eq!(env, "LANTERN_LEVEL=3\n# to be set: LANTERN_PASSWORD\n");
    assert!(!report(&import).contains("mended"), "{}", report(&import));
}

#[test]
fn asciidoc_is_read_with_its_attributes_and_indented_commands() {
    let text = "= Lantern\nAnn Other <ann@example.org>\n:site: https://lantern.example.org\n:docs: {site}/docs\n\n\
                {site}[Lantern] is a lamp server for {docs}[homes].\n\n== Install\n\nType:\n\n $ sudo apt-get install -y lantern\n";
    let import = read(&[("README.adoc", text.as_bytes())]).expect("it is text");
    let description = import.facts.description.as_ref().expect("a sentence");
    assert!(description.value.contains("is a lamp server for homes"), "{}", description.value);
    assert_eq!(import.facts.package.as_ref().map(|found| found.value.as_str()), Some("lantern"));
}

fn with(files: &[(&str, &str)], text: &str) -> Import {
    let mut all = vec![("README.md", text.as_bytes())];
    all.extend(files.iter().map(|(path, text)| (*path, text.as_bytes())));
    read(&all).expect("it is text")
}

fn command(import: &Import) -> Vec<String> {
    let Verdict::Deployable(draft) = &import.verdict else { panic!("{}", report(import)) };
    match &draft.spec.runtime {
        Runtime::Process(process) => process.command.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_builds_is_for_all_where_the_text_says_to_start_it() {
    let ports = |compose: &str, text: &str| -> Vec<u16> {
        let text = format!("# Lantern\n\nA lamp server.\n\n## Install\n\n{text}\n");
        let import = with(&[("compose.yaml", compose)], &text);
        import.facts.ports.iter().map(|found| found.value.port).collect()
    };
    let built = "services:\n  lantern:\n    build: .\n    ports: [\"7000:7000\"]\n";
    let start = "Look at `compose.yaml`, then:\n\n```sh\ndocker compose up\n```\n";
    assert_eq!(ports(built, start), [7000]);
    assert_eq!(ports(built, "```sh\nmake lamps\n```\n"), [0; 0]);
    assert_eq!(ports(&format!("{built}    volumes: [\".:/src\"]\n"), start), [0; 0]);
}
