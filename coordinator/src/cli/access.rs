//! `access add|list|remove`: who may use this coordinator over the network.

use std::path::PathBuf;

use proto::v1;
use proto::v1::list_access_reply::Access;
use serde::Serialize;

use super::Context;
use super::console::Look;
use super::problem::Failure;
use super::table::{Cell, Fit, Table};
use super::units::rfc3339;
use crate::rpc::NewKey;
use proto::code::Code;

#[derive(Debug, clap::Subcommand)]
pub enum AccessCommand {
    /// Makes a file that lets its holder use this coordinator from elsewhere
    #[command(after_help = "Examples:
  orchestrator access add laptop                      # writes laptop.access.pem
  orchestrator access add ci --days 30 --to ci.pem

There, with the file: orchestrator --coordinator https://HOST --access laptop.access.pem status
(or keep it as access.pem in the data folder, and the address in config.toml)")]
    Add {
        /// Whom or what it is for
        name: String,
        /// How long it lets in
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// The file to write [default: NAME.access.pem]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Lists who has access, and until when
    #[command(after_help = "Examples:\n  orchestrator access list")]
    List,
    /// Ends an access; its holder's next connection is refused
    #[command(after_help = "Examples:\n  orchestrator access remove laptop")]
    Remove { name: String },
}

pub async fn run(context: &Context, command: AccessCommand) -> Result<u8, Failure> {
    match command {
        AccessCommand::Add { name, days, to } => add(context, name, days, to).await?,
        AccessCommand::List => {
            let request = context.request(v1::ListAccessRequest {});
            let access = context.connect().await?.list_access(request).await?.into_inner().access;
            let shapes: Vec<Shown<'_>> = access.iter().map(Into::into).collect();
            context.print_list(&shapes, "nobody has access from elsewhere", |look| list(&shapes, look))?;
        }
        AccessCommand::Remove { name } => {
            let request = v1::RemoveAccessRequest { name: name.clone() };
            context.connect().await?.remove_access(context.request(request)).await?;
            context.console.say(&format!("{name} has no access any more"));
        }
    }
    Ok(0)
}

/// The key is made here and goes nowhere but into the file.
async fn add(context: &Context, name: String, days: u32, to: Option<PathBuf>) -> Result<(), Failure> {
    let path = to.unwrap_or_else(|| PathBuf::from(format!("{name}.access.pem")));
    if path.exists() {
        return Err(Failure::invalid(format!("{} is there already", path.display()))
            .with_hint("name another file with --to"));
    }
    let key = NewKey::make(&name).map_err(|error| Failure::new(Code::Internal, &error))?;
    let mut client = context.connect().await?;
    let request = v1::AddAccessRequest { name: name.clone(), public_key: key.public_key(), days };
    let ca = client.add_access(context.request(request)).await?.into_inner().ca_pem;
    if let Err(error) = key.write(&path, &ca) {
        // Nobody holds that key now.
        let request = v1::RemoveAccessRequest { name };
        client.remove_access(context.request(request)).await?;
        return Err(Failure::new(Code::Failed, &error));
    }
    context.console.say(&format!("{} lets {name} in for {days} days: keep it private", path.display()));
    Ok(())
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    public_key: &'a str,
    since: Option<String>,
    until: Option<String>,
}

impl<'a> From<&'a Access> for Shown<'a> {
    fn from(access: &'a Access) -> Self {
        Self {
            name: &access.name,
            public_key: &access.public_key,
            since: rfc3339(access.since_unix_ms),
            until: rfc3339(access.until_unix_ms),
        }
    }
}

fn list(shown: &[Shown<'_>], look: &Look) -> String {
    let mut table = Table::new(&[("NAME", Fit::Keep), ("UNTIL", Fit::Keep), ("KEY", Fit::Wrap)]);
    let day = |at: &Option<String>| at.as_deref().and_then(|at| at.get(..10)).unwrap_or("?").to_owned();
    for access in shown {
        table.row([Cell::from(access.name), day(&access.until).into(), Cell::from(access.public_key)]);
    }
    table.render(look)
}
