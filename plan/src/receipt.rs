//! Receipts: what a node did, step by step, signed with its key and chained, so that none can be changed, left out or
//! put in later. `run show` verifies them.
//!
//! A receipt is signed over `orchestrator receipt v1`, a newline, and its canonical JSON (see [`crate::canonical`]). Its
//! `previous` is the sha256 of the bytes signed for the one before it with the signature appended; that of the first is
//! the sha256 of `orchestrator run v1`, run, node and plan hash, each followed by a newline. The last receipt says how the
//! run ended and how many there are.

use modules::digest::Digest;
use modules::effect::Effect;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::canonical::canonical_json;
use crate::run::event::{Ending, Work};
use crate::step::StepId;
use crate::tool::Tool;

mod facts;
#[cfg(test)]
mod tests;

pub use facts::Facts;

const DOMAIN: &str = "orchestrator receipt v1\n";

/// What happened, without the output itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    Step {
        step: StepId,
        attempt: u32,
        work: Work,
        tool: Tool,
        effect: Effect,
        /// Of the call with all its values.
        call: Digest,
        started_ms: u64,
        ended_ms: u64,
        outcome: Outcome,
        /// Of the output as it was kept.
        out: Option<Digest>,
        /// Who approved it, where somebody had to.
        approved_by: Option<String>,
    },
    /// The plan was replaced for what had not run.
    Replanned { hash: Digest },
    /// Always the last.
    Ended { ending: Ending },
}

/// How an attempt came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    CheckFailed,
    Failed,
    Unknown,
}

/// A fact at its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub number: u64,
    pub run: String,
    pub node: String,
    pub previous: Digest,
    pub fact: Fact,
    /// 128 hex digits.
    pub signature: String,
}

/// What the receipts of a run must belong to.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    pub run: &'s str,
    pub node: &'s str,
    pub plan: &'s Digest,
}

/// The chain so far: what the next receipt continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    run: String,
    node: String,
    next: u64,
    last: Digest,
}

/// Why receipts do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("receipt {number} is that of another run or node")]
    OtherRun { number: u64 },
    #[error("receipt {expected} is missing: {found} is in its place")]
    Missing { expected: u64, found: u64 },
    #[error("receipt {number} does not continue the one before it")]
    Unchained { number: u64 },
    #[error("receipt {number} was not signed by this node")]
    Signature { number: u64 },
    #[error("receipt {number} comes after the end of the run")]
    AfterTheEnd { number: u64 },
}

/// What good receipts prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub receipts: u64,
    /// The end of the run is among them: none is missing behind.
    pub is_complete: bool,
}

impl Chain {
    pub fn begin(subject: &Subject<'_>) -> Self {
        let Subject { run, node, plan } = subject;
        let last = Digest::of(format!("orchestrator run v1\n{run}\n{node}\n{plan}\n").as_bytes());
        Self { run: (*run).to_owned(), node: (*node).to_owned(), next: 0, last }
    }

    /// The next receipt, signed.
    pub fn sign(&mut self, fact: Fact, key: &Ed25519KeyPair) -> Receipt {
        let (run, node) = (self.run.clone(), self.node.clone());
        let mut receipt =
            Receipt { number: self.next, run, node, previous: self.last, fact, signature: String::new() };
        let bytes = receipt.signed_bytes();
        receipt.signature = hex(key.sign(&bytes).as_ref());
        self.next += 1;
        self.last = receipt.digest();
        receipt
    }

    /// Takes a receipt that was signed before, as after a restart.
    ///
    /// # Errors
    /// When it does not continue the chain or was not signed by this key.
    pub fn take(&mut self, receipt: &Receipt, public_key: &[u8]) -> Result<(), ReceiptError> {
        let number = receipt.number;
        if receipt.run != self.run || receipt.node != self.node {
            return Err(ReceiptError::OtherRun { number });
        }
        if number != self.next {
            return Err(ReceiptError::Missing { expected: self.next, found: number });
        }
        if receipt.previous != self.last {
            return Err(ReceiptError::Unchained { number });
        }
        let signature = unhex(&receipt.signature).ok_or(ReceiptError::Signature { number })?;
        let key = UnparsedPublicKey::new(&ED25519, public_key);
        key.verify(&receipt.signed_bytes(), &signature).map_err(|_| ReceiptError::Signature { number })?;
        self.next += 1;
        self.last = receipt.digest();
        Ok(())
    }
}

/// Verifies the receipts of a run from the first on.
///
/// # Errors
/// The first that does not hold.
pub fn verify(
    subject: &Subject<'_>,
    receipts: &[Receipt],
    public_key: &[u8],
) -> Result<Verified, ReceiptError> {
    let mut chain = Chain::begin(subject);
    let mut is_complete = false;
    for receipt in receipts {
        if is_complete {
            return Err(ReceiptError::AfterTheEnd { number: receipt.number });
        }
        chain.take(receipt, public_key)?;
        is_complete = matches!(receipt.fact, Fact::Ended { .. });
    }
    Ok(Verified { receipts: chain.next, is_complete })
}

impl Receipt {
    fn signed_bytes(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(self).expect("a receipt has only what JSON can hold");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        format!("{DOMAIN}{}", canonical_json(&value)).into_bytes()
    }

    fn digest(&self) -> Digest {
        let mut bytes = self.signed_bytes();
        bytes.extend(self.signature.as_bytes());
        Digest::of(&bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}
