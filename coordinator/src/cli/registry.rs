//! `registry add|sync|list|remove`: repositories of modules, which become part of ours at a commit. What changes is
//! shown before it is done; done is all of it or nothing. What was synced is here, so it works with no network.

mod changes;
mod repository;

use std::path::Path;

use proto::code::Code;
use proto::v1::put_package_request::Options;
use proto::v1::{self, Registry};
use serde::Serialize;

use super::confirm::confirm;
use super::console::Look;
use super::interrupt::Interrupt;
use super::problem::{Failure, Problem};
use super::table::{Fit, Table};
use super::units::{ago, rfc3339};
use super::{Context, package};
use crate::clock::UnixMillis;
use crate::rpc::Client;
use crate::sources::git::Address;
use changes::Changes;
use repository::Repository;

#[derive(Debug, clap::Subcommand)]
pub enum RegistryCommand {
    /// Makes the modules of a git repository deployable by name
    #[command(after_help = "Examples:
  orchestrator registry add friends https://example.org/friends/modules.git
  orchestrator registry add mine ./my-modules.git --revision stable --dry-run

Each folder with a MODULE.yaml is a module; or a modules.json at the top says which are, as
`orchestrator module index` writes it. FOLDER.minisig beside a folder is its signature, as
`orchestrator module sign FOLDER` makes it.")]
    Add {
        /// How to call it
        name: String,
        /// Any address that git takes
        #[arg(value_name = "GIT-URL")]
        url: String,
        /// The branch or tag to follow, or the commit to stay at [default: what the repository shows]
        #[arg(long, value_name = "NAME")]
        revision: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Takes over what has changed in added repositories, after showing it
    #[command(after_help = "Examples:
  orchestrator registry sync
  orchestrator registry sync friends --dry-run
  orchestrator registry sync https://example.org/friends/modules.git   # adds it where it is new")]
    Sync {
        /// Which [default: all]
        #[arg(value_name = "NAME|GIT-URL")]
        names: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Lists the added repositories and the commits they are at
    #[command(after_help = "Examples:\n  orchestrator registry list -o json")]
    List,
    /// Forgets a repository and its modules; refused while one of them is deployed
    #[command(after_help = "Examples:\n  orchestrator registry remove friends")]
    Remove { name: String },
}

#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Leave out modules that are not good, instead of changing nothing
    #[arg(long)]
    skip_bad: bool,
    /// Take versions whose content was changed after they were published
    #[arg(long)]
    allow_rewritten: bool,
    /// Accept a high finding of the safety check; may be given several times
    #[arg(long, value_name = "FINDING")]
    accept: Vec<String>,
}

pub async fn run(context: &Context, command: RegistryCommand) -> Result<u8, Failure> {
    match command {
        RegistryCommand::Add { name, url, revision, how } => {
            let mut client = context.connect().await?;
            if known(context, &mut client).await?.iter().any(|one| one.name == name) {
                let problem = Problem::new(Code::Conflict, format!("there is a registry {name} already"));
                return Err(Failure::from(problem).with_hint(format!("`orchestrator registry sync {name}`")));
            }
            let registry =
                Registry { name, url, revision: revision.unwrap_or_default(), ..Registry::default() };
            sync(context, &mut client, &registry, &how).await
        }
        RegistryCommand::Sync { names, how } => sync_all(context, &names, &how).await,
        RegistryCommand::List => list(context).await,
        RegistryCommand::Remove { name } => {
            let request = context.request(v1::RemoveRegistryRequest { name });
            let removed = context.connect().await?.remove_registry(request).await?.into_inner();
            context.print_or(&Shown::from(&removed), |_| {
                format!("removed {} and its {} releases\n", removed.name, removed.releases.len())
            })?;
            Ok(0)
        }
    }
}

async fn known(context: &Context, client: &mut Client) -> Result<Vec<Registry>, Failure> {
    let request = context.request(v1::ListRegistriesRequest {});
    Ok(client.list_registries(request).await?.into_inner().registries)
}

async fn sync_all(context: &Context, names: &[String], how: &How) -> Result<u8, Failure> {
    let mut client = context.connect().await?;
    let known = known(context, &mut client).await?;
    let mut chosen: Vec<Registry> = Vec::new();
    for name in names {
        match known.iter().find(|one| one.name == *name || one.url == *name) {
            Some(registry) => chosen.push(registry.clone()),
            None if name.contains(['/', ':']) => {
                let registry = Registry { name: short_name(name), url: name.clone(), ..Registry::default() };
                chosen.push(registry);
            }
            None => {
                let problem = Problem::new(Code::NotFound, format!("no registry is named {name}"));
                return Err(
                    Failure::from(problem).with_hint("`orchestrator registry add NAME GIT-URL` adds one")
                );
            }
        }
    }
    if names.is_empty() {
        chosen = known;
    }
    if chosen.is_empty() {
        return Err(Failure::invalid("there is no registry to sync")
            .with_hint("`orchestrator registry add NAME GIT-URL` adds one"));
    }
    let mut status = 0;
    for registry in &chosen {
        status = status.max(sync(context, &mut client, registry, how).await?);
    }
    Ok(status)
}

/// A name out of an address: its last part, as far as a name can have it.
fn short_name(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(url);
    let last = last.strip_suffix(".git").unwrap_or(last).to_lowercase();
    let plain: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "registry".to_owned() } else { plain.chars().take(60).collect() }
}

async fn sync(context: &Context, client: &mut Client, before: &Registry, how: &How) -> Result<u8, Failure> {
    let address = Address::exactly(&before.url).map_err(|error| kept(error.into(), before))?;
    let revision = Some(before.revision.as_str()).filter(|revision| !revision.is_empty());
    let interrupt = Interrupt::listen();
    context.console.say(&format!("reading {}", address.shown()));
    let read = tokio::select! {
        read = Repository::read(&address, revision) => read.map_err(|failure| kept(failure, before))?,
        () = interrupt.pressed() => {
            context.console.say("interrupted: nothing was changed");
            return Err(Failure::Interrupted);
        }
    };
    let changes = Changes::between(before, &read);
    if !read.bad.is_empty() && !how.skip_bad {
        return Err(bad(&read));
    }
    context.print_or(&changes, |look| changes.text(look))?;
    if !changes.rewritten.is_empty() && !how.allow_rewritten {
        let problem = Problem::new(
            Code::Conflict,
            "versions were changed after they were published; nothing was changed",
        );
        return Err(Failure::from(problem).with_hint("ask who publishes them, or add --allow-rewritten"));
    }
    if how.dry_run || changes.is_nothing() && before.commit == read.commit {
        return Ok(0);
    }
    if !how.yes && !confirm(context, "change the registry so?", &interrupt).await? {
        context.console.say("nothing was changed");
        return Ok(1);
    }
    let target = Target { registry: before, address: &address, accept: &how.accept };
    apply(context, client, target, read, &changes).await
}

struct Target<'t> {
    /// As it was.
    registry: &'t Registry,
    address: &'t Address,
    accept: &'t [String],
}

async fn apply(
    context: &Context,
    client: &mut Client,
    target: Target<'_>,
    read: Repository,
    changes: &Changes,
) -> Result<u8, Failure> {
    let (before, address) = (target.registry, target.address);
    let releases = changes.after.clone();
    let commit = read.commit;
    for found in read.modules {
        let origin = v1::ModuleOrigin {
            source: address.shown(),
            commit: commit.clone(),
            confidence: 100,
            draft: false,
        };
        let options = Options {
            staged: true,
            origin: Some(origin),
            accept: target.accept.to_vec(),
            signature: found.signature,
        };
        let name = format!("{} of {}", found.packed.spec.name, before.name);
        package::send_with(client, found.packed, options).await.map_err(|failure| {
            kept(failure.beneath(format!("{name} was not taken; nothing was changed")), before)
        })?;
    }
    let registry = Registry { commit, releases, url: address.as_str().to_owned(), ..before.clone() };
    let request = v1::SyncRegistryRequest { registry: Some(registry), from_commit: before.commit.clone() };
    let synced = client.sync_registry(context.request(request)).await?.into_inner();
    context.console.say(&format!("{} is at {}", synced.name, short(&synced.commit)));
    Ok(0)
}

/// What was synced before stays, whatever went wrong.
fn kept(failure: Failure, before: &Registry) -> Failure {
    match before.commit.as_str() {
        "" => failure,
        commit => failure.beneath(format!(
            "{} could not be synced; its modules stay as they were at {}",
            before.name,
            short(commit)
        )),
    }
}

fn bad(read: &Repository) -> Failure {
    let mut problem = Problem::new(
        Code::InvalidInput,
        format!("{} of the repository's modules are not good; nothing was changed", read.bad.len()),
    );
    problem.causes.extend(read.bad.iter().map(|(path, why)| format!("{path}: {why}")));
    Failure::from(problem).with_hint("tell who publishes them, or leave them out with --skip-bad")
}

pub fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    url: &'a str,
    revision: Option<&'a str>,
    commit: &'a str,
    synced: Option<String>,
    releases: Vec<super::json::Release<'a>>,
}

impl<'a> From<&'a Registry> for Shown<'a> {
    fn from(registry: &'a Registry) -> Self {
        Self {
            name: &registry.name,
            url: &registry.url,
            revision: Some(registry.revision.as_str()).filter(|revision| !revision.is_empty()),
            commit: &registry.commit,
            synced: rfc3339(registry.synced_unix_ms),
            releases: registry.releases.iter().map(Into::into).collect(),
        }
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let registries = known(context, &mut context.connect().await?).await?;
    let shapes: Vec<Shown<'_>> = registries.iter().map(Into::into).collect();
    context.print_list(
        &shapes,
        "no registries; `orchestrator registry add NAME GIT-URL` adds one",
        |look| table(&registries, look, context.now()),
    )?;
    Ok(0)
}

fn table(registries: &[Registry], look: &Look, now: UnixMillis) -> String {
    let columns = [
        ("REGISTRY", Fit::Keep),
        ("RELEASES", Fit::Keep),
        ("COMMIT", Fit::Keep),
        ("SYNCED", Fit::Keep),
        ("FROM", Fit::Wrap),
    ];
    let mut table = Table::new(&columns);
    for registry in registries {
        let from = match registry.revision.as_str() {
            "" => registry.url.clone(),
            revision => format!("{} {revision}", registry.url),
        };
        table.row([
            (&registry.name).into(),
            registry.releases.len().to_string().into(),
            short(&registry.commit).into(),
            ago(registry.synced_unix_ms, now).into(),
            from.into(),
        ]);
    }
    table.render(look)
}

/// A package of a repository, and its folder.
#[derive(Debug)]
pub struct Found {
    pub path: String,
    pub packed: package::Packed,
    /// The text of its `.minisig` file; empty where there is none.
    pub signature: Vec<u8>,
}

/// Packs the folder of a module; the reason in one line, where that cannot be.
fn pack(path: &str, folder: &Path) -> Result<Found, String> {
    match package::pack(folder) {
        Ok(packed) => Ok(Found { path: path.to_owned(), packed, signature: Vec::new() }),
        Err(Failure::Problem(problem)) => Err(problem.causes.join(": ")),
        Err(Failure::StdoutClosed | Failure::Interrupted) => Err("interrupted".to_owned()),
    }
}
