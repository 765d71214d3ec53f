use serde_json::json;

use super::*;

#[test]
fn a_claim_holds_only_on_evidence() {
    let out = json!({"exit": 0, "stdout": "disk 91% full\n", "used": 91.5, "text_number": " 7 ", "files": ["/a"], "deep": {"x": [1, 2]}});
    let disk = json!({"used": 40});
    let step = StepId::parse("disk").expect("a name");
    let evidence = Evidence {
        out: Some(&out),
        others: BTreeMap::from([(&step, &disk)]),
        seen: BTreeMap::from([(Probe::File("/x".into()), false), (Probe::Service("web".into()), true)]),
    };
    let cases = [
        (json!({"exit": 0}), ""),
        (json!({"exit": 1}), "exit 1: found exit 0"),
        (json!({"contains": {"of": "out.stdout", "text": "91%"}}), ""),
        (
            json!({"contains": {"of": "out.stdout", "text": "ok"}}),
            "out.stdout contains \"ok\": found \"disk 91% full\\n\"",
        ),
        (json!({"contains": {"of": "out.used", "text": "9"}}), "out.used: found 91.5, expected a text"),
        (json!({"contains": {"of": "out.stdoot", "text": ""}}), "out.stdoot: there is nothing at this path"),
        (json!({"lacks": {"of": "out.stdout", "text": "error"}}), ""),
        (
            json!({"lacks": {"of": "out.stderr", "text": "error"}}),
            "out.stderr: there is nothing at this path",
        ),
        (json!({"matches": {"of": "out.stdout", "pattern": "disk * full"}}), ""),
        (json!({"matches": {"of": "out.stdout", "pattern": "disk"}}), "out.stdout matches \"disk\""),
        (json!({"number": {"of": "out.used", "is": "above", "to": "91"}}), ""),
        (json!({"number": {"of": "out.used", "is": "below", "to": "85"}}), "out.used below 85: found 91.5"),
        (json!({"number": {"of": "out.text_number", "is": "equal", "to": "7"}}), ""),
        (json!({"number": {"of": "disk.out.used", "is": "at_most", "to": "40"}}), ""),
        (json!({"number": {"of": "out.stdout", "is": "equal", "to": "7"}}), "expected a number"),
        (
            json!({"number": {"of": "other.out.used", "is": "equal", "to": "7"}}),
            "other.out.used: there is no output",
        ),
        (json!({"count": {"of": "out.files", "is": "at_least", "to": "1"}}), ""),
        (json!({"count": {"of": "out.used", "is": "at_least", "to": "0"}}), "expected a list or a text"),
        (json!({"equals": {"of": "out.deep.x.1", "value": 2}}), ""),
        (json!({"equals": {"of": "out.deep.x.2", "value": 2}}), "nothing at this path"),
        (json!({"present": {"of": "out.deep"}}), ""),
        (json!({"present": {"of": "out.none"}}), "out.none is present: found nothing"),
        (json!({"file": {"path": "/x", "exists": false}}), ""),
        (json!({"file": {"path": "/x", "exists": true}}), "file /x is there: found no such file"),
        (json!({"file": {"path": "/y", "exists": false}}), "file /y was not looked at"),
        (json!({"service": {"name": "web", "active": true}}), ""),
        (json!({"service": {"name": "db", "active": false}}), "service db was not looked at"),
    ];
    for (claim, says) in cases {
        let predicate: Predicate = serde_json::from_value(claim.clone()).expect("a predicate");
        let got = predicate.check(&evidence).err().unwrap_or_default();
        assert!(got.contains(says) && got.is_empty() == says.is_empty(), "{claim}: {got:?}");
    }
}

#[test]
fn without_evidence_nothing_holds() {
    let claims = [
        "{\"exit\": 0}",
        "{\"lacks\": {\"of\": \"out.stdout\", \"text\": \"x\"}}",
        "{\"present\": {\"of\": \"out\"}}",
    ];
    for claim in claims {
        let predicate: Predicate = serde_json::from_str(claim).expect(claim);
        assert!(predicate.check(&Evidence::default()).is_err(), "{claim}");
    }
}
