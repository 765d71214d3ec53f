//! Output that stays within its cap while it comes in: the beginning and the end are kept, the middle is counted.

use crate::redact::Redactor;

/// Collects output piece by piece; secrets are gone before anything is kept.
pub struct Capped {
    redactor: Redactor,
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    head_cap: usize,
    tail_cap: usize,
    dropped: u64,
}

/// What was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub text: String,
    pub is_truncated: bool,
}

impl Capped {
    /// Keeps at most `cap` bytes, two thirds of them from the beginning.
    pub fn new(cap: u32, redactor: Redactor) -> Self {
        let cap = cap as usize;
        let tail_cap = cap / 3;
        Self {
            redactor,
            head: Vec::new(),
            tail: std::collections::VecDeque::new(),
            head_cap: cap - tail_cap,
            tail_cap,
            dropped: 0,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let clean = self.redactor.push(bytes);
        self.keep(&clean);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.head_cap - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend(head);
        // What falls out of the tail's window need not go through it.
        let (skipped, rest) = rest.split_at(rest.len().saturating_sub(self.tail_cap));
        self.dropped += skipped.len() as u64;
        let falls = (self.tail.len() + rest.len()).saturating_sub(self.tail_cap);
        let falls = if skipped.is_empty() { falls } else { self.tail.len() };
        self.dropped += falls as u64;
        self.tail.drain(..falls.min(self.tail.len()));
        self.tail.extend(rest);
    }

    pub fn finish(mut self) -> Kept {
        let last = self.redactor.finish();
        self.keep(&last);
        let tail: Vec<u8> = self.tail.into_iter().collect();
        if self.dropped == 0 {
            let all = [self.head, tail].concat();
            return Kept { text: String::from_utf8_lossy(&all).into_owned(), is_truncated: false };
        }
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail));
        let text = format!("{head}\n[… {} bytes left out …]\n{tail}", self.dropped);
        Kept { text, is_truncated: true }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_megabytes_leave_the_beginning_and_the_end() {
        let mut capped = Capped::new(3000, Redactor::new(&[]));
        capped.push(b"begin");
        for _ in 0..10_000 {
            capped.push(&[b'q'; 1024]);
        }
        capped.push(b"the end");
        let kept = capped.finish();
        assert!(kept.is_truncated && kept.text.starts_with("beginq") && kept.text.ends_with("qthe end"));
        assert!(
            kept.text.len() < 3100 && kept.text.contains("[… 10237012 bytes left out …]"),
            "{}",
            kept.text.len()
        );
    }

    proptest! {
        #[test]
        fn how_it_is_cut_into_pieces_does_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1_usize..50, cap in 3_u32..200) {
            let whole = { let mut capped = Capped::new(cap, Redactor::new(&[])); capped.push(&bytes); capped.finish() };
            let mut capped = Capped::new(cap, Redactor::new(&[]));
            bytes.chunks(cut).for_each(|piece| capped.push(piece));
            prop_assert_eq!(capped.finish(), whole.clone());
            prop_assert_eq!(whole.is_truncated, bytes.len() > cap as usize);
        }
    }
}
