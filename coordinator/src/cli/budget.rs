//! `budget`: what language models cost so far and may cost, and what their providers allow.

use proto::v1::budget_reply::{Account, Breaker, Quota};
use proto::v1::{Amount, BudgetReply, BudgetRequest, Cap};
use serde::Serialize;

use super::Context;
use super::console::{Look, printable};
use super::problem::Failure;
use super::table::{Cell, Fit, Table};
use super::units::rfc3339;
use crate::rpc;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  orchestrator budget
  orchestrator budget show -o json | jq '.accounts[] | select(.account | startswith(\"month:\"))'

What may be spent is said in [llm.caps] of config.toml, for each plan, node, day and month. A request is
let through only where its worst case fits into all of them; what it really took is booked afterwards.")]
pub struct BudgetArgs {
    #[command(subcommand)]
    command: Option<BudgetCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum BudgetCommand {
    /// Shows it; the same as without `show`
    Show,
}

pub async fn run(context: &Context, args: BudgetArgs) -> Result<u8, Failure> {
    match args.command {
        Some(BudgetCommand::Show) | None => show(context).await,
    }
}

async fn show(context: &Context) -> Result<u8, Failure> {
    let mut client = rpc::connect_assistant(&context.settings).await?;
    let reply = client.budget(context.request(BudgetRequest {})).await?.into_inner();
    if reply.accounts.is_empty() && !context.console.is_json() {
        context.console.say("nothing was asked of a language model yet");
    }
    context.print_or(&Shown::from(&reply), |look| table(&reply, look))?;
    Ok(0)
}

/// The shape of `-o json`.
#[derive(Serialize)]
struct Shown<'a> {
    caps: Caps<'a>,
    accounts: Vec<ShownAccount<'a>>,
    quotas: Vec<ShownQuota<'a>>,
    breakers: Vec<ShownBreaker<'a>>,
}

#[derive(Serialize)]
struct Caps<'a> {
    plan: ShownCap<'a>,
    node: ShownCap<'a>,
    day: ShownCap<'a>,
    month: ShownCap<'a>,
}

/// `null` is no limit.
#[derive(Serialize)]
struct ShownCap<'a> {
    money: Option<&'a str>,
    tokens: Option<u64>,
}

#[derive(Serialize)]
struct ShownAmount<'a> {
    money: &'a str,
    tokens: u64,
}

#[derive(Serialize)]
struct ShownAccount<'a> {
    account: &'a str,
    spent: ShownAmount<'a>,
    reserved: ShownAmount<'a>,
    cap: ShownCap<'a>,
}

#[derive(Serialize)]
struct ShownQuota<'a> {
    provider: &'a str,
    key: Option<&'a str>,
    model: &'a str,
    requests_per_minute: u64,
    tokens_per_minute: u64,
    closed_until: Option<String>,
}

#[derive(Serialize)]
struct ShownBreaker<'a> {
    provider: &'a str,
    open_until: Option<String>,
    error: &'a str,
}

impl<'a> From<&'a BudgetReply> for Shown<'a> {
    fn from(reply: &'a BudgetReply) -> Self {
        let cap = |cap: &'a Option<Cap>| shown_cap(cap.as_ref());
        Self {
            caps: Caps {
                plan: cap(&reply.plan),
                node: cap(&reply.node),
                day: cap(&reply.day),
                month: cap(&reply.month),
            },
            accounts: reply.accounts.iter().map(shown_account).collect(),
            quotas: reply.quotas.iter().map(shown_quota).collect(),
            breakers: reply.breakers.iter().map(shown_breaker).collect(),
        }
    }
}

fn shown_cap(cap: Option<&Cap>) -> ShownCap<'_> {
    ShownCap { money: cap.and_then(|cap| cap.money.as_deref()), tokens: cap.and_then(|cap| cap.tokens) }
}

fn shown_amount(amount: Option<&Amount>) -> ShownAmount<'_> {
    ShownAmount {
        money: amount.map_or("0.00", |amount| &amount.money),
        tokens: amount.map_or(0, |amount| amount.tokens),
    }
}

fn shown_account(account: &Account) -> ShownAccount<'_> {
    ShownAccount {
        account: &account.account,
        spent: shown_amount(account.spent.as_ref()),
        reserved: shown_amount(account.reserved.as_ref()),
        cap: shown_cap(account.cap.as_ref()),
    }
}

fn shown_quota(quota: &Quota) -> ShownQuota<'_> {
    ShownQuota {
        provider: &quota.provider,
        key: Some(quota.key.as_str()).filter(|key| !key.is_empty()),
        model: &quota.model,
        requests_per_minute: quota.requests_per_minute,
        tokens_per_minute: quota.tokens_per_minute,
        closed_until: rfc3339(quota.closed_until_unix_ms),
    }
}

fn shown_breaker(breaker: &Breaker) -> ShownBreaker<'_> {
    ShownBreaker {
        provider: &breaker.provider,
        open_until: rfc3339(breaker.until_unix_ms),
        error: &breaker.error,
    }
}

fn table(reply: &BudgetReply, look: &Look) -> String {
    let columns = [("ACCOUNT", Fit::Keep), ("SPENT", Fit::Keep), ("RESERVED", Fit::Keep), ("CAP", Fit::Keep)];
    let mut accounts = Table::new(&columns);
    for account in &reply.accounts {
        accounts.row([
            Cell::from(&printable(&account.account)),
            Cell::from(&amount(account.spent.as_ref())),
            Cell::from(&amount(account.reserved.as_ref())),
            Cell::from(&cap(account.cap.as_ref())),
        ]);
    }
    for (name, configured) in [
        ("each plan", &reply.plan),
        ("each node a day", &reply.node),
        ("each day", &reply.day),
        ("each month", &reply.month),
    ] {
        accounts.row([name.into(), "".into(), "".into(), Cell::from(&cap(configured.as_ref()))]);
    }
    let mut text = accounts.render(look);
    if !reply.quotas.is_empty() {
        text.push('\n');
        text.push_str(&quotas(reply, look));
    }
    for breaker in &reply.breakers {
        let until = rfc3339(breaker.until_unix_ms).unwrap_or_default();
        let (provider, error) = (printable(&breaker.provider), printable(&breaker.error));
        text.push_str(&format!("\n{provider} is not asked until {until}: {error}\n"));
    }
    text
}

fn quotas(reply: &BudgetReply, look: &Look) -> String {
    let columns = [
        ("PROVIDER", Fit::Keep),
        ("MODEL", Fit::Keep),
        ("KEY", Fit::Keep),
        ("REQUESTS/MIN", Fit::Keep),
        ("TOKENS/MIN", Fit::Keep),
        ("CLOSED UNTIL", Fit::Keep),
    ];
    let mut table = Table::new(&columns);
    for quota in &reply.quotas {
        table.row([
            Cell::from(&printable(&quota.provider)),
            Cell::from(&printable(&quota.model)),
            Cell::from(&printable(&quota.key)),
            Cell::from(&quota.requests_per_minute.to_string()),
            Cell::from(&quota.tokens_per_minute.to_string()),
            Cell::from(&rfc3339(quota.closed_until_unix_ms).unwrap_or_default()),
        ]);
    }
    table.render(look)
}

fn amount(amount: Option<&Amount>) -> String {
    match amount {
        Some(amount) if amount.tokens > 0 => format!("{} USD, {} tokens", amount.money, amount.tokens),
        Some(_) | None => "-".to_owned(),
    }
}

fn cap(cap: Option<&Cap>) -> String {
    let money = cap.and_then(|cap| cap.money.as_ref()).map(|money| format!("{money} USD"));
    let tokens = cap.and_then(|cap| cap.tokens).map(|tokens| format!("{tokens} tokens"));
    let both: Vec<String> = money.into_iter().chain(tokens).collect();
    if both.is_empty() { "none".to_owned() } else { both.join(", ") }
}
