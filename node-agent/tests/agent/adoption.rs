//! The agent dies and comes back; its instances do not notice.

use std::time::{Duration, Instant};

use proto::v1::Phase;

use crate::node::{Node, apply, is_alive, signal, until, wait, wait_phase};
use crate::package::{HEALTHY, SLEEP, package, process, spec};

#[tokio::test]
async fn instances_outlive_the_agent_and_are_adopted_by_the_next_one() {
    let (mut node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    for is_killed in [true, false] {
        if is_killed {
            node.kill()
        } else {
            node.terminate()
        }
        assert!(is_alive(pid));
        node.run();
        client = node.client().await;
        let running = wait_phase(&mut client, Phase::Running, 1).await;
        assert_eq!(running.pid, pid);
        assert_eq!(node.programs(), [pid], "none was started beside it");
    }
    // The end of an adopted process is noticed, too.
    signal(pid, libc::SIGKILL);
    wait(&mut client, "another one runs", |now| now.phase() == Phase::Running && now.pid != pid).await;
}

/// As agents had it that kept their records in the folders of instances.
#[tokio::test]
async fn what_a_former_agent_recorded_in_the_folder_of_the_instance_is_adopted() {
    let (mut node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    node.kill();
    std::fs::rename(node.path("records/web.0/process"), node.path("instances/web.0/process")).expect("moved");
    std::fs::remove_dir_all(node.path("records")).expect("removed");
    node.run();
    client = node.client().await;
    assert_eq!(wait_phase(&mut client, Phase::Running, 1).await.pid, pid);
    assert_eq!(node.programs(), [pid]);
}

/// Root keeps its records from the user of the instance, and does not follow him anywhere.
#[tokio::test]
async fn a_user_of_an_instance_leads_the_agent_neither_to_other_processes_nor_to_other_files() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("NOT TESTED: only root runs instances as others");
        return;
    }
    let (node, mut client) = Node::running().await;
    std::fs::set_permissions(node.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("open to it");
    let [secret, spared] = ["secret", "spared"].map(|name| node.path(name));
    std::fs::write(&secret, "root's own").expect("written");
    std::fs::create_dir(&spared).expect("made");
    let trap = format!(
        "#!/bin/sh\ncd \"$HOME\" && ln -sf {} process\nmv conf kept && ln -s {} conf\necho set\nexec sleep 1000\n",
        secret.display(),
        spared.display()
    );
    let release = package("1", &[("run.sh", &trap), ("templates/conf/a", "text"), HEALTHY]);
    node.receive(&release);
    let mut wish = spec(&release, 1);
    process(&mut wish).user = "nobody".into();
    apply(&mut client, 1, std::slice::from_ref(&wish)).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    until("the trap is set", || node.path("instances/web.0/conf").is_symlink());
    signal(pid, libc::SIGKILL);
    let why = wait(&mut client, "the link is told", |now| now.message.contains("web.0/conf")).await;
    assert_eq!(std::fs::read_to_string(&secret).expect("read"), "root's own", "{}", why.message);
    let owner = std::os::unix::fs::MetadataExt::uid(&spared.metadata().expect("there"));
    assert_eq!((owner, std::fs::read_dir(&spared).expect("list").count()), (0, 0));
}

#[tokio::test]
async fn an_instance_is_adopted_and_ended_whatever_bytes_its_name_is_cut_to() {
    let (mut node, mut client) = Node::running().await;
    // The kernel keeps 15 bytes of a program's name, which ends this one inside of its last character.
    let program = ("fourteen-bytesé", "#!/bin/sh\nwhile :; do sleep 1; done\n");
    let release = package("1", &[program, HEALTHY]);
    node.receive(&release);
    let mut wish = spec(&release, 1);
    process(&mut wish).command = vec![format!("./{}", program.0)];
    apply(&mut client, 1, &[wish]).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    node.kill();
    node.run();
    client = node.client().await;
    assert_eq!(wait_phase(&mut client, Phase::Running, 1).await.pid, pid);
    node.ok(&["stop", "--instances"], b"");
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn what_is_older_than_its_health_deadline_is_looked_at_before_it_is_judged() {
    const DEADLINE: Duration = Duration::from_secs(6);
    let (mut node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, ("health.sh", "#!/bin/sh\nexec sleep 0.2\n")]);
    node.receive(&release);
    let mut wish = spec(&release, 1);
    wish.update.as_mut().expect("one").health_deadline_ms = 6000;
    let begin = Instant::now();
    apply(&mut client, 1, &[wish]).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    until("it is older than its deadline", || begin.elapsed() > 2 * DEADLINE);
    node.kill();
    node.run();
    client = node.client().await;
    assert_eq!(wait_phase(&mut client, Phase::Running, 1).await.pid, pid);
}

#[tokio::test]
async fn what_died_while_the_agent_was_away_is_started_again_and_what_is_on_no_record_ends() {
    let (mut node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    node.kill();
    signal(pid, libc::SIGKILL);
    until("it is gone", || !is_alive(pid));
    let token = std::fs::read_to_string(node.path("token")).expect("a token");
    let mut stray = std::process::Command::new("sleep")
        .arg("1000")
        .env("ORCHESTRATOR_AGENT", token)
        .env("ORCHESTRATOR_INSTANCE", "web/0")
        .spawn()
        .expect("spawned");
    node.run();
    stray.wait().expect("ended by the agent");
    client = node.client().await;
    let running = wait_phase(&mut client, Phase::Running, 1).await;
    assert_eq!(node.programs(), [running.pid]);
}

#[tokio::test]
async fn a_wish_given_up_while_the_agent_is_away_is_cleared_when_it_is_back() {
    let (mut node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    node.kill();
    std::fs::remove_file(node.path("ledger")).expect("removed");
    node.run();
    until("nothing runs", || node.processes().is_empty());
    let count = |folder| std::fs::read_dir(node.path(folder)).expect("list").count();
    until("nothing is left", || count("instances") + count("records") == 0);
}
