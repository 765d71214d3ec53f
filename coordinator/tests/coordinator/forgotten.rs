//! Old runs are forgotten with all that is kept of them; the newest stay.

use std::sync::Arc;

use coordinator::clock::SystemClock;
use coordinator::store::url::StoreUrl;
use coordinator::store::{self, Op, Store, Txn};
use serde_json::json;

use crate::ask::put_node;
use crate::program::Program;

const PLAN: &str =
    "goal: look\nnodes: {every: true}\nsteps:\n  - {id: disk, tool: collect.disk, args: {path: /}}\n";
/// As many as are kept, and some.
const RUNS: usize = 503;

#[test]
fn the_oldest_ended_runs_are_forgotten_with_all_that_is_kept_of_them() {
    let program = Program::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(put_node(&program, "pi", &[]));
    std::fs::write(program.home().join("plan.yaml"), PLAN).expect("written");
    program.run(&["plan", "approve", "plan.yaml"]);
    let plan = program.json(&["plan", "list"])[0]["plan"].as_str().expect("a hash").to_owned();
    let store = runtime.block_on(open(&program));
    runtime.block_on(fill(store.as_ref(), &plan));
    let begun = program.run(&["plan", "run", "plan.yaml", "--no-wait", "-o", "json"]);
    assert!([0, 3].contains(&begun.status), "{begun:?}");

    let count = |prefix: &str| runtime.block_on(store.list(prefix)).expect("listed").entries.len();
    // The new one, and 500 that have ended.
    let listed = program.json(&["run", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(501), "{begun:?}");
    for (prefix, left) in [
        ("/run-journals/ran0000001/", 0),
        ("/run-nodes/ran0000001/", 0),
        ("/runs/ran0000001", 0),
        ("/runs/ran0000000", 0),
        ("/runs/ran0000002", 0),
        ("/runs/ran0000003", 1),
        ("/runs/aaa0000001", 0),
        ("/runs/aaa0000003", 1),
        ("/run-journals/ran0000003/", 1),
        ("/run-deeds/", 1),
    ] {
        assert_eq!(count(prefix), left, "{prefix}");
    }
}

async fn open(program: &Program) -> Arc<dyn Store> {
    let url = StoreUrl::Sqlite(program.home().join("data/orchestrator.db"));
    store::connect(&url, Arc::new(SystemClock)).await.expect("a store")
}

/// Runs one after the other.
async fn fill(store: &dyn Store, plan: &str) {
    for number in 0..RUNS {
        let id = format!("ran{number:07}");
        let look = [1, 3].contains(&number).then(|| format!("aaa{number:07}"));
        let record = |id: &str, looks_after: Option<&str>, looked_at_by: Option<&String>| {
            json!({
                "id": id, "plan": plan, "nodes": ["pi"], "dry_run": false, "yes_to": [],
                "approval_timeout_ms": 0, "by": "ada", "begun_at": number + 1,
                "carrier": {"host": "elsewhere", "pid": 1, "started": 1}, "cancelled_by": null,
                "ended": {"how": "done", "at": number + 2},
                "looks_after": looks_after, "looked_at_by": looked_at_by, "verdict": null,
            })
        };
        let mut txn = Txn::new()
            .then(Op::put(format!("/runs/{id}"), record(&id, None, look.as_ref()).to_string()))
            .then(Op::put(format!("/run-journals/{id}/pi/000000"), "x"));
        if let Some(look) = &look {
            txn = txn.then(Op::put(format!("/runs/{look}"), record(look, Some(plan), None).to_string()));
            let deed = json!({"run": id, "node": "pi", "state": "begun",
                "call": {"tool": "module.restart", "args": {"deployment": "web"}}});
            txn = txn.then(Op::put(format!("/run-deeds/{number:032x}"), deed.to_string()));
        }
        store.commit(txn).await.expect("stored");
    }
}
