//! The decision cases of `tests/data/decisions`, one topic a file: read strictly, so that a slip of the pen fails
//! instead of testing nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::reference::{self, Place};

/// A request and what must come of it.
pub(crate) struct Case {
    /// The file and the case's name, for messages.
    pub(crate) title: String,
    pub(crate) request: Value,
    pub(crate) decision: String,
    /// The statements that decide; none where the case does not say.
    pub(crate) decided_by: Option<BTreeSet<Place>>,
    /// What each statement of the bucket policy misses, likewise.
    pub(crate) missed: Option<Vec<Option<String>>>,
}

/// The files with their names, in the order of these.
pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/decisions");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Every case of every file.
pub(crate) fn all() -> Vec<Case> {
    files().iter().flat_map(|(name, bytes)| read(name, bytes)).collect()
}

/// The fields of a `simulate` request, but for its `id`.
const REQUEST: [&str; 7] =
    ["bucket_policy", "identity_policies", "bucket_owner", "principal", "action", "resource", "context"];

/// What a case may say beside them.
const CASE: [&str; 6] = ["name", "page", "condition", "decision", "decided_by", "missed"];

const ELEMENTS: [&str; 7] =
    ["Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

fn read(file: &str, bytes: &[u8]) -> Vec<Case> {
    assert!(file.ends_with(".json"), "{file} is no JSON file");
    let whole: Value = serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    let whole = object(file, &whole);
    only(file, whole, &["page", "request", "cases"]);
    check_page(file, &whole["page"]);
    let defaults = object(file, &whole["request"]);
    only(file, defaults, &REQUEST);
    let cases = whole["cases"].as_array().unwrap_or_else(|| panic!("{file}: `cases` is a list"));
    let mut names = BTreeSet::new();
    cases
        .iter()
        .map(|case| {
            let name = case["name"].as_str().unwrap_or_else(|| panic!("{file}: no name: {case}"));
            assert!(names.insert(name), "{file}: two cases are named {name:?}");
            read_case(format!("{file}: {name}"), object(name, case), defaults)
        })
        .collect()
}

fn read_case(title: String, case: &Map<String, Value>, defaults: &Map<String, Value>) -> Case {
    only(&title, case, &[REQUEST.as_slice(), CASE.as_slice()].concat());
    if let Some(page) = case.get("page") {
        check_page(&title, page);
    }
    let mut request = Map::from_iter([
        ("bucket_policy".to_owned(), Value::Null),
        ("identity_policies".to_owned(), Value::Array(Vec::new())),
        ("context".to_owned(), Value::Object(Map::new())),
    ]);
    request.extend(defaults.clone());
    request.extend(case.clone().into_iter().filter(|(name, _)| REQUEST.contains(&name.as_str())));
    if let Some(condition) = case.get("condition") {
        let policy = if request["bucket_policy"].is_null() {
            &mut request["identity_policies"][0]
        } else {
            &mut request["bucket_policy"]
        };
        first_statement(&title, policy).insert("Condition".to_owned(), condition.clone());
    }
    check_request(&title, &request);

    let decision = case.get("decision").and_then(Value::as_str).unwrap_or_else(|| panic!("{title}: no decision"));
    assert!(["allow", "explicit_deny", "implicit_deny"].contains(&decision), "{title}: {decision}");
    let decided_by = case.get("decided_by").map(|places| {
        let places = places.as_array().unwrap_or_else(|| panic!("{title}: `decided_by` is a list"));
        places.iter().map(|at| place(&title, object(&title, at), &request)).collect()
    });
    let missed = case.get("missed").map(|missed| {
        let missed = missed.as_array().unwrap_or_else(|| panic!("{title}: `missed` is a list"));
        assert_eq!(missed.len(), statements(&request["bucket_policy"]), "{title}: `missed` says it of each statement");
        missed.iter().map(|element| check_element(&title, element)).collect()
    });
    Case { decision: decision.to_owned(), decided_by, missed, request: Value::Object(request), title }
}

fn place(title: &str, at: &Map<String, Value>, request: &Map<String, Value>) -> Place {
    only(title, at, &["policy", "statement"]);
    let policy = at["policy"].as_str().unwrap_or_else(|| panic!("{title}: `policy` is a name"));
    let statement = at["statement"].as_u64().unwrap_or_else(|| panic!("{title}: `statement` is a number"));
    let document = match policy.strip_prefix("identity:") {
        Some(index) => &request["identity_policies"][index.parse::<usize>().unwrap()],
        None => &request[&format!("{policy}_policy")],
    };
    let statement = usize::try_from(statement).unwrap();
    assert!(statement < statements(document), "{title}: {policy} has no statement {statement}");
    (policy.to_owned(), statement)
}

fn check_element(title: &str, element: &Value) -> Option<String> {
    let element = if element.is_null() { None } else { Some(element.as_str().unwrap()) };
    assert!(element.is_none_or(|name| ELEMENTS.contains(&name)), "{title}: no statement can miss {element:?}");
    element.map(str::to_owned)
}

fn check_request(title: &str, request: &Map<String, Value>) {
    for name in REQUEST {
        assert!(request.contains_key(name), "{title}: no `{name}`");
    }
    let principal = object(title, &request["principal"]);
    only(title, principal, &["type", "account", "arn", "user_id", "name", "tags"]);
    let kind = principal["type"].as_str().unwrap_or_default();
    assert!(["anonymous", "root", "user", "assumed-role"].contains(&kind), "{title}: who is {kind:?}?");
    let is_context = |values: &Value| values.as_array().is_some_and(|values| values.iter().all(Value::is_string));
    assert!(
        object(title, &request["context"]).values().all(is_context),
        "{title}: values of keys are lists of strings"
    );
    let keys: BTreeSet<String> = object(title, &request["context"]).keys().map(|key| key.to_lowercase()).collect();
    assert_eq!(keys.len(), object(title, &request["context"]).len(), "{title}: a key twice");
}

fn check_page(title: &str, page: &Value) {
    let is_amazons = page.as_str().is_some_and(|page| page.starts_with("https://docs.aws.amazon.com/"));
    assert!(is_amazons, "{title}: {page} is no page of Amazon's documentation");
}

fn only(title: &str, found: &Map<String, Value>, known: &[&str]) {
    if let Some(unknown) = found.keys().find(|name| !known.contains(&name.as_str())) {
        panic!("{title}: unknown field `{unknown}`");
    }
}

fn object<'v>(title: &str, value: &'v Value) -> &'v Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{title}: not an object: {value}"))
}

fn statements(policy: &Value) -> usize {
    match &policy["Statement"] {
        Value::Array(statements) => statements.len(),
        Value::Null => 0,
        _ => 1,
    }
}

fn first_statement<'v>(title: &str, policy: &'v mut Value) -> &'v mut Map<String, Value> {
    let statement = match &mut policy["Statement"] {
        Value::Array(statements) => statements.first_mut(),
        one => Some(one),
    };
    statement
        .and_then(Value::as_object_mut)
        .unwrap_or_else(|| panic!("{title}: no statement to put the condition into"))
}

/// Every operator of the language, without what may stand before and after it.
pub(crate) const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// For each operator, set qualifier and `IfExists`, how often it held and how often it did not in requests that got as
/// far as the condition.
pub(crate) fn tally<'r>(requests: impl IntoIterator<Item = &'r Value>) -> BTreeMap<String, (usize, usize)> {
    let mut tally: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (operator, holds) in requests.into_iter().flat_map(reference::operators_reached) {
        let (qualifier, rest) = operator.split_once(':').unwrap_or(("", &operator));
        let (base, if_exists) = rest.strip_suffix("IfExists").map_or((rest, ""), |base| (base, "IfExists"));
        for part in [qualifier, base, if_exists].into_iter().filter(|part| !part.is_empty()) {
            let (held, missed) = tally.entry(part.to_owned()).or_default();
            *(if holds { held } else { missed }) += 1;
        }
    }
    tally
}

/// Fails unless everything in `expected` both held and did not, at least `least` times each.
pub(crate) fn assert_held_and_missed(tally: &BTreeMap<String, (usize, usize)>, least: usize) {
    for part in OPERATORS.into_iter().chain(["ForAllValues", "ForAnyValue", "IfExists"]) {
        let (held, missed) = tally.get(part).copied().unwrap_or_default();
        assert!(held >= least && missed >= least, "{part} held {held} times, and did not {missed} times");
    }
}

/// What the requests have for an operator: a key that is missing, several values in the policy, several in the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shapes {
    pub(crate) missing: bool,
    pub(crate) several_wanted: bool,
    pub(crate) several_found: bool,
}

/// The shapes that an operator occurs in, whatever stands before and after its name.
pub(crate) fn shapes<'r>(operator: &str, requests: impl IntoIterator<Item = &'r Value>) -> Shapes {
    let mut shapes = Shapes::default();
    for request in requests {
        let policies = request["identity_policies"].as_array().into_iter().flatten().chain([&request["bucket_policy"]]);
        for statement in policies.flat_map(|policy| list(&policy["Statement"])) {
            let operators = statement["Condition"].as_object().into_iter().flatten();
            let named = operators.filter(|(name, _)| {
                let name = name.split_once(':').map_or(name.as_str(), |(_, name)| name);
                name.strip_suffix("IfExists").unwrap_or(name) == operator
            });
            for (key, wanted) in named.flat_map(|(_, keys)| keys.as_object().into_iter().flatten()) {
                let context = request["context"].as_object().into_iter().flatten();
                let found =
                    context.filter(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, values)| list(values).count());
                let found = found.sum::<usize>();
                shapes.missing |= found == 0 && !key.to_ascii_lowercase().starts_with("aws:principal");
                shapes.several_wanted |= list(wanted).count() > 1;
                shapes.several_found |= found > 1;
            }
        }
    }
    shapes
}

/// The items of a list, or the one value.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}
