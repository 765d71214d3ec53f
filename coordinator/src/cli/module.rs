//! `module …`: what can be deployed. `pack`, `verify`, `schema` and `show ./folder` need no coordinator.

mod local;
mod show;

use std::path::PathBuf;

use proto::code::Code;
use proto::v1::{self, ModuleSummary};
use serde::Serialize;

use super::console::{Look, Style};
use super::deploy::source::Source;
use super::problem::{Failure, Problem};
use super::table::{Cell, Fit, Table};
use super::{Context, json, package};

#[derive(Debug, clap::Subcommand)]
pub enum ModuleCommand {
    /// Lists the modules that can be deployed
    #[command(after_help = "Examples:\n  orchestrator module list")]
    List,
    /// Finds modules by name, tag or description
    #[command(after_help = "Examples:\n  orchestrator module search mqtt")]
    Search { query: String },
    /// Shows a module: what it needs and what can be set
    #[command(after_help = "Examples:
  orchestrator module show redis
  orchestrator module show redis@7.2.4
  orchestrator module show ./my-module")]
    Show {
        #[arg(value_name = "MODULE[@VERSION]|FOLDER")]
        module: String,
    },
    /// Puts a module into the registry, so that it can be deployed by name
    #[command(after_help = "Examples:
  orchestrator module add ./my-module
  orchestrator module add my-module-1.0.0.tar.gz")]
    Add {
        #[arg(value_name = "FOLDER|PACKAGE")]
        module: String,
    },
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
  orchestrator module verify my-module-1.0.0.tar.gz")]
    Verify {
        #[arg(value_name = "FOLDER|PACKAGE", default_value = ".", hide_default_value = true)]
        module: PathBuf,
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
        ModuleCommand::List => list(context, String::new()).await,
        ModuleCommand::Search { query } => list(context, query).await,
        ModuleCommand::Show { module } => show::run(context, &module).await,
        ModuleCommand::Add { module } => add(context, &module).await,
        ModuleCommand::Pack { folder, out } => local::pack(context, &folder, out),
        ModuleCommand::Verify { module } => local::verify(context, &module),
        ModuleCommand::Remove { module } => remove(context, module).await,
        ModuleCommand::Schema => local::schema(context),
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    version: Option<&'a str>,
    versions: &'a [String],
    description: &'a str,
    category: &'a str,
    tags: &'a [String],
    source: &'static str,
}

impl<'a> From<&'a ModuleSummary> for Shown<'a> {
    fn from(module: &'a ModuleSummary) -> Self {
        Self {
            name: &module.name,
            version: module.versions.first().map(String::as_str),
            versions: &module.versions,
            description: &module.description,
            category: &module.category,
            tags: &module.tags,
            source: source(module),
        }
    }
}

fn source(module: &ModuleSummary) -> &'static str {
    match module.source() {
        v1::module_summary::Source::Catalog => "catalog",
        v1::module_summary::Source::Added => "added",
    }
}

async fn list(context: &Context, query: String) -> Result<u8, Failure> {
    let nothing = if query.is_empty() { "no modules".into() } else { format!("no module matches {query:?}") };
    let request = context.request(v1::ListModulesRequest { query });
    let modules = context.connect().await?.list_modules(request).await?.into_inner().modules;
    let shapes: Vec<Shown<'_>> = modules.iter().map(Into::into).collect();
    context.print_list(&shapes, &nothing, |look| table(&modules, look))?;
    Ok(0)
}

fn table(modules: &[ModuleSummary], look: &Look) -> String {
    let mut table = Table::new(&[
        ("MODULE", Fit::Keep),
        ("VERSION", Fit::Keep),
        ("CATEGORY", Fit::Keep),
        ("SOURCE", Fit::Keep),
        ("DESCRIPTION", Fit::Wrap),
    ]);
    for module in modules {
        let newest = module.versions.first().map_or("", String::as_str);
        let version = match module.versions.len() {
            0 | 1 => newest.to_owned(),
            count => format!("{newest} +{}", count - 1),
        };
        table.row([
            Cell::styled(&module.name, Style::Bold),
            version.into(),
            (&module.category).into(),
            source(module).into(),
            (&module.description).into(),
        ]);
    }
    table.render(look)
}

async fn add(context: &Context, module: &str) -> Result<u8, Failure> {
    let packed = match Source::find(module)? {
        Source::Folder(path) => package::pack(&path)?,
        Source::Package(path) => package::read(&path)?,
        Source::Registry(name) => {
            return Err(Failure::invalid(format!(
                "{name} is neither a folder with a MODULE.yaml nor a package"
            ))
            .with_hint("write ./FOLDER or FILE.tar.gz"));
        }
    };
    let mut client = context.connect().await?;
    let release = package::send(&mut client, packed).await?;
    let name = format!("{}@{}", release.module, release.version);
    let request = context.request(v1::ShowModuleRequest { module: name.clone() });
    let known = client.show_module(request).await?.into_inner().release.unwrap_or_default();
    if known.digest != release.digest {
        let message = format!("{name} is in the registry already, with other content");
        let hint = format!("raise the version, or `orchestrator module remove {name}` first");
        return Err(Failure::from(Problem::new(Code::Conflict, message)).with_hint(hint));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_has_one_line() {
        let module = |name: &str, versions: &[&str], description: &str| ModuleSummary {
            name: name.into(),
            versions: versions.iter().map(|&version| version.into()).collect(),
            description: description.into(),
            category: "messaging".into(),
            ..Default::default()
        };
        let modules =
            [module("mosquitto", &["2.0.18", "2.0.11"], "MQTT broker"), module("web", &["0.1.0"], "")];
        insta::assert_snapshot!(table(&modules, &Look::default()), @r"
        MODULE     VERSION    CATEGORY   SOURCE   DESCRIPTION
        mosquitto  2.0.18 +1  messaging  catalog  MQTT broker
        web        0.1.0      messaging  catalog
        ");
    }
}
