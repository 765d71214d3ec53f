//! What must hold for any bytes whatever: shared by the tests and by the fuzz targets in `fuzz/`.

use plan::journal;
use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::Look;
use plan::run::Run;
use plan::validate::{Surroundings, validate};

/// A plan is read, holds together, has bytes that read back and can be begun and shown; or every error has a place.
pub fn plan_yaml(bytes: &[u8]) {
    let policy = Policy::closed();
    let judge = |call: &plan::step::Call| policy.judge(call, &Look::written());
    let _ = Plan::parse("plan.yaml", bytes, &Surroundings { judge: Some(&judge), ..Surroundings::default() });
    match Plan::parse("plan.yaml", bytes, &Surroundings::default()) {
        Ok(plan) => {
            assert_eq!(validate(&plan, &Surroundings::default()), Ok(()));
            let (canonical, hash) = (plan.canonical(), plan.hash());
            let again = Plan::from_canonical(canonical.as_bytes(), &hash).expect("canonical bytes read back");
            assert_eq!(again.hash(), hash);
            assert!(!plan::show::show(&plan, None).is_empty());
            assert_eq!(plan::compare::widenings(&plan, &again), Vec::<String>::new());
            let begun = plan::run::event::Record { at_ms: 0, event: Run::begin("r", "pi", &plan) };
            Run::replay(&[begun]).expect("a good plan can be begun");
        }
        Err(errors) => errors_have_places(&errors),
    }
}

/// A policy is read, or every error has a place.
pub fn policy_yaml(bytes: &[u8]) {
    match Policy::parse("policy.yaml", bytes) {
        Ok(policy) => {
            let json = serde_json::to_vec(&policy).expect("JSON");
            assert_eq!(serde_json::from_slice::<Policy>(&json).expect("reads back"), policy);
        }
        Err(errors) => errors_have_places(&errors),
    }
}

/// A journal is read as far as it is whole, and what was read stays the same when the rest is cut off.
pub fn journal(bytes: &[u8]) {
    let with_magic = [journal::MAGIC, bytes].concat();
    for bytes in [bytes, &with_magic] {
        let Ok(read) = journal::read(bytes) else { continue };
        assert!(read.good_bytes <= bytes.len());
        assert_eq!(journal::read(&bytes[..read.good_bytes]), Ok(read.clone()));
        let _ = Run::replay(&read.records);
    }
}

fn errors_have_places(errors: &modules::spec::error::SpecErrors) {
    assert!(!errors.errors.is_empty());
    for error in &errors.errors {
        assert!(error.place.line >= 1 && error.place.column >= 1, "{error}");
        assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
    }
    assert!(errors.to_string().len() < 300_000, "an error must not be longer than a person can read");
}
