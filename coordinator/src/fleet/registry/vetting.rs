//! Looks a package over before it is taken: what it asks for and does, and who signed it.

use std::path::Path;

use modules::compose::module::ComposeFiles;
use modules::package::Contents;
use modules::safety::{self, Finding, SourceFile};
use modules::signature::{PublicKey, Signature, TrustedKeys};
use modules::unpack::MANIFEST;
use proto::v1;
use proto::v1::put_package_request::Options;
use proto::v1::trust_request::Change;

use super::{ModuleRecord, bad_package};
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::{Stored, get_json, put_json};
use crate::store::{Precondition, Txn};

/// What is remembered of it.
#[derive(Debug, Default)]
pub struct Vetted {
    /// High findings that a person took upon themselves.
    pub accepted: Vec<String>,
    /// The id and comment of the key.
    pub signed_by: Option<String>,
    /// The signature itself, as in a .minisig file.
    pub signature: Option<String>,
}

impl Fleet {
    /// # Errors
    /// Where a high finding is not accepted, or the signature is not what is asked for.
    pub(super) async fn vet(
        &self,
        package: &Path,
        digest: &str,
        compose: Option<ComposeFiles>,
        options: &Options,
    ) -> Result<Vetted, FleetError> {
        let (signed_by, signature) = self.signer(package, &options.signature).await?.unzip();
        let path = package.to_owned();
        let findings = tokio::task::spawn_blocking(move || findings(&path, compose.as_ref())).await;
        let findings = findings.expect("looking it over does not panic")?;
        let mut accepted = self.accepted(digest).await?;
        accepted.extend(options.accept.iter().cloned());
        let open = safety::unaccepted(&findings, &accepted);
        if !open.is_empty() {
            return Err(FleetError::NotAccepted {
                findings: open.iter().map(ToString::to_string).collect(),
                ids: open.iter().map(|finding| finding.id.clone()).collect(),
            });
        }
        accepted.retain(|id| findings.iter().any(|finding| finding.id == *id));
        accepted.sort();
        accepted.dedup();
        Ok(Vetted { accepted, signed_by, signature })
    }

    /// For a dry run: whether what was found where the module lies would be refused here.
    ///
    /// # Errors
    /// As [`Fleet::vet`] has them; the signature itself is not looked at.
    pub(in crate::fleet) async fn check_would_take(
        &self,
        module: Option<&v1::UnregisteredModule>,
    ) -> Result<(), FleetError> {
        let Some(module) = module else { return Ok(()) };
        if self.refuses_unsigned && !module.is_signed {
            return Err(FleetError::Unsigned);
        }
        let accepted = self.accepted(&module.digest).await?;
        let open: Vec<_> =
            module.open_findings.iter().filter(|finding| !accepted.contains(&finding.id)).collect();
        if open.is_empty() {
            return Ok(());
        }
        Err(FleetError::NotAccepted {
            findings: open.iter().map(|finding| finding.text.clone()).collect(),
            ids: open.iter().map(|finding| finding.id.clone()).collect(),
        })
    }

    /// The findings of this very package that somebody took upon themselves before.
    async fn accepted(&self, digest: &str) -> Result<Vec<String>, FleetError> {
        let kept = get_json::<ModuleRecord>(self.store.as_ref(), &keys::release(digest)).await?;
        Ok(kept.map(|kept| kept.value.accepted).unwrap_or_default())
    }

    /// Who signed the package, and the signature, where there is one.
    async fn signer(&self, package: &Path, signature: &[u8]) -> Result<Option<(String, String)>, FleetError> {
        if signature.is_empty() {
            return if self.refuses_unsigned { Err(FleetError::Unsigned) } else { Ok(None) };
        }
        let trusted = self.trusted().await?.value;
        let text = String::from_utf8_lossy(signature).into_owned();
        let bytes = std::fs::read(package);
        let bytes = bytes.map_err(|cause| FleetError::Unreadable {
            what: "the package".to_owned(),
            cause: Box::new(cause),
        })?;
        let refused = |cause| FleetError::Signature { cause };
        let signature = Signature::parse(&text).map_err(refused)?;
        let keys = TrustedKeys::parse(&trusted).map_err(refused)?;
        let key = keys.verify(&signature, &bytes).map_err(refused)?;
        let signer = format!("{} {}", key.id, key.comment).trim_end().to_owned();
        Ok(Some((signer, signature.to_text())))
    }

    async fn trusted(&self) -> Result<Stored<String>, FleetError> {
        let kept = get_json::<String>(self.store.as_ref(), keys::TRUSTED).await?;
        let nothing = || Stored {
            key: keys::TRUSTED.to_owned(),
            value: String::new(),
            revision: crate::store::Revision(0),
        };
        Ok(kept.unwrap_or_else(nothing))
    }

    /// Trusts a key, or no longer; gives those that are trusted then.
    pub async fn trust(&self, request: &v1::TrustRequest) -> Result<v1::TrustReply, FleetError> {
        let kept = self.trusted().await?;
        let refused = |cause| FleetError::Signature { cause };
        let mut trusted = TrustedKeys::parse(&kept.value).map_err(refused)?;
        match &request.change {
            None => return Ok(self.trusts(&trusted)),
            Some(Change::Add(text)) => {
                let key = PublicKey::parse(text).map_err(refused)?;
                if !trusted.keys.iter().any(|known| known.to_line() == key.to_line()) {
                    trusted.keys.push(key);
                }
            }
            Some(Change::Remove(id)) => {
                let count = trusted.keys.len();
                trusted.keys.retain(|key| !key.id.to_string().eq_ignore_ascii_case(id));
                if trusted.keys.len() == count {
                    let message = format!("no key {id} is trusted");
                    let hint = Some("`orchestrator module trust list` shows all".to_owned());
                    return Err(FleetError::Invalid { message, hint });
                }
            }
        }
        let seen = Some(kept.revision).filter(|revision| revision.0 != 0);
        let write = put_json(keys::TRUSTED, &trusted.to_text())?;
        self.store.commit(Txn::new().when(Precondition::as_seen(keys::TRUSTED, seen)).then(write)).await?;
        Ok(self.trusts(&trusted))
    }

    fn trusts(&self, trusted: &TrustedKeys) -> v1::TrustReply {
        let key = |key: &PublicKey| v1::trust_reply::Key {
            id: key.id.to_string(),
            comment: key.comment.clone(),
            line: key.to_line(),
        };
        v1::TrustReply {
            keys: trusted.keys.iter().map(key).collect(),
            refuses_unsigned: self.refuses_unsigned,
        }
    }
}

fn findings(package: &Path, compose: Option<&ComposeFiles>) -> Result<Vec<Finding>, FleetError> {
    let contents = modules::package::contents(package).map_err(bad_package)?;
    look_over(&contents, compose).map_err(|mistakes| bad_package(mistakes.into()))
}

/// What is to be said of the files of a package, and of the compose project in it.
///
/// # Errors
/// Where its MODULE.yaml is wrong.
pub fn look_over(
    contents: &Contents,
    compose: Option<&ComposeFiles>,
) -> Result<Vec<Finding>, modules::spec::error::SpecErrors> {
    let all: Vec<SourceFile<'_>> = contents
        .files
        .iter()
        .map(|file| SourceFile { path: &file.path, bytes: &file.bytes, mode: file.mode })
        .collect();
    let nothing = SourceFile { path: MANIFEST, bytes: b"", mode: 0o644 };
    let manifest = all.iter().find(|file| file.path == MANIFEST).copied().unwrap_or(nothing);
    let others: Vec<SourceFile<'_>> = all.into_iter().filter(|file| file.path != MANIFEST).collect();
    safety::check(manifest, &others, &contents.beside, compose)
}
