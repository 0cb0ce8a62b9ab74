//! Zenko CloudServer's `authdata.json`, read as it is.
//!
//! It has accounts with `name`, `email`, `arn`, `canonicalID`, `shortid` (the twelve digits) and `keys`, each an
//! `access` and a `secret`; they are the root user's. Early versions of CloudServer also knew `users` with keys of
//! their own; the format has no policies, so all that these may do is what bucket policies grant them. What else stands
//! there is left alone, since it is another program's file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::declared::{self, Builder, Declared, DeclaredKey};
use super::derived;
use crate::auth::identity::{Identity, SecretKey};
use crate::policy::{Account, AccountId, Principal};
use crate::toml_reader::Reader;

/// Reads `text`, the content of the reader's file.
pub(super) fn read(reader: &Reader<'_>, text: &str) -> Declared {
    let mut builder = Builder::default();
    match serde_json::from_str(text) {
        Ok(raw) => {
            let root = Json { reader, text, path: String::new(), raw };
            for account in
                root.fields().and_then(|mut fields| fields.list("accounts", Need::Required)).unwrap_or_default()
            {
                read_account(&mut builder, &account);
            }
        }
        Err(error) => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            reader.problem(offset(text, error.line(), error.column()), format!("not JSON: {message}"));
        }
    }
    builder.build()
}

fn read_account(builder: &mut Builder, json: &Json<'_, '_>) -> Option<()> {
    let mut fields = json.fields()?;
    let arn = fields.text("arn", Need::Optional);
    let in_arn = arn.as_deref().and_then(|arn| arn.rsplit(':').nth(1)).and_then(|id| AccountId::parse(id).ok());
    let id = match fields.text("shortid", if in_arn.is_some() { Need::Optional } else { Need::Required }) {
        Some(text) => AccountId::parse(&text).map_err(|error| fields.problem("shortid", &error.to_string())).ok(),
        None => in_arn.clone(),
    };
    let canonical_id = fields.text("canonicalID", Need::Optional);
    let account = id.and_then(|id| {
        if in_arn.is_some_and(|in_arn| in_arn != id) {
            fields.warning("arn", &format!("names another account than `shortid`, which counts: {id}"));
        }
        builder.account(id, canonical_id.as_deref()).map_err(|message| json.problem(&message)).ok()
    });
    let root = account.clone().map(Principal::root);
    read_keys(builder, &mut fields, root);
    for user in fields.list("users", Need::Optional).unwrap_or_default() {
        read_user(builder, account.as_ref(), &user);
    }
    Some(())
}

fn read_user(builder: &mut Builder, account: Option<&Account>, json: &Json<'_, '_>) -> Option<()> {
    let mut fields = json.fields()?;
    let name = fields.text("name", Need::Required);
    let name = name.and_then(|name| declared::iam_name(&name).map_err(|message| fields.problem("name", &message)).ok());
    let user = account.zip(name).map(|(account, name)| {
        let user_id = derived::user_id(&account.id, "/", &name);
        Principal::user(account.clone(), "/", name, user_id, BTreeMap::new())
    });
    read_keys(builder, &mut fields, user);
    Some(())
}

/// Reads the keys under `keys`; they are declared where it is known whose they are.
fn read_keys(builder: &mut Builder, fields: &mut Fields<'_, '_>, principal: Option<Principal>) {
    let identity = principal.map(|principal| Arc::new(Identity { principal, policies: Vec::new() }));
    for json in fields.list("keys", Need::Optional).unwrap_or_default() {
        let Some(mut fields) = json.fields() else { continue };
        let access = fields.text("access", Need::Required);
        let access = access
            .and_then(|id| declared::access_key_id(&id).map_err(|message| fields.problem("access", &message)).ok());
        let secret = fields.text("secret", Need::Required);
        if secret.as_deref() == Some("") {
            fields.problem("secret", "the secret is empty");
        }
        if let (Some(identity), Some(access_key_id), Some(secret)) = (&identity, access, secret) {
            let key = DeclaredKey { access_key_id, secret: SecretKey::new(secret), session_token: None };
            if let Err(message) = builder.key(key, identity) {
                json.problem(&message);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

/// A JSON value of the file. Its place is that of its text within the file's; values are never quoted in problems,
/// since they may be secrets.
struct Json<'r, 't> {
    reader: &'r Reader<'t>,
    text: &'r str,
    path: String,
    raw: &'r RawValue,
}

/// The members of a JSON object.
struct Fields<'r, 't> {
    reader: &'r Reader<'t>,
    text: &'r str,
    path: String,
    at: usize,
    members: HashMap<String, &'r RawValue>,
}

impl<'r, 't> Json<'r, 't> {
    fn fields(&self) -> Option<Fields<'r, 't>> {
        match serde_json::from_str(self.raw.get()) {
            Ok(members) => {
                let Self { reader, text, .. } = *self;
                Some(Fields { reader, text, path: self.path.clone(), at: self.at(), members })
            }
            Err(_) => {
                self.problem("expected an object");
                None
            }
        }
    }

    fn problem(&self, message: &str) {
        self.reader.problem(self.at(), format!("`{}`: {message}", self.path));
    }

    fn at(&self) -> usize {
        // The raw value borrows from the file's text, so this is how far into it it begins.
        (self.raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

impl<'r, 't> Fields<'r, 't> {
    fn member(&mut self, name: &str, need: Need) -> Option<Json<'r, 't>> {
        let raw = self.members.get(name).copied().filter(|raw| raw.get() != "null");
        if raw.is_none() && need == Need::Required {
            self.problem(name, "is required");
        }
        let Self { reader, text, .. } = *self;
        Some(Json { reader, text, path: self.path_of(name), raw: raw? })
    }

    fn text(&mut self, name: &str, need: Need) -> Option<String> {
        let json = self.member(name, need)?;
        serde_json::from_str(json.raw.get()).map_err(|_| json.problem("expected a string")).ok()
    }

    fn list(&mut self, name: &str, need: Need) -> Option<Vec<Json<'r, 't>>> {
        let json = self.member(name, need)?;
        let entries: Vec<&RawValue> =
            serde_json::from_str(json.raw.get()).map_err(|_| json.problem("expected a list")).ok()?;
        let entry = |(index, raw)| {
            let Json { reader, text, .. } = json;
            Json { reader, text, path: format!("{}[{index}]", json.path), raw }
        };
        Some(entries.into_iter().enumerate().map(entry).collect())
    }

    fn problem(&self, name: &str, message: &str) {
        self.reader.problem(self.at_of(name), format!("`{}`: {message}", self.path_of(name)));
    }

    fn warning(&self, name: &str, message: &str) {
        self.reader.warning(self.at_of(name), format!("`{}`: {message}", self.path_of(name)));
    }

    /// Where the member is, or the object where it has no such member.
    fn at_of(&self, name: &str) -> usize {
        let Self { reader, text, .. } = *self;
        self.members.get(name).map_or(self.at, |raw| Json { reader, text, path: String::new(), raw }.at())
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The byte offset of a line and a column, both counted from 1, the column in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}
