//! `import --fill`: a model may say what a README says, and nothing else.

use llm::testing::{Say, Scripted, Wire};
use serde_json::json;

use crate::ask::configured;
use crate::program::Program;

const README: &str = "# lampd\n\nSwitches the lamps of your house.\n\n```sh\ndocker run -d -p 8080:80 example/lampd:1.2.0\n```\n\n\
    A probe may ask the page /healthz for 200.\n\nYou may use it as the ISC people let you.\n";

#[test]
fn a_model_fills_what_the_readme_says_and_each_is_marked() {
    for wire in Wire::ALL {
        let scripted = Scripted::start(wire, "m", 9, |asked| {
            assert!(asked.text().contains("lamps of your house"), "it is shown the text");
            Say::json(&json!({"found": [
                {"field": "health", "value": "/healthz", "quote": "A probe may ask the page /healthz for 200."},
                {"field": "homepage", "value": "https://evil.example.org", "quote": "You may use it as the ISC people let you."},
                {"field": "memory", "value": "64", "quote": "It needs 64 MB of memory."},
                {"field": "runtime", "value": "privileged", "quote": "Switches the lamps of your house."},
            ]}))
        });
        let program = configured(&scripted, wire, "");
        std::fs::create_dir(program.home().join("lampd")).expect("made");
        std::fs::write(program.home().join("lampd/README.md"), README).expect("written");
        let plain = program.json(&["import", "./lampd", "--dry-run"]);
        assert_eq!((scripted.count(), &plain["deployable"]), (0, &json!(true)), "{plain}");

        let filled = program.json(&["import", "./lampd", "--dry-run", "--fill"]);
        let traces = filled["provenance"].as_array().expect("traces");
        let by_model: Vec<_> = traces.iter().filter(|trace| trace["confidence"] == "filled").collect();
        assert_eq!(by_model.len(), 1, "{filled}");
        assert_eq!((&by_model[0]["field"], &by_model[0]["origin"]["line"]), (&json!("health"), &json!(9)));
        let yaml = filled["yaml"].as_str().expect("YAML");
        assert!(
            yaml.contains("path: /healthz") && !yaml.contains("evil") && !yaml.contains("privileged"),
            "{yaml}"
        );
        let warnings = filled["warnings"].to_string();
        assert!(
            warnings.contains("do not say so") && warnings.contains("do not stand in the text"),
            "{warnings}"
        );
    }
}

#[test]
fn an_answer_that_is_none_fails_and_a_readme_as_long_as_any_is_sent_in_part() {
    let scripted = Scripted::start(Wire::OpenAi, "m", 4096, |asked| {
        assert!(asked.text().len() < 40 << 10 && asked.text().contains("lamps of your house"));
        Say::Text("I would rather not say".into())
    });
    let program = configured(&scripted, Wire::OpenAi, "");
    std::fs::create_dir(program.home().join("lampd")).expect("made");
    let long = format!("{README}\n{}", "Some more words of it.\n\n".repeat(80_000));
    std::fs::write(program.home().join("lampd/README.md"), &long).expect("written");
    let failed = program.run(&["import", "./lampd", "--yes", "--fill"]);
    failed.fails(1, "gave no answer that can be used");
    failed.fails(1, "import without --fill");
    assert!(!program.json(&["module", "list"]).to_string().contains("lampd"));
}

#[test]
fn filling_in_without_a_model_says_what_to_do_and_changes_nothing() {
    let program = Program::new();
    std::fs::create_dir(program.home().join("lampd")).expect("made");
    std::fs::write(program.home().join("lampd/README.md"), README).expect("written");
    program.run(&["import", "./lampd", "--yes", "--fill"]).fails(2, "[[llm.low]]");
    assert!(!program.json(&["module", "list"]).to_string().contains("lampd"));
}
