//! What people say of a module, beside its releases: which version its plain name means, and which are not to be
//! used any more.

use std::collections::BTreeMap;

use modules::registry::Wanted;
use modules::version::Version;
use proto::v1;
use proto::v1::curate_module_request::{Change, Deprecate};
use serde::{Deserialize, Serialize};

use crate::domain::deployment::Release;
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::{Stored, get_json, put_json};
use crate::store::{Op, Precondition, Revision, Txn};

/// Kept under `/curations/<module>` while it says anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Curation {
    /// The version that the plain name means.
    pub pinned: Option<String>,
    /// By version, or `*` for all of them: why.
    pub deprecated: BTreeMap<String, String>,
}

/// All versions.
const ALL: &str = "*";

impl Curation {
    /// Why a version should not be used any more.
    pub fn why_deprecated(&self, version: &str) -> Option<&str> {
        self.deprecated.get(version).or_else(|| self.deprecated.get(ALL)).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What the plain name means: the pinned version, else the newest that is not deprecated, else the newest.
    pub fn choose<'v>(&self, versions: &[&'v Version]) -> Option<&'v Version> {
        let pinned = versions.iter().find(|version| self.pinned.as_deref() == Some(&version.to_string()));
        if let Some(pinned) = pinned {
            return Some(pinned);
        }
        let good =
            versions.iter().copied().filter(|version| !self.deprecated.contains_key(&version.to_string()));
        Wanted::Latest.choose(good).or_else(|| Wanted::Latest.choose(versions.iter().copied()))
    }

    fn change(&mut self, change: &Change, version: Option<&str>) -> Result<(), &'static str> {
        match (change, version) {
            (Change::Pin(_), Some(version)) => self.pinned = Some(version.to_owned()),
            (Change::Pin(_), None) => return Err("which version? write NAME@VERSION"),
            (Change::Unpin(_), _) => self.pinned = None,
            (Change::Deprecate(Deprecate { reason }), version) => {
                self.deprecated.insert(version.unwrap_or(ALL).to_owned(), reason.clone());
            }
            (Change::Undeprecate(_), Some(version)) => {
                self.deprecated.remove(version);
            }
            (Change::Undeprecate(_), None) => self.deprecated.clear(),
        }
        Ok(())
    }
}

impl Fleet {
    pub(super) async fn curation(&self, module: &str) -> Result<Stored<Curation>, FleetError> {
        let key = keys::curation(module);
        let kept = get_json::<Curation>(self.store.as_ref(), &key).await?;
        let nothing = || Stored { key, value: Curation::default(), revision: Revision(0) };
        Ok(kept.unwrap_or_else(nothing))
    }

    /// Why a release should not be used any more.
    pub(in crate::fleet) async fn why_deprecated(
        &self,
        release: &Release,
    ) -> Result<Option<String>, FleetError> {
        let curation = self.curation(&release.module).await?.value;
        Ok(curation.why_deprecated(&release.version).map(str::to_owned))
    }

    /// Pins a version, or says that it should not be used any more; or takes that back.
    pub async fn curate_module(
        &self,
        request: &v1::CurateModuleRequest,
    ) -> Result<v1::ModuleDetail, FleetError> {
        let invalid = |message: &str| FleetError::Invalid { message: message.to_owned(), hint: None };
        let change = request.change.as_ref().ok_or_else(|| invalid("nothing is to be changed"))?;
        let (name, version) = match request.module.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (request.module.as_str(), None),
        };
        let module = self.resolve(&request.module).await?;
        let exact = version.map(|_| module.release.version.as_str());
        let kept = self.curation(name).await?;
        let mut curation = kept.value.clone();
        curation.change(change, exact).map_err(invalid)?;
        let seen = Some(kept.revision).filter(|revision| *revision != Revision(0));
        let op = match curation.is_empty() {
            true if seen.is_none() => None,
            true => Some(Op::delete(kept.key.clone())),
            false => Some(put_json(kept.key.clone(), &curation)?),
        };
        if let Some(op) = op {
            let txn = Txn::new().when(Precondition::as_seen(kept.key.clone(), seen)).then(op);
            self.store.commit(txn).await?;
        }
        self.show_module(&v1::ShowModuleRequest { module: request.module.clone() }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_name_means_the_pinned_version_or_the_newest_good_one() {
        let versions = ["1.0.0", "2.0.0", "3.0.0", "4.0.0-rc1"];
        let curation = |pinned: Option<&str>, deprecated: &[&str]| Curation {
            pinned: pinned.map(str::to_owned),
            deprecated: deprecated.iter().map(|&version| (version.to_owned(), "old".to_owned())).collect(),
        };
        let check = |curation: Curation, expected: &str| {
            let versions = versions.map(|version| Version::parse(version).expect("a version"));
            let chosen = curation.choose(&versions.iter().collect::<Vec<_>>()).map(ToString::to_string);
            assert_eq!(chosen.as_deref(), Some(expected), "{curation:?}");
        };
        check(Curation::default(), "3.0.0");
        check(curation(Some("1.0.0"), &[]), "1.0.0");
        check(curation(Some("9.0.0"), &[]), "3.0.0");
        check(curation(None, &["3.0.0"]), "2.0.0");
        check(curation(Some("3.0.0"), &["3.0.0"]), "3.0.0");
        check(curation(None, &["1.0.0", "2.0.0", "3.0.0", "4.0.0-rc1"]), "3.0.0");
        check(curation(None, &["*"]), "3.0.0");
    }
}
