//! `module …`: what can be deployed. `pack`, `verify`, `schema` and `show ./folder` need no coordinator.

mod archive;
mod curate;
mod list;
mod local;
mod show;
mod sign;

use std::path::PathBuf;

use proto::v1;
use proto::v1::put_package_request::Options;

use super::deploy::source::Source;
use super::problem::Failure;
use super::{Context, json, package};

#[derive(Debug, clap::Subcommand)]
pub enum ModuleCommand {
    /// Lists the modules that can be deployed
    #[command(after_help = "Examples:\n  orchestrator module list")]
    List,
    /// Finds modules by what they are for, the best first; typing errors do not matter
    #[command(after_help = "Examples:
  orchestrator module search mqtt
  orchestrator module search 'photo backup'
  orchestrator module search 消息队列")]
    Search {
        #[arg(required = true)]
        query: Vec<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Shows a module: what it needs and what can be set
    #[command(after_help = "Examples:
  orchestrator module show redis
  orchestrator module show redis@7.2.4
  orchestrator module show ./my-module")]
    Show {
        #[arg(value_name = "MODULE[@VERSION]|FOLDER")]
        module: String,
    },
    /// Lists the versions of a module: which is pinned, deprecated, deployed
    #[command(after_help = "Examples:\n  orchestrator module versions redis")]
    Versions { module: String },
    /// Makes the plain name of a module mean one version, whatever comes
    #[command(after_help = "Examples:\n  orchestrator module pin redis@7.2.4")]
    Pin {
        #[arg(value_name = "MODULE@VERSION")]
        module: String,
    },
    /// Makes the plain name of a module mean its newest version again
    #[command(after_help = "Examples:\n  orchestrator module unpin redis")]
    Unpin { module: String },
    /// Says that a module, or one version of it, should not be used any more
    #[command(after_help = "Examples:
  orchestrator module deprecate my-module@1.0.0 --reason 'loses data'
  orchestrator module deprecate my-module --reason 'use other-module'")]
    Deprecate {
        #[arg(value_name = "MODULE[@VERSION]")]
        module: String,
        /// Why, and what to use instead
        #[arg(long, value_name = "TEXT", default_value = "deprecated")]
        reason: String,
    },
    /// Takes back that a module, or one version of it, should not be used
    #[command(after_help = "Examples:\n  orchestrator module undeprecate my-module@1.0.0")]
    Undeprecate {
        #[arg(value_name = "MODULE[@VERSION]")]
        module: String,
    },
    /// Writes modules with all their versions and pins into one file, for a registry that cannot be reached
    #[command(after_help = "Examples:
  orchestrator module export modules.tar.gz                  # all that were added
  orchestrator module export some.tar.gz redis mosquitto")]
    Export {
        #[arg(value_name = "FILE.tar.gz")]
        file: PathBuf,
        /// Which [default: all that are not built in]
        modules: Vec<String>,
    },
    /// Takes in what `module export` wrote: all of it, or nothing
    #[command(after_help = "Examples:\n  orchestrator module load modules.tar.gz")]
    Load {
        #[arg(value_name = "FILE.tar.gz")]
        file: PathBuf,
        /// Accept a high finding of the safety check; may be given several times
        #[arg(long, value_name = "FINDING")]
        accept: Vec<String>,
    },
    /// Writes the index of a folder of modules, for publishing it as a registry
    #[command(after_help = "Examples:
  orchestrator module index ./my-modules                     # writes ./my-modules/modules.json
  orchestrator module index ./my-modules --out -")]
    Index {
        #[arg(default_value = ".", hide_default_value = true)]
        folder: PathBuf,
        /// Where to write it, - for stdout [default: modules.json in the folder]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Puts a module into the registry, so that it can be deployed by name
    #[command(after_help = "Examples:
  orchestrator module add ./my-module
  orchestrator module add my-module-1.0.0.tar.gz")]
    Add {
        #[arg(value_name = "FOLDER|PACKAGE")]
        module: String,
        /// Accept a high finding of the safety check; may be given several times
        #[arg(long, value_name = "FINDING")]
        accept: Vec<String>,
    },
    /// Makes a key to sign modules with: FILE, and FILE.pub for those who are to trust it
    #[command(after_help = "Examples:\n  orchestrator module key ~/modules.key")]
    Key {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Signs a package or folder: writes FILE.minisig beside it, which minisign reads too
    #[command(after_help = "Examples:
  orchestrator module sign my-module-1.0.0.tar.gz --key ~/modules.key
  orchestrator module sign ./my-module --key ~/modules.key")]
    Sign {
        #[arg(value_name = "FOLDER|PACKAGE")]
        module: PathBuf,
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Keys whose signatures count
    #[command(subcommand)]
    Trust(sign::TrustCommand),
    /// Makes a package of a folder; the same folder always gives the same bytes
    #[command(after_help = "Examples:
  orchestrator module pack ./my-module
  orchestrator module pack ./my-module --out /tmp/my-module.tar.gz")]
    Pack {
        #[arg(default_value = ".", hide_default_value = true)]
        folder: PathBuf,
        /// Where to write it [default: NAME-VERSION.tar.gz here]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Checks a folder or package: its MODULE.yaml, and that it can be unpacked
    #[command(after_help = "Examples:
  orchestrator module verify ./my-module
  orchestrator module verify my-module-1.0.0.tar.gz
  orchestrator module verify my-module-1.0.0.tar.gz --key friend.pub")]
    Verify {
        #[arg(value_name = "FOLDER|PACKAGE", default_value = ".", hide_default_value = true)]
        module: PathBuf,
        /// Also that it is signed with this key, by the FILE.minisig beside it
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Takes a module, or one version of it, out of the registry
    #[command(after_help = "Examples:\n  orchestrator module remove my-module@1.0.0")]
    Remove {
        #[arg(value_name = "MODULE[@VERSION]")]
        module: String,
    },
    /// Prints the JSON Schema of MODULE.yaml, for editors
    #[command(after_help = "Examples:\n  orchestrator module schema > module.schema.json")]
    Schema,
}

pub async fn run(context: &Context, command: ModuleCommand) -> Result<u8, Failure> {
    match command {
        ModuleCommand::List => list::run(context, String::new(), 0).await,
        ModuleCommand::Search { query, limit } => list::run(context, query.join(" "), limit).await,
        ModuleCommand::Versions { module } => curate::versions(context, module).await,
        ModuleCommand::Pin { module } => curate::pin(context, module).await,
        ModuleCommand::Unpin { module } => curate::unpin(context, module).await,
        ModuleCommand::Deprecate { module, reason } => curate::deprecate(context, module, reason).await,
        ModuleCommand::Undeprecate { module } => curate::undeprecate(context, module).await,
        ModuleCommand::Export { file, modules } => archive::export(context, &file, &modules).await,
        ModuleCommand::Load { file, accept } => archive::load(context, &file, &accept).await,
        ModuleCommand::Index { folder, out } => local::index(context, &folder, out),
        ModuleCommand::Show { module } => show::run(context, &module).await,
        ModuleCommand::Add { module, accept } => add(context, &module, accept).await,
        ModuleCommand::Key { file } => sign::key(context, &file),
        ModuleCommand::Sign { module, key } => sign::sign(context, &module, &key),
        ModuleCommand::Trust(command) => sign::trust(context, command).await,
        ModuleCommand::Pack { folder, out } => local::pack(context, &folder, out),
        ModuleCommand::Verify { module, key } => local::verify(context, &module, key.as_deref()),
        ModuleCommand::Remove { module } => remove(context, module).await,
        ModuleCommand::Schema => local::schema(context),
    }
}

async fn add(context: &Context, module: &str, accept: Vec<String>) -> Result<u8, Failure> {
    let (packed, path) = match Source::find(module)? {
        Source::Folder(path) => (package::pack(&path)?, path),
        Source::Package(path) => (package::read(&path)?, path),
        Source::Registry(name) => {
            return Err(Failure::invalid(format!(
                "{name} is neither a folder with a MODULE.yaml nor a package"
            ))
            .with_hint("write ./FOLDER or FILE.tar.gz"));
        }
    };
    let options = Options { accept, signature: package::signature(&path)?, ..Options::default() };
    let mut client = context.connect().await?;
    let release = package::send_with(&mut client, packed, options).await?;
    package::check_named(context, &mut client, &release).await?;
    context.print_or(&json::Release::from(&release), |_| {
        format!("added {}@{} {}\n", release.module, release.version, release.digest)
    })?;
    Ok(0)
}

async fn remove(context: &Context, module: String) -> Result<u8, Failure> {
    let request = context.request(v1::RemoveModuleRequest { module });
    let removed = context.connect().await?.remove_module(request).await?.into_inner().removed;
    let shapes: Vec<json::Release<'_>> = removed.iter().map(Into::into).collect();
    context.print_list(&shapes, "nothing was removed", |_| {
        let line = |release: &v1::Release| format!("removed {}@{}\n", release.module, release.version);
        removed.iter().map(line).collect()
    })?;
    Ok(0)
}
