//! Reads why `ssh` gave up from what it said, so that people get the reason and what to do about it.

use std::fmt;

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    #[error("connection refused: no SSH server listens there")]
    Refused,
    #[error("its name could not be resolved")]
    UnknownName,
    #[error("no route to it")]
    NoRoute,
    #[error("it did not answer in time")]
    TimedOut,
    #[error("it closed the connection before we could log in: {0}")]
    Closed(String),
    #[error("{0}")]
    BadDestination(String),
    #[error("could not start the ssh program: {0}")]
    NoClient(String),
    #[error("ssh said: {0}")]
    Other(String),
}

impl ConnectFailure {
    pub fn hint(&self, host: &str) -> Option<String> {
        match self {
            ConnectFailure::Refused => Some("is sshd running there, and is this its port?".into()),
            ConnectFailure::UnknownName => {
                Some("check the spelling, or give an address or a Host of ~/.ssh/config".into())
            }
            ConnectFailure::NoRoute | ConnectFailure::TimedOut => Some(
                "check that the machine is on, its network is up and no firewall drops the connection".into(),
            ),
            ConnectFailure::Closed(_) | ConnectFailure::Other(_) => {
                Some(format!("see what `ssh -v {}` says", ssh_arguments(host)))
            }
            ConnectFailure::NoClient(_) => {
                Some("install the OpenSSH client (apt-get install openssh-client)".into())
            }
            ConnectFailure::BadDestination(_) => {
                Some("give [user@]host[:port] or a Host of ~/.ssh/config".into())
            }
        }
    }
}

/// A login that the server did not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Each as ssh named it: `/home/me/.ssh/id_ed25519 ED25519 SHA256:…`.
    pub tried: Vec<String>,
    /// What the server would have taken: `publickey,password`.
    pub methods: String,
    /// The server accepted one of the keys, but we could not use it: it has a passphrase.
    pub is_locked: bool,
    pub too_many: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_locked {
            return write!(f, "it knows our key, but the key is protected by a passphrase");
        }
        if self.tried.is_empty() {
            return write!(f, "Permission denied ({}); we have no key to offer", self.methods);
        }
        write!(f, "Permission denied ({}); tried {}", self.methods, self.tried.join(", "))
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub fn hint(&self, host: &str) -> String {
        if self.is_locked {
            return "load the key into the agent with ssh-add".into();
        }
        if self.too_many {
            return "name the right key with --identity".into();
        }
        if self.tried.is_empty() {
            return format!("make a key with ssh-keygen, then `ssh-copy-id {}`", ssh_arguments(host));
        }
        format!(
            "allow one of our keys with `ssh-copy-id {}`, or name another with --identity",
            ssh_arguments(host)
        )
    }
}

/// What a failed start of ssh means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    UnknownHostKey { offered: String },
    ChangedHostKey { offered: String, known: KnownKey },
    Refused(Refusal),
    Failed(ConnectFailure),
}

/// The key we had seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownKey {
    Fingerprint(String),
    /// A line (from 1) of a known_hosts file, and the name under which the machine stands in it.
    At {
        file: String,
        line: usize,
        name: Option<String>,
    },
    Unsaid,
}

/// Reads the log of an `ssh -o LogLevel=DEBUG1` that ended with an error.
pub fn read(log: &str) -> Finding {
    let offered = || offered_key(log).unwrap_or_else(|| "a key ssh did not name".into());
    if log.contains("IDENTIFICATION HAS CHANGED") {
        return Finding::ChangedHostKey { offered: offered(), known: offending_key(log) };
    }
    if log.contains("Host key verification failed") || log.contains("host key is known for") {
        return match known_under_other_type(log) {
            Some(known) => {
                Finding::ChangedHostKey { offered: offered(), known: KnownKey::Fingerprint(known) }
            }
            None => Finding::UnknownHostKey { offered: offered() },
        };
    }
    if let Some(refusal) = refusal(log) {
        return Finding::Refused(refusal);
    }
    Finding::Failed(connect_failure(log))
}

fn connect_failure(log: &str) -> ConnectFailure {
    let has = |text: &str| log.contains(text);
    if has("Could not resolve hostname") {
        return ConnectFailure::UnknownName;
    }
    if has("Connection refused") {
        return ConnectFailure::Refused;
    }
    if has("No route to host") || has("Network is unreachable") {
        return ConnectFailure::NoRoute;
    }
    if has("timed out") || has("Timeout, server") {
        return ConnectFailure::TimedOut;
    }
    let said = last_words(log);
    if has("kex_exchange_identification") || has("Connection closed by") || has("Connection reset by") {
        return ConnectFailure::Closed(said);
    }
    ConnectFailure::Other(said)
}

fn refusal(log: &str) -> Option<Refusal> {
    let too_many = log.contains("Too many authentication failures");
    let denied =
        log.lines().rev().find_map(|line| line.split_once("Permission denied (").map(|(_, rest)| rest));
    if denied.is_none() && !too_many {
        return None;
    }
    let methods = denied.map(|rest| rest.trim_end_matches(['.', ')']).to_owned());
    let offering =
        log.lines().filter_map(|line| line.split_once("Offering public key: ").map(|(_, key)| key));
    let tried = offering
        .map(|key| key.trim_end_matches(" explicit").trim_end_matches(" agent").trim().to_owned())
        .collect();
    let is_locked = log.contains("Server accepts key");
    Some(Refusal { tried, methods: methods.unwrap_or_else(|| "fewer keys".into()), is_locked, too_many })
}

/// `ED25519 SHA256:…`.
fn offered_key(log: &str) -> Option<String> {
    let (_, key) = log.lines().find_map(|line| line.split_once("Server host key: "))?;
    let (kind, fingerprint) = key.trim().split_once(' ')?;
    Some(format!("{} {fingerprint}", kind.trim_start_matches("ssh-").to_uppercase()))
}

fn offending_key(log: &str) -> KnownKey {
    let name = log.lines().find_map(|line| {
        let (name, _) = line.strip_prefix("Host key for ")?.split_once(" has changed")?;
        Some(name.to_owned())
    });
    let place = log.lines().find_map(|line| {
        let (_, place) = line.strip_prefix("Offending ")?.split_once(" key in ")?;
        let (file, line) = place.trim().rsplit_once(':')?;
        Some(KnownKey::At { file: file.to_owned(), line: line.parse().ok()?, name: name.clone() })
    });
    place.unwrap_or(KnownKey::Unsaid)
}

/// We know the machine by a key of another kind than the one it offers now.
fn known_under_other_type(log: &str) -> Option<String> {
    let lines = log.lines().skip_while(|line| !line.contains("key found for host"));
    let (kind, fingerprint) = lines.take(4).find_map(|line| line.split_once(" key fingerprint "))?;
    Some(format!("{} {}", kind.trim(), fingerprint.trim_end_matches('.')))
}

/// The last thing ssh said that is meant for people.
fn last_words(log: &str) -> String {
    let meant_for_people = |line: &&str| !line.is_empty() && !line.starts_with("debug1:");
    let words = log.lines().map(str::trim).rev().find(meant_for_people);
    words.unwrap_or("nothing").to_owned()
}

/// `user@host:22` as arguments of ssh.
fn ssh_arguments(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((destination, port)) => format!("-p {port} {destination}"),
        None => host.to_owned(),
    }
}

/// `user@host:2222` as known_hosts spells it: `[host]:2222`.
pub fn known_hosts_name(host: &str) -> String {
    let host = host.split_once('@').map_or(host, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, "22")) => name.to_owned(),
        Some((name, port)) => format!("[{name}]:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_reasons_of_a_failed_connection_apart() {
        let cases = [
            ("ssh: connect to host 10.0.0.9 port 22: Connection refused", ConnectFailure::Refused),
            ("ssh: connect to host 10.0.0.9 port 22: Connection timed out", ConnectFailure::TimedOut),
            ("Connection timed out during banner exchange", ConnectFailure::TimedOut),
            ("ssh: connect to host 10.0.0.9 port 22: No route to host", ConnectFailure::NoRoute),
            ("ssh: Could not resolve hostname atic: Name or service not known", ConnectFailure::UnknownName),
            (
                "debug1: x\nkex_exchange_identification: Connection closed by remote host",
                ConnectFailure::Closed(
                    "kex_exchange_identification: Connection closed by remote host".into(),
                ),
            ),
            (
                "Bad configuration option: foo\ndebug1: bye",
                ConnectFailure::Other("Bad configuration option: foo".into()),
            ),
        ];
        for (log, expected) in cases {
            assert_eq!(read(log), Finding::Failed(expected), "{log}");
        }
    }

    #[test]
    fn names_the_keys_that_were_refused() {
        let log = "debug1: Offering public key: /home/me/.ssh/id_ed25519 ED25519 SHA256:abc agent\n\
                   me@attic: Permission denied (publickey,password).";
        let Finding::Refused(refusal) = read(log) else { panic!("refused") };
        assert_eq!(
            refusal.to_string(),
            "Permission denied (publickey,password); tried /home/me/.ssh/id_ed25519 ED25519 SHA256:abc"
        );
        assert!(refusal.hint("me@attic:2222").contains("ssh-copy-id -p 2222 me@attic"));
    }

    #[test]
    fn a_key_of_another_kind_than_the_known_one_is_a_changed_key() {
        let log = "debug1: Server host key: ssh-ed25519 SHA256:new\n\
                   WARNING: RSA key found for host attic\nin /home/me/.ssh/known_hosts:3\n\
                   RSA key fingerprint SHA256:old.\nHost key verification failed.";
        let expected = Finding::ChangedHostKey {
            offered: "ED25519 SHA256:new".into(),
            known: KnownKey::Fingerprint("RSA SHA256:old".into()),
        };
        assert_eq!(read(log), expected);
    }
}
