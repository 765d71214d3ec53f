//! Who may use a coordinator over the network: a name and the public key it proves to hold, as `authorized_keys`
//! does it. Whoever may open the coordinator's socket needs none of this.

use proto::v1;
use serde::{Deserialize, Serialize};

use super::{Fleet, FleetError, keys};
use crate::agents::tls::OwnCertificate;
use crate::clock::UnixMillis;
use crate::store::json::{get_json, list_json, put_json};
use crate::store::{Op, Precondition, StoreError, Txn};

/// Kept in the store under `/access/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AccessRecord {
    name: String,
    /// sha256 of the SubjectPublicKeyInfo, hex.
    public_key: String,
    since: UnixMillis,
    until: UnixMillis,
}

const DAY: i64 = 24 * 3600 * 1000;
/// sha256 in hex.
const KEY_LENGTH: usize = 64;

impl Fleet {
    /// Lets the holder of a key in, and tells by which certificate the coordinator is known.
    ///
    /// # Errors
    /// Where the name is taken or not one.
    pub async fn add_access(&self, request: &v1::AddAccessRequest) -> Result<v1::AddAccessReply, FleetError> {
        check(request)?;
        let now = self.clock.now();
        let record = AccessRecord {
            name: request.name.clone(),
            public_key: request.public_key.clone(),
            since: now,
            until: now.saturating_add(i64::from(request.days) * DAY),
        };
        let key = keys::access(&record.name);
        let put = put_json(key.clone(), &record)?;
        let ca = self.enrolment.ca.get().await?;
        match self.store.commit(Txn::new().when(Precondition::Absent { key }).then(put)).await {
            Ok(_) => Ok(v1::AddAccessReply { ca_pem: ca.certificate_pem().to_owned() }),
            Err(StoreError::Conflict { .. }) => Err(FleetError::AccessExists { name: record.name }),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn list_access(&self) -> Result<Vec<v1::list_access_reply::Access>, FleetError> {
        let records = list_json::<AccessRecord>(self.store.as_ref(), keys::ACCESS).await?.entries;
        let shown = |record: AccessRecord| v1::list_access_reply::Access {
            name: record.name,
            public_key: record.public_key,
            since_unix_ms: record.since,
            until_unix_ms: record.until,
        };
        Ok(records.into_iter().map(|stored| shown(stored.value)).collect())
    }

    /// Lets the holder in no more.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub async fn remove_access(&self, name: &str) -> Result<(), FleetError> {
        let key = keys::access(name);
        if get_json::<AccessRecord>(self.store.as_ref(), &key).await?.is_none() {
            return Err(FleetError::NoSuchAccess { name: name.to_owned() });
        }
        self.store.commit(Txn::new().then(Op::Delete { key })).await?;
        Ok(())
    }

    /// Whose key this is, if its holder may come in now.
    pub async fn who_has(&self, public_key: &str) -> Result<Option<String>, FleetError> {
        let now = self.clock.now();
        let records = list_json::<AccessRecord>(self.store.as_ref(), keys::ACCESS).await?.entries;
        let holds = |record: &AccessRecord| record.public_key == public_key && now < record.until;
        Ok(records.into_iter().map(|stored| stored.value).find(holds).map(|record| record.name))
    }

    /// What the coordinator shows to those who connect: short-lived, so ask again now and then.
    pub async fn own_certificate(&self) -> Result<OwnCertificate, FleetError> {
        let ca = self.enrolment.ca.get().await?;
        Ok(ca.server()?)
    }
}

fn check(request: &v1::AddAccessRequest) -> Result<(), FleetError> {
    let invalid = |message: String, hint: &str| {
        Err(FleetError::Invalid { message, hint: (!hint.is_empty()).then(|| hint.to_owned()) })
    };
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let name = &request.name;
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_fine) {
        return invalid(
            format!("{name:?} cannot name an access"),
            "use up to 64 letters, digits, '-', '_', '.' and '@'",
        );
    }
    let key = &request.public_key;
    if key.len() != KEY_LENGTH || !key.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
        return invalid("the public key is not a sha256 in hex".to_owned(), "");
    }
    if request.days == 0 {
        return invalid("an access of no days lets nobody in".to_owned(), "");
    }
    Ok(())
}
