//! Who asks? The `principal` of a line.
//!
//! What makes the ARN must agree where it is said twice. What is left out is derived as the identity file derives it, and
//! what a kind of principal has not (a root user's name, anybody's who is anonymous) is passed over.

use std::collections::BTreeMap;
use std::fmt::Display;

use portcullis::identity::derived;
use portcullis::policy::{Account, AccountId, CanonicalUserId, Principal};

use crate::cli::fields::{Fields, scalar};
use crate::cli::terminal::Shown;

/// The members that a principal may have.
pub(super) const MEMBERS: [&str; 7] = ["type", "account", "arn", "user_id", "name", "canonical_id", "tags"];

/// Reads a principal.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(fields: &Fields<'_>) -> Result<Principal, String> {
    let kind = fields.text("type")?.ok_or("has no `type`: anonymous, root, user or assumed-role")?;
    match kind.as_ref() {
        // Nobody has neither an account nor a name, whatever is said of them.
        "anonymous" => Ok(Principal::Anonymous),
        "root" => Given::read(fields)?.root(),
        "user" => Given::read(fields)?.user(),
        "assumed-role" => Given::read(fields)?.assumed_role(),
        other => Err(format!("`type`: {} is none of anonymous, root, user and assumed-role", Shown(other))),
    }
}

/// What the members say. A text that is empty says nothing.
struct Given {
    account: Option<AccountId>,
    arn: Option<Arn>,
    user_id: Option<String>,
    name: Option<String>,
    canonical_id: Option<CanonicalUserId>,
    tags: BTreeMap<String, String>,
}

/// An ARN of somebody who can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arn {
    account: AccountId,
    of: Named,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Root,
    User { path: String, name: String },
    Role { path: String, name: String },
    Session { role: String, session: String },
}

impl Given {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        let text = |name| Ok::<_, String>(fields.text(name)?.filter(|text| !text.is_empty()));
        let account = text("account")?.map(|id| AccountId::parse(&id)).transpose();
        let arn = text("arn")?.map(|arn| Arn::parse(&arn).ok_or_else(|| not_an_arn(&arn))).transpose()?;
        let canonical_id = text("canonical_id")?.map(|id| {
            CanonicalUserId::parse(&id)
                .ok_or_else(|| format!("`canonical_id`: {} is not 64 hexadecimal digits", Shown(id)))
        });
        let mut tags = BTreeMap::new();
        if let Some(given) = fields.object("tags")? {
            for (name, value) in given.iter() {
                let value = scalar(value).map_err(|problem| format!("the tag `{}`: {problem}", Shown(name)))?;
                tags.insert(name.to_owned(), value.into_owned());
            }
        }
        Ok(Self {
            account: account.map_err(|error| format!("`account`: {}", Shown(error.to_string())))?,
            arn,
            user_id: text("user_id")?.map(String::from),
            name: text("name")?.map(String::from),
            canonical_id: canonical_id.transpose()?,
            tags,
        })
    }

    fn root(self) -> Result<Principal, String> {
        let account = self.account()?;
        match self.arn.map(|arn| arn.of) {
            // The account's own name, and an id that is always the account's, say nothing more.
            None | Some(Named::Root) => Ok(Principal::root(account)),
            Some(_) => Err("the `arn` of a root user ends in :root".to_owned()),
        }
    }

    fn user(self) -> Result<Principal, String> {
        let account = self.account()?;
        let (path, named) = match self.arn.map(|arn| arn.of) {
            None => ("/".to_owned(), None),
            Some(Named::User { path, name }) => (path, Some(name)),
            Some(_) => return Err("the `arn` is not that of a user".to_owned()),
        };
        let name = agree("name", self.name, "the `arn`'s", named)?.ok_or("has neither a `name` nor an `arn`")?;
        if name.contains('/') {
            return Err(format!("`name`: {} holds a slash: a path belongs into the `arn`", Shown(name)));
        }
        let user_id = self.user_id.unwrap_or_else(|| derived::user_id(&account.id, &path, &name));
        Ok(Principal::user(account, path, name, user_id, self.tags))
    }

    fn assumed_role(self) -> Result<Principal, String> {
        let account = self.account()?;
        let (path, role, session) = match self.arn.map(|arn| arn.of) {
            None => ("/".to_owned(), None, None),
            Some(Named::Session { role, session }) => ("/".to_owned(), Some(role), Some(session)),
            Some(Named::Role { path, name }) => (path, Some(name), None),
            Some(_) => return Err("the `arn` is neither that of a session nor that of a role".to_owned()),
        };
        let of_id = self.user_id.as_deref().and_then(|id| id.split_once(':')).map(|(_, session)| session.to_owned());
        let (role, session) = match self.name.as_deref().map(|name| name.split_once('/').ok_or(name)) {
            None => (role, session.or(of_id)),
            // The ARN says it all; a name beside it is whatever its author calls the caller.
            Some(_) if session.is_some() => (role, session),
            Some(Ok((of_name, session_of_name))) => (
                agree("name", Some(of_name.to_owned()), "the `arn`'s role", role)?,
                agree("name", Some(session_of_name.to_owned()), "the session of the `user_id`", of_id)?,
            ),
            Some(Err(name)) if role.is_none() => (Some(name.to_owned()), of_id),
            Some(Err(name)) => (role, of_id.or_else(|| Some(name.to_owned()))),
        };
        let role = role.filter(|role| !role.is_empty()).ok_or("has no role: `name` may be ROLE/SESSION")?;
        let session = session
            .filter(|session| !session.is_empty() && !session.contains('/'))
            .ok_or("has no session: `name` may be ROLE/SESSION")?;
        let user_id = match self.user_id {
            Some(id) if id.contains(':') => id,
            id => format!("{}:{session}", id.unwrap_or_else(|| derived::role_id(&account.id, &path, &role))),
        };
        Ok(Principal::assumed_role(account, path, role, session, user_id, self.tags))
    }

    fn account(&self) -> Result<Account, String> {
        let of_arn = self.arn.as_ref().map(|arn| arn.account.clone());
        let id = agree("account", self.account.clone(), "the `arn`'s", of_arn)?;
        let id = id.ok_or("has neither an `account` nor an `arn`")?;
        let canonical_id = self.canonical_id.clone().unwrap_or_else(|| derived::canonical_id(&id));
        Ok(Account { id, canonical_id })
    }
}

impl Arn {
    fn parse(text: &str) -> Option<Self> {
        let (service, rest) = text.strip_prefix("arn:aws:")?.split_once("::")?;
        let (account, resource) = rest.split_once(':')?;
        let account = AccountId::parse(account).ok()?;
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        let of = match (service, kind) {
            ("iam", "root") if resource == "root" => Named::Root,
            ("iam", "user") => path_and_name(name).map(|(path, name)| Named::User { path, name })?,
            ("iam", "role") => path_and_name(name).map(|(path, name)| Named::Role { path, name })?,
            ("sts", "assumed-role") => match name.split_once('/')? {
                (role, session) if !role.is_empty() && !session.is_empty() && !session.contains('/') => {
                    Named::Session { role: role.to_owned(), session: session.to_owned() }
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { account, of })
    }
}

/// Of `team/alice`: `/team/` and `alice`.
fn path_and_name(text: &str) -> Option<(String, String)> {
    let (path, name) = text.rsplit_once('/').map_or(("/".to_owned(), text), |(path, name)| (format!("/{path}/"), name));
    (!name.is_empty()).then(|| (path, name.to_owned()))
}

fn not_an_arn(text: &str) -> String {
    format!("`arn`: {} is the ARN of no root user, user, role or session", Shown(text))
}

/// What two places say, or the one of them that says something.
fn agree<T: PartialEq + Display>(
    member: &str,
    given: Option<T>,
    whose: &str,
    told: Option<T>,
) -> Result<Option<T>, String> {
    match (given, told) {
        (Some(given), Some(told)) if given != told => {
            Err(format!("`{member}` says {}, and {whose} is {}", Shown(given.to_string()), Shown(told.to_string())))
        }
        (Some(one), _) | (None, Some(one)) => Ok(Some(one)),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> Result<Principal, String> {
        read(&Fields::parse(json).unwrap())
    }

    /// `principal_arn`, `user_id` and `arn` of what is read.
    fn known(json: &str) -> [String; 3] {
        let principal = read_text(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let arn = |arn: Option<&str>| arn.unwrap_or_default().to_owned();
        [arn(principal.principal_arn()), principal.user_id().to_owned(), arn(principal.arn())]
    }

    const ID: &str = "111122223333";

    #[test]
    fn every_kind_is_read_in_every_form() {
        let account = AccountId::parse(ID).unwrap();
        let root = "arn:aws:iam::111122223333:root";
        let alice = "arn:aws:iam::111122223333:user/alice";
        let team_alice = "arn:aws:iam::111122223333:user/team/a/alice";
        let (ci, ci_build) = ("arn:aws:iam::111122223333:role/ci", "arn:aws:sts::111122223333:assumed-role/ci/build-7");
        let team_ci = "arn:aws:iam::111122223333:role/team/ci";
        let alice_id = derived::user_id(&account, "/", "alice");
        let team_id = derived::user_id(&account, "/team/a/", "alice");
        let ci_id = format!("{}:build-7", derived::role_id(&account, "/", "ci"));
        let team_ci_id = format!("{}:build-7", derived::role_id(&account, "/team/", "ci"));
        for (members, [principal_arn, user_id, arn]) in [
            (r#""type":"anonymous""#, ["", "anonymous", ""]),
            (r#""type":"anonymous","account":null,"arn":"","user_id":"anonymous","tags":{}"#, ["", "anonymous", ""]),
            (r#""type":"anonymous","account":"anonymous","name":"nobody","tags":{"a":"b"}"#, ["", "anonymous", ""]),
            (r#""type":"root","account":"111122223333""#, [root, ID, root]),
            (
                r#""type":"root","account":"111122223333","name":"acme","user_id":"AIDAX","tags":{"a":"b"}"#,
                [root, ID, root],
            ),
            (r#""type":"root","arn":"arn:aws:iam::111122223333:root","user_id":"111122223333""#, [root, ID, root]),
            (r#""type":"user","account":"111122223333","name":"alice""#, [alice, &alice_id, alice]),
            (
                r#""type":"user","arn":"arn:aws:iam::111122223333:user/alice","user_id":"AIDAX""#,
                [alice, "AIDAX", alice],
            ),
            (
                r#""type":"user","arn":"arn:aws:iam::111122223333:user/team/a/alice","name":"alice","tags":{"t":"x"}"#,
                [team_alice, &team_id, team_alice],
            ),
            (r#""type":"assumed-role","account":"111122223333","name":"ci/build-7""#, [ci, &ci_id, ci_build]),
            (
                r#""type":"assumed-role","account":"111122223333","name":"ci","user_id":"AROAX:build-7""#,
                [ci, "AROAX:build-7", ci_build],
            ),
            (
                r#""type":"assumed-role","arn":"arn:aws:sts::111122223333:assumed-role/ci/build-7","name":"build-7""#,
                [ci, &ci_id, ci_build],
            ),
            (
                r#""type":"assumed-role","arn":"arn:aws:sts::111122223333:assumed-role/ci/build-7","name":"ci","user_id":"AROAX""#,
                [ci, "AROAX:build-7", ci_build],
            ),
            (
                r#""type":"assumed-role","arn":"arn:aws:sts::111122223333:assumed-role/ci/build-7","name":"Build job","user_id":"AROAX:b""#,
                [ci, "AROAX:b", ci_build],
            ),
            (
                r#""type":"assumed-role","arn":"arn:aws:iam::111122223333:role/team/ci","name":"build-7""#,
                [team_ci, &team_ci_id, ci_build],
            ),
            (
                r#""type":"assumed-role","arn":"arn:aws:iam::111122223333:role/team/ci","user_id":"AROAX:build-7","name":"ci""#,
                [team_ci, "AROAX:build-7", ci_build],
            ),
        ] {
            let json = format!("{{{members}}}");
            assert_eq!(known(&json), [principal_arn, user_id, arn], "{json}");
        }
    }

    #[test]
    fn the_canonical_id_is_as_given_or_derived() {
        let canonical = |json: &str| read_text(json).unwrap().account().unwrap().canonical_id.as_str().to_owned();
        let derived = derived::canonical_id(&AccountId::parse(ID).unwrap());
        assert_eq!(canonical(r#"{"type":"root","account":"111122223333"}"#), derived.as_str());
        let given = "AB".repeat(32);
        let json = format!(r#"{{"type":"root","account":"111122223333","canonical_id":"{given}"}}"#);
        assert_eq!(canonical(&json), given.to_ascii_lowercase());
    }

    #[test]
    fn contradictions_and_gaps_are_told() {
        for (json, problem) in [
            (r#"{}"#, "has no `type`: anonymous, root, user or assumed-role"),
            (r#"{"type":"account"}"#, "`type`: account is none of anonymous, root, user and assumed-role"),
            (r#"{"type":7}"#, "`type`: a string is expected, not 7"),
            (r#"{"type":"root"}"#, "has neither an `account` nor an `arn`"),
            (r#"{"type":"root","account":"1"}"#, "`account`: `1` is not an account id: twelve digits are"),
            (
                r#"{"type":"root","arn":"arn:aws:iam::111122223333:user/root"}"#,
                "the `arn` of a root user ends in :root",
            ),
            (r#"{"type":"user","account":"111122223333"}"#, "has neither a `name` nor an `arn`"),
            (
                r#"{"type":"user","account":"444455556666","arn":"arn:aws:iam::111122223333:user/a"}"#,
                "`account` says 444455556666, and the `arn`'s is 111122223333",
            ),
            (
                r#"{"type":"user","name":"b","arn":"arn:aws:iam::111122223333:user/a"}"#,
                "`name` says b, and the `arn`'s is a",
            ),
            (
                r#"{"type":"user","account":"111122223333","name":"team/alice"}"#,
                "`name`: team/alice holds a slash: a path belongs into the `arn`",
            ),
            (r#"{"type":"user","arn":"arn:aws:iam::111122223333:role/a"}"#, "the `arn` is not that of a user"),
            (
                r#"{"type":"user","arn":"arn:aws:iam::111122223333:group/a"}"#,
                "`arn`: arn:aws:iam::111122223333:group/a is the ARN of no root user, user, role or session",
            ),
            (
                r#"{"type":"user","account":"111122223333","name":"a","tags":{"a":["b"]}}"#,
                "the tag `a`: a string, a number or a boolean is expected, not [\"b\"]",
            ),
            (r#"{"type":"assumed-role","account":"111122223333"}"#, "has no role: `name` may be ROLE/SESSION"),
            (
                r#"{"type":"assumed-role","account":"111122223333","name":"ci"}"#,
                "has no session: `name` may be ROLE/SESSION",
            ),
            (
                r#"{"type":"assumed-role","arn":"arn:aws:iam::111122223333:role/ci"}"#,
                "has no session: `name` may be ROLE/SESSION",
            ),
            (
                r#"{"type":"assumed-role","arn":"arn:aws:iam::111122223333:user/ci","name":"a"}"#,
                "the `arn` is neither that of a session nor that of a role",
            ),
            (
                r#"{"type":"root","account":"111122223333","canonical_id":"x"}"#,
                "`canonical_id`: x is not 64 hexadecimal digits",
            ),
        ] {
            assert_eq!(read_text(json).unwrap_err(), problem, "{json}");
        }
    }
}
