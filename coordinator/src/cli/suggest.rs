//! `suggest`: from what is needed, in plain words, to modules that fit this fleet.

use modules::units::ByteSize;
use proto::v1::{self, suggest_reply};
use serde::Serialize;

use super::Context;
use super::console::{Look, Style};
use super::problem::Failure;

/// Nothing of what was asked for can be had.
const NOTHING_FITS: u8 = 1;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator suggest \"ad blocking dns, photo backup and a password manager on a Pi 4 with 2 GB\"
  orchestrator suggest 'mqtt broker in the kitchen'
  orchestrator suggest 密码管理和照片备份 -o json

Nothing is changed; `orchestrator deploy MODULE` deploys what you like. Exit status 1: nothing fits.")]
pub struct SuggestArgs {
    /// What you need, in plain words: several things, and what machine they are for
    #[arg(required = true, value_name = "WORDS")]
    text: Vec<String>,
    /// Modules to name for each need
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    limit: u32,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    understood: &'a [String],
    needs: Vec<Need<'a>>,
    summary: &'a str,
}

#[derive(Debug, Serialize)]
struct Need<'a> {
    need: &'a str,
    suggestions: Vec<Suggestion<'a>>,
    /// Why there is nothing.
    #[serde(skip_serializing_if = "str::is_empty")]
    nothing: &'a str,
}

#[derive(Debug, Serialize)]
struct Suggestion<'a> {
    module: &'a str,
    version: &'a str,
    description: &'a str,
    chosen: bool,
    /// `null` where it would go nowhere now, or no node is there yet.
    node: Option<&'a str>,
    reasons: &'a [String],
    obstacles: &'a [String],
    deployed_as: &'a [String],
    memory_bytes: u64,
}

impl<'a> From<&'a suggest_reply::Suggestion> for Suggestion<'a> {
    fn from(one: &'a suggest_reply::Suggestion) -> Self {
        Self {
            module: &one.module,
            version: &one.version,
            description: &one.description,
            chosen: one.chosen,
            node: Some(one.node.as_str()).filter(|node| !node.is_empty()),
            reasons: &one.reasons,
            obstacles: &one.obstacles,
            deployed_as: &one.deployed_as,
            memory_bytes: one.memory_bytes,
        }
    }
}

pub async fn run(context: &Context, args: SuggestArgs) -> Result<u8, Failure> {
    let request = v1::SuggestRequest { text: args.text.join(" "), limit: args.limit };
    let reply = context.connect().await?.suggest(context.request(request)).await?.into_inner();
    let need = |need: &'_ suggest_reply::Need| need.suggestions.iter().any(is_met);
    let fits = reply.needs.iter().any(need);
    let shown = Shown {
        understood: &reply.constraints,
        needs: reply
            .needs
            .iter()
            .map(|need| Need {
                need: &need.text,
                suggestions: need.suggestions.iter().map(Into::into).collect(),
                nothing: &need.nothing,
            })
            .collect(),
        summary: &reply.summary,
    };
    context.print_or(&shown, |look| text(&reply, look))?;
    Ok(if fits { 0 } else { NOTHING_FITS })
}

fn is_met(one: &suggest_reply::Suggestion) -> bool {
    one.chosen || !one.deployed_as.is_empty()
}

fn text(reply: &v1::SuggestReply, look: &Look) -> String {
    let mut text = String::new();
    if !reply.constraints.is_empty() {
        text.push_str(&format!("for: {}\n", reply.constraints.join(", ")));
    }
    for need in &reply.needs {
        text.push_str(&format!("\n{}\n", look.paint(Style::Bold, &need.text)));
        for one in &need.suggestions {
            push(&mut text, one, look);
        }
        if !need.nothing.is_empty() {
            text.push_str(&format!("  {} {}\n", look.paint(Style::Bad, "nothing:"), need.nothing));
        }
    }
    text.push_str(&format!("\n{}\n", reply.summary));
    let chosen: Vec<&str> = chosen(reply).map(|one| one.module.as_str()).collect();
    for module in chosen {
        text.push_str(&format!("  orchestrator deploy {module}\n"));
    }
    text
}

/// Each once, though it may be the answer to several needs.
fn chosen(reply: &v1::SuggestReply) -> impl Iterator<Item = &suggest_reply::Suggestion> {
    let mut seen = std::collections::BTreeSet::new();
    let all = reply.needs.iter().flat_map(|need| &need.suggestions);
    all.filter(move |one| one.chosen && one.deployed_as.is_empty() && seen.insert(&one.module))
}

fn push(text: &mut String, one: &suggest_reply::Suggestion, look: &Look) {
    let (mark, style) = match (one.chosen, one.deployed_as.is_empty(), one.obstacles.is_empty()) {
        (_, false, _) => ("=", Style::Good),
        (true, true, _) => ("+", Style::Good),
        (false, true, true) => (" ", Style::Plain),
        (false, true, false) => ("-", Style::Dim),
    };
    let memory = if one.memory_bytes > 0 {
        format!(", {} of memory", ByteSize(one.memory_bytes))
    } else {
        String::new()
    };
    text.push_str(&format!("  {mark} {}{memory}: {}\n", look.paint(style, &one.module), one.description));
    for reason in &one.reasons {
        text.push_str(&format!("      {reason}\n"));
    }
    for obstacle in &one.obstacles {
        text.push_str(&format!("      {} {obstacle}\n", look.paint(Style::Bad, "no:")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_has_its_modules_with_reasons_and_obstacles() {
        let one = |module: &str, reasons: &[&str], obstacles: &[&str]| suggest_reply::Suggestion {
            module: module.into(),
            description: format!("What {module} does"),
            reasons: reasons.iter().map(|&reason| reason.into()).collect(),
            obstacles: obstacles.iter().map(|&obstacle| obstacle.into()).collect(),
            memory_bytes: 64 << 20,
            ..Default::default()
        };
        let mut chosen = one("pihole", &["has ad, dns in its tags", "fits on attic"], &[]);
        chosen.chosen = true;
        let mut deployed = one("redis", &["is deployed already as cache"], &[]);
        deployed.deployed_as = vec!["cache".into()];
        let reply = v1::SuggestReply {
            needs: vec![
                suggest_reply::Need {
                    text: "ad blocking dns".into(),
                    suggestions: vec![chosen, one("unbound", &[], &["runs on x86_64, not on aarch64"])],
                    nothing: String::new(),
                },
                suggest_reply::Need {
                    text: "cache".into(),
                    suggestions: vec![deployed],
                    nothing: String::new(),
                },
                suggest_reply::Need {
                    text: "flight simulator".into(),
                    suggestions: Vec::new(),
                    nothing: "no module has to do with it".into(),
                },
            ],
            constraints: vec!["Raspberry Pi 4".into(), "arch=aarch64".into()],
            ignored: Vec::new(),
            summary: "together they take 64MiB of memory".into(),
        };
        insta::assert_snapshot!(text(&reply, &Look::default()), @r"
        for: Raspberry Pi 4, arch=aarch64

        ad blocking dns
          + pihole, 64MiB of memory: What pihole does
              has ad, dns in its tags
              fits on attic
          - unbound, 64MiB of memory: What unbound does
              no: runs on x86_64, not on aarch64

        cache
          = redis, 64MiB of memory: What redis does
              is deployed already as cache

        flight simulator
          nothing: no module has to do with it

        together they take 64MiB of memory
          orchestrator deploy pihole
        ");
    }
}
