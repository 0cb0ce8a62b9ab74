//! The TOML format of identities: accounts with their users, groups and roles, and the policies these name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::declared::{self, Builder, Declared, DeclaredKey};
use super::derived;
use crate::auth::identity::{Identity, SecretKey};
use crate::policy::{Account, AccountId, CanonicalUserId, InvalidPolicy, Policy, Principal, Problem};
use crate::toml_reader::{Secret, Table, Value};

/// Reads the whole document.
pub(super) fn read(mut root: Table<'_, '_>) -> Declared {
    let policies = Policies::read(root.tables("policy"));
    let mut file = File { policies, builder: Builder::default() };
    for table in root.tables("account") {
        file.account(table);
    }
    let reader = root.reader();
    root.finish();
    let declared = file.builder.build();
    if reader.is_clean() && declared.key_count() == 0 {
        reader.warning(0, "no access key is declared, so every signed request is refused".to_owned());
    }
    declared
}

/// The policies that are declared by name; none for one that is invalid, which has been told already.
struct Policies(HashMap<String, Option<Arc<Policy>>>);

impl Policies {
    fn read(tables: Vec<Table<'_, '_>>) -> Self {
        let mut policies = HashMap::new();
        for mut table in tables {
            let name = table.require("name").and_then(|value| {
                let name = value.parse(declared::iam_name)?;
                if policies.contains_key(&name) {
                    value.problem(&format!("the policy `{name}` is declared twice"));
                    return None;
                }
                Some(name)
            });
            let policy = match (table.take("document"), table.take("file")) {
                (Some(document), None) => document.text().and_then(|text| parse_policy(&document, text.as_bytes())),
                (None, Some(file)) => {
                    let reader = table.reader();
                    file.parse(|path| reader.read_input(path)).and_then(|bytes| parse_policy(&file, &bytes))
                }
                (Some(_), Some(file)) => {
                    file.problem("give either `document` or `file`");
                    None
                }
                (None, None) => {
                    table.problem("document", "is required, or `file`");
                    None
                }
            };
            table.finish();
            if let Some(name) = name {
                policies.insert(name, policy);
            }
        }
        Self(policies)
    }

    /// The policies that the list under `policies` names, or holds as JSON.
    fn attached(&self, table: &mut Table<'_, '_>) -> Vec<Arc<Policy>> {
        let entries = table.take("policies").map(Value::list).unwrap_or_default();
        entries.iter().filter_map(|entry| self.policy(entry, &entry.text()?)).collect()
    }

    fn policy(&self, entry: &Value<'_, '_>, text: &str) -> Option<Arc<Policy>> {
        if text.trim_start().starts_with('{') {
            return parse_policy(entry, text.as_bytes());
        }
        let known = self.0.get(text);
        if known.is_none() {
            entry.problem(&format!("no policy `{text}` is declared"));
        }
        known?.clone()
    }
}

/// The policy in `document`; its problems and warnings are told at the place of `value`.
fn parse_policy(value: &Value<'_, '_>, document: &[u8]) -> Option<Arc<Policy>> {
    let describe = |problem: &Problem| match &problem.detail {
        Some(detail) => format!("{} ({detail})", problem.message),
        None => problem.message.clone(),
    };
    let refuse = |invalid: InvalidPolicy| {
        for problem in invalid.problems() {
            value.problem(&describe(problem));
        }
    };
    let validated = Policy::parse_identity(document).map_err(refuse).ok()?;
    for warning in &validated.warnings {
        value.warning(&describe(warning));
    }
    Some(Arc::new(validated.policy))
}

struct File {
    policies: Policies,
    builder: Builder,
}

/// An access key and where it stands.
type PlacedKey = (usize, DeclaredKey);

impl File {
    fn account(&mut self, mut table: Table<'_, '_>) {
        let id_value = table.require("id");
        let id = id_value
            .as_ref()
            .and_then(|value| value.parse(|text| AccountId::parse(text).map_err(|error| error.to_string())));
        // The name is for the file's readers.
        let _ = table.text("name");
        let canonical_id = table.take("canonical_id").and_then(|value| value.parse(canonical_id));
        let account = id_value.zip(id).and_then(|(value, id)| {
            let declare = self.builder.account(id, canonical_id.as_ref().map(CanonicalUserId::as_str));
            declare.map_err(|message| value.problem(&message)).ok()
        });
        let root_keys = keys(table.tables("root_keys"));
        let groups = self.groups(table.tables("group"));
        let (users, roles) = (table.tables("user"), table.tables("role"));
        if let Some(account) = &account {
            let root = Identity { principal: Principal::root(account.clone()), policies: Vec::new() };
            self.keys(&table, root_keys, root);
        }
        self.users(account.as_ref(), &groups, users);
        self.roles(account.as_ref(), roles);
        table.finish();
    }

    fn groups(&self, tables: Vec<Table<'_, '_>>) -> HashMap<String, Vec<Arc<Policy>>> {
        let mut groups = HashMap::new();
        let mut seen = HashSet::new();
        for mut table in tables {
            let name = table.require("name").and_then(|value| name_once(&value, &mut seen));
            let policies = self.policies.attached(&mut table);
            table.finish();
            if let Some(name) = name {
                groups.insert(name, policies);
            }
        }
        groups
    }

    fn users(
        &mut self,
        account: Option<&Account>,
        groups: &HashMap<String, Vec<Arc<Policy>>>,
        tables: Vec<Table<'_, '_>>,
    ) {
        let mut seen = HashSet::new();
        for mut table in tables {
            let name = table.require("name").and_then(|value| name_once(&value, &mut seen));
            let path = path(&mut table);
            let tags = tags(&mut table);
            let mut policies = self.policies.attached(&mut table);
            for entry in table.take("groups").map(Value::list).unwrap_or_default() {
                let of_group = |text: &str| {
                    groups.get(text).cloned().ok_or_else(|| format!("the account declares no group `{text}`"))
                };
                policies.extend(entry.parse(of_group).into_iter().flatten());
            }
            let keys = keys(table.tables("keys"));
            if let (Some(account), Some(name)) = (account, name) {
                let user_id = derived::user_id(&account.id, &path, &name);
                let principal = Principal::user(account.clone(), path, name, user_id, tags);
                self.keys(&table, keys, Identity { principal, policies });
            }
            table.finish();
        }
    }

    fn roles(&mut self, account: Option<&Account>, tables: Vec<Table<'_, '_>>) {
        let mut seen = HashSet::new();
        for mut table in tables {
            let role = table.require("name").and_then(|value| name_once(&value, &mut seen));
            let path = path(&mut table);
            let tags = tags(&mut table);
            let policies = self.policies.attached(&mut table);
            for mut table in table.tables("sessions") {
                let session = table.require("name").and_then(|value| value.parse(declared::iam_name));
                let key = session_key(&mut table);
                if let (Some(account), Some(role), Some(session), Some(key)) = (account, &role, session, key) {
                    let role_id = derived::role_id(&account.id, &path, role);
                    let principal = Principal::assumed_role(
                        account.clone(),
                        path.as_str(),
                        role.as_str(),
                        session.as_str(),
                        format!("{role_id}:{session}"),
                        tags.clone(),
                    );
                    self.keys(&table, vec![key], Identity { principal, policies: policies.clone() });
                }
                table.finish();
            }
            table.finish();
        }
    }

    fn keys(&mut self, table: &Table<'_, '_>, keys: Vec<PlacedKey>, identity: Identity) {
        let identity = Arc::new(identity);
        for (at, key) in keys {
            if let Err(message) = self.builder.key(key, &identity) {
                table.reader().problem(at, message);
            }
        }
    }
}

/// The long-lived keys of a list.
fn keys(tables: Vec<Table<'_, '_>>) -> Vec<PlacedKey> {
    let mut keys = Vec::with_capacity(tables.len());
    for mut table in tables {
        keys.extend(key(&mut table));
        table.finish();
    }
    keys
}

fn key(table: &mut Table<'_, '_>) -> Option<PlacedKey> {
    let id = table.require("access_key_id").and_then(|value| Some((value.at(), value.parse(declared::access_key_id)?)));
    let secret = match table.secret("secret_access_key", "secret_access_key_env", "secret_access_key_file") {
        Secret::Given(secret) => Some(secret),
        Secret::Refused => None,
        Secret::Absent => {
            table.problem("secret_access_key", "is required, or `secret_access_key_env` or `secret_access_key_file`");
            None
        }
    };
    let (at, access_key_id) = id?;
    Some((at, DeclaredKey { access_key_id, secret: secret?, session_token: None }))
}

/// The key of a role's session, whose token must come with it where one is given.
fn session_key(table: &mut Table<'_, '_>) -> Option<PlacedKey> {
    let key = key(table);
    let session_token: Option<SecretKey> =
        match table.secret("session_token", "session_token_env", "session_token_file") {
            Secret::Given(token) => Some(token),
            Secret::Absent => None,
            Secret::Refused => return None,
        };
    key.map(|(at, key)| (at, DeclaredKey { session_token, ..key }))
}

/// A name that is not among `seen`; IAM compares them without case.
fn name_once(value: &Value<'_, '_>, seen: &mut HashSet<String>) -> Option<String> {
    value.parse(|text| {
        let name = declared::iam_name(text)?;
        if seen.insert(name.to_ascii_lowercase()) { Ok(name) } else { Err(format!("`{name}` is declared twice")) }
    })
}

fn path(table: &mut Table<'_, '_>) -> String {
    let parse = |text: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b);
        if text.starts_with('/') && text.ends_with('/') && text.len() <= 512 && text.bytes().all(allowed) {
            Ok(text.to_owned())
        } else {
            Err(format!("`{text}` is not a path: `/`, or names between slashes, such as `/team/`"))
        }
    };
    table.take("path").and_then(|value| value.parse(parse)).unwrap_or_else(|| "/".to_owned())
}

fn tags(table: &mut Table<'_, '_>) -> BTreeMap<String, String> {
    let entries = table.take("tags").and_then(Value::table).map(Table::into_entries).unwrap_or_default();
    entries.into_iter().filter_map(|(key, value)| Some((key, value.text()?))).collect()
}

fn canonical_id(text: &str) -> Result<CanonicalUserId, String> {
    CanonicalUserId::parse(text).ok_or_else(|| format!("`{text}` is not a canonical id: 64 hexadecimal digits are"))
}
