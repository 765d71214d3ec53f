//! Programs that steps run: in a sandbox, within their caps, and gone with all that they started when their time is over.

use std::os::unix::fs::PermissionsExt;

use plan::policy::Policy;
use plan::policy::verdict::Decision;
use plan::run::event::{Ending, Event};
use serde_json::json;
use tempfile::TempDir;

use crate::node::{Node, is_alive, until};
use crate::run::{Client, Follower, plan, with_policy};

/// Leaves its session, its parent and its signals behind, and goes on for a long time.
const STRAY: &str = "#!/bin/sh\ntrap '' TERM HUP INT\n(setsid sleep MARK &)\n(sleep MARK &)\nsleep MARK &\nwhile :; do echo begun; sleep .1; done\n";

/// A node, and a folder with programs of the test that its policy lets run.
struct Shop {
    node: Node,
    client: Client,
    dir: TempDir,
    policy: Policy,
    runs: u32,
}

impl Shop {
    async fn open() -> Self {
        let (node, _) = Node::running().await;
        let client = node.runs().await;
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
        let mut policy = Policy { otherwise: Decision::Allow, ..Policy::standard() };
        let folder = dir.path().canonicalize().expect("there");
        policy.programs.insert(folder.to_string_lossy().into_owned());
        Self { node, client, dir, policy, runs: 0 }
    }

    fn program(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().canonicalize().expect("there").join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        path.to_string_lossy().into_owned()
    }

    async fn begin(&mut self, args: &str, more: &str) -> Follower {
        self.runs += 1;
        let run = format!("r{}", self.runs);
        let step = format!("  - {{id: a, tool: exec.argv, effect: destructive, args: {{{args}}}{more}}}");
        let mut request = with_policy(&run, &plan(&step), &self.policy);
        request.secrets = vec!["hunter2-hunter2".to_owned()];
        self.client.begin(request).await.expect("begun");
        Follower::attach(&mut self.client, &run).await
    }

    async fn run(&mut self, args: &str) -> Follower {
        let mut follower = self.begin(args, "").await;
        follower.ending().await;
        follower
    }
}

#[tokio::test]
async fn a_program_says_what_it_has_to_say_within_its_cap_and_without_secrets() {
    let mut shop = Shop::open().await;
    let talks = shop.program("talks", "#!/bin/sh\necho \"$TZ $1\"; cat; echo hunter2-hunter2 >&2; exit 3\n");
    let args = format!("argv: ['{talks}', 'a b'], stdin: 'from stdin', env: {{TZ: UTC}}");
    let follower = shop.run(&args).await;
    let expected = json!({"exit": 3, "stdout": "UTC a b\nfrom stdin", "stderr": "***\n", "truncated": false});
    assert_eq!(follower.out("a"), expected);
    let floods =
        shop.program("floods", "#!/bin/sh\nhead -c 10000000 /dev/zero | tr '\\0' q; printf 'x\\377y'\n");
    let out = shop.run(&format!("argv: ['{floods}']")).await.out("a");
    let text = out["stdout"].as_str().expect("text");
    assert!(text.len() < 50_000 && text.ends_with("qx\u{fffd}y"), "{}", text.len());
    assert_eq!((&out["exit"], &out["truncated"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn the_environment_and_the_program_are_the_policys() {
    let mut shop = Shop::open().await;
    let talks = shop.program("talks", "#!/bin/sh\nenv\n");
    for (args, says) in [
        (
            format!("argv: ['{talks}'], env: {{LD_PRELOAD: /tmp/x.so}}"),
            "changes what a program runs or reads",
        ),
        (format!("argv: ['{talks}'], env: {{PATH: /tmp}}"), "changes what a program runs or reads"),
        (format!("argv: ['{talks}'], env: {{OTHER: x}}"), "does not let the variable OTHER be set"),
        ("argv: [/tmp/nowhere]".to_owned(), "there is no program"),
        ("argv: [sh, -c, id]".to_owned(), "sh"),
        (format!("argv: [cat, '{}/receipt-key']", shop.node.dir.path().display()), "belongs to the agent"),
    ] {
        let follower = shop.run(&args).await;
        assert!(follower.why("a").contains(says), "{args}: {}", follower.why("a"));
    }
    let out = shop.run(&format!("argv: ['{talks}']")).await.out("a");
    let env = out["stdout"].as_str().expect("text");
    assert!(env.contains("PATH=") && !env.contains("CARGO"), "{env}");
}

#[tokio::test]
async fn a_cancelled_program_ends_with_all_that_it_started() {
    let mut shop = Shop::open().await;
    let mark = format!("{}", 100_000 + std::process::id());
    let stray = shop.program("stray", &STRAY.replace("MARK", &mark));
    let mut follower = shop.begin(&format!("argv: ['{stray}']"), "").await;
    // Again and again: what it printed before anybody followed is told to nobody.
    follower.until("it has begun", |follower| follower.printed.contains("begun")).await;
    until("all of it runs", || strays(&mark).len() == 3);
    follower.cancel().await;
    let ending = follower.ending().await;
    assert!(matches!(&ending, Ending::Unknown { steps } if steps.len() == 1), "{ending:?}");
    assert_eq!(strays(&mark), Vec::<i32>::new(), "it is gone before it is said to be");
}

#[tokio::test]
async fn a_program_that_takes_too_long_ends_and_a_person_is_asked_what_it_did() {
    let mut shop = Shop::open().await;
    let mark = format!("{}", 200_000 + std::process::id());
    let stray = shop.program("stray", &STRAY.replace("MARK", &mark));
    let mut follower = shop.begin(&format!("argv: ['{stray}']"), ", timeout: 2s").await;
    follower.event("it is unknown", |event| matches!(event, Event::Unknown { .. })).await;
    assert!(follower.why("a").contains("longer than its timeout"), "{}", follower.why("a"));
    assert_eq!(strays(&mark), Vec::<i32>::new());
}

#[tokio::test]
async fn a_program_does_not_outlive_an_agent_that_was_killed() {
    let mut shop = Shop::open().await;
    let mark = format!("{}", 300_000 + std::process::id());
    let stray = shop.program("stray", &STRAY.replace("MARK", &mark));
    let mut follower = shop.begin(&format!("argv: ['{stray}']"), "").await;
    follower.until("it has begun", |follower| follower.printed.contains("begun")).await;
    until("all of it runs", || strays(&mark).len() == 3);
    shop.node.kill();
    shop.node.run();
    let mut client = shop.node.runs().await;
    let mut follower = Follower::attach(&mut client, "r1").await;
    follower.event("it is unknown", |event| matches!(event, Event::Unknown { .. })).await;
    until("nothing of it is left", || strays(&mark).is_empty());
}

/// Processes that sleep for this unusual time.
fn strays(mark: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_one = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == format!("sleep\0{mark}\0").as_bytes() && is_alive(*pid)
    };
    pids.filter(is_one).collect()
}
