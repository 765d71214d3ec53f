//! A node's spec as the store keeps it: protobuf, for it goes to the node as it is.

use prost::Message;
use proto::ids::NodeName;
use proto::v1;

use super::{FleetError, keys};
use crate::store::json::Stored;
use crate::store::{Op, Precondition, Versioned};

pub fn decode_spec(key: &str, found: Versioned) -> Result<(NodeName, Stored<v1::NodeSpec>), FleetError> {
    let unreadable = |cause: Box<dyn std::error::Error + Send + Sync>| FleetError::Unreadable {
        what: key.to_owned(),
        cause,
    };
    let value = v1::NodeSpec::decode(found.value.as_slice()).map_err(|cause| unreadable(cause.into()))?;
    let name = NodeName::parse(&value.node).map_err(|cause| unreadable(cause.into()))?;
    Ok((name, Stored { key: key.to_owned(), value, revision: found.revision }))
}

pub fn put_spec(node: &NodeName, spec: &v1::NodeSpec) -> Op {
    Op::Put { key: keys::desired(node), value: spec.encode_to_vec(), lease: None }
}

/// Holds where `stored` is still what the store has under `key`; `None`: where there is still nothing.
pub fn still<T>(key: String, stored: Option<&Stored<T>>) -> Precondition {
    match stored {
        Some(stored) => stored.unchanged(),
        None => Precondition::Absent { key },
    }
}
