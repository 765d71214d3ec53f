//! Programs that run other programs, come from elsewhere, or reach where no step may.

use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use super::bench::{Bench, Row, row};

#[tokio::test]
async fn no_command_gets_around_the_policy() {
    let mut bench = Bench::new().await;
    let tool = bench.path("tool");
    std::fs::write(&tool, format!("#!/bin/sh\ntouch {}\n", bench.path("proof"))).expect("written");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).expect("set");
    std::fs::copy(&tool, bench.path("df")).expect("copied");
    symlink("/bin/sh", bench.path("harmless")).expect("linked");
    symlink(bench.node.dir.path(), bench.path("way")).expect("linked");
    let rows = rows(&bench);
    bench.check(&rows).await;
}

fn rows(bench: &Bench) -> Vec<Row> {
    let touch = format!("touch {}", bench.path("proof"));
    let touch = touch.as_str();
    let (key, tool, df) = (bench.own("receipt-key"), bench.path("tool"), bench.path("df"));
    let (link, through) = (bench.path("harmless"), format!("{}/receipt-key", bench.path("way")));
    let victim = bench.path("victim");
    let own_dir = bench.node.dir.path().to_str().expect("text");
    let argv = |tries, argv: &[&str], says| row(tries, exec(argv, json!({})), says);
    let env = |tries, name: &str, value: &str| {
        row(tries, exec(&["df", "-h"], json!({"env": {name: value}})), "variable")
    };
    let code = "runs code";
    vec![
        argv("sh -c", &["sh", "-c", touch], code),
        argv("a shell by its path", &["/bin/sh", "-c", touch], code),
        argv("bash -lc", &["bash", "-lc", touch], code),
        argv("a shell that is a link", &[&link, "-c", touch], "lets no program run"),
        argv("env sh", &["env", "sh", "-c", touch], code),
        argv("env -S", &["env", "-S", &format!("sh -c '{touch}'")], "splits a text into words"),
        argv("nice sh", &["nice", "-n", "5", "sh", "-c", touch], code),
        argv("timeout sh", &["timeout", "5", "sh", "-c", touch], code),
        argv("time -f sh", &["time", "-f", "ls", "sh", "-c", touch], ""),
        argv("time -o", &["time", "-o", &bench.path("proof"), "ls"], ""),
        argv("nohup setsid sh", &["nohup", "setsid", "sh", "-c", touch], code),
        argv("find -exec sh", &["find", &victim, "-exec", "sh", "-c", touch, ";"], code),
        argv("find -exec of what it finds", &["find", &tool, "-exec", "{}", ";"], "runs the files it finds"),
        argv(
            "find -fprintf",
            &["find", &victim, "-fprintf", "/etc/cron.d/proof", "x"],
            "writes another file",
        ),
        argv("xargs", &["xargs", "-a", &victim, "touch"], "runs what its input says"),
        argv(
            "tar --checkpoint-action",
            &[
                "tar",
                "cf",
                "/dev/null",
                "--checkpoint=1",
                &format!("--checkpoint-action=exec={touch}"),
                &victim,
            ],
            "makes it run a program",
        ),
        argv(
            "tar with a shortened option",
            &["tar", "cf", "/dev/null", "--checkpoint-act=exec=sh", &victim],
            "makes it run a program",
        ),
        argv("tar -I", &["tar", "-I", touch, "-cf", "/dev/null", &victim], "makes it run a program"),
        argv("perl -e", &["perl", "-e", &format!("system('{touch}')")], code),
        argv("awk system", &["awk", &format!("BEGIN{{system(\"{touch}\")}}")], code),
        argv("sed e", &["sed", &format!("1e {touch}"), &victim], "--sandbox keeps it from that"),
        argv("sort --compress-program", &["sort", "--compress-program=sh", &victim], "runs or writes"),
        argv("sort -o", &["sort", "-o", &bench.path("proof"), &victim], "runs or writes"),
        argv("split --filter", &["split", &format!("--filter={touch}"), &victim], "makes it run a program"),
        argv("unshare", &["unshare", "-r", "sh", "-c", touch], "gives other rights"),
        argv("nsenter", &["nsenter", "-t", "1", "-m", "sh"], "gives other rights"),
        argv("chroot", &["chroot", "/", "sh", "-c", touch], "gives other rights"),
        argv("su", &["su", "root", "-c", touch], "gives other rights"),
        argv("a program of its own", &[&tool], "lets no program run"),
        argv("a program with a good name", &[&df, "-h"], "lets no program run"),
        argv("a program by ../", &["/usr/bin/../..", "x"], "neither a name nor an absolute path"),
        argv("a program beside it", &["./df"], "neither a name nor an absolute path"),
        argv("/proc/self/exe", &["/proc/self/exe"], "lets no program run"),
        argv("a shell by the root of a process", &["/proc/1/root/bin/sh", "-c", touch], "forbidden"),
        argv("env with PATH", &["env", &format!("PATH={}", bench.folder.display()), "df"], "PATH"),
        argv("env with LD_PRELOAD", &["env", &format!("LD_PRELOAD={tool}"), "df"], "LD_PRELOAD"),
        env("LD_PRELOAD", "LD_PRELOAD", &tool),
        env("PATH", "PATH", &bench.folder.display().to_string()),
        env("LD_LIBRARY_PATH", "LD_LIBRARY_PATH", "/tmp"),
        env("BASH_ENV", "BASH_ENV", &tool),
        env("GCONV_PATH", "GCONV_PATH", "/tmp"),
        argv("the agent's key", &["cat", &key], "belongs to the agent"),
        argv("the agent's key through a link", &["cat", &through], "belongs to the agent"),
        argv("the agent's journal", &["grep", "-r", "x", &bench.own("runs")], "belongs to the agent"),
        row(
            "the agent's key from its folder",
            json!({"id": "a", "tool": "exec.argv", "args": {"argv": ["cat", "receipt-key"], "dir": own_dir}}),
            "belongs to the agent",
        ),
        row(
            "a key of a person from its folder",
            json!({"id": "a", "tool": "exec.argv", "args": {"argv": ["cat", "id_rsa"], "dir": "/home/pi/.ssh"}}),
            "is protected",
        ),
        row(
            "the agent's folder to write to",
            exec(&["touch", "proof"], json!({"dir": own_dir})),
            "belongs to the agent",
        ),
        row(
            "a folder of jobs to write to",
            exec(&["touch", "proof"], json!({"dir": "/etc/cron.d"})),
            "is protected",
        ),
        argv("the agent's environment", &["cat", "/proc/self/environ"], "is protected"),
        argv("the environment of init", &["cat", "/proc/1/environ"], "is protected"),
        argv("the root of a process", &["cat", "/proc/self/root/etc/shadow"], "is protected"),
        argv("passwords by ../", &["cat", "/var/log/../../etc/shadow"], "is protected"),
        argv("passwords as an option", &["grep", "-f/etc/shadow", &victim], "is protected"),
        argv("a key of a person", &["cp", "/home/pi/.ssh/id_ed25519", &bench.path("proof")], "is protected"),
        argv("authorized_keys", &["tee", "-a", "/root/.ssh/authorized_keys"], "is protected"),
        argv("cron", &["cp", &tool, "/etc/cron.d/proof"], "is protected"),
        argv("a systemd unit", &["cp", &tool, "/etc/systemd/system/proof.service"], "is protected"),
        argv("the preload list", &["tee", "/etc/ld.so.preload"], "is protected"),
        argv("a disk", &["dd", "of=/dev/sda", "count=0", "conv=notrunc"], "is protected"),
        argv("the whole system", &["rm", "-rf", "/"], "more than a step may touch"),
        argv("the whole system by its dots", &["rm", "-rf", "/./etc/.."], "more than a step may touch"),
        argv("a full-width name", &["\u{ff44}\u{ff46}", "-h"], "only look plain"),
        argv("a right-to-left mark", &["ls", "/x\u{202e}txt"], "nobody sees"),
        argv("an ANSI escape", &["ls", "\u{1b}[2J"], "nobody sees"),
        argv("a NUL", &["ls", "a\u{0}b"], ""),
        argv("no program", &[], ""),
        row(
            "an argv that is a text",
            json!({"id": "a", "tool": "exec.argv", "args": {"argv": touch}}),
            "not a plan",
        ),
        row(
            "numbers in argv",
            json!({"id": "a", "tool": "exec.argv", "args": {"argv": ["df", {"x": 1}]}}),
            "not a plan",
        ),
        row(
            "a deletion that calls itself a look",
            json!({"id": "a", "tool": "exec.argv", "effect": "read", "args": {"argv": ["rm", victim]}}),
            "the plan says read",
        ),
        row(
            "a script that calls itself a look",
            json!({"id": "a", "tool": "exec.shell", "effect": "read", "args": {"script": touch}}),
            "not a plan",
        ),
        row(
            "ends the machine",
            json!({"id": "a", "tool": "service.start", "args": {"name": "poweroff.target"}}),
            "takes others with it",
        ),
        row(
            "opens a shell for everybody",
            json!({"id": "a", "tool": "service.start", "args": {"name": "debug-shell.service"}}),
            "lets anybody in",
        ),
        row(
            "stops the agent's socket",
            json!({"id": "a", "tool": "service.stop", "args": {"name": "node-agent.socket"}}),
            "ends the machine or the agent",
        ),
        row(
            "ends the machine by systemctl",
            exec(&["systemctl", "--no-block", "start", "poweroff.target"], json!({})),
            "",
        ),
        row(
            "a script that nobody approves",
            json!({"id": "a", "tool": "exec.shell", "effect": "destructive", "args": {"script": touch}}),
            "nobody approved it in time",
        ),
        row(
            "a deletion that nobody approves",
            exec(&["rm", &victim], json!({})),
            "nobody approved it in time",
        ),
    ]
}

fn exec(argv: &[&str], more: Value) -> Value {
    let mut args = json!({"argv": argv});
    for (name, value) in more.as_object().into_iter().flatten() {
        args[name] = value.clone();
    }
    json!({"id": "a", "tool": "exec.argv", "effect": "destructive", "args": args})
}
