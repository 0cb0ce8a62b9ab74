//! Two lines as a pattern and a text: the pattern matches as its definition says, as a resource and under `StringLike`, and
//! a variable is as good as its value written out.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portcullis::policy::{
    AccessRequest, Account, AccountId, Action, CanonicalUserId, Context, Decision, Policies, Policy, Principal, decide,
    explain,
};

const VARIABLE: &str = "${aws:username}";

fuzz_target!(|input: &str| {
    let mut lines = input.split('\n');
    let (pattern, text) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let username = lines.next().unwrap_or_default();
    // The definition below takes time that grows with the product.
    if pattern.len() > 300 || text.len() > 300 || username.len() > 50 {
        return;
    }
    let caller = caller(username);
    let plain = by_definition(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
    assert_eq!(as_resource("2008-10-17", pattern, text, &caller), plain);
    assert_eq!(as_condition("2008-10-17", "StringLike", pattern, text, &caller), plain);
    assert_eq!(as_condition("2008-10-17", "StringNotLike", pattern, text, &caller), !plain);

    let expanded = as_resource("2012-10-17", pattern, text, &caller);
    assert_eq!(as_condition("2012-10-17", "StringLike", pattern, text, &caller), expanded);
    if !pattern.replace(VARIABLE, "").contains(['$', '{', '}']) {
        let written_out = pattern.replace(VARIABLE, &escaped(username));
        assert_eq!(as_resource("2012-10-17", &written_out, text, &caller), expanded);
    }
});

fn by_definition(pattern: &[char], text: &[char]) -> bool {
    // What the pattern so far matches: the lengths of the beginnings of the text.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for p in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match p {
                '*' => ends[..=at].contains(&true),
                '?' => at > 0 && ends[at - 1],
                p => at > 0 && ends[at - 1] && text[at - 1] == *p,
            };
        }
        ends = next;
    }
    ends[text.len()]
}

fn escaped(value: &str) -> String {
    let escape = |c| match c {
        '*' | '?' | '$' => format!("${{{c}}}"),
        c => c.to_string(),
    };
    value.chars().map(escape).collect()
}

fn caller(name: &str) -> Principal {
    let id = AccountId::parse("111122223333").unwrap();
    let canonical_id = CanonicalUserId::parse(&"ab".repeat(32)).unwrap();
    Principal::user(Account { id, canonical_id }, "/", name, "AIDA", Default::default())
}

fn as_resource(version: &str, pattern: &str, text: &str, caller: &Principal) -> bool {
    let resource = serde_json::to_string(&format!("arn:aws:s3:::{pattern}")).unwrap();
    let statement = format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":{resource}}}"#);
    allows(version, &statement, &format!("arn:aws:s3:::{text}"), "", caller)
}

fn as_condition(version: &str, operator: &str, pattern: &str, text: &str, caller: &Principal) -> bool {
    let pattern = serde_json::to_string(pattern).unwrap();
    let condition = format!(r#"{{"{operator}":{{"aws:UserAgent":{pattern}}}}}"#);
    let statement = format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{condition}}}"#);
    allows(version, &statement, "arn:aws:s3:::b/k", text, caller)
}

fn allows(version: &str, statement: &str, resource: &str, user_agent: &str, principal: &Principal) -> bool {
    let document = format!(r#"{{"Version":"{version}","Statement":{statement}}}"#);
    let policy = Policy::parse_identity(document.as_bytes()).expect("any text is a pattern").policy;
    let mut context = Context::new();
    context.set("aws:UserAgent", [user_agent]);
    let request = AccessRequest { principal, action: Action::GetObject, resource, context: &context };
    let owner = AccountId::parse("111122223333").unwrap();
    let policies = Policies { identity: &[Arc::new(policy)], bucket: None, owner: &owner };
    let decided = decide(&request, &policies);
    assert_eq!(explain(&request, &policies).decided, decided);
    decided.decision() == Decision::Allow
}
