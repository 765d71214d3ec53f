//! Files that are not for a step: by every name that leads to them.

use std::os::unix::fs::symlink;

use plan::policy::verdict::Decision;
use plan::run::event::Event;
use plan::tool::Tool;
use serde_json::{Value, json};

use super::bench::{Bench, row};

#[tokio::test]
async fn no_file_of_the_agent_or_the_system_is_reached() {
    let mut bench = Bench::new().await;
    let key = bench.own("receipt-key");
    symlink(bench.node.dir.path(), bench.path("way")).expect("linked");
    symlink(bench.node.path("ledger.new"), bench.path("dangling")).expect("linked");
    std::fs::hard_link(&key, bench.path("second-name")).expect("linked");
    std::fs::create_dir(bench.path(".ssh")).expect("made");
    let through = format!("{}/receipt-key", bench.path("way"));
    let around = format!("/proc/self/root{key}");
    let own = "belongs to the agent";
    let agent = crate::node::binary().canonicalize().expect("the agent");
    let agent = agent.to_str().expect("text");
    let read = |path: &str| json!({"id": "a", "tool": "file.read", "args": {"path": path}});
    let list = |path: &str| json!({"id": "a", "tool": "file.list", "args": {"path": path}});
    let write =
        |path: &str| json!({"id": "a", "tool": "file.write", "args": {"path": path, "text": "# proof"}});
    let delete = |paths: &[&str]| json!({"id": "a", "tool": "file.delete", "args": {"paths": paths}});
    let holds =
        |path: &str| json!({"id": "a", "tool": "verify.file", "args": {"path": path, "contains": "x"}});
    let rows = [
        row("reads the agent's key", read(&key), own),
        row("reads it through a link", read(&through), own),
        row("reads it by a second name", read(&bench.path("second-name")), own),
        row("reads it by /proc/self/root", read(&around), "is protected"),
        row("reads it by ../", read(&format!("{}/../receipt-key", bench.own("runs"))), ""),
        row("asks what is in it", holds(&key), own),
        row("asks by a second name", holds(&bench.path("second-name")), own),
        row("reads the journal of its own run", read(&format!("{}/r1/journal", bench.own("runs"))), own),
        row("lists the agent's data", list(bench.node.dir.path().to_str().expect("text")), own),
        row("lists it through a link", list(&bench.path("way")), own),
        row("writes into the agent's data", write(&format!("{}/x", bench.own("runs"))), own),
        row("writes there through a link", write(&format!("{}/x", bench.path("way"))), own),
        row("writes there through a link to nothing yet", write(&bench.path("dangling")), own),
        row("writes over the agent", write(agent), own),
        row("deletes the agent's ledger", delete(&[&key]), own),
        row("deletes it beside something harmless", delete(&[&bench.path("victim"), &key]), own),
        row("reads passwords", read("/etc/shadow"), "is protected"),
        row("reads passwords by doubled slashes", read("//etc//shadow"), ""),
        row("reads an environment", read("/proc/self/environ"), "is protected"),
        row("reads memory", read("/proc/self/mem"), "is protected"),
        row("reads the engine's socket", read("/run/docker.sock"), "/run/docker.sock"),
        row("writes authorized_keys", write(&bench.path(".ssh/authorized_keys")), "is protected"),
        row("writes a cron job", write("/etc/cron.d/proof"), "is protected"),
        row("writes a unit", write("/etc/systemd/system/proof.service"), "is protected"),
        row("writes a unit until the next start", write("/run/systemd/system/proof.service"), "is protected"),
        row("writes it by the old name", write("/var/run/systemd/system/proof.service"), "is protected"),
        row("writes a rule for devices", write("/run/udev/rules.d/proof.rules"), "is protected"),
        row("writes a program", write("/usr/local/bin/proof"), "is protected"),
        row("writes what a package runs", write("/var/lib/dpkg/info/proof.postinst"), "is protected"),
        row("writes what a shell runs", write(&bench.path(".bashrc")), "is protected"),
        row("writes the preload list", write("/etc/ld.so.preload"), "is protected"),
        row("writes rights", write("/etc/sudoers.d/proof"), "is protected"),
        row("writes to the kernel", write("/proc/sysrq-trigger"), "is protected"),
        row("writes to a disk", write("/dev/loop77"), "is protected"),
        row("goes up", write(&format!("{}/../proof", bench.path("way"))), ""),
        row("has a NUL in a path", read("/etc/hostname\u{0}.txt"), ""),
        row("has no absolute path", read("etc/shadow"), "an absolute path"),
        row(
            "makes a program that gains rights",
            json!({"id": "a", "tool": "file.write", "args": {"path": bench.path("proof"), "text": "x", "mode": "4755"}}),
            "is no mode",
        ),
        row(
            "hides a write in the undo of a look",
            json!({"id": "a", "tool": "file.write", "args": {"path": bench.path("proof"), "text": "x"},
                "undo": {"tool": "file.write", "args": {"path": "/etc/cron.d/proof", "text": "# proof"}}}),
            "its undo",
        ),
        row("deletes a folder", delete(&[&bench.path(".ssh")]), ""),
        row("calls a deletion a look", understated(&bench), "at least destructive"),
    ];
    bench.check(&rows).await;
}

fn understated(bench: &Bench) -> Value {
    json!({"id": "a", "tool": "file.delete", "effect": "read", "args": {"paths": [bench.path("victim")]}})
}

#[tokio::test]
async fn a_place_that_changed_between_look_and_use_is_not_used() {
    let mut bench = Bench::new().await;
    bench.policy.tools.insert(Tool::FileWrite, Decision::Ask);
    bench.policy.tools.insert(Tool::FileRead, Decision::Ask);
    let data = bench.node.dir.path().to_owned();
    for (tool, name) in
        [("file.write", "proof"), ("file.read", "receipt-key"), ("file.delete", "receipt-key")]
    {
        let folder = bench.folder.join("folder");
        std::fs::create_dir(&folder).expect("made");
        std::fs::write(folder.join(name), "harmless").expect("written");
        let path = folder.join(name);
        let args = match tool {
            "file.write" => json!({"path": path, "text": "x"}),
            "file.read" => json!({"path": path}),
            _ => json!({"paths": [path]}),
        };
        let mut follower = bench.begin(&[json!({"id": "a", "tool": tool, "args": args})]).await;
        follower.event("a request", |event| matches!(event, Event::Asked { .. })).await;
        std::fs::rename(&folder, bench.folder.join(format!("moved-{tool}"))).expect("moved");
        symlink(&data, &folder).expect("linked");
        let before = bench.world();
        follower.approve("a", true).await;
        let told = super::bench::told(&mut follower).await;
        assert!(told.contains("is a link") || told.contains("belongs to the agent"), "{tool}: {told}");
        assert_eq!(bench.world(), before, "{tool}");
        assert!(!data.join("proof").exists());
        std::fs::remove_file(&folder).expect("removed");
    }
}
