//! The adversary: a plan, a model, a person or a file that tries what it must not. Each row names the attempt, the reason
//! by which it is stopped, and is looked at from outside: what it was after has not happened.

mod bench;
mod commands;
mod files;
mod models;
mod people;
mod plans;
mod secrets;
mod web;

use plan::run::event::Ending;
use serde_json::json;

use bench::Bench;

/// Without this, all rows could pass on a node that does nothing at all.
#[tokio::test]
async fn what_is_allowed_is_done_and_seen_from_outside() {
    let mut bench = Bench::new().await;
    let before = bench.world();
    let step = json!({"id": "a", "tool": "file.write", "args": {"path": bench.path("proof"), "text": "x"}});
    let mut follower = bench.begin(&[step]).await;
    assert_eq!(follower.ending().await, Ending::Done, "{:#?}", follower.events());
    let after = bench.world();
    assert_eq!(after.len(), before.len() + 1, "{:?}", after.keys());
    bench.policy.private.insert("127.0.0.0/8".to_owned());
    let url = format!("http://127.0.0.1:{}/", bench.trap);
    bench.attempt(&json!({"id": "a", "tool": "http.get", "args": {"url": url}, "timeout": "1s"})).await;
    assert_ne!(bench.world(), after, "a connection is seen");
}
