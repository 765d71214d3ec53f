//! Whether the receipts of a node prove what its journal tells.

use plan::receipt::{self, Fact, Receipt, Subject};
use plan::run::event::{Event, Record};
use proto::ids::NodeName;
use proto::v1::run_on_node::Receipts;

use crate::domain::runs::RunRecord;

/// Whether receipts prove what the journal says.
pub(super) fn verified(
    run: &RunRecord,
    node: &NodeName,
    key: Option<&str>,
    records: &[Record],
    receipts: &[Receipt],
    is_over: bool,
) -> Receipts {
    let problem = match key.and_then(unhex) {
        None => Some("the key that signs them was never seen".to_owned()),
        Some(key) => {
            let subject = Subject { run: run.id.as_str(), node: node.as_str(), plan: &run.plan };
            match receipt::verify(&subject, receipts, &key) {
                Err(error) => Some(error.to_string()),
                Ok(verified) if is_over && !verified.is_complete => {
                    Some("the receipt of the end is missing".to_owned())
                }
                Ok(_) => untold(records, receipts),
            }
        }
    };
    Receipts {
        count: receipts.len() as u64,
        verified: problem.is_none(),
        problem: problem.unwrap_or_default(),
    }
}

/// An attempt in the journal that no receipt speaks of, or the other way round.
fn untold(records: &[Record], receipts: &[Receipt]) -> Option<String> {
    let ending = records.iter().find_map(|record| match &record.event {
        Event::Ended { ending } => Some(ending),
        _ => None,
    });
    receipts.iter().find_map(|receipt| match &receipt.fact {
        Fact::Ended { ending: proven } if Some(proven) != ending => {
            Some(format!("receipt {} proves another end than the journal tells", receipt.number))
        }
        Fact::Step { .. } | Fact::Replanned { .. } | Fact::Ended { .. } => None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}
