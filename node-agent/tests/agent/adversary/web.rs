//! Addresses that no step may speak to, in every spelling, named or led to.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use super::bench::{Bench, Row, row};

const CREDENTIALS: &str = "gives out credentials";
const PRIVATE: &str = "private address";

#[tokio::test]
async fn no_address_inside_is_spoken_to_by_any_name() {
    let mut bench = Bench::new().await;
    let trap = bench.trap;
    let get = |tries, url: &str, says| {
        row(tries, json!({"id": "a", "tool": "http.get", "args": {"url": url}}), says)
    };
    let here = |host: &str| format!("http://{host}:{trap}/");
    let rows = [
        get("metadata", "http://169.254.169.254/latest/meta-data/", CREDENTIALS),
        get("metadata in decimal", "http://2852039166/", CREDENTIALS),
        get("metadata in hexadecimal", "http://0xa9fea9fe/", CREDENTIALS),
        get("metadata in octal", "http://0251.0376.0251.0376/", CREDENTIALS),
        get("metadata in two parts", "http://169.16689662/", CREDENTIALS),
        get("metadata with a dot behind", "http://169.254.169.254./", CREDENTIALS),
        get("metadata mapped into IPv6", "http://[::ffff:169.254.169.254]/", CREDENTIALS),
        get("metadata mapped, in hexadecimal", "http://[::ffff:a9fe:a9fe]/", CREDENTIALS),
        get("metadata by NAT64", "http://[64:ff9b::a9fe:a9fe]/", CREDENTIALS),
        get("metadata by 6to4", "http://[2002:a9fe:a9fe::]/", CREDENTIALS),
        get("metadata of IPv6", "http://[fd00:ec2::254]/", CREDENTIALS),
        get("metadata by its name", "http://METADATA.google.internal./", CREDENTIALS),
        get("metadata of another cloud", "http://100.100.100.200/", CREDENTIALS),
        get("this machine", &here("127.0.0.1"), PRIVATE),
        get("this machine, short", &here("127.1"), PRIVATE),
        get("this machine as zero", &here("0"), PRIVATE),
        get("this machine in decimal", &here("2130706433"), PRIVATE),
        get("this machine by IPv6", &here("[::1]"), PRIVATE),
        get("this machine mapped", &here("[::ffff:127.0.0.1]"), PRIVATE),
        get("this machine by name", &here("localhost"), "private name"),
        get("this machine by a longer name", &here("a.localhost"), "private name"),
        get("a private network", "http://192.168.1.1/", PRIVATE),
        get("a link", "http://[fe80::1]/", PRIVATE),
        get("a user in the URL", &format!("http://example.org@127.0.0.1:{trap}/"), "user or password"),
        get("a backslash", "http://example.org\\@127.0.0.1/", "backslash"),
        get("a file", "file:///etc/shadow", ""),
        get("another scheme", "gopher://127.0.0.1/x", ""),
        get("a line break", "http://example.org/\r\nHost: x", ""),
        get("letters of another alphabet", "http://ex\u{430}mple.org/", ""),
        row(
            "domains that are private",
            json!({"id": "a", "tool": "http.get", "args": {"url": here("127.0.0.1"), "domains": ["127.0.0.1"]}}),
            PRIVATE,
        ),
        row(
            "a host that an output chooses",
            json!({"id": "a", "tool": "http.get", "args": {"url": "http://${node}/x"}}),
            "a host that is written out",
        ),
        row(
            "a check instead of a fetch",
            json!({"id": "a", "tool": "verify.http", "args": {"url": here("127.0.0.1")}}),
            PRIVATE,
        ),
        row(
            "sends to this machine",
            json!({"id": "a", "tool": "http.post", "effect": "destructive", "args": {"url": here("127.0.0.1"), "body": "x"}}),
            PRIVATE,
        ),
    ];
    bench.check(&rows).await;
}

#[tokio::test]
async fn no_redirect_leads_to_where_the_step_may_not_go() {
    let mut bench = Bench::new().await;
    bench.policy.private.insert("127.0.0.1".to_owned());
    let trap = bench.trap;
    let cases = [
        ("metadata", "http://169.254.169.254/latest/".to_owned(), CREDENTIALS),
        ("metadata in decimal", "http://2852039166/".to_owned(), CREDENTIALS),
        ("metadata without a scheme", "//169.254.169.254/".to_owned(), CREDENTIALS),
        ("another address of this machine", format!("http://127.0.0.2:{trap}/"), ""),
        ("another host", "http://example.org/".to_owned(), "not among the domains"),
        ("a file", "file:///etc/shadow".to_owned(), ""),
        ("a network that is not named", "http://10.0.0.1/".to_owned(), ""),
    ];
    let rows: Vec<Row> = cases
        .into_iter()
        .map(|(tries, to, says)| {
            let url = format!("http://127.0.0.1:{}/", redirect(to));
            row(tries, json!({"id": "a", "tool": "http.get", "args": {"url": url}}), says)
        })
        .collect();
    bench.check(&rows).await;
}

/// A server that sends everybody on.
fn redirect(to: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    port
}
