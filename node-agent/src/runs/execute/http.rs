//! `http.*`: speaks to exactly the addresses that the policy has judged. Names are resolved once, all addresses must do, and
//! the connection goes to one of these; every redirect begins anew. Nothing of the agent's environment (proxies) counts.

use plan::output::{Capped, Kept};
use plan::policy::verdict::{Decision, Verdict};
use plan::policy::{address, web};
use plan::tool::Tool;
use serde_json::{Value, json};

use super::{Errand, Outcome};
use crate::resolve;

pub mod message;
mod redirect;
mod tls;

use message::{Message, Stream};

const REDIRECTS: u32 = 5;

/// What came back.
pub struct Page {
    pub status: u16,
    pub body: Kept,
}

/// Why nothing came back.
pub enum Refused {
    /// Nothing was sent.
    Unsent(String),
    /// What was sent may have had its effect.
    Sent(String),
}

pub async fn run(errand: &Errand) -> Outcome {
    match fetch(errand).await {
        Ok(page) => {
            let json: Value = serde_json::from_str(&page.body.text).unwrap_or(Value::Null);
            Outcome::Returned(json!({
                "status": page.status,
                "body": page.body.text,
                "json": json,
                "truncated": page.body.is_truncated,
            }))
        }
        Err(outcome) => outcome,
    }
}

/// Fetches what the call names.
///
/// # Errors
/// What became of the call where nothing came back.
pub async fn fetch(errand: &Errand) -> Result<Page, Outcome> {
    let fetched = errand.bounded(follow(errand)).await?;
    fetched.map_err(|refused| match refused {
        Refused::Unsent(why) => Outcome::Failed(why),
        Refused::Sent(why) => errand.lost(&why),
    })
}

/// The page, and where it sends us.
async fn follow(errand: &Errand) -> Result<Page, Refused> {
    let domains = errand.texts("domains");
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let mut url = errand.text("url").unwrap_or_default().to_owned();
    let own = web::Url::parse(&url).map(|url| url.host).unwrap_or_default();
    let domains = if domains.is_empty() { vec![own.as_str()] } else { domains };
    allowed(&web::judge_url(&errand.terms.policy, &url, &domains))?;
    for _ in 0..=REDIRECTS {
        let (status, location, body) = ask(errand, &url).await?;
        let Some(location) = location.filter(|_| is_redirect(errand, status)) else {
            return Ok(Page { status, body });
        };
        let next = redirect::absolute(&url, &location);
        allowed(&web::judge_redirect(&errand.terms.policy, &url, &next, &domains))?;
        url = next;
    }
    Err(Refused::Sent(format!("more than {REDIRECTS} redirects")))
}

/// A body is sent to the address that was named and nowhere else.
fn is_redirect(errand: &Errand, status: u16) -> bool {
    errand.call.tool != Tool::HttpPost && matches!(status, 301 | 302 | 303 | 307 | 308)
}

async fn ask(errand: &Errand, text: &str) -> Result<(u16, Option<String>, Kept), Refused> {
    let url = web::Url::parse(text).map_err(|error| Refused::Unsent(format!("the URL has {error}")))?;
    let mut stream = connect(errand, &url).await.map_err(Refused::Unsent)?;
    let message = Message {
        method: if errand.call.tool == Tool::HttpPost { "POST" } else { "GET" },
        target: target(text),
        host: authority(text),
        body: errand.text("body").filter(|_| errand.call.tool == Tool::HttpPost),
        content_type: errand.text("content_type").unwrap_or("application/json"),
        key: &errand.key,
    };
    let sent = |error: std::io::Error| Refused::Sent(format!("{}: {error}", url.host));
    message.send(&mut stream).await.map_err(sent)?;
    let head = message::read_head(&mut stream).await.map_err(sent)?;
    let mut capped = Capped::new(errand.step.output_cap, errand.redactor.clone());
    message::read_body(&mut stream, &head, &mut |bytes| capped.push(bytes)).await.map_err(sent)?;
    Ok((head.status, head.location, capped.finish()))
}

/// Connects to one of the addresses that were judged.
async fn connect(errand: &Errand, url: &web::Url) -> Result<Stream, String> {
    let addresses = match address::parse(&url.host) {
        Some(address) => vec![address],
        None => resolve::resolve(&url.host).await?,
    };
    let verdict = web::judge_resolved(&errand.terms.policy, &url.host, &addresses);
    if verdict.decision == Decision::Forbid {
        return Err(verdict.reason());
    }
    let tcp = resolve::connect(&addresses, url.port).await?;
    if url.scheme != "https" {
        return Ok(message::Wire::Plain(tcp).buffered());
    }
    tls::secure(tcp, &url.host).await
}

fn allowed(verdict: &Verdict) -> Result<(), Refused> {
    match verdict.decision {
        Decision::Allow | Decision::Ask => Ok(()),
        Decision::Forbid => Err(Refused::Unsent(verdict.reason())),
    }
}

/// Path and query.
fn target(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    let path = path.split('#').next().unwrap_or_default();
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_target_and_an_authority() {
        assert_eq!((target("http://a?x#y"), authority("http://a?x")), ("/?x".to_owned(), "a"));
    }
}
