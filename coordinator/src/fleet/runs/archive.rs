//! Journals and receipts of nodes whose part of a run is over, kept in the store, so that they can be shown when the
//! node is away or gone. They are packed, and cut into pieces that the store takes.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use plan::nesting;
use plan::receipt::Receipt;
use plan::run::event::{Event, Record};
use proto::ids::NodeName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::follow::Followed;
use crate::domain::runs::{Archived, NodeRun, RunId};
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::{Op, Txn};

/// Bytes of a piece; the store takes a little more.
const PIECE: usize = 512 << 10;
/// Bytes of a journal before it is packed. Outputs beyond that are left out, the largest first.
const MOST: usize = 8 << 20;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub records: Vec<Record>,
    pub receipts: Vec<Receipt>,
}

impl Fleet {
    /// Keeps a journal. The same again writes the same.
    pub(super) async fn keep_journal(
        &self,
        id: &RunId,
        node: &NodeName,
        followed: &Followed,
    ) -> Result<Archived, FleetError> {
        let mut kept = Kept { records: followed.records.clone(), receipts: followed.receipts.clone() };
        let left_out = shrink(&mut kept, MOST);
        let bytes = pack(&kept).map_err(|cause| FleetError::Unwritable { what: "a journal", cause })?;
        let mut chunks = 0;
        for piece in bytes.chunks(PIECE) {
            let put = Op::put(keys::run_journal(id, node, chunks), piece);
            self.store.commit(Txn::new().then(put)).await?;
            chunks += 1;
        }
        let receipt_key = match self.node(node).await {
            Ok(record) => record.receipt_key,
            Err(FleetError::NoSuchNode { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Archived { chunks, left_out, receipt_key })
    }

    /// The journal that was kept.
    ///
    /// # Errors
    /// Where it is not there, or not whole.
    pub(super) async fn kept_journal(
        &self,
        id: &RunId,
        entry: &NodeRun,
        archived: &Archived,
    ) -> Result<Kept, FleetError> {
        let mut bytes = Vec::new();
        for piece in 0..archived.chunks {
            let key = keys::run_journal(id, &entry.node, piece);
            let found = self.store.get(&key).await?;
            let found =
                found.ok_or_else(|| FleetError::Unreadable { what: key, cause: "it is gone".into() })?;
            bytes.extend(found.value);
        }
        let what = || format!("the journal of run {id} on {}", entry.node);
        unpack(&bytes).map_err(|cause| FleetError::Unreadable { what: what(), cause: cause.into() })
    }
}

fn pack(kept: &Kept) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&serde_json::to_vec(kept)?)?;
    packer.finish()
}

fn unpack(bytes: &[u8]) -> std::io::Result<Kept> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).take(2 * MOST as u64).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Leaves outputs out: those that are nested so deep that they could not be read again, then the largest until the rest
/// is small enough. Gives how many.
fn shrink(kept: &mut Kept, most: usize) -> u32 {
    let mut left_out = 0;
    for record in &mut kept.records {
        if let Event::Returned { out, .. } = &mut record.event
            && !nesting::is_kept(out)
        {
            *out = left_out_mark();
            left_out += 1;
        }
    }
    left_out + shorten(kept, most)
}

fn shorten(kept: &mut Kept, most: usize) -> u32 {
    let size = |record: &Record| serde_json::to_vec(record).map_or(0, |bytes| bytes.len());
    let mut total: usize = kept.records.iter().map(size).sum();
    let mut left_out = 0;
    while total > most {
        let returned = kept
            .records
            .iter_mut()
            .filter(|record| matches!(&record.event, Event::Returned { out, .. } if *out != left_out_mark()));
        let Some(largest) = returned.max_by_key(|record| size(record)) else { break };
        let before = size(largest);
        if let Event::Returned { out, .. } = &mut largest.event {
            *out = left_out_mark();
        }
        total = total - before + size(largest);
        left_out += 1;
    }
    left_out
}

/// Stands for an output that was too large to be kept.
pub fn left_out_mark() -> Value {
    json!({"left_out": "it was too large to be kept"})
}

#[cfg(test)]
mod tests {
    use plan::run::event::Work;
    use plan::step::StepId;

    use super::*;

    #[test]
    fn only_the_largest_outputs_are_left_out() {
        let sizes = [10, 5000, 20, 3000, 4000];
        let mut kept = Kept { records: sizes.iter().map(|size| returned(*size)).collect(), receipts: vec![] };
        assert_eq!(shrink(&mut kept, 5000), 2);
        let is_left: Vec<bool> = kept
            .records
            .iter()
            .map(|record| matches!(&record.event, Event::Returned { out, .. } if *out == left_out_mark()))
            .collect();
        assert_eq!(is_left, [false, true, false, false, true]);
        let packed = pack(&kept).expect("packs");
        assert_eq!(unpack(&packed).expect("unpacks"), kept);
        assert!(unpack(&packed[..packed.len() - 9]).is_err(), "a torn one is not taken for a whole one");
    }

    #[test]
    fn an_output_that_is_nested_too_deep_to_be_read_again_is_left_out() {
        let mut deep = returned(1);
        if let Event::Returned { out, .. } = &mut deep.event {
            *out = serde_json::from_str(&format!("{}{}", "[".repeat(120), "]".repeat(120))).expect("JSON");
        }
        let mut kept = Kept { records: vec![deep, returned(10)], receipts: vec![] };
        assert_eq!(shrink(&mut kept, MOST), 1);
        assert_eq!(unpack(&pack(&kept).expect("packs")).expect("unpacks"), kept);
    }

    fn returned(size: usize) -> Record {
        let step = StepId::parse("s").expect("a step");
        let out = json!({"text": "x".repeat(size)});
        Record { at_ms: 1, event: Event::Returned { step, attempt: 1, work: Work::Do, out } }
    }
}
