use ring::signature::KeyPair;

use super::*;

const RUN: &str = "r1";

#[test]
fn a_chain_verifies_and_no_change_goes_unseen() {
    let (key, other) = (key(1), key(2));
    let public = key.public_key().as_ref();
    let receipts = chain(&key);
    let plan = Digest::of(b"plan");
    let subject = Subject { run: RUN, node: "pi", plan: &plan };
    assert_eq!(verify(&subject, &receipts, public), Ok(Verified { receipts: 4, is_complete: true }));
    assert_eq!(verify(&subject, &receipts[..3], public), Ok(Verified { receipts: 3, is_complete: false }));
    assert_eq!(verify(&subject, &[], public), Ok(Verified { receipts: 0, is_complete: false }));

    let changed = |change: &dyn Fn(&mut Vec<Receipt>)| {
        let mut receipts = receipts.clone();
        change(&mut receipts);
        verify(&subject, &receipts, public).map(|_| ()).expect_err("is refused")
    };
    let signature = |number| ReceiptError::Signature { number };
    let cases: [Case<'_>; 9] = [
        ("outcome", &|all| set_outcome(&mut all[1]), signature(1)),
        ("one left out", &|all| drop(all.remove(1)), ReceiptError::Missing { expected: 1, found: 2 }),
        (
            "renumbered",
            &|all| {
                all.remove(1);
                all[1].number = 1;
            },
            ReceiptError::Unchained { number: 1 },
        ),
        (
            "rechained",
            &|all| {
                all.remove(1);
                all[1].number = 1;
                all[1].previous = all[0].digest();
            },
            signature(1),
        ),
        ("swapped", &|all| all.swap(0, 1), ReceiptError::Missing { expected: 0, found: 1 }),
        (
            "doubled",
            &|all| {
                let last = all[3].clone();
                all.push(last)
            },
            ReceiptError::AfterTheEnd { number: 3 },
        ),
        ("other node", &|all| all[2].node = "pj".to_owned(), ReceiptError::OtherRun { number: 2 }),
        ("signature", &|all| all[2].signature.replace_range(0..2, "zz"), signature(2)),
        ("forged", &|all| *all = chain(&other), signature(0)),
    ];
    for (what, change, expected) in cases {
        assert_eq!(changed(change), expected, "{what}");
    }
    let other_plan = Digest::of(b"other");
    let other_subject = Subject { plan: &other_plan, ..subject };
    assert_eq!(verify(&other_subject, &receipts, public), Err(ReceiptError::Unchained { number: 0 }));
}

#[test]
fn a_chain_goes_on_after_a_restart() {
    let key = key(1);
    let receipts = chain(&key);
    let plan = Digest::of(b"plan");
    let mut chain = Chain::begin(&Subject { run: RUN, node: "pi", plan: &plan });
    for receipt in &receipts[..2] {
        chain.take(receipt, key.public_key().as_ref()).expect("is good");
    }
    assert_eq!(chain.sign(receipts[2].fact.clone(), &key), receipts[2]);
}

type Case<'c> = (&'c str, &'c dyn Fn(&mut Vec<Receipt>), ReceiptError);

fn set_outcome(receipt: &mut Receipt) {
    if let Fact::Step { outcome, .. } = &mut receipt.fact {
        *outcome = Outcome::Failed;
    }
}

fn chain(key: &Ed25519KeyPair) -> Vec<Receipt> {
    let plan = Digest::of(b"plan");
    let mut chain = Chain::begin(&Subject { run: RUN, node: "pi", plan: &plan });
    let step = |name: &str| Fact::Step {
        step: StepId::parse(name).expect("an id"),
        attempt: 1,
        work: Work::Do,
        tool: Tool::ExecArgv,
        effect: Effect::Idempotent,
        call: Digest::of(name.as_bytes()),
        started_ms: 1,
        ended_ms: 2,
        outcome: Outcome::Succeeded,
        out: Some(Digest::of(b"")),
        approved_by: None,
    };
    let facts = [step("a"), step("b"), Fact::Replanned { hash: plan }, Fact::Ended { ending: Ending::Done }];
    facts.map(|fact| chain.sign(fact, key)).to_vec()
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any seed is a key")
}
