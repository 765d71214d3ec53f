//! Whom a step may speak to: the hosts it names, and where those lead.

use std::net::IpAddr;

use super::Policy;
use super::address::{self, Scope};
use super::verdict::{Decision, Verdict};

/// A URL, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub scheme: String,
    pub host: String,
    pub port: u16,
}

/// Why a text is no URL to fetch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("not http or https")]
    Scheme,
    #[error("a user or password in the URL")]
    User,
    #[error("white space, a control character or a backslash in the URL")]
    Character,
    #[error("no host that is plain ASCII")]
    Host,
    #[error("a port that is none")]
    Port,
}

const MAX_URL: usize = 4096;

impl Url {
    /// # Errors
    /// When it is not plainly `http://host[:port]…` or `https://…`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let standard = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(UrlError::Scheme),
        };
        if text.len() > MAX_URL || text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(UrlError::Character);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, after) = inner.split_once(']').ok_or(UrlError::Host)?;
                (host, after.strip_prefix(':'))
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err(UrlError::Host);
        }
        let port = port.map_or(Ok(standard), |port| port.parse().map_err(|_| UrlError::Port))?;
        Ok(Self { scheme, host: host.trim_end_matches('.').to_ascii_lowercase(), port })
    }
}

/// Judges a URL before anything is resolved; `domains` are those the step names, only its own host if there are none.
pub fn judge_url(policy: &Policy, text: &str, domains: &[&str]) -> Verdict {
    let mut verdict = Verdict::allow();
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            verdict.add(Decision::Forbid, format!("the URL has {error}"));
            return verdict;
        }
    };
    if address::is_metadata(&url.host) {
        verdict.add(Decision::Forbid, format!("{} gives out credentials of the machine", url.host));
    }
    if !domains.is_empty() && !domains.iter().any(|domain| is_under(&url.host, domain)) {
        verdict.add(Decision::Forbid, format!("{} is not among the domains of the step", url.host));
    }
    let is_local = url.host == "localhost"
        || [".localhost", ".local", ".internal"].iter().any(|end| url.host.ends_with(end));
    match address::parse(&url.host) {
        Some(address) => verdict.join(judge_address(policy, &url.host, address)),
        None if is_local && !policy.private.contains(&url.host) => {
            verdict.add(
                Decision::Forbid,
                format!("{} is a private name that the policy does not name", url.host),
            );
        }
        None => {}
    }
    verdict
}

/// Judges the addresses that a host resolved to, just before one of them is dialled: all must do, and only these are used.
pub fn judge_resolved(policy: &Policy, host: &str, addresses: &[IpAddr]) -> Verdict {
    let mut verdict = Verdict::allow();
    if addresses.is_empty() {
        verdict.add(Decision::Forbid, format!("{host} has no address"));
    }
    for address in addresses {
        verdict.join(judge_address(policy, host, *address));
    }
    verdict
}

/// Judges a redirect: as a URL of its own, never from https to http.
pub fn judge_redirect(policy: &Policy, from: &str, to: &str, domains: &[&str]) -> Verdict {
    let own = Url::parse(from).map(|url| url.host).unwrap_or_default();
    let mut named = domains.to_vec();
    if named.is_empty() {
        named.push(&own);
    }
    let mut verdict = judge_url(policy, to, &named);
    if from.to_ascii_lowercase().starts_with("https://") && !to.to_ascii_lowercase().starts_with("https://") {
        verdict.add(Decision::Forbid, "the redirect leaves https");
    }
    verdict
}

fn judge_address(policy: &Policy, host: &str, address: IpAddr) -> Verdict {
    let mut verdict = Verdict::allow();
    match address::scope(address) {
        Scope::Public => {}
        Scope::Metadata => {
            verdict.add(
                Decision::Forbid,
                format!("{host} is {address}, which gives out credentials of the machine"),
            );
        }
        Scope::Private if address::is_in(address, &policy.private) => {}
        Scope::Private => {
            verdict.add(
                Decision::Forbid,
                format!("{host} is {address}, a private address that the policy does not name"),
            );
        }
    }
    verdict
}

/// `*.example.org` is everything below; anything else is the host itself.
/// Whether a host is the one that is named, or below one that is named as `*.example.org`.
pub fn is_under(host: &str, domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    match domain.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
        None => host == domain,
    }
}
