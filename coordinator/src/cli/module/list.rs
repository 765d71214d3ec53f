//! `module list|search`: what can be deployed by name.

use proto::v1::module_summary::Source;
use proto::v1::{self, ModuleSummary};
use serde::Serialize;

use crate::cli::Context;
use crate::cli::console::{Look, Style};
use crate::cli::problem::Failure;
use crate::cli::table::{Cell, Fit, Table};

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    version: Option<&'a str>,
    versions: &'a [String],
    description: &'a str,
    category: &'a str,
    tags: &'a [String],
    source: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pinned: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    deprecated: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    draft: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    matches: &'a [String],
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
            pinned: &module.pinned,
            deprecated: &module.deprecated,
            draft: module.draft,
            matches: &module.matches,
        }
    }
}

/// Where a module is from; for another registry, its name.
pub fn source(module: &ModuleSummary) -> String {
    match module.source() {
        Source::Catalog => "catalog".to_owned(),
        Source::Added => "added".to_owned(),
        Source::Imported => "imported".to_owned(),
        Source::Registry => module.registry.clone(),
    }
}

pub async fn run(context: &Context, query: String, limit: u32) -> Result<u8, Failure> {
    let nothing = match query.as_str() {
        "" => "no modules".to_owned(),
        query => format!("no module matches {query:?}; `orchestrator import URL` makes one of a project"),
    };
    let request = context.request(v1::ListModulesRequest { query, limit });
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
        let more = match module.versions.len() {
            0 | 1 => String::new(),
            count => format!(" +{}", count - 1),
        };
        let version = match module.pinned.as_str() {
            "" => format!("{newest}{more}"),
            pinned => format!("{pinned} pinned{more}"),
        };
        let description = match module.deprecated.as_str() {
            "" => Cell::from(&module.description),
            reason => Cell::styled(format!("deprecated: {reason}"), Style::Warn),
        };
        table.row([
            Cell::styled(&module.name, Style::Bold),
            version.into(),
            (&module.category).into(),
            source(module).into(),
            description,
        ]);
    }
    table.render(look)
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
        let mut modules = [
            module("mosquitto", &["2.0.18", "2.0.11"], "MQTT broker"),
            module("web", &["0.1.0"], ""),
            module("old", &["1.0.0", "0.9.0"], "Old"),
        ];
        modules[2].pinned = "0.9.0".into();
        modules[2].deprecated = "use web".into();
        modules[2].registry = "friends".into();
        modules[2].set_source(Source::Registry);
        insta::assert_snapshot!(table(&modules, &Look::default()), @r"
        MODULE     VERSION          CATEGORY   SOURCE   DESCRIPTION
        mosquitto  2.0.18 +1        messaging  catalog  MQTT broker
        web        0.1.0            messaging  catalog
        old        0.9.0 pinned +1  messaging  friends  deprecated: use web
        ");
    }
}
