//! What is asked of the engines: policies, a request, and the right answer.

use crate::document::{Attached, CALLER, Document};

/// Policies and one question to them.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// With the size, as in `10_statements/hit`.
    pub name: String,
    /// All attached to the bucket, or all to the caller.
    pub policies: Vec<Document>,
    pub request: Request,
    pub answer: Answer,
}

/// What is asked: may this user do [`ACTION`](crate::document::ACTION) to this key?
#[derive(Clone, Debug)]
pub struct Request {
    pub user: String,
    pub key: String,
    /// None where no policy of the scenario has a condition.
    pub circumstances: Option<Circumstances>,
}

/// What the conditions look at.
#[derive(Clone, Debug)]
pub struct Circumstances {
    pub source_ip: String,
    pub secure_transport: bool,
    pub referer: String,
}

/// What an engine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
    /// A denial of an engine that does not say which.
    Deny,
}

impl Answer {
    /// Whether an engine that says this is right where the right answer is `expected`.
    pub fn agrees_with(self, expected: Self) -> bool {
        match self {
            Self::Deny => expected != Self::Allow,
            Self::Allow | Self::ExplicitDeny | Self::ImplicitDeny => self == expected,
        }
    }
}

/// Everything that is decided, in the order of the table.
///
/// A hit is allowed by the last statement alone, which is the worst for an engine that takes one after the other. A miss
/// asks about what resembles the statements' own and is matched by none.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    identities(&mut all);
    small_buckets(&mut all);
    large_buckets(&mut all);
    all
}

/// Everything that is read and compiled, each with the name of its size.
pub fn documents() -> Vec<(&'static str, Document)> {
    vec![
        ("1_statement", Document::prefixes(Attached::Bucket, 1)),
        ("10_statements", Document::prefixes(Attached::Bucket, 10)),
        ("100_statements", Document::prefixes(Attached::Bucket, 100)),
        ("10_statements_with_conditions", Document::conditions()),
        ("20_kib_prefixes", Document::largest_of_prefixes()),
        ("20_kib_values", Document::largest_of_values()),
        ("20_kib_principals", Document::largest_of_principals()),
    ]
}

/// Identity policies, for no bucket policy may have a thousand statements.
fn identities(all: &mut Vec<Scenario>) {
    for (name, count) in
        [("1_statement", 1), ("10_statements", 10), ("100_statements", 100), ("1000_statements", 1_000)]
    {
        let policy = Document::prefixes(Attached::Identity, count);
        all.extend(hit_and_miss(name, &[policy], team(count - 1), team(9_999)));
    }
    let thousand = Document::prefixes(Attached::Identity, 1_000);
    let ten: Vec<_> = thousand.statements.chunks(100).map(|part| thousand.with(part.to_vec())).collect();
    all.extend(hit_and_miss("1000_statements_in_10_policies", &ten, team(999), team(9_999)));
}

fn small_buckets(all: &mut Vec<Scenario>) {
    let policy = Document::prefixes(Attached::Bucket, 10);
    all.extend(hit_and_miss("bucket_10_statements", &[policy], team(9), team(9_999)));

    let report = |source_ip| by_caller("reports/2026/january.csv").in_circumstances(source_ip, "tool-9");
    let (hit, miss) = (report("10.0.9.7".to_owned()), report("203.0.113.7".to_owned()));
    all.extend(hit_and_miss("bucket_10_statements_with_conditions", &[Document::conditions()], hit, miss));

    let (hit, miss) = (by_caller("home/alice/project-9/notes.txt"), by_caller("home/bob/project-9/notes.txt"));
    all.extend(hit_and_miss("bucket_10_statements_with_variables", &[Document::variables()], hit, miss));

    all.push(Scenario {
        name: "bucket_10_statements_and_a_deny/denied".to_owned(),
        policies: vec![Document::explicit_deny()],
        request: by_caller("team-0009/secret/plan.txt"),
        answer: Answer::ExplicitDeny,
    });
}

fn large_buckets(all: &mut Vec<Scenario>) {
    let policy = Document::largest_of_prefixes();
    let last = policy.statements.len() - 1;
    all.extend(hit_and_miss("bucket_20_kib_prefixes", &[policy], team(last), team(9_999)));

    let policy = Document::largest_of_one_prefix();
    let part = |index: usize| by_caller(&format!("shared/2026/january/part-{index:04}.csv"));
    let last = policy.statements.len() - 1;
    all.extend(hit_and_miss("bucket_20_kib_one_prefix", &[policy], part(last), part(9_999)));

    let policy = Document::largest_of_networks();
    let from = |address: String| by_caller("shared/2026/january.csv").in_circumstances(address, "site-0000");
    let last = policy.statements.len() - 1;
    let (hit, miss) = (from(format!("10.0.{last}.7")), from("203.0.113.7".to_owned()));
    all.extend(hit_and_miss("bucket_20_kib_networks", &[policy], hit, miss));

    let policy = Document::largest_of_values();
    let site = |name: &str| by_caller("shared/2026/january.csv").in_circumstances("10.0.0.7".to_owned(), name);
    let (hit, miss) = (site(&format!("site-{:04}", policy.longest_list() - 1)), site("site-9999"));
    all.extend(hit_and_miss("bucket_20_kib_values", &[policy], hit, miss));

    let policy = Document::largest_of_principals();
    let user = |index| Request { user: format!("user-{index:04}"), ..by_caller("shared/2026/january.csv") };
    let (hit, miss) = (user(policy.longest_list() - 1), user(9_999));
    all.extend(hit_and_miss("bucket_20_kib_principals", &[policy], hit, miss));
}

fn hit_and_miss(name: &str, policies: &[Document], hit: Request, miss: Request) -> [Scenario; 2] {
    let scenario = |which, request, answer| Scenario {
        name: format!("{name}/{which}"),
        policies: policies.to_vec(),
        request,
        answer,
    };
    [scenario("hit", hit, Answer::Allow), scenario("miss", miss, Answer::ImplicitDeny)]
}

fn team(index: usize) -> Request {
    by_caller(&format!("team-{index:04}/2026/report.csv"))
}

fn by_caller(key: &str) -> Request {
    Request { user: CALLER.to_owned(), key: key.to_owned(), circumstances: None }
}

impl Request {
    fn in_circumstances(self, source_ip: String, site: &str) -> Self {
        let referer = format!("https://{site}.example.com/search?q=a");
        Self { circumstances: Some(Circumstances { source_ip, secure_transport: true, referer }), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::engine::{Cedar, Engine, IamRs, Portcullis, RustFs};

    #[test]
    fn names_are_unique_also_as_directories() {
        let names: Vec<_> = scenarios().into_iter().map(|scenario| scenario.name.replace('/', "_")).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn every_engine_is_right_about_all_but_what_it_cannot_express() {
        let mut left_out = Vec::new();
        for scenario in scenarios() {
            ask::<Portcullis>(&scenario, &mut left_out);
            ask::<IamRs>(&scenario, &mut left_out);
            ask::<RustFs>(&scenario, &mut left_out);
            ask::<Cedar>(&scenario, &mut left_out);
        }
        let variables = |which| format!("bucket_10_statements_with_variables/{which}");
        let expected: Vec<_> = ["hit", "miss"]
            .into_iter()
            .flat_map(|which| ["rustfs-policy", "cedar-policy"].map(|name| (name, variables(which))))
            .collect();
        assert_eq!(left_out, expected);
    }

    fn ask<E: Engine>(scenario: &Scenario, left_out: &mut Vec<(&'static str, String)>) {
        let Ok(engine) = E::prepare(scenario) else { return left_out.push((E::NAME, scenario.name.clone())) };
        let answer = engine.decide();
        assert!(answer.agrees_with(scenario.answer), "{}, {}: {answer:?}", E::NAME, scenario.name);
    }
}
