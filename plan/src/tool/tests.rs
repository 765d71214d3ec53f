use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::fault::Faults;
use crate::step::Args;

#[test]
fn the_table_has_every_tool_once_under_the_name_of_its_kind() {
    let mut seen = BTreeSet::new();
    for signature in Tool::all() {
        assert!(seen.insert(signature.tool), "{} twice", signature.name);
        assert_eq!(Tool::parse(signature.name), Ok(signature.tool));
        let kind = signature.name.split('.').next().unwrap_or_default();
        assert_eq!(signature.tool.kind().as_str(), kind, "{}", signature.name);
        assert_eq!(signature.tool.signature().name, signature.name);
    }
    // The last variant: a new one comes with a new row.
    assert_eq!(seen.len(), Tool::VerifyHttp as usize + 1);
}

#[test]
fn arguments_are_checked_against_the_signature() {
    let cases = [
        ("exec.argv", json!({"argv": ["ls", "-l"]}), ""),
        ("exec.argv", json!({"argv": "ls -l"}), "a.argv: found \"ls -l\", expected a list of 1 to 256 texts"),
        ("exec.argv", json!({"argv": []}), "a.argv: found a list"),
        ("exec.argv", json!({"argv": ["ls", 5]}), "a.argv: found a list"),
        ("exec.argv", json!({"argv": "${x.out.text}"}), "a.argv: found \"${x.out.text}\""),
        ("exec.argv", json!({"argv": ["ls"], "evn": {}}), "a.evn: found the unknown argument \"evn\""),
        ("exec.argv", json!({}), "a.argv: found nothing, expected the required argument \"argv\""),
        ("collect.facts", json!({"x": 1}), "expected no argument; collect.facts takes none"),
        ("file.read", json!({"path": "/etc/hosts"}), ""),
        ("file.read", json!({"path": "etc/hosts"}), "expected an absolute path"),
        ("file.read", json!({"path": "/var/../etc/shadow"}), "expected an absolute path without \"..\""),
        ("file.read", json!({"path": "${x.out.saved}"}), ""),
        ("file.read", json!({"path": "/var/${x.out.text}/../y"}), "expected an absolute path"),
        ("file.delete", json!({"paths": ["/tmp/a", "b"]}), "a.paths[1]: found \"b\""),
        ("service.stop", json!({"name": "--now"}), "expected a name"),
        ("service.stop", json!({"name": "a b"}), "expected a name"),
        (
            "llm.ask",
            json!({"prompt": "x", "rounds": 6}),
            "a.rounds: found the number 6, expected a whole number from 1 to 5",
        ),
        ("llm.ask", json!({"prompt": "x", "rounds": 1.5}), "a.rounds: found the number 1.5"),
        ("llm.ask", json!({"prompt": "x", "tools": ["exec.agrv"]}), "did you mean \"exec.argv\"?"),
        ("http.get", json!({"url": "file:///etc/shadow"}), "expected a URL"),
        ("http.get", json!({"url": "https://a", "domains": ["a b"]}), "a.domains[0]"),
        ("verify.file", json!({"path": "/x", "exists": "yes"}), "expected true or false"),
    ];
    for (tool, args, says) in cases {
        let args: Args = serde_json::from_value(args).expect("a map");
        let mut faults = Faults::default();
        Tool::parse(tool).expect(tool).signature().check("a", &args, &mut faults);
        let text = faults.to_string();
        assert!(text.contains(says) && text.is_empty() == says.is_empty(), "{tool} {args:?}: {text}");
    }
}
