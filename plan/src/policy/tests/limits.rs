//! Limits in code, which hold whatever a policy says.

use super::*;

/// Whoever writes there has a program run with more rights than the step; a policy that allows everything changes nothing.
#[test]
fn what_the_system_runs_or_obeys_is_never_written() {
    let mut lax = Policy::standard();
    lax.paths.clear();
    let paths = [
        "/run/systemd/system/x.service",
        "/var/run/systemd/system/x.service",
        "/run/systemd/transient/x.service",
        "/run/user/1000/systemd/user/x.service",
        "/etc/systemd/system/x.service",
        "/etc/systemd/system.conf",
        "/lib/systemd/system/x.service",
        "/usr/lib/systemd/system-generators/x",
        "/usr/local/lib/systemd/system/x.service",
        "/home/pi/.config/systemd/user/x.service",
        "/home/pi/.local/share/systemd/user/x.service",
        "/run/udev/rules.d/9.rules",
        "/etc/udev/rules.d/9.rules",
        "/run/tmpfiles.d/x.conf",
        "/etc/tmpfiles.d/x.conf",
        "/etc/sysctl.d/x.conf",
        "/run/modprobe.d/x.conf",
        "/etc/modules-load.d/x.conf",
        "/etc/binfmt.d/x.conf",
        "/run/binfmt.d/x.conf",
        "/etc/ld.so.conf.d/x.conf",
        "/var/lib/dpkg/info/x.postinst",
        "/var/spool/cron/crontabs/root",
        "/var/spool/at/x",
        "/etc/cron.d/x",
        "/etc/crontab",
        "/etc/anacrontab",
        "/etc/polkit-1/rules.d/x.rules",
        "/etc/dbus-1/system.d/x.conf",
        "/etc/sudoers.d/x",
        "/etc/pam.d/sshd",
        "/etc/security/limits.conf",
        "/etc/profile.d/x.sh",
        "/etc/bash.bashrc",
        "/etc/environment",
        "/etc/NetworkManager/dispatcher.d/x",
        "/etc/network/if-up.d/x",
        "/etc/dhcp/dhclient-exit-hooks.d/x",
        "/lib/dhcpcd/dhcpcd-hooks/x",
        "/etc/apt/apt.conf.d/x",
        "/etc/dpkg/dpkg.cfg.d/x",
        "/etc/logrotate.d/x",
        "/etc/init.d/x",
        "/etc/rc.local",
        "/etc/rc3.d/S01x",
        "/etc/update-motd.d/x",
        "/etc/ssh/sshd_config.d/x.conf",
        "/usr/local/bin/df",
        "/usr/local/sbin/df",
        "/usr/local/lib/libc.so.6",
        "/usr/bin/df",
        "/bin/df",
        "/etc/alternatives/editor",
        "/etc/xdg/autostart/x.desktop",
        "/sys/kernel/uevent_helper",
        "/home/pi/.bashrc",
        "/home/pi/.profile",
        "/root/.zshenv",
        "/home/pi/.local/bin/df",
        "/tmp/link/cron.d/x",
        "/etc/cron.d",
    ];
    let mut open = Vec::new();
    for path in paths {
        let written = judge_on(&lax, "file.write", json!({"path": path, "text": "x"}));
        let copied = judge_on(&lax, "exec.argv", json!({"argv": ["cp", "/tmp/x", path]}));
        for verdict in [written, copied] {
            if verdict.decision != Decision::Forbid || !shown(&verdict).contains("is protected") {
                open.push(format!("{path}: {}", shown(&verdict)));
            }
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
    for path in ["/srv/x", "/var/log/x", "/run/nginx.pid", "/var/lib/x/y", "/home/pi/x", "/etc/hosts"] {
        let verdict = judge_on(&lax, "file.write", json!({"path": path, "text": "x"}));
        assert_eq!(verdict.decision, Decision::Allow, "{path}: {}", shown(&verdict));
    }
}

#[test]
fn no_unit_that_ends_the_machine_or_the_agent_is_started_or_stopped() {
    let mut lax = Policy::standard();
    lax.services.clear();
    let names = [
        "poweroff.target",
        "reboot.target",
        "emergency.target",
        "multi-user.target",
        "Poweroff.TARGET",
        "poweroff",
        "systemd-reboot.service",
        "systemd-reboot",
        "SYSTEMD-poweroff.service",
        "debug-shell.service",
        "debug-shell",
        "rescue.service",
        "emergency@x.service",
        "system.slice",
        "user@1000.service",
        "session-1.scope",
        "home.mount",
        "mnt.automount",
        "dev-sda.swap",
        "node-agent",
        "node-agent.service",
        "node-agent.socket",
        "node-agent@x.timer",
        "node-agent-supervise.path",
    ];
    let mut open = Vec::new();
    for name in names {
        for tool in ["service.start", "service.stop", "service.restart"] {
            let verdict = judge_on(&lax, tool, json!({"name": name}));
            if verdict.decision != Decision::Forbid {
                open.push(format!("{tool} {name}: {}", shown(&verdict)));
            }
        }
        for words in
            [["systemctl", "start", name], ["systemctl", "--no-block", name], ["service", name, "stop"]]
        {
            let argv = if words[1].starts_with('-') {
                vec!["systemctl", "stop", words[1], name]
            } else {
                words.to_vec()
            };
            let verdict = judge_on(&lax, "exec.argv", json!({"argv": argv}));
            if verdict.decision != Decision::Forbid {
                open.push(format!("{argv:?}: {}", shown(&verdict)));
            }
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
    let all = judge("exec.argv", json!({"argv": ["systemctl", "stop", "ngin*"]}));
    assert!(shown(&all).contains("may stand for any unit"), "{}", shown(&all));
    let cases = [
        ("service.start", "nginx.service", "allow"),
        ("service.start", "getty@tty1.service", "allow"),
        ("service.start", "backup.timer", "allow"),
        ("service.start", "ssh.socket", "ask"),
        ("service.stop", "ssh.socket", "ask"),
        ("service.stop", "ssh@1.service", "ask"),
        ("service.stop", "sshd.path", "ask"),
        ("service.stop", "networking.timer", "ask"),
        ("service.restart", "Networking", "ask"),
        ("service.status", "poweroff.target", "allow"),
    ];
    for (tool, name, expected) in cases {
        let verdict = judge(tool, json!({"name": name}));
        assert_eq!(verdict.decision.to_string(), expected, "{tool} {name}: {}", shown(&verdict));
    }
}

#[test]
fn the_folder_that_a_program_runs_in_is_judged_and_each_word_as_a_file_in_it() {
    let cases = [
        (
            json!({"argv": ["cat", "id_rsa"], "dir": "/home/pi/.ssh"}),
            "forbid",
            "/home/pi/.ssh/id_rsa is protected",
        ),
        (json!({"argv": ["grep", "-r", "x", "shadow"], "dir": "/etc"}), "forbid", "/etc/shadow is protected"),
        (json!({"argv": ["frobnicate", "-fshadow"], "dir": "/etc"}), "forbid", "/etc/shadow is protected"),
        (
            json!({"argv": ["frobnicate", "--file=shadow"], "dir": "/etc"}),
            "forbid",
            "/etc/shadow is protected",
        ),
        (json!({"argv": ["nice", "cat", "shadow"], "dir": "/etc"}), "forbid", "/etc/shadow is protected"),
        (json!({"argv": ["cat", "environ"], "dir": "/proc/self"}), "forbid", "is protected"),
        (json!({"argv": ["ls"], "dir": "/home/pi/.config"}), "ask", "/home/pi/.config is under the rule"),
        (json!({"argv": ["ls"], "dir": "/var/lib/node-agent"}), "forbid", "belongs to the agent"),
        (json!({"argv": ["ls"], "dir": "/var/lib/node-agent/runs"}), "forbid", "belongs to the agent"),
        (json!({"argv": ["ls"], "dir": "/tmp/key"}), "forbid", "belongs to the agent"),
        (
            json!({"argv": ["tar", "xf", "/tmp/x"], "dir": "/etc/cron.d"}),
            "forbid",
            "/etc/cron.d is protected",
        ),
        (
            json!({"argv": ["tar", "xf", "/tmp/x"], "dir": "/usr/share"}),
            "ask",
            "/usr/share is under the rule",
        ),
        (
            json!({"argv": ["tar", "xf", "x"], "dir": "/"}),
            "forbid",
            "/ as a whole is more than a step may write to",
        ),
        (json!({"argv": ["tar", "xf", "x"], "dir": "/home/../home/"}), "forbid", "/home as a whole is more"),
        (json!({"argv": ["tar", "xf", "x"], "dir": "/home/pi"}), "ask", ""),
        (json!({"argv": ["ls", "-l"], "dir": "/"}), "allow", ""),
        (json!({"argv": ["ls", "-l", "syslog"], "dir": "/var/log"}), "allow", ""),
        (json!({"argv": ["cat", "cron.d/x"], "dir": "/etc"}), "allow", ""),
    ];
    for (args, decision, says) in cases {
        let verdict = judge("exec.argv", args.clone());
        let got = shown(&verdict);
        assert!(got.starts_with(decision) && got.contains(says), "{args}: {got}");
    }
    let script = judge("exec.shell", json!({"script": "tar xf x", "dir": "/etc/cron.d"}));
    assert_eq!(script.decision, Decision::Forbid, "{}", shown(&script));
    let look = crate::policy::look::Look::written();
    let args = json!({"argv": ["ls"], "dir": "/etc/cron.d"});
    let call = Call { tool: crate::tool::Tool::ExecArgv, args: serde_json::from_value(args).expect("a map") };
    let step = |effect| Policy::standard().judge_step(effect, &call, &look).decision;
    assert_eq!(step(modules::effect::Effect::Read), Decision::Allow);
    assert_eq!(
        step(modules::effect::Effect::Reversible),
        Decision::Forbid,
        "a step that changes something may there"
    );
}
