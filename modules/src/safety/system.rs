//! Commands that change files, rights, disks and accounts of the node.

use super::flow::Value;
use super::programs::{base_name, has_option, operands, option_value};
use super::script::Shell;
use super::{Severity, containers, paths, shown};

impl Shell<'_> {
    pub(super) fn file_command(&mut self, name: &str, arguments: &[Value], line: usize) {
        match name {
            "chmod" => {
                let words = operands(arguments, "");
                let mode = words.first().map(|word| word.text.clone()).unwrap_or_default();
                // `chmod -x file` and `chmod u+s`: a mode may begin like an option.
                let mode =
                    arguments.iter().map(|word| word.text.clone()).find(|text| is_mode(text)).unwrap_or(mode);
                self.mode(&mode, words.last().map_or("", |word| word.text.as_str()), line);
            }
            "install" => {
                if let Some(mode) = option_value(arguments, Some('m'), &["mode"]) {
                    let mode = mode.to_owned();
                    let target = operands(arguments, "mogtS").last().map(|word| word.text.clone());
                    self.mode(&mode, &target.unwrap_or_default(), line);
                }
                self.targets(arguments, "mogtS", line);
            }
            "setcap" => {
                let text = format!("gives rights of root to a program: {}", shown(&words_of(arguments)));
                self.find(Severity::Medium, "file-capability", line, text, None);
            }
            "cp" | "mv" | "ln" | "rsync" | "scp" => self.targets(arguments, "tSe", line),
            "rm" | "shred" | "unlink" | "srm" => self.removed(name, arguments, line),
            "truncate" => {
                for file in operands(arguments, "sr") {
                    self.wrote(&file.text.clone(), &Value::default(), line);
                }
            }
            "dd" => {
                for word in arguments {
                    if let Some(file) = word.text.strip_prefix("of=") {
                        self.wrote(file, &Value::default(), line);
                    }
                }
            }
            "sed" | "perl" => {}
            "wipefs" | "fdisk" | "sfdisk" | "sgdisk" | "parted" | "blkdiscard" | "cryptsetup" | "mkswap"
            | "pvcreate" => {
                self.wiped(name, arguments, line);
            }
            _ if name.starts_with("mkfs") => self.wiped(name, arguments, line),
            _ => {}
        }
    }

    /// What is copied or moved goes to the last word, or the folder after `-t`.
    fn targets(&mut self, arguments: &[Value], with_value: &str, line: usize) {
        let words = operands(arguments, with_value);
        let folder = option_value(arguments, Some('t'), &["target-directory"]).map(str::to_owned);
        let target = folder.or_else(|| words.last().map(|word| word.text.clone())).unwrap_or_default();
        let from = words.first().map(|word| self.taint_of(&word.text)).unwrap_or_default();
        for word in words.iter().filter(|word| word.text != target) {
            self.findings.copied(self.file, &word.text, &target);
        }
        self.wrote(&target, &Value { taint: from, ..Value::default() }, line);
    }

    fn mode(&mut self, mode: &str, target: &str, line: usize) {
        let octal = u32::from_str_radix(mode.trim_start_matches('0'), 8).ok().filter(|mode| *mode <= 0o7777);
        let clauses = || mode.split(',').filter_map(|clause| clause.split_once(['+', '=']));
        let sets_id = match octal {
            Some(mode) => mode & 0o6000 != 0,
            None => clauses().any(|(_, rights)| rights.contains('s')),
        };
        let is_world_writable = match octal {
            Some(mode) => mode & 0o002 != 0 && mode & 0o1000 == 0,
            None => clauses().any(|(who, rights)| who.contains(['o', 'a']) && rights.contains('w')),
        };
        if sets_id {
            let text = format!("makes {} run with the rights of its owner, whoever starts it", shown(target));
            self.find(Severity::High, "setuid", line, text, None);
        }
        if is_world_writable {
            let text = format!("lets everybody on the node write {}", shown(target));
            self.find(
                Severity::Medium,
                "world-writable",
                line,
                text,
                Some("give it to the user who needs it: chown"),
            );
        }
    }

    fn removed(&mut self, name: &str, arguments: &[Value], line: usize) {
        let is_recursive =
            has_option(arguments, Some('r'), &["recursive"]) || has_option(arguments, Some('R'), &[]);
        let no_guard = has_option(arguments, None, &["no-preserve-root"]);
        for file in operands(arguments, "") {
            let path = file.text.clone();
            if paths::is_trace(&path) {
                self.hides(line);
            } else if name == "shred" && paths::is_disk(&path) {
                self.wrote(&path, &Value::default(), line);
            } else if is_recursive && (paths::is_system_root(&path) || no_guard) {
                self.removes_system(line);
            }
        }
    }

    fn wiped(&mut self, name: &str, arguments: &[Value], line: usize) {
        let disk = arguments.iter().find(|word| paths::is_disk(&word.text)).map(|word| word.text.clone());
        let only_looks =
            has_option(arguments, Some('l'), &["list"]) || arguments.iter().any(|word| word.text == "print");
        if let Some(disk) = disk.filter(|_| !only_looks) {
            let text = format!("{name} overwrites {}", shown(&disk));
            self.find(Severity::High, "suspicious-command:wipe-disk", line, text, None);
        }
    }

    pub(super) fn system_command(&mut self, name: &str, arguments: &[Value], _input: &Value, line: usize) {
        let has_word = |names: &[&str]| arguments.iter().any(|word| names.contains(&word.text.as_str()));
        let suspicious = "suspicious-command:";
        let found: Option<(Severity, &str, &str)> = match name {
            "crontab" if !has_word(&["-l"]) => {
                Some((Severity::High, "cron", "runs commands at set times, outside of the module"))
            }
            "visudo" => Some((Severity::High, "sudoers", "changes who may become root")),
            "nc" | "ncat" | "netcat" if hands_out_shell(arguments) => Some((
                Severity::High,
                "reverse-shell",
                "gives a shell on the node to whoever is at the other end",
            )),
            "socat" if arguments.iter().any(|word| is_socat_shell(&word.text)) => Some((
                Severity::High,
                "reverse-shell",
                "gives a shell on the node to whoever is at the other end",
            )),
            "useradd" | "adduser" if !has_option(arguments, Some('r'), &["system"]) => {
                Some((Severity::Medium, "accounts", "makes an account that can log in"))
            }
            "usermod" | "gpasswd" if has_word(&["sudo", "wheel", "docker", "root", "admin"]) => {
                Some((Severity::Medium, "accounts", "lets an account become root"))
            }
            "passwd" | "chpasswd" => Some((Severity::Medium, "accounts", "sets a password")),
            "setenforce" | "ufw" if has_word(&["0", "disable", "permissive"]) => {
                Some((Severity::Medium, "protection-off", "switches a protection of the node off"))
            }
            "iptables" | "ip6tables" | "nft"
                if has_option(arguments, Some('F'), &["flush"]) || has_word(&["flush"]) =>
            {
                Some((Severity::Medium, "protection-off", "takes the node's firewall rules away"))
            }
            "systemctl" | "service" if stops_protection(arguments) => {
                Some((Severity::Medium, "protection-off", "switches a protection of the node off"))
            }
            "insmod" | "modprobe" => Some((Severity::Medium, "kernel-module", "loads code into the kernel")),
            _ => None,
        };
        if let Some((severity, kind, text)) = found {
            self.find(severity, &format!("{suspicious}{kind}"), line, text, None);
        }
        let mines =
            |word: &Value| word.text.contains("stratum+tcp://") || word.text.contains("stratum+ssl://");
        if arguments.iter().any(mines) || base_name(name) == "xmrig" {
            let text = "mines coins with the node";
            self.find(Severity::High, "suspicious-command:miner", line, text, None);
        }
    }

    /// `docker run` and the like.
    pub(super) fn container_command(&mut self, name: &str, arguments: &[Value], line: usize) {
        if !matches!(name, "docker" | "podman" | "nerdctl") {
            return;
        }
        let Some(at) = arguments.iter().position(|word| matches!(word.text.as_str(), "run" | "create"))
        else {
            return;
        };
        let words: Vec<String> = arguments[at + 1..].iter().map(|word| word.text.clone()).collect();
        let place = (self.file, line);
        containers::check_options(&words, place, self.findings);
    }
}

fn words_of(arguments: &[Value]) -> String {
    arguments.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Whether a text can be a mode of `chmod`.
fn is_mode(text: &str) -> bool {
    let is_octal = !text.is_empty() && text.len() <= 5 && text.chars().all(|c| ('0'..='7').contains(&c));
    let is_symbolic = text.contains(['+', '=', '-']) && text.chars().all(|c| "ugoarwxXst+-=,".contains(c));
    is_octal || is_symbolic && !text.starts_with('-')
}

fn hands_out_shell(arguments: &[Value]) -> bool {
    let programs = option_value(arguments, Some('e'), &["exec", "sh-exec", "lua-exec"])
        .or_else(|| option_value(arguments, Some('c'), &[]));
    programs.is_some_and(|program| !program.is_empty())
}

fn is_socat_shell(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["exec:", "system:", "shell:"].iter().any(|prefix| text.starts_with(prefix))
}

fn stops_protection(arguments: &[Value]) -> bool {
    let names = ["ufw", "firewalld", "apparmor", "auditd", "fail2ban", "nftables", "iptables", "rsyslog"];
    let stops = arguments.iter().any(|word| matches!(word.text.as_str(), "stop" | "disable" | "mask"));
    stops && arguments.iter().any(|word| names.contains(&word.text.trim_end_matches(".service")))
}
