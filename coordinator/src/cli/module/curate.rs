//! `module versions|pin|unpin|deprecate|undeprecate`: the versions of a module, and what people say of them.

use proto::v1;
use proto::v1::curate_module_request::{Change, Deprecate, Pin, Undeprecate, Unpin};
use proto::v1::module_detail::Version;
use proto::v1::module_summary::Source;
use serde::Serialize;

use crate::cli::Context;
use crate::cli::console::{Look, Style};
use crate::cli::problem::Failure;
use crate::cli::table::{Cell, Fit, Table};
use crate::cli::units::{ago, bytes, rfc3339};
use crate::clock::UnixMillis;

#[derive(Debug, Serialize)]
struct Shown<'a> {
    version: &'a str,
    digest: &'a str,
    source: &'a str,
    pinned: bool,
    deprecated: Option<&'a str>,
    used_by: &'a [String],
    package_bytes: u64,
    added: Option<String>,
}

impl<'a> From<&'a Version> for Shown<'a> {
    fn from(version: &'a Version) -> Self {
        let release = version.release.as_ref();
        Self {
            version: release.map_or("", |release| release.version.as_str()),
            digest: release.map_or("", |release| release.digest.as_str()),
            source: source(version),
            pinned: version.pinned,
            deprecated: Some(version.deprecated.as_str()).filter(|reason| !reason.is_empty()),
            used_by: &version.used_by,
            package_bytes: version.package_bytes,
            added: rfc3339(version.added_unix_ms),
        }
    }
}

fn source(version: &Version) -> &str {
    match version.source() {
        Source::Catalog => "catalog",
        Source::Added => "added",
        Source::Imported => "imported",
        Source::Registry => &version.registry,
    }
}

pub async fn versions(context: &Context, module: String) -> Result<u8, Failure> {
    let request = context.request(v1::ShowModuleRequest { module });
    let detail = context.connect().await?.show_module(request).await?.into_inner();
    let shapes: Vec<Shown<'_>> = detail.versions.iter().map(Into::into).collect();
    context.print_list(&shapes, "no versions", |look| table(&detail.versions, look, context.now()))?;
    Ok(0)
}

pub async fn pin(context: &Context, module: String) -> Result<u8, Failure> {
    curate(context, module, Change::Pin(Pin {}), "pinned").await
}

pub async fn unpin(context: &Context, module: String) -> Result<u8, Failure> {
    curate(context, module, Change::Unpin(Unpin {}), "unpinned").await
}

pub async fn deprecate(context: &Context, module: String, reason: String) -> Result<u8, Failure> {
    curate(context, module, Change::Deprecate(Deprecate { reason }), "deprecated").await
}

pub async fn undeprecate(context: &Context, module: String) -> Result<u8, Failure> {
    curate(context, module, Change::Undeprecate(Undeprecate {}), "undeprecated").await
}

async fn curate(context: &Context, module: String, change: Change, done: &str) -> Result<u8, Failure> {
    let request = v1::CurateModuleRequest { module: module.clone(), change: Some(change) };
    let reply = context.connect().await?.curate_module(context.request(request)).await?.into_inner();
    let shapes: Vec<Shown<'_>> = reply.versions.iter().map(Into::into).collect();
    context.print_or(&shapes, |_| format!("{done} {module}\n"))?;
    Ok(0)
}

fn table(versions: &[Version], look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("VERSION", Fit::Keep),
        ("SOURCE", Fit::Keep),
        ("SIZE", Fit::Keep),
        ("ADDED", Fit::Keep),
        ("USED BY", Fit::Cut),
        ("", Fit::Wrap),
    ]);
    for version in versions {
        let release = version.release.as_ref();
        let mut remarks = Vec::new();
        if version.pinned {
            remarks.push("pinned".to_owned());
        }
        if !version.deprecated.is_empty() {
            remarks.push(format!("deprecated: {}", version.deprecated));
        }
        let style = if version.deprecated.is_empty() { Style::Good } else { Style::Warn };
        table.row([
            release.map_or("", |release| release.version.as_str()).into(),
            source(version).into(),
            bytes(version.package_bytes).into(),
            ago(version.added_unix_ms, now).into(),
            version.used_by.join(", ").into(),
            Cell::styled(remarks.join(", "), style),
        ]);
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_tells_where_it_is_from_and_what_is_said_of_it() {
        let version = |number: &str, deprecated: &str| Version {
            release: Some(v1::Release { version: number.into(), ..Default::default() }),
            deprecated: deprecated.into(),
            source: Source::Added.into(),
            added_unix_ms: 1_000,
            package_bytes: 2_345,
            ..Default::default()
        };
        let mut versions = [version("2.0.0", ""), version("1.0.0", "loses data")];
        versions[0].pinned = true;
        versions[0].used_by = vec!["cache".into()];
        insta::assert_snapshot!(table(&versions, &Look::default(), 7_201_000), @r"
        VERSION  SOURCE  SIZE     ADDED   USED BY
        2.0.0    added   2.3 KiB  2h ago  cache    pinned
        1.0.0    added   2.3 KiB  2h ago           deprecated: loses data
        ");
    }
}
