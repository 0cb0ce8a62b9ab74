//! Do the policies decide as Amazon's documentation says? One binary.
//!
//! - `cases`: the files of `tests/data/decisions`, each case a claim of a page of that documentation.
//! - `reference`: a slow, obvious evaluator of the same language, which shares nothing with the engine.
//! - `random`: random policies and requests.
//! - `engine`: the engine, asked in the words of these tests; nothing else here knows its types.
//! - `properties`: what holds of any policy.
//!
//! Here: the reference agrees with the cases, the engine agrees with the cases, and on random policies they agree with
//! each other.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod cases;
mod engine;
mod properties;
mod random;
mod reference;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use self::cases::Case;
use self::engine::Engine;
use self::reference::{Expected, Place};

/// The first few things that went wrong, and how many did.
fn assert_none(wrong: &[String]) {
    let first: Vec<&str> = wrong.iter().take(20).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} wrong, first:\n{}", wrong.len(), first.join("\n"));
}

/// What is wrong with an answer, by a case.
fn complaint(case: &Case, answer: &Expected) -> Option<String> {
    let bucket = |(policy, _): &Place| policy == "bucket";
    let missed: Vec<Option<&str>> =
        answer.missed.iter().filter(|(place, _)| bucket(place)).map(|(_, element)| *element).collect();
    let expected = case.missed.as_ref().map(|missed| missed.iter().map(Option::as_deref).collect::<Vec<_>>());
    let is_right = case.decision == answer.decision
        && case.decided_by.as_ref().is_none_or(|places| *places == answer.decided_by)
        && expected.as_ref().is_none_or(|expected| *expected == missed);
    (!is_right).then(|| {
        format!(
            "{}: expected {} by {:?}, missed {expected:?}; found {} by {:?}, missed {missed:?}",
            case.title, case.decision, case.decided_by, answer.decision, answer.decided_by,
        )
    })
}

#[test]
fn the_reference_agrees_with_every_case() {
    let answered = |case: &Case| complaint(case, &reference::decide(&case.request));
    assert_none(&cases::all().iter().filter_map(answered).collect::<Vec<String>>());
}

#[test]
fn the_engine_agrees_with_every_case() {
    let answered = |case: &Case| {
        let engine = Engine::of(&case.request);
        let explained = engine.explain(&case.request);
        let decided = Expected { missed: explained.missed.clone(), ..engine.decide(&case.request) };
        complaint(case, &explained).or_else(|| complaint(case, &decided))
    };
    assert_none(&cases::all().iter().filter_map(answered).collect::<Vec<String>>());
}

#[test]
fn there_are_cases_for_everything() {
    let cases = cases::all();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let tally = cases::tally(cases.iter().map(|case| &case.request));
    cases::assert_held_and_missed(&tally, 1);
    for operator in cases::OPERATORS {
        let shapes = cases::shapes(operator, cases.iter().map(|case| &case.request));
        // `Null` asks nothing of several values in a request.
        let all = shapes.missing && shapes.several_wanted && (shapes.several_found || operator == "Null");
        assert!(all, "{operator}: {shapes:?}");
    }
    for decision in ["allow", "explicit_deny", "implicit_deny"] {
        assert!(cases.iter().any(|case| case.decision == decision), "no {decision}");
    }
}

/// A name given twice in a file would hide a case's first word on it.
#[test]
fn no_file_says_anything_twice() {
    for (name, bytes) in cases::files() {
        engine::assert_no_name_twice(&name, &bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_engine_agrees_with_the_reference(requests in random::requests()) {
        for request in requests {
            let (mut expected, mut found) = (reference::decide(&request), Engine::of(&request).explain(&request));
            // A root user's own policies are not asked, and it need not be said what they would have answered.
            if request["principal"]["type"] == "root" {
                for answer in [&mut expected, &mut found] {
                    answer.missed.retain(|(policy, _), _| policy == "bucket");
                }
            }
            prop_assert_eq!(found, expected, "{}", request);
        }
    }
}

/// Agreement says something only where there is something to agree on.
#[test]
fn random_requests_come_to_everything() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let requests: Vec<Value> =
        (0..2_000).flat_map(|_| random::requests().new_tree(&mut runner).unwrap().current()).collect();
    let (mut decisions, mut misses) = (BTreeMap::new(), BTreeMap::new());
    for answer in requests.iter().map(reference::decide) {
        *decisions.entry((answer.decision, answer.decided_by.len())).or_insert(0) += 1;
        for missed in answer.missed.into_values() {
            *misses.entry(missed).or_insert(0) += 1;
        }
    }
    for outcome in
        [("allow", 0), ("allow", 1), ("allow", 2), ("explicit_deny", 1), ("explicit_deny", 2), ("implicit_deny", 0)]
    {
        assert!(decisions.get(&outcome).is_some_and(|count| *count >= 30), "{outcome:?}: {decisions:?}");
    }
    let elements = ["Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    for missed in elements.map(Some).into_iter().chain([None]) {
        assert!(misses.get(&missed).is_some_and(|count| *count >= 30), "{missed:?}: {misses:?}");
    }
    cases::assert_held_and_missed(&cases::tally(&requests), 10);
}
