//! What `--store` says: `sqlite:PATH` or `etcd://[user:password@]host[:port][,host[:port]]…[?ca=F&cert=F&key=F&prefix=P]`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use proto::code::Code;

const ETCD_PORT: u16 = 2379;
const DEFAULT_PREFIX: &str = "orchestrator";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    Sqlite(PathBuf),
    Etcd(EtcdUrl),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUrl {
    /// `host:port`, at least one.
    pub endpoints: Vec<String>,
    pub user: Option<User>,
    pub tls: Option<Tls>,
    /// In front of every key, so that several fleets can share one etcd.
    pub prefix: String,
}

#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("password", &"***").finish()
    }
}

/// PEM files. Without `ca` the machine's own roots are not asked: a fleet's etcd has its own CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub ca: PathBuf,
    pub client: Option<ClientIdentity>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Never shows the URL itself: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid store: {reason}")]
pub struct InvalidStoreUrl {
    reason: String,
}

impl InvalidStoreUrl {
    pub fn code(&self) -> Code {
        Code::InvalidInput
    }

    pub fn hint(&self) -> Option<String> {
        Some(
            "use sqlite:PATH or etcd://HOST:PORT[,HOST:PORT][?ca=FILE&cert=FILE&key=FILE&prefix=NAME]".into(),
        )
    }
}

impl FromStr for StoreUrl {
    type Err = InvalidStoreUrl;

    fn from_str(text: &str) -> Result<StoreUrl, InvalidStoreUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return match path {
                "" => Err(invalid("sqlite: needs the path of a file")),
                path => Ok(StoreUrl::Sqlite(path.into())),
            };
        }
        match text.strip_prefix("etcd://") {
            Some(rest) => EtcdUrl::parse(rest).map(StoreUrl::Etcd),
            None => Err(invalid(match text.split_once(':') {
                Some((scheme, _)) => format!("it starts with {scheme}:, neither with sqlite: nor etcd://"),
                None => "it starts with neither sqlite: nor etcd://".to_owned(),
            })),
        }
    }
}

/// Without the password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreUrl::Etcd(etcd) => write!(f, "etcd://{}", etcd.endpoints.join(",")),
        }
    }
}

impl EtcdUrl {
    fn parse(rest: &str) -> Result<EtcdUrl, InvalidStoreUrl> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, hosts) = match place.rsplit_once('@') {
            Some((user, hosts)) => (Some(User::parse(user)?), hosts),
            None => (None, place),
        };
        let endpoints = hosts.trim_end_matches('/').split(',').map(endpoint).collect::<Result<_, _>>()?;
        let mut url = EtcdUrl { endpoints, user, tls: None, prefix: DEFAULT_PREFIX.into() };
        url.apply(query)?;
        Ok(url)
    }

    fn apply(&mut self, query: &str) -> Result<(), InvalidStoreUrl> {
        let (mut ca, mut cert, mut key) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(value)?;
            if value.is_empty() {
                return Err(invalid(format!("the option {name} has no value")));
            }
            match name {
                "ca" => ca = Some(PathBuf::from(value)),
                "cert" => cert = Some(PathBuf::from(value)),
                "key" => key = Some(PathBuf::from(value)),
                "prefix" => self.prefix = value.trim_matches('/').into(),
                _ => {
                    return Err(invalid(format!(
                        "unknown option {name}: there are ca, cert, key and prefix"
                    )));
                }
            }
        }
        let client = match (cert, key) {
            (Some(cert), Some(key)) => Some(ClientIdentity { cert, key }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(invalid("cert and key go together")),
        };
        self.tls = match (ca, client) {
            (Some(ca), client) => Some(Tls { ca, client }),
            (None, None) => None,
            (None, Some(_)) => return Err(invalid("cert and key need ca, the CA of the etcd servers")),
        };
        Ok(())
    }
}

impl User {
    fn parse(text: &str) -> Result<User, InvalidStoreUrl> {
        let Some((name, password)) = text.split_once(':') else {
            return Err(invalid("the user has no password: write user:password@host"));
        };
        Ok(User { name: percent_decode(name)?, password: percent_decode(password)? })
    }
}

fn endpoint(text: &str) -> Result<String, InvalidStoreUrl> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of a bare `[::1]` are not in front of a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.is_empty() || host.contains(['/', ' ', '@']) || (host.contains(':') && !host.starts_with('[')) {
        return Err(invalid(format!("{text:?} is not a host:port")));
    }
    let port = match port {
        None => ETCD_PORT,
        Some(port) => port.parse().map_err(|_| invalid(format!("{port:?} is not a port")))?,
    };
    Ok(format!("{host}:{port}"))
}

fn percent_decode(text: &str) -> Result<String, InvalidStoreUrl> {
    let broken = || invalid("a percent sign is not followed by two hex digits of UTF-8: write %25 for it");
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).ok_or_else(broken)?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| broken())?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

fn invalid(reason: impl Into<String>) -> InvalidStoreUrl {
    InvalidStoreUrl { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part() {
        check("sqlite:/a b/c.db", r#"Sqlite("/a b/c.db")"#);
        check("sqlite:c.db", r#"Sqlite("c.db")"#);
        check(
            "etcd://h",
            r#"Etcd(EtcdUrl { endpoints: ["h:2379"], user: None, tls: None, prefix: "orchestrator" })"#,
        );
        check(
            "etcd://u:p%40:x@a:1,[::1]:2,[::2]/?ca=c%20a&cert=x&key=y&prefix=/fleets/home/",
            r#"Etcd(EtcdUrl { endpoints: ["a:1", "[::1]:2", "[::2]:2379"], user: Some(User { name: "u", password: "***" }), tls: Some(Tls { ca: "c a", client: Some(ClientIdentity { cert: "x", key: "y" }) }), prefix: "fleets/home" })"#,
        );
        let Ok(StoreUrl::Etcd(url)) = "etcd://u:p%40:x@a".parse() else { panic!("is an etcd") };
        assert_eq!(url.user.map(|user| user.password).as_deref(), Some("p@:x"));
    }

    #[test]
    fn says_what_is_wrong_and_shows_no_password() {
        for (text, reason) in [
            ("", "it starts with neither sqlite: nor etcd://"),
            ("/var/lib/x.db", "it starts with neither sqlite: nor etcd://"),
            ("sqlite:", "sqlite: needs the path of a file"),
            ("etcd://", r#""" is not a host:port"#),
            ("etcd://a,,b", r#""" is not a host:port"#),
            ("etcd://::1", r#""::1" is not a host:port"#),
            ("etcd://a:99999", r#""99999" is not a port"#),
            ("etcd://u@a", "the user has no password: write user:password@host"),
            ("etcd://u:%4@a", "a percent sign is not followed by two hex digits of UTF-8: write %25 for it"),
            ("etcd://a?cert=x", "cert and key go together"),
            ("etcd://a?cert=x&key=y", "cert and key need ca, the CA of the etcd servers"),
            ("etcd://a?ca=", "the option ca has no value"),
            ("etcd://a?cacert=x", "unknown option cacert: there are ca, cert, key and prefix"),
        ] {
            assert_eq!(text.parse::<StoreUrl>(), Err(invalid(reason)), "{text}");
        }
    }

    fn check(text: &str, want: &str) {
        let got: StoreUrl = text.parse().expect(text);
        assert_eq!(format!("{got:?}"), want);
    }
}
