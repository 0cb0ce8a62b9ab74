//! The policies of the lines, compiled once while the same texts come again and again.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis::policy::{InvalidPolicy, Policy};

use crate::cli::fields::{Fields, list, text};

/// How many policies of each kind are kept compiled, and how many bytes their texts have together at most. A policy that
/// is not kept is compiled again.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 1024 * 1024;

/// A compiled policy, or why the text is none.
type Compiled = Result<Arc<Policy>, Arc<str>>;

/// Compiles policies and keeps those last asked for.
#[derive(Debug)]
pub(super) struct Policies {
    bucket: Kept<Compiled>,
    identity: Kept<Compiled>,
}

impl Policies {
    pub(super) fn new() -> Self {
        Self { bucket: Kept::new(KEPT, KEPT_BYTES), identity: Kept::new(KEPT, KEPT_BYTES) }
    }

    /// The bucket policy of this text: of the bucket that it names first. One that names none is not valid for any
    /// bucket, and is held against that of the request to say what is wrong with it.
    pub(super) fn bucket(&mut self, text: &str, resource: &str) -> Compiled {
        self.bucket.get(text, || {
            let bucket = bucket_of_policy(text).or_else(|| bucket_of_arn(resource).map(str::to_owned));
            let checked = Policy::parse(text.as_bytes(), &bucket.unwrap_or_default());
            checked.map(|valid| Arc::new(valid.policy)).map_err(|invalid| told(&invalid))
        })
    }

    /// The identity policy of this text.
    pub(super) fn identity(&mut self, text: &str) -> Compiled {
        self.identity.get(text, || {
            let checked = Policy::parse_identity(text.as_bytes());
            checked.map(|valid| Arc::new(valid.policy)).map_err(|invalid| told(&invalid))
        })
    }
}

fn told(invalid: &InvalidPolicy) -> Arc<str> {
    match invalid.problems().len() {
        0 | 1 => invalid.to_string().into(),
        problems => format!("{invalid}; and {} more", problems - 1).into(),
    }
}

/// The bucket that the first `Resource` or `NotResource` of a policy names.
fn bucket_of_policy(policy: &str) -> Option<String> {
    let statement = Fields::parse(policy).ok()?.get("Statement")?;
    let statements = list(statement).unwrap_or_else(|_| vec![statement]);
    let resources = statements.into_iter().find_map(|statement| {
        let statement = Fields::parse(statement.get()).ok()?;
        statement.get("Resource").or_else(|| statement.get("NotResource"))
    })?;
    let first = match list(resources) {
        Ok(resources) => resources.into_iter().next()?,
        Err(_) => resources,
    };
    bucket_of_arn(&text(first).ok()?).map(str::to_owned)
}

fn bucket_of_arn(arn: &str) -> Option<&str> {
    let name = arn.strip_prefix("arn:aws:s3:::")?.split('/').next()?;
    (!name.is_empty() && !name.contains(['*', '?', '$'])).then_some(name)
}

/// What was made of texts, the least recently asked for forgotten first.
#[derive(Debug)]
struct Kept<T> {
    made: HashMap<Box<str>, (T, u64)>,
    max: usize,
    max_bytes: usize,
    bytes: usize,
    asked: u64,
}

impl<T: Clone> Kept<T> {
    fn new(max: usize, max_bytes: usize) -> Self {
        Self { made: HashMap::new(), max, max_bytes, bytes: 0, asked: 0 }
    }

    fn get(&mut self, text: &str, make: impl FnOnce() -> T) -> T {
        self.asked += 1;
        if let Some((made, last)) = self.made.get_mut(text) {
            *last = self.asked;
            return made.clone();
        }
        let made = make();
        if text.len() <= self.max_bytes {
            self.bytes += text.len();
            self.made.insert(text.into(), (made.clone(), self.asked));
            while self.made.len() > self.max || self.bytes > self.max_bytes {
                self.forget_one();
            }
        }
        made
    }

    fn forget_one(&mut self) {
        let oldest = self.made.iter().min_by_key(|(_, (_, last))| *last).map(|(text, _)| text.clone());
        if let Some((text, _)) = oldest.and_then(|text| self.made.remove_entry(&text)) {
            self.bytes -= text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_of_the_bucket_it_names_first() {
        for (policy, bucket) in [
            (r#"{"Statement":{"Resource":"arn:aws:s3:::b/*"}}"#, Some("b")),
            (r#"{"Statement":[{"Resource":["arn:aws:s3:::photos","arn:aws:s3:::b"]}]}"#, Some("photos")),
            (r#"{"Statement":[{"Effect":"Allow"},{"NotResource":"arn:aws:s3:::\u0062/x"}]}"#, Some("b")),
            (r#"{"Statement":[{"Resource":"arn:aws:s3:::b*"}]}"#, None),
            (r#"{"Statement":[{"Resource":"*"}]}"#, None),
            (r#"{"Statement":[{"Resource":[]}]}"#, None),
            (r#"{"Statement":[]}"#, None),
            (r#"{"Statement":[7]}"#, None),
            (r#"[]"#, None),
        ] {
            assert_eq!(bucket_of_policy(policy).as_deref(), bucket, "{policy}");
        }
    }

    #[test]
    fn policies_are_valid_for_their_own_bucket_and_problems_are_told() {
        let mut policies = Policies::new();
        let statement = |resource: &str| {
            format!(
                r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{resource}"}}"#
            )
        };
        let policy = |resource: &str| format!(r#"{{"Statement":{}}}"#, statement(resource));
        assert!(policies.bucket(&policy("b/*"), "arn:aws:s3:::other/k").is_ok());
        let both = format!(r#"{{"Statement":[{},{}]}}"#, statement("b/*"), statement("c/*"));
        let problem = policies.bucket(&both, "arn:aws:s3:::b/k").unwrap_err();
        assert!(problem.starts_with("Policy has invalid resource: Statement NO_ID-1, Resource"), "{problem}");
        for resource in ["arn:aws:s3:::*/k", "arn:aws:s3:::b/k", "*"] {
            assert!(policies.bucket(&policy("*/*"), resource).is_err(), "{resource}");
        }
        let problem = policies.identity(r#"{"Statement":{"Effect":"Yes","Action":"x"}}"#).unwrap_err();
        assert!(problem.starts_with("Invalid effect: Yes: ") && problem.ends_with("; and 2 more"), "{problem}");
    }

    #[test]
    fn what_was_asked_for_last_is_kept() {
        let mut kept = Kept::new(2, 10);
        let mut made = Vec::new();
        for text in ["a", "b", "a", "c", "a", "b", "12345678", "b", "long enough", "b"] {
            let answer = kept.get(text, || {
                made.push(text);
                text.to_owned()
            });
            assert_eq!(answer, text);
            assert!(kept.made.len() <= 2 && kept.bytes <= 10);
            assert_eq!(kept.bytes, kept.made.keys().map(|text| text.len()).sum::<usize>());
        }
        assert_eq!(made, ["a", "b", "c", "b", "12345678", "long enough"]);
    }
}
