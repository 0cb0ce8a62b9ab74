//! What holds of any policy and any request.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::engine::{self, Engine};
use super::random;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn explain_decides_as_decide_does(requests in random::requests()) {
        for request in requests {
            let engine = Engine::of(&request);
            let (decided, explained) = (engine.decide(&request), engine.explain(&request));
            prop_assert_eq!((decided.decision, &decided.decided_by), (explained.decision, &explained.decided_by));
            // What decided is a statement that missed nothing.
            for place in &explained.decided_by {
                prop_assert_eq!(explained.missed.get(place), Some(&None), "{:?} in {}", place, request);
            }
        }
    }

    #[test]
    fn an_added_deny_never_turns_a_denial_into_an_allow(
        request in random::request(),
        to_bucket in random::bucket_statement_that(true),
        to_identity in random::identity_statement_that(true),
        at in any::<Index>(),
    ) {
        let before = Engine::of(&request).decide(&request).decision;
        for more in with_one_more(&request, &to_bucket, &to_identity, at) {
            let after = Engine::of(&more).decide(&request).decision;
            prop_assert!(after == "explicit_deny" || after == before, "{} became {} by {}", before, after, more);
        }
    }

    #[test]
    fn an_added_allow_never_turns_an_allow_into_a_denial_nor_lifts_a_deny(
        request in random::request(),
        to_bucket in random::bucket_statement_that(false),
        to_identity in random::identity_statement_that(false),
        at in any::<Index>(),
    ) {
        let before = Engine::of(&request).decide(&request).decision;
        for more in with_one_more(&request, &to_bucket, &to_identity, at) {
            let after = Engine::of(&more).decide(&request).decision;
            let stays = before == after || (before, after) == ("implicit_deny", "allow");
            prop_assert!(stays, "{} became {} by {}", before, after, more);
        }
    }

    #[test]
    fn the_order_of_statements_of_list_items_and_of_members_never_counts(
        requests in random::requests(),
        keys in prop::collection::vec(any::<u32>(), 1..64),
    ) {
        for request in requests {
            let mut order = Order { keys: &keys, taken: 0 };
            let engine = rewritten(&request, |policy| order.arranged(policy));
            let (arranged, as_is) = (engine.decide(&request), Engine::of(&request).decide(&request));
            prop_assert_eq!(arranged.decision, as_is.decision, "{}", request);
        }
    }

    #[test]
    fn normalising_changes_no_decision(
        requests in random::requests(),
        keys in prop::collection::vec(any::<u32>(), 1..64),
    ) {
        for request in requests {
            let mut order = Order { keys: &keys, taken: 0 };
            let written: Vec<String> = policies(&request).into_iter().map(|policy| order.arranged(policy)).collect();
            let (mut as_written, mut normal) = (written.clone().into_iter(), written.into_iter());
            let as_written = rewritten(&request, |_| as_written.next().unwrap());
            let normal = rewritten(&request, |_| engine::normalized(&normal.next().unwrap()));
            prop_assert_eq!(normal.explain(&request), as_written.explain(&request), "{}", request);
        }
    }

    #[test]
    fn the_case_of_actions_and_of_keys_never_counts(
        requests in random::requests(),
        uppers in prop::collection::vec(any::<bool>(), 1..64),
    ) {
        for mut request in requests {
            let mut case = Case { uppers: &uppers, taken: 0 };
            let recased = rewritten(&request, |policy| case.of_policy(policy).to_string());
            let before = Engine::of(&request).explain(&request);
            prop_assert_eq!(recased.explain(&request), before.clone(), "{}", request);
            request["action"] = case.of_text(request["action"].as_str().unwrap()).into();
            request["context"] = case.of_keys(&request["context"]);
            prop_assert_eq!(recased.explain(&request), before, "{}", request);
        }
    }

    /// So a request need not be given them.
    #[test]
    fn keys_that_no_policy_asks_for_never_count(requests in random::requests()) {
        for request in requests {
            let engine = Engine::of(&request);
            let needless = engine.needless_keys(&request);
            let mut poorer = request.clone();
            poorer["context"].as_object_mut().unwrap().retain(|key, _| {
                let name = key.split('/').next().unwrap();
                !needless.iter().any(|needless| needless.eq_ignore_ascii_case(name))
            });
            prop_assert_eq!(engine.explain(&poorer), engine.explain(&request), "{}", request);
        }
    }

    /// Which of several statements decided may change with their order, and nothing else.
    #[test]
    fn the_order_of_identity_policies_never_counts(request in random::request()) {
        let mut reversed = request.clone();
        reversed["identity_policies"].as_array_mut().unwrap().reverse();
        let [before, after] = [&request, &reversed].map(|request| Engine::of(request).decide(request).decision);
        prop_assert_eq!(before, after);
    }
}

/// The request with another statement in its bucket policy, and with another in its first identity policy.
fn with_one_more(request: &Value, to_bucket: &Value, to_identity: &Value, at: Index) -> Vec<Value> {
    let with = |policy: &Value, statement: &Value| match policy {
        Value::Null => json!({"Version": "2012-10-17", "Statement": statement}),
        policy => random::with_statement(policy, statement, at),
    };
    let [mut bucket, mut identity] = [request.clone(), request.clone()];
    bucket["bucket_policy"] = with(&request["bucket_policy"], to_bucket);
    let policies = identity["identity_policies"].as_array_mut().unwrap();
    let first = with(policies.first().unwrap_or(&Value::Null), to_identity);
    policies.splice(..policies.len().min(1), [first]);
    vec![bucket, identity]
}

/// The bucket policy, where there is one, then the identity policies.
fn policies(request: &Value) -> Vec<&Value> {
    let bucket = Some(&request["bucket_policy"]).filter(|policy| !policy.is_null());
    bucket.into_iter().chain(request["identity_policies"].as_array().unwrap()).collect()
}

/// The request's policies, each written in another way.
fn rewritten(request: &Value, write: impl FnMut(&Value) -> String) -> Engine {
    let mut texts: Vec<String> = policies(request).into_iter().map(write).collect();
    let bucket = (!request["bucket_policy"].is_null()).then(|| texts.remove(0));
    Engine::parse(bucket.as_deref(), texts)
}

/// An arbitrary order: things are sorted by these numbers, which are taken one after the other.
struct Order<'k> {
    keys: &'k [u32],
    taken: usize,
}

impl Order<'_> {
    /// A value as JSON, every list and every object in another order.
    fn arranged(&mut self, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| self.arranged(item)).collect();
                format!("[{}]", self.shuffled(items).join(", "))
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| format!("{} : {}", json!(name), self.arranged(value));
                let members = members.iter().map(member).collect();
                format!("{{{}\n}}", self.shuffled(members).join(","))
            }
            scalar => scalar.to_string(),
        }
    }

    fn shuffled(&mut self, items: Vec<String>) -> Vec<String> {
        let mut keyed: Vec<(u32, String)> = items.into_iter().map(|item| (self.next(), item)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, item)| item).collect()
    }

    fn next(&mut self) -> u32 {
        self.taken += 1;
        self.keys[self.taken % self.keys.len()].wrapping_mul(u32::try_from(self.taken).unwrap() | 1)
    }
}

/// An arbitrary case for each letter.
struct Case<'u> {
    uppers: &'u [bool],
    taken: usize,
}

impl Case<'_> {
    fn of_text(&mut self, text: &str) -> String {
        let letter = |c: char| {
            self.taken += 1;
            let upper = self.uppers[self.taken % self.uppers.len()];
            if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
        };
        text.chars().map(letter).collect()
    }

    /// The name of a tag stays as it is.
    fn of_key(&mut self, key: &str) -> String {
        match key.split_once('/') {
            Some((name, tag)) => format!("{}/{tag}", self.of_text(name)),
            None => self.of_text(key),
        }
    }

    fn of_keys(&mut self, object: &Value) -> Value {
        let members = object.as_object().unwrap().iter().map(|(key, values)| (self.of_key(key), values.clone()));
        Value::Object(members.collect())
    }

    fn of_policy(&mut self, policy: &Value) -> Value {
        let mut policy = policy.clone();
        match &mut policy["Statement"] {
            Value::Array(statements) => statements.iter_mut().for_each(|statement| self.recase(statement)),
            one => self.recase(one),
        }
        policy
    }

    fn recase(&mut self, statement: &mut Value) {
        let statement = statement.as_object_mut().unwrap();
        for name in ["Action", "NotAction"] {
            if let Some(actions) = statement.get_mut(name) {
                *actions = match &*actions {
                    Value::Array(list) => list.iter().map(|entry| self.of_text(entry.as_str().unwrap())).collect(),
                    one => self.of_text(one.as_str().unwrap()).into(),
                };
            }
        }
        if let Some(Value::Object(operators)) = statement.get_mut("Condition") {
            *operators =
                operators.iter().map(|(operator, keys)| (operator.clone(), self.of_keys(keys))).collect::<Map<_, _>>();
        }
    }
}
