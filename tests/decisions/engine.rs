//! The engine, asked in the words of these tests: JSON in, and its answer as the reference gives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::policy::{
    AccessRequest, Account, AccountId, Action, AttachedPolicy, CanonicalUserId, ConditionKey, Context, Decided,
    Decision, KeySet, Policies, Policy, PolicyDocument, Principal, decide, explain,
};
use serde_json::Value;

use super::reference::{Expected, Place, canonical_id};

/// Policies, parsed.
pub(crate) struct Engine {
    identity: Vec<Arc<Policy>>,
    bucket: Option<Policy>,
}

impl Engine {
    /// The policies of a request.
    pub(crate) fn of(request: &Value) -> Self {
        let bucket = Some(&request["bucket_policy"]).filter(|policy| !policy.is_null());
        let identity = request["identity_policies"].as_array().unwrap();
        Self::parse(bucket.map(Value::to_string).as_deref(), identity.iter().map(Value::to_string))
    }

    /// Policies from their texts, which are valid.
    pub(crate) fn parse(bucket: Option<&str>, identity: impl IntoIterator<Item = String>) -> Self {
        let valid = |text: &str, parsed: Result<_, _>| parsed.unwrap_or_else(|refused| panic!("{refused}: {text}"));
        let bucket = bucket.map(|text| valid(text, Policy::parse(text.as_bytes(), "b").map(|valid| valid.policy)));
        let identity = identity
            .into_iter()
            .map(|text| Arc::new(valid(&text, Policy::parse_identity(text.as_bytes()).map(|valid| valid.policy))));
        Self { identity: identity.collect(), bucket }
    }

    /// What is decided and by what; of `missed`, nothing.
    pub(crate) fn decide(&self, asking: &Value) -> Expected {
        self.ask(asking, |request, policies| answer(&decide(request, policies), BTreeMap::new()))
    }

    /// The same, and what each statement missed.
    pub(crate) fn explain(&self, asking: &Value) -> Expected {
        self.ask(asking, |request, policies| {
            let explanation = explain(request, policies);
            let statements = explanation.statements.iter().map(|statement| {
                (place(statement.policy, statement.statement), statement.missed.map(|missed| missed.element()))
            });
            answer(&explanation.decided, statements.collect())
        })
    }

    /// The keys that Amazon lists and these policies do not ask a request for.
    pub(crate) fn needless_keys(&self, asking: &Value) -> Vec<&'static str> {
        let needed: KeySet = self.ask(asking, |request, policies| policies.condition_keys(request.principal));
        ConditionKey::all().filter(|key| !needed.contains(*key)).map(ConditionKey::name).collect()
    }

    fn ask<T>(&self, asking: &Value, of: impl FnOnce(&AccessRequest<'_>, &Policies<'_>) -> T) -> T {
        let (principal, owner) = (principal(&asking["principal"]), account_id(&asking["bucket_owner"]));
        let mut context = Context::new();
        for (key, values) in asking["context"].as_object().unwrap() {
            context.set(key, values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()));
        }
        let action = asking["action"].as_str().unwrap();
        let request = AccessRequest {
            principal: &principal,
            action: Action::parse(action).unwrap_or_else(|| panic!("S3 has no action {action}")),
            resource: asking["resource"].as_str().unwrap(),
            context: &context,
        };
        of(&request, &Policies { identity: &self.identity, bucket: self.bucket.as_ref(), owner: &owner })
    }
}

/// The normalised form of a policy.
pub(crate) fn normalized(policy: &str) -> String {
    PolicyDocument::parse(policy.as_bytes()).unwrap().normalized()
}

/// Fails where an object of this JSON has two members of one name.
pub(crate) fn assert_no_name_twice(title: &str, json: &[u8]) {
    if let Err(refused) = PolicyDocument::parse(json) {
        panic!("{title}: {refused}");
    }
}

fn answer(decided: &Decided, missed: BTreeMap<Place, Option<&'static str>>) -> Expected {
    let decision = match decided.decision() {
        Decision::Allow => "allow",
        Decision::ExplicitDeny => "explicit_deny",
        Decision::ImplicitDeny => "implicit_deny",
    };
    let decided_by = decided.by().map(|decider| place(decider.policy, decider.statement)).collect();
    Expected { decision, decided_by, missed }
}

fn place(policy: AttachedPolicy, statement: usize) -> Place {
    let policy = match policy {
        AttachedPolicy::Bucket => "bucket".to_owned(),
        AttachedPolicy::Identity(index) => format!("identity:{index}"),
    };
    (policy, statement)
}

fn account_id(value: &Value) -> AccountId {
    AccountId::parse(value.as_str().unwrap()).unwrap()
}

fn principal(value: &Value) -> Principal {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let account = || {
        let id = account_id(&value["account"]);
        Account { canonical_id: CanonicalUserId::parse(&canonical_id(id.as_str())).unwrap(), id }
    };
    let tags = value["tags"].as_object().into_iter().flatten();
    let tags: BTreeMap<String, String> =
        tags.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    match text("type") {
        "anonymous" => Principal::Anonymous,
        "root" => Principal::root(account()),
        "user" => {
            let (_, path_and_name) = text("arn").split_once(":user").unwrap();
            let path = path_and_name.strip_suffix(text("name")).unwrap();
            Principal::user(account(), path, text("name"), text("user_id"), tags)
        }
        _ => {
            let (_, names) = text("arn").split_once(":assumed-role/").unwrap();
            let (role, session) = names.split_once('/').unwrap();
            let path = value["path"].as_str().unwrap_or("/");
            Principal::assumed_role(account(), path, role, session, text("user_id"), tags)
        }
    }
}
