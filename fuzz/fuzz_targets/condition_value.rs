//! A byte as an operator, and three lines as values under it: no value panics, and the operators stand to one another as
//! their definitions say.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portcullis::policy::{
    AccessRequest, AccountId, Action, Context, Decision, Policies, Policy, Principal, decide, explain,
};

const NEGATIONS: [(&str, &str); 7] = [
    ("StringEquals", "StringNotEquals"),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    ("StringLike", "StringNotLike"),
    ("NumericEquals", "NumericNotEquals"),
    ("DateEquals", "DateNotEquals"),
    ("IpAddress", "NotIpAddress"),
    ("ArnLike", "ArnNotLike"),
];

const POSITIVE: [&str; 18] = [
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "NumericEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "ArnLike",
    "ArnEquals",
];

fuzz_target!(|input: (u8, &str)| {
    let (pick, input) = (usize::from(input.0), input.1);
    let mut lines = input.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (found, one, other) = (line(), line(), line());
    let holds = |operator: &str, wanted: &[&str], found: &[&str]| Test { operator, wanted, found }.holds();

    let operator = POSITIVE[pick % POSITIVE.len()];
    // Addresses and base 64 are refused where they are none.
    if let Some(single) = holds(operator, &[one], &[found]) {
        let says = |operator: &str, found: &[&str]| holds(operator, &[one], found).expect("the same values");
        assert_eq!(says(&format!("{operator}IfExists"), &[found]), single, "{operator}");
        assert!(!says(operator, &[]) && says(&format!("{operator}IfExists"), &[]), "{operator}");
        let (all, any) = (format!("ForAllValues:{operator}"), format!("ForAnyValue:{operator}"));
        if found.is_empty() {
            assert!(says(&all, &[found]) && !says(&any, &[found]), "{operator}");
        } else {
            assert_eq!((says(&all, &[found]), says(&any, &[found])), (single, single), "{operator}");
        }
        assert!(says(&all, &[]) && !says(&any, &[]), "{operator}");
        if let (Some(second), Some(either)) =
            (holds(operator, &[other], &[found]), holds(operator, &[one, other], &[found]))
        {
            assert_eq!(either, single || second, "{operator}: one of several values is enough");
        }
        let of_two = says(operator, &[found, other]);
        assert_eq!(of_two, single || says(operator, &[other]), "{operator}: any of the request's values");
    }
    let (operator, negation) = NEGATIONS[pick % NEGATIONS.len()];
    if let Some(matches) = holds(operator, &[one, other], &[found]) {
        assert_eq!(holds(negation, &[one, other], &[found]), Some(!matches), "{negation}");
        assert_eq!(holds(negation, &[one, other], &[]), Some(true), "{negation}");
    }
    let family = ["Numeric", "Date"][pick % 2];
    let order = |order: &str| holds(&format!("{family}{order}"), &[one], &[found]).expect("any text is taken");
    let (less, equal, greater) = (order("LessThan"), order("Equals"), order("GreaterThan"));
    assert!([less, equal, greater].into_iter().filter(|holds| *holds).count() <= 1, "{family}");
    assert_eq!(order("LessThanEquals"), less || equal, "{family}");
    assert_eq!(order("GreaterThanEquals"), greater || equal, "{family}");
    let back = |order: &str| holds(&format!("{family}{order}"), &[found], &[one]).expect("any text is taken");
    assert_eq!((back("GreaterThan"), back("Equals")), (less, equal), "{family}: the other way round");
    if holds("StringEquals", &[one], &[found]) == Some(true) {
        assert_eq!(holds("StringEqualsIgnoreCase", &[one], &[found]), Some(true));
    }
    assert_eq!(holds("ArnLike", &[one], &[found]), holds("ArnEquals", &[one], &[found]));
});

struct Test<'t> {
    operator: &'t str,
    wanted: &'t [&'t str],
    found: &'t [&'t str],
}

impl Test<'_> {
    /// None where the policy is refused.
    fn holds(&self) -> Option<bool> {
        let wanted = serde_json::to_string(self.wanted).unwrap();
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
                "Resource":"arn:aws:s3:::b/*","Condition":{{"{}":{{"aws:UserAgent":{wanted}}}}}}}}}"#,
            self.operator
        );
        let policy = Policy::parse(document.as_bytes(), "b").ok()?.policy;
        let mut context = Context::new();
        context.set("aws:UserAgent", self.found.iter().copied());
        let request = AccessRequest {
            principal: &Principal::Anonymous,
            action: Action::GetObject,
            resource: "arn:aws:s3:::b/k",
            context: &context,
        };
        let owner = AccountId::parse("111122223333").unwrap();
        let identity: [Arc<Policy>; 0] = [];
        let policies = Policies { identity: &identity, bucket: Some(&policy), owner: &owner };
        let decided = decide(&request, &policies);
        assert_eq!(explain(&request, &policies).decided, decided);
        Some(decided.decision() == Decision::Allow)
    }
}
