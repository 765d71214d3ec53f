//! `import`: from a project's README, compose file and the like to a module, with the place that each field is from.

mod draft;
mod view;

use std::path::{Path, PathBuf};

use modules::import::fill::Fill;
use proto::code::Code;
use proto::v1;
use proto::v1::put_package_request::Options;

use super::confirm::confirm;
use super::interrupt::Interrupt;
use super::problem::{Failure, Problem};
use super::{Context, package};
use crate::fleet::ask::prompt::capped;
use crate::sources::git::{self, Address};
use crate::sources::{self, Access, Place, Project, Token, Wanted};
use draft::{Made, Module};
use view::Shown;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator import https://github.com/OWNER/REPO --dry-run   # shows the module, changes nothing
  orchestrator import OWNER/REPO                                # adds it to the registry as a draft
  orchestrator import https://git.example.org/app.git --revision v2.1 --to ./app
  orchestrator import ./app --fill                              # a model may fill gaps with what the README says

A file may be a README, a compose file, a MODULE.yaml or a package, here or on the web.

The draft says which line of which file each field is from. Exit status 2: there is nothing to deploy.
GITHUB_TOKEN is used where it is set, else the stored secret that `token-secret` below `[github]` in
config.toml names; SSL_CERT_FILE adds certificates; HTTPS_PROXY is followed.")]
pub struct ImportArgs {
    /// A repository, a folder or a file, here or on the web
    #[arg(value_name = "URL|FOLDER|FILE")]
    source: String,
    /// Write the module into this new folder, to look it over, and add nothing
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Only show what would be made
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Accept a high finding of the safety check; may be given several times
    #[arg(long, value_name = "FINDING")]
    accept: Vec<String>,
    /// Ask the LOW model for what the rules do not find; what it says must stand in the README, and is marked
    #[arg(long)]
    fill: bool,
    /// What to call the module [default: as the project calls itself]
    #[arg(long, value_name = "MODULE")]
    name: Option<String>,
    /// The branch, tag or commit to read [default: what the repository shows]
    #[arg(long, value_name = "NAME")]
    revision: Option<String>,
    /// Read only this folder of the repository
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The API of a GitHub of your own, such as https://github.example.org/api/v3
    #[arg(long, value_name = "URL", env = "ORCHESTRATOR_GITHUB_API", hide_env = true)]
    github_api: Option<String>,
    /// Where that one gives files as they are [default: as its API says]
    #[arg(long, value_name = "URL", env = "ORCHESTRATOR_GITHUB_RAW", hide_env = true)]
    github_raw: Option<String>,
}

/// Bytes of a README that a model may be shown some of.
const SENT: usize = 64 << 10;

pub async fn run(context: &Context, args: ImportArgs) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen();
    let mut access = access(context, &args);
    let wanted = Wanted { folder: args.path.clone().unwrap_or_default(), revision: args.revision.clone() };
    let place = Place::parse(&args.source, &access)?;
    if let (Place::GitHub(_), None, Some(secret)) =
        (&place, &access.token, &context.settings.github.token_secret)
    {
        let request = context.request(v1::GetGithubTokenRequest { secret: secret.clone() });
        let token = context.connect().await?.get_github_token(request).await?.into_inner().token;
        access.token = Some(Token::new(token.trim()));
    }
    context.console.say(&format!("reading {}", args.source));
    let mut made = tokio::select! {
        made = make(&place, &access, &wanted, args.name.as_deref()) => made?,
        () = interrupt.pressed() => {
            context.console.say("interrupted: nothing was changed");
            return Err(Failure::Interrupted);
        }
    };
    if args.fill && made.module.is_some() {
        tokio::select! {
            filled = fill(context, &mut made) => filled?,
            () = interrupt.pressed() => {
                context.console.say("interrupted: nothing was changed");
                return Err(Failure::Interrupted);
            }
        }
    }
    let Some(module) = &made.module else {
        context.print_or(&Shown::of(&made), |_| String::new())?;
        return Err(nothing(&made));
    };
    let packed = module.pack()?;
    let mut shown = Shown::of(&made);
    shown.findings = package::findings(&packed)?.iter().map(Into::into).collect();
    if args.dry_run {
        context.print_or(&shown, |look| shown.text(look))?;
        return Ok(0);
    }
    match &args.to {
        Some(folder) => write(context, shown, module, folder),
        None => add_asking(context, shown, &made, packed, args, &interrupt).await,
    }
}

fn write(context: &Context, mut shown: Shown, module: &Module, folder: &Path) -> Result<u8, Failure> {
    module.write_to_new(folder)?;
    shown.folder = Some(folder.display().to_string());
    context.print_or(&shown, |look| shown.text(look))?;
    context.console.say(&format!("look it over, then `orchestrator module add {}`", folder.display()));
    Ok(0)
}

async fn add_asking(
    context: &Context,
    mut shown: Shown,
    made: &Made,
    packed: package::Packed,
    args: ImportArgs,
    interrupt: &Interrupt,
) -> Result<u8, Failure> {
    if !context.console.is_json() {
        context.console.say(shown.text(&context.console.err).trim_end());
    }
    if !args.yes && !confirm(context, "add it to the registry as a draft?", interrupt).await? {
        context.console.say("nothing was changed");
        return Ok(1);
    }
    let release = add(context, made, packed, args.accept).await?;
    let added = format!("{}@{}", release.module, release.version);
    shown.added = Some(added.clone());
    context.print_or(&shown, |_| format!("added {added} {}\n", release.digest))?;
    let deploy = format!("`orchestrator deploy {}`", release.module);
    context.console.say(&match made.warnings.is_empty() {
        true => format!("{deploy} runs it"),
        false => format!("look at what is said above before {deploy}"),
    });
    Ok(0)
}

fn access(context: &Context, args: &ImportArgs) -> Access {
    let usual = Access::default();
    let settings = &context.settings.github;
    let trimmed = |url: String| url.trim_end_matches('/').to_owned();
    let api = args.github_api.clone().or_else(|| settings.api.clone()).map(trimmed);
    let raw = args.github_raw.clone().or_else(|| settings.raw.clone()).map(trimmed);
    let web = api.as_deref().and_then(|api| api.strip_suffix("/api/v3")).map(str::to_owned);
    let variables = ["ORCHESTRATOR_GITHUB_TOKEN", "GITHUB_TOKEN"];
    let token =
        variables.iter().find_map(|name| std::env::var(name).ok()).filter(|token| !token.trim().is_empty());
    Access {
        github_raw: raw.or_else(|| web.as_ref().map(|web| format!("{web}/raw"))).unwrap_or(usual.github_raw),
        github_api: api.unwrap_or(usual.github_api),
        github_web: web.unwrap_or(usual.github_web),
        token: token.map(|token| Token::new(token.trim())),
    }
}

/// Reads the place and makes a module of it.
async fn make(place: &Place, access: &Access, wanted: &Wanted, name: Option<&str>) -> Result<Made, Failure> {
    if let Place::Package(path) = place {
        return Made::of_package(path);
    }
    let project = sources::read(place, access, wanted).await?;
    if !project.files.iter().any(|file| file.path == modules::unpack::MANIFEST) {
        return Made::of_project(project, name);
    }
    // It is a module already; then all of its files belong to it.
    match place {
        Place::Folder(path) => Made::of_folder(project, path),
        Place::GitHub(repository) => {
            let url = format!("{}/{}/{}.git", access.github_web, repository.owner, repository.name);
            let wanted = Wanted {
                folder: if wanted.folder.is_empty() {
                    repository.folder.clone()
                } else {
                    wanted.folder.clone()
                },
                revision: project.commit.clone(),
            };
            whole(project, &Address::exactly(&url)?, &wanted).await
        }
        Place::Git(address) => whole(project, address, wanted).await,
        Place::File(_) | Place::Url(_) | Place::Package(_) => Made::of_manifest(project),
    }
}

async fn whole(project: Project, address: &Address, wanted: &Wanted) -> Result<Made, Failure> {
    let copy = git::Copy::fetch(address, wanted.revision.as_deref()).await?;
    let entries = copy.entries().await?;
    let folder =
        tempfile::tempdir().map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
    git::write_folder(&copy, &entries, wanted.folder.trim_matches('/'), folder.path()).await?;
    Made::of_folder(project, folder.path())
}

/// Has a model look for what the draft lacks. Nothing of it is taken that does not stand in the README.
async fn fill(context: &Context, made: &mut Made) -> Result<(), Failure> {
    let fields: Vec<String> = made.gaps().iter().map(|gap| gap.as_str().to_owned()).collect();
    let text = made.readme.as_ref().map(|(_, text)| capped(text, SENT));
    let Some(text) = text.filter(|_| !fields.is_empty()) else {
        context.console.say("nothing is missing that a README could tell: no model was asked");
        return Ok(());
    };
    context.console.say(&format!("asking a model for: {}", fields.join(", ")));
    let request = context.request(v1::FillGapsRequest { text, fields });
    let reply = context.connect().await?.fill_gaps(request).await?.into_inner();
    let fills: Vec<Fill> = reply
        .fills
        .into_iter()
        .map(|fill| Fill { field: fill.field, value: fill.value, quote: fill.quote })
        .collect();
    let count = made.fill(&fills);
    let (model, tokens, money) = (reply.model, reply.tokens, reply.money);
    context.console.say(&format!("{model} filled in {count} of them: {tokens} tokens, {money}"));
    Ok(())
}

fn nothing(made: &Made) -> Failure {
    let problem = Problem::new(Code::InvalidInput, format!("there is nothing to deploy in {}", made.origin));
    let mut failure = Failure::from(problem);
    if let (Failure::Problem(problem), Some(nothing)) = (&mut failure, &made.nothing) {
        problem.causes.push(nothing.sentence.clone());
    }
    failure.with_hint("where you know better, write a MODULE.yaml: `orchestrator module schema`")
}

async fn add(
    context: &Context,
    made: &Made,
    packed: package::Packed,
    accept: Vec<String>,
) -> Result<v1::Release, Failure> {
    let mut client = context.connect().await?;
    let origin = v1::ModuleOrigin {
        source: made.origin.clone(),
        commit: made.commit.clone().unwrap_or_default(),
        confidence: made.confidence,
        draft: made.is_draft,
    };
    let options = Options { origin: Some(origin), accept, ..Options::default() };
    let release = package::send_with(&mut client, packed, options).await?;
    package::check_named(context, &mut client, &release).await?;
    Ok(release)
}

/// Where a module may be written: nothing is there yet.
fn check_new(folder: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                Err(Failure::from(Problem::new(Code::Conflict, format!("{} is not empty", folder.display())))
                    .with_hint("name a new folder"))
            }
        },
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Failure::io(format!("could not look into {}", folder.display()), &cause)),
    }
}
