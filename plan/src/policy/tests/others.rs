use std::net::IpAddr;

use super::super::remember::{NotRemembered, Remembered, propose};
use super::super::web::{judge_redirect, judge_resolved};
use super::*;

#[test]
fn files_are_read_and_written_where_the_policy_says() {
    let cases = [
        ("file.read", json!({"path": "/var/log/syslog"}), "allow"),
        ("file.read", json!({"path": "/etc/hosts"}), "allow"),
        ("file.write", json!({"path": "/etc/hosts", "text": "x"}), "ask"),
        ("file.write", json!({"path": "/srv/x", "text": "x"}), "allow"),
        ("file.write", json!({"path": "/run/nginx.pid", "text": "x"}), "ask"),
        ("file.write", json!({"path": "/var/lib/x/y", "text": "x"}), "ask"),
        ("file.read", json!({"path": "/etc/shadow"}), "forbid"),
        ("file.read", json!({"path": "/etc/./shadow"}), "forbid"),
        ("file.read", json!({"path": "/tmp/../etc/hosts"}), "forbid"),
        ("file.read", json!({"path": "/tmp/link/shadow"}), "forbid"),
        ("file.read", json!({"path": "/tmp/key"}), "forbid"),
        ("file.read", json!({"path": "/proc/self/environ"}), "forbid"),
        ("file.read", json!({"path": "/home/pi/.ssh/id_rsa"}), "forbid"),
        ("file.read", json!({"path": "/root/.bash_history"}), "ask"),
        ("file.write", json!({"path": "/home/pi/.ssh/authorized_keys", "text": "x"}), "forbid"),
        ("file.write", json!({"path": "/etc/systemd/system/x.service", "text": "x"}), "forbid"),
        ("file.write", json!({"path": "/etc/ld.so.preload", "text": "x"}), "forbid"),
        ("file.write", json!({"path": "/tmp/link/passwd", "text": "x"}), "forbid"),
        ("file.delete", json!({"paths": ["/var/tmp/x"]}), "ask"),
        ("file.delete", json!({"paths": ["/var/tmp/x", "/var/lib/node-agent/ledger"]}), "forbid"),
        ("file.list", json!({"path": "/var/lib/node-agent"}), "forbid"),
        ("verify.file", json!({"path": "/etc/shadow", "contains": "root"}), "forbid"),
        ("exec.shell", json!({"script": "df -h"}), "ask"),
        ("exec.shell", json!({"script": "cat /etc/shadow"}), "forbid"),
        ("service.restart", json!({"name": "nginx"}), "allow"),
        ("service.restart", json!({"name": "ssh.service"}), "ask"),
        ("service.stop", json!({"name": "node-agent.service"}), "forbid"),
        ("service.status", json!({"name": "node-agent.service"}), "allow"),
        ("collect.disk", json!({}), "allow"),
    ];
    for (tool, args, expected) in cases {
        let verdict = judge(tool, args.clone());
        assert_eq!(verdict.decision.to_string(), expected, "{tool} {args}: {}", shown(&verdict));
    }
}

#[test]
fn only_named_hosts_that_are_public_are_spoken_to() {
    let cases = [
        ("https://example.org/x", &[][..], "allow"),
        ("https://api.example.org/x", &["*.example.org"], "allow"),
        ("https://EXAMPLE.org./x", &["example.org"], "allow"),
        ("https://example.org.evil.net/x", &["example.org"], "forbid"),
        ("https://evilexample.org/x", &["*.example.org"], "forbid"),
        ("https://example.org@evil.net/", &["example.org"], "forbid"),
        ("https://example.org\\@evil.net/", &["example.org"], "forbid"),
        ("https://evil.net#example.org", &["example.org"], "forbid"),
        ("https://ex\u{430}mple.org/", &[], "forbid"),
        ("ftp://example.org/", &[], "forbid"),
        ("file:///etc/shadow", &[], "forbid"),
        ("https://example.org:99999/", &[], "forbid"),
        ("http://169.254.169.254/latest/meta-data", &["169.254.169.254"], "forbid"),
        ("http://2852039166/", &[], "forbid"),
        ("http://0xa9fea9fe/", &[], "forbid"),
        ("http://0251.0376.0251.0376/", &[], "forbid"),
        ("http://169.254.169.254./", &[], "forbid"),
        ("http://169.16689662/", &[], "forbid"),
        ("http://[::ffff:a9fe:a9fe]/", &[], "forbid"),
        ("http://[::ffff:169.254.169.254]/", &[], "forbid"),
        ("http://[64:ff9b::a9fe:a9fe]/", &[], "forbid"),
        ("http://[2002:a9fe:a9fe::]/", &[], "forbid"),
        ("http://[fd00:ec2::254]/", &[], "forbid"),
        ("http://metadata.google.internal/", &[], "forbid"),
        ("http://METADATA.google.internal./", &[], "forbid"),
        ("http://100.100.100.200/", &[], "forbid"),
        ("http://localhost:8080/", &[], "forbid"),
        ("http://127.1/", &[], "forbid"),
        ("http://0/", &[], "forbid"),
        ("http://[::1]/", &[], "forbid"),
        ("http://[fe80::1%25eth0]/", &[], "forbid"),
        ("http://10.0.0.5/", &[], "forbid"),
        ("http://192.168.1.1/", &[], "forbid"),
        ("http://172.31.0.1/", &[], "forbid"),
        ("http://printer.local/", &[], "forbid"),
    ];
    for (url, domains, expected) in cases {
        let verdict = judge("http.get", json!({"url": url, "domains": domains}));
        assert_eq!(verdict.decision.to_string(), expected, "{url}: {}", shown(&verdict));
    }
    let mut home = Policy::standard();
    home.private = ["10.0.0.0/24", "169.254.0.0/16", "printer.local"].map(str::to_owned).into();
    for (url, expected) in [
        ("http://10.0.0.5/", "allow"),
        ("http://10.0.1.5/", "forbid"),
        ("http://printer.local/", "allow"),
        ("http://169.254.169.254/", "forbid"),
    ] {
        assert_eq!(judge_on(&home, "http.get", json!({"url": url})).decision.to_string(), expected, "{url}");
    }
}

#[test]
fn where_a_name_or_a_redirect_leads_is_judged_again() {
    let policy = Policy::standard();
    let addresses =
        |list: &[&str]| list.iter().map(|text| text.parse().expect("an address")).collect::<Vec<IpAddr>>();
    let resolved = |list: &[&str]| judge_resolved(&policy, "example.org", &addresses(list)).decision;
    assert_eq!(resolved(&["93.184.216.34", "2606:2800:220:1::1"]), Decision::Allow);
    for bad in
        [&["93.184.216.34", "169.254.169.254"][..], &["127.0.0.1"], &["::ffff:10.0.0.1"], &["fd00::1"], &[]]
    {
        assert_eq!(resolved(bad), Decision::Forbid, "{bad:?}");
    }
    let cases = [
        ("https://example.org/a", "https://example.org/b", &[][..], Decision::Allow),
        ("https://example.org/a", "https://evil.net/", &[], Decision::Forbid),
        ("https://example.org/a", "http://example.org/b", &[], Decision::Forbid),
        (
            "https://example.org/a",
            "https://cdn.example.org/b",
            &["example.org", "cdn.example.org"],
            Decision::Allow,
        ),
        ("http://example.org/a", "http://169.254.169.254/", &["169.254.169.254"], Decision::Forbid),
        ("http://example.org/a", "file:///etc/shadow", &[], Decision::Forbid),
    ];
    for (from, to, domains, expected) in cases {
        assert_eq!(judge_redirect(&policy, from, to, domains).decision, expected, "{from} → {to}");
    }
}

#[test]
fn what_was_agreed_to_is_a_rule_that_a_person_can_read() {
    let argv = |text: &str| words(text);
    let rule = propose(&argv("/usr/bin/apt-get install -y nginx"), 1, Effect::Destructive).expect("is plain");
    let remembered = Remembered { rule, node: Some("pi".to_owned()), by: "ann".to_owned(), until_ms: 1000 };
    assert_eq!(remembered.pattern(), "/usr/bin/apt-get install -y <word>");
    let after = |text: &str, node: &str, now_ms| {
        let policy = Policy::standard().with(std::slice::from_ref(&remembered), node, now_ms);
        shown(&judge_on(&policy, "exec.argv", json!({"argv": argv(text)})))
    };
    let cases = [
        ("/usr/bin/apt-get install -y redis", "pi", 0, "allow destructive"),
        ("apt-get install -y redis", "pi", 0, "allow destructive"),
        ("/usr/bin/apt-get install -y redis", "pi", 1000, "ask"),
        ("/usr/bin/apt-get install -y redis", "other", 0, "ask"),
        ("/usr/bin/apt-get install -y redis nginx", "pi", 0, "ask"),
        ("/usr/bin/apt-get install -y --reinstall", "pi", 0, "ask"),
        ("/usr/bin/apt-get install -y /tmp/x.deb", "pi", 0, "forbid"),
        ("/usr/bin/apt-get install -y -o x", "pi", 0, "forbid"),
        ("/tmp/apt-get install -y redis", "pi", 0, "forbid"),
    ];
    for (text, node, now_ms, expected) in cases {
        let got = after(text, node, now_ms);
        assert!(got.starts_with(expected), "{text} on {node}: {got}");
    }
    for bad in [
        "/usr/bin/python3 /x.py",
        "/bin/sh -c id",
        "/usr/bin/env df",
        "/usr/bin/find /x -exec df ;",
        "/usr/bin/sudo df",
    ] {
        assert!(
            matches!(propose(&argv(bad), 0, Effect::Read), Err(NotRemembered::RunsOthers { .. })),
            "{bad}"
        );
    }
    assert!(matches!(propose(&argv("df -h"), 0, Effect::Read), Err(NotRemembered::NotBound { .. })));
}

#[test]
fn the_shipped_policy_is_whole_and_a_bad_one_says_where() {
    let policy = Policy::standard();
    let json = serde_json::to_vec(&policy).expect("JSON");
    assert_eq!(serde_json::from_slice::<Policy>(&json).expect("reads back"), policy);
    let text = "\
otherwise: maybe
programs: [usr/bin, /usr/bin/]
tools: {exec.shel: ask}
paths: [{path: etc, write: never}]
rules:
  - {argv: [df], decision: allow, effect: read, why: x, match: [df], not: [ls]}
  - {argv: [/usr/bin/df, -h], decision: allow, effect: read, why: x, match: [df -k], not: [df -h]}
  - {argv: [rm], decision: forbid, effect: destructive, why: x, match: [], not: [ls]}
  - {argv: [/usr/bin/ls, <any>, x], decision: allow, effect: read, why: x, match: [ls x], not: [df]}
  - {argv: [], decision: ask, effect: reed}
";
    insta::assert_snapshot!(
        Policy::parse("policy.yaml", text.as_bytes()).expect_err("is refused").to_string()
    );
}

#[test]
fn two_policies_together_are_as_strict_as_both() {
    let mut narrow = Policy::standard();
    narrow.otherwise = Decision::Forbid;
    narrow.tools = BTreeMap::from([(crate::tool::Tool::HttpGet, Decision::Forbid)]);
    let both = Policy::standard().join(narrow);
    let decision = |tool, args| judge_on(&both, tool, args).decision;
    assert_eq!(decision("exec.argv", json!({"argv": ["frobnicate"]})), Decision::Forbid);
    assert_eq!(decision("http.get", json!({"url": "https://example.org/"})), Decision::Forbid);
    assert_eq!(decision("file.delete", json!({"paths": ["/var/tmp/x"]})), Decision::Ask);
    assert_eq!(decision("exec.argv", json!({"argv": ["df", "-h"]})), Decision::Allow);
    assert_eq!(judge_on(&Policy::closed(), "collect.disk", json!({})).decision, Decision::Forbid);
}
