use proptest::prelude::*;

use super::*;
use crate::run::event::Event;

#[test]
fn a_torn_tail_is_cut_off_and_a_damaged_middle_is_an_error() {
    let (bytes, ends) = journal(4);
    let whole = read(&bytes).expect("is whole");
    assert_eq!((whole.records.len(), whole.good_bytes), (4, bytes.len()));
    for length in 0..bytes.len() {
        let cut = read(&bytes[..length]).expect("a torn tail");
        let records = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(cut.records, whole.records[..records], "cut at {length}");
    }
    for at in MAGIC.len()..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x41;
        let record = ends.iter().filter(|end| **end <= at).count();
        match read(&broken) {
            Ok(read) => assert_eq!((record, read.records.len()), (3, 3), "byte {at}"),
            Err(error) => assert!(
                matches!(error, JournalError::Damaged { record: damaged, .. } if damaged == record as u64),
                "byte {at}: {error}"
            ),
        }
    }
    let with_zeros = [bytes.clone(), vec![0; 5000]].concat();
    assert_eq!(read(&with_zeros).expect("zeros are a torn tail").good_bytes, bytes.len());
    assert_eq!(read(b"#!/bin/sh\n"), Err(JournalError::NotAJournal));
    // A record at another place than its own is none.
    let doubled = [&bytes[..], &bytes[ends[2]..]].concat();
    assert_eq!(read(&doubled).expect("a tail that is none").records.len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(tail in prop::collection::vec(prop_oneof![any::<u8>(), Just(MARK), Just(b'{'), Just(0)], 0..300)) {
        let (good, _) = journal(2);
        let bytes = [good, tail].concat();
        if let Ok(journal) = read(&bytes) {
            prop_assert!(journal.good_bytes <= bytes.len() && journal.records.len() >= 2);
            prop_assert_eq!(read(&bytes[..journal.good_bytes]), Ok(journal));
        }
    }
}

/// A journal and where each of its records ends.
fn journal(records: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = MAGIC.to_vec();
    let mut ends = Vec::new();
    for number in 0..records {
        let event = Event::Cancelled { by: format!("ann, for the {number}. time: ä§ \u{a7}") };
        bytes.extend(encode(number, &Record { at_ms: number, event }).expect("short"));
        ends.push(bytes.len());
    }
    (bytes, ends)
}
