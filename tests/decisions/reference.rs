//! What should be decided? The rules of the language, each written down as it is said, one function a rule.
//!
//! Works on the JSON of a `policy simulate` request, shares nothing with the engine, and takes its time: whatever could
//! be clever is left out. Follows Amazon's "Policy evaluation logic" and "IAM JSON policy elements". It takes valid
//! policies and panics on others.

mod condition;
mod scalar;
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use self::condition::{Facts, holds};
use self::text::{Piece, expand, is_like, plain};

/// A statement: `bucket` or `identity:N`, and its number, both counted from 0.
pub(crate) type Place = (String, usize);

/// What is decided, by which statements, and what each of the statements missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// `allow`, `explicit_deny` or `implicit_deny`.
    pub(crate) decision: &'static str,
    pub(crate) decided_by: BTreeSet<Place>,
    /// The first element that did not match, in the order principal, action, resource, condition; none where all did.
    pub(crate) missed: BTreeMap<Place, Option<&'static str>>,
}

/// The algorithm:
/// 1. A matching Deny in any policy denies explicitly. Nothing attached to a root user counts against it, and nothing
///    attached to nobody counts for them.
/// 2. Same account: the identity side or the bucket policy must allow; a bucket policy that allows the account alone
///    leaves it to the identity side, but for the root user, who is the account.
/// 3. Another account: both must allow; for the bucket policy's part, allowing the account is enough.
/// 4. Nobody in particular: the bucket policy must allow.
/// 5. A root user's identity side allows everything.
pub(crate) fn decide(request: &Value) -> Expected {
    let (caller, statements) = (Caller::of(request), statements(request));
    let missed: BTreeMap<Place, Option<&'static str>> =
        statements.iter().map(|statement| (statement.place.clone(), statement.missed(request))).collect();
    let first = |test: &dyn Fn(&Statement<'_>) -> bool| {
        let found = statements.iter().find(|statement| missed[&statement.place].is_none() && test(statement));
        found.map(|statement| statement.place.clone())
    };

    let own_deny = first(&|s| !s.is_of_bucket() && s.is("Deny")).filter(|_| !caller.is_root());
    let bucket_deny = first(&|s| s.is_of_bucket() && s.is("Deny"));
    let denies: BTreeSet<Place> = own_deny.into_iter().chain(bucket_deny).collect();
    if !denies.is_empty() {
        return Expected { decision: "explicit_deny", decided_by: denies, missed };
    }

    let own_allow =
        first(&|s| !s.is_of_bucket() && s.is("Allow")).filter(|_| !caller.is_root() && caller.account.is_some());
    let identity_side = caller.is_root() || own_allow.is_some();
    let names_caller = first(&|s| s.is_of_bucket() && s.is("Allow") && s.names(Caller::is_named_by, &caller));
    let names_account = first(&|s| s.is_of_bucket() && s.is("Allow") && s.names(Caller::is_in_account, &caller));
    let (bucket_allow, allowed) = match &caller.account {
        None => (names_caller.clone(), names_caller.is_some()),
        Some(account) if *account == request["bucket_owner"] => {
            let counts = names_caller.or(names_account.filter(|_| caller.is_root()));
            (counts.clone(), identity_side || counts.is_some())
        }
        Some(_) => {
            let counts = names_caller.or(names_account);
            (counts.clone(), identity_side && counts.is_some())
        }
    };
    if allowed {
        let decided_by = own_allow.into_iter().chain(bucket_allow).collect();
        return Expected { decision: "allow", decided_by, missed };
    }
    Expected { decision: "implicit_deny", decided_by: BTreeSet::new(), missed }
}

/// Which operators of conditions decide something here, and whether each holds: those of the statements whose other
/// elements all match.
pub(crate) fn operators_reached(request: &Value) -> Vec<(String, bool)> {
    let reached = statements(request).into_iter().filter(|statement| {
        matches!(statement.missed(request), None | Some("Condition")) && statement.body["Condition"].is_object()
    });
    let each = reached.flat_map(|statement| {
        let facts = Facts::of(request, statement.has_variables);
        let operators = statement.body["Condition"].as_object().cloned().unwrap_or_default();
        operators.into_iter().map(move |(name, keys)| (name.clone(), holds(&one(&name, keys), &facts)))
    });
    each.collect()
}

fn one(name: &str, value: Value) -> Value {
    Value::Object([(name.to_owned(), value)].into_iter().collect())
}

/// A statement, where it stands, and whether its policy's version knows variables.
struct Statement<'r> {
    place: Place,
    has_variables: bool,
    body: &'r Value,
}

/// Every statement of the identity policies, in order, then those of the bucket policy.
fn statements(request: &Value) -> Vec<Statement<'_>> {
    let identity = request["identity_policies"].as_array().into_iter().flatten().enumerate();
    let policies = identity.map(|(index, policy)| (format!("identity:{index}"), policy));
    let policies = policies.chain([("bucket".to_owned(), &request["bucket_policy"])]);
    let each = policies.filter(|(_, policy)| !policy.is_null()).flat_map(|(name, policy)| {
        // Variables came with 2012-10-17; a policy without a version is of 2008-10-17.
        let has_variables = policy["Version"] == "2012-10-17";
        items(&policy["Statement"]).into_iter().enumerate().map(move |(index, body)| Statement {
            place: (name.clone(), index),
            has_variables,
            body,
        })
    });
    each.collect()
}

/// Whether an element matches.
type Test<'t> = &'t dyn Fn(&Value) -> bool;

impl Statement<'_> {
    fn is(&self, effect: &str) -> bool {
        self.body["Effect"] == effect
    }

    fn is_of_bucket(&self) -> bool {
        self.place.0 == "bucket"
    }

    /// A statement applies if its principal, action, resource and condition all match; an identity policy has no
    /// principal, and speaks of whom it is attached to.
    fn missed(&self, request: &Value) -> Option<&'static str> {
        let facts = Facts::of(request, self.has_variables);
        let caller = Caller::of(request);
        let action = request["action"].as_str().unwrap();
        let resource = request["resource"].as_str().unwrap();
        let tests: [(&str, Test<'_>); 7] = [
            ("Principal", &|named| caller.is_named_or_in_account(named)),
            ("NotPrincipal", &|named| !caller.is_spared_by(named)),
            ("Action", &|listed| is_action_among(listed, action)),
            ("NotAction", &|listed| !is_action_among(listed, action)),
            ("Resource", &|listed| is_resource_among(listed, resource, &facts)),
            ("NotResource", &|listed| !is_resource_among(listed, resource, &facts)),
            ("Condition", &|condition| holds(condition, &facts)),
        ];
        let missed = tests.into_iter().find(|(name, test)| self.body.get(name).is_some_and(|element| !test(element)));
        missed.map(|(name, _)| name)
    }

    /// Whether one of the statement's principals says so of the caller.
    fn names(&self, says: fn(&Caller, &(String, String)) -> bool, caller: &Caller) -> bool {
        entries(&self.body["Principal"]).iter().any(|entry| says(caller, entry))
    }
}

/// Who asks.
struct Caller {
    /// `anonymous`, `root`, `user` or `assumed-role`.
    kind: String,
    account: Option<String>,
    /// What a policy may call them: a user's ARN; a session's, and its role's.
    user: Option<String>,
    role: Option<String>,
    session: Option<String>,
}

impl Caller {
    fn of(request: &Value) -> Self {
        let principal = &request["principal"];
        let text = |name: &str| principal[name].as_str().map(str::to_owned);
        let kind = text("type").unwrap();
        let account = text("account").filter(|_| kind != "anonymous");
        let arn = |of: &str| text("arn").filter(|_| kind == of);
        Self { user: arn("user"), role: role_arn(principal), session: arn("assumed-role"), kind, account }
    }

    fn is_root(&self) -> bool {
        self.kind == "root"
    }

    /// A principal names an account by its id, by its root user's ARN, or by its canonical user id.
    fn is_in_account(&self, (kind, name): &(String, String)) -> bool {
        self.account.as_ref().is_some_and(|account| match kind.as_str() {
            "AWS" => name == account || *name == format!("arn:aws:iam::{account}:root"),
            "CanonicalUser" => name.eq_ignore_ascii_case(&canonical_id(account)),
            _ => false,
        })
    }

    /// A principal names the caller: everybody is; a user by their ARN; a session by its own ARN or by its role's.
    fn is_named_by(&self, (kind, name): &(String, String)) -> bool {
        let is = |arn: &Option<String>| arn.as_ref() == Some(name);
        kind == "AWS" && (name == "*" || is(&self.user) || is(&self.role) || is(&self.session))
    }

    fn is_named_or_in_account(&self, principal: &Value) -> bool {
        entries(principal).iter().any(|entry| self.is_named_by(entry) || self.is_in_account(entry))
    }

    /// `NotPrincipal` spares everybody where it lists `*`; a root user whose account it lists; a user, where it lists
    /// both the account and the user; a session, where it lists the account, the role and the session.
    fn is_spared_by(&self, not_principal: &Value) -> bool {
        let listed = entries(not_principal);
        let lists =
            |arn: &Option<String>| listed.iter().any(|(kind, name)| kind == "AWS" && arn.as_ref() == Some(name));
        let account = listed.iter().any(|entry| self.is_in_account(entry));
        listed.contains(&("AWS".to_owned(), "*".to_owned()))
            || match self.kind.as_str() {
                "anonymous" => false,
                "root" => account,
                "user" => account && lists(&self.user),
                _ => account && lists(&self.role) && lists(&self.session),
            }
    }
}

/// A role's ARN has its path, a session's has not: `path`, which no simulate request has, says it where it is not `/`.
fn role_arn(principal: &Value) -> Option<String> {
    let rest = principal["arn"].as_str()?.strip_prefix("arn:aws:sts::")?;
    let (account, rest) = rest.split_once(":assumed-role/")?;
    let (role, _) = rest.split_once('/')?;
    Some(format!("arn:aws:iam::{account}:role{}{role}", principal["path"].as_str().unwrap_or("/")))
}

/// The canonical user id of an account that has not been given one: 64 hexadecimal digits derived from its id.
pub(crate) fn canonical_id(account: &str) -> String {
    let digest = Sha256::digest(format!("portcullis:canonical:{account}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The principals of an element, each with its kind: `"*"` is `{"AWS": "*"}`.
fn entries(principal: &Value) -> Vec<(String, String)> {
    match principal {
        Value::String(everybody) => vec![("AWS".to_owned(), everybody.clone())],
        Value::Object(kinds) => {
            let each = |(kind, names): (&String, &Value)| -> Vec<(String, String)> {
                items(names).into_iter().map(|name| (kind.clone(), name.as_str().unwrap().to_owned())).collect()
            };
            kinds.iter().flat_map(each).collect()
        }
        _ => Vec::new(),
    }
}

/// Actions are compared without regard to case; `*` and `?` are wildcards.
fn is_action_among(listed: &Value, action: &str) -> bool {
    let lower = action.to_lowercase();
    items(listed).into_iter().any(|entry| is_like(&plain(&entry.as_str().unwrap().to_lowercase()), &lower))
}

/// A resource matches as a whole, with regard to case; `*` and `?` are wildcards, and a variable is its value. An entry
/// with a variable that has no value matches nothing.
fn is_resource_among(listed: &Value, resource: &str, facts: &Facts<'_>) -> bool {
    items(listed).into_iter().any(|entry| {
        let pattern = expand(&whole_arn(entry.as_str().unwrap()), facts);
        pattern.is_some_and(|pattern: Vec<Piece>| is_like(&pattern, resource))
    })
}

/// Parts that are missing at the end of an ARN are `*`; so `arn:aws:s3` is every resource of S3.
fn whole_arn(entry: &str) -> String {
    let parts = entry.split(':').count();
    if entry == "*" || parts >= 6 { entry.to_owned() } else { format!("{entry}{}", ":*".repeat(6 - parts)) }
}

/// Wherever a list is expected, a value alone is a list of one.
fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}
