//! Reads a TOML document key by key, and tells everything that is wrong with it at once, each with its place.
//!
//! Deserialising into structs would stop at the first problem. Here a section is a [`Table`] that is asked for its keys
//! one by one; each answer is typed; whatever does not fit is noted and reading goes on. A key nobody asked for is
//! unknown, so the list of known keys is the code that reads them and cannot go stale.

mod problem;
mod spelling;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

pub use self::problem::{Place, Problem, Problems};
use self::spelling::closest;
use crate::auth::identity::SecretKey;

/// What a file's values may refer to besides the file itself.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'e> {
    /// What relative paths in the file are relative to: the file's own directory.
    pub(crate) base_dir: &'e Path,
    /// Looks an environment variable up.
    pub(crate) env: &'e dyn Fn(&str) -> Option<String>,
}

/// One file being read: its text and what was found wrong so far.
pub(crate) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    surroundings: Surroundings<'t>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    inputs: RefCell<Vec<PathBuf>>,
    /// The full names of the keys that were looked for.
    #[cfg(test)]
    asked: RefCell<std::collections::BTreeSet<String>>,
}

/// The offset of what is not in the file; problems with it are about the file as a whole.
const NOWHERE: usize = usize::MAX;

/// What a [`Reader`] gathered besides values.
pub(crate) struct Findings {
    /// What is wrong, in the order of the file.
    pub(crate) problems: Vec<Problem>,
    /// What is accepted but may not be meant, in the order of the file.
    pub(crate) warnings: Vec<Problem>,
    /// The other files that were read.
    pub(crate) inputs: Vec<PathBuf>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str, surroundings: Surroundings<'t>) -> Self {
        let empty = || RefCell::new(Vec::new());
        Self {
            file,
            text,
            surroundings,
            problems: empty(),
            warnings: empty(),
            inputs: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// The document; none where it is not TOML, which is then noted.
    pub(crate) fn document(&self) -> Option<Table<'_, 't>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let mut last_line = None;
        for error in &errors {
            // The parser's snippet is left out: it could show a secret.
            let at = error.span().map_or(self.text.len(), |span| span.start);
            let line = Some(Place::of(self.text, at).line);
            // What follows on the line of an error is seldom more than its echo.
            if line != last_line {
                self.problem(at, format!("not TOML: {}", error.message()));
            }
            last_line = line;
        }
        errors.is_empty().then(|| Table {
            reader: self,
            path: String::new(),
            at: 0,
            entries: table.into_inner(),
            asked: Vec::new(),
        })
    }

    /// Notes something wrong at the byte offset `at`.
    pub(crate) fn problem(&self, at: usize, message: String) {
        self.problems.borrow_mut().push(self.note(at, message));
    }

    /// Notes something that may not be meant.
    pub(crate) fn warning(&self, at: usize, message: String) {
        self.warnings.borrow_mut().push(self.note(at, message));
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    pub(crate) fn place(&self, at: usize) -> Place {
        Place::of(self.text, at)
    }

    /// Resolves a path of the file.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.surroundings.base_dir.join(path)
    }

    /// Reads a file that the file names.
    pub(crate) fn read_input(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.resolve(path);
        let read = std::fs::read(&path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()));
        self.inputs.borrow_mut().push(path);
        read
    }

    /// The full names of the keys that were looked for, whether they are there or not.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> std::collections::BTreeSet<String> {
        self.asked.borrow().clone()
    }

    pub(crate) fn env(&self, name: &str) -> Option<String> {
        (self.surroundings.env)(name)
    }

    pub(crate) fn findings(self) -> Findings {
        let in_order = |notes: RefCell<Vec<Problem>>| {
            let mut notes = notes.into_inner();
            notes.sort_by_key(|note| note.place);
            notes
        };
        Findings {
            problems: in_order(self.problems),
            warnings: in_order(self.warnings),
            inputs: self.inputs.into_inner(),
        }
    }

    fn note(&self, at: usize, message: String) -> Problem {
        let place = (at != NOWHERE).then(|| self.place(at));
        Problem { file: self.file.to_owned(), place, message }
    }
}

/// One table of the document. Ask for every key it may have, then [`finish`](Self::finish) it.
#[must_use = "a table must be finished, or its unknown keys go unnoticed"]
pub(crate) struct Table<'r, 't> {
    reader: &'r Reader<'t>,
    path: String,
    at: usize,
    entries: DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'r, 't> Table<'r, 't> {
    /// A table that is not in the file: every key takes its default.
    fn absent(reader: &'r Reader<'t>, path: String) -> Self {
        Self { reader, path, at: NOWHERE, entries: DeTable::new(), asked: Vec::new() }
    }

    /// The value of `key`, none where it is absent.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value<'r, 't>> {
        self.asked.push(key);
        #[cfg(test)]
        self.reader.asked.borrow_mut().insert(self.path_of(key));
        let value = self.entries.remove(key)?;
        let at = value.span().start;
        Some(Value { reader: self.reader, path: self.path_of(key), at, value: value.into_inner() })
    }

    /// The value of a key that must be there.
    pub(crate) fn require(&mut self, key: &'static str) -> Option<Value<'r, 't>> {
        let value = self.take(key);
        if value.is_none() {
            self.problem(key, "is required");
        }
        value
    }

    /// Takes keys whose values do not matter here.
    pub(crate) fn skip(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// The table under `key`, an empty one where it is absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Table<'r, 't> {
        self.take(key).and_then(Value::table).unwrap_or_else(|| Table::absent(self.reader, self.path_of(key)))
    }

    /// The tables of the list under `key`, which is written `[[key]]` or as a list of inline tables.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Table<'r, 't>> {
        self.take(key).map(Value::list).unwrap_or_default().into_iter().filter_map(Value::table).collect()
    }

    /// The text under `key`.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.take(key)?.text()
    }

    /// The truth value under `key`.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key).and_then(|value| value.flag()).unwrap_or(default)
    }

    /// The whole number under `key`, at least 1.
    pub(crate) fn count(&mut self, key: &'static str, default: usize) -> usize {
        self.take(key).and_then(|value| value.count()).unwrap_or(default)
    }

    /// The length of time under `key`.
    pub(crate) fn duration(&mut self, key: &'static str, zero: Zero, default: Duration) -> Duration {
        let parse = |text: &str| match parse_duration(text)? {
            Duration::ZERO if zero == Zero::Refused => Err("must be more than zero".to_owned()),
            duration => Ok(duration),
        };
        self.take(key).and_then(|value| value.parse(parse)).unwrap_or(default)
    }

    /// The secret under `key`, or in the environment variable that `KEY_env` names, or in the file that `KEY_file`
    /// names (one line ending at its end is taken off). [`Secret::Refused`] has been noted as a problem.
    pub(crate) fn secret(&mut self, key: &'static str, env_key: &'static str, file_key: &'static str) -> Secret {
        let given: Vec<_> = [key, env_key, file_key].into_iter().filter_map(|key| self.take(key)).collect();
        let mut given = given.into_iter();
        let Some(value) = given.next() else { return Secret::Absent };
        if let Some(surplus) = given.next() {
            surplus.problem(&format!("give only one of `{key}`, `{env_key}` and `{file_key}`"));
            return Secret::Refused;
        }
        let from = value.key();
        let read = |text: &str| -> Result<SecretKey, String> {
            let secret = if from.as_deref() == Some(env_key) {
                self.reader.env(text).ok_or_else(|| format!("the environment variable `{text}` is not set"))?
            } else if from.as_deref() == Some(file_key) {
                let bytes = self.reader.read_input(text)?;
                let text = String::from_utf8(bytes).map_err(|_| format!("`{text}` is not UTF-8 text"))?;
                text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned()
            } else {
                text.to_owned()
            };
            if secret.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(SecretKey::new(secret)) }
        };
        match value.parse(read) {
            Some(secret) => Secret::Given(secret),
            None => Secret::Refused,
        }
    }

    /// The keys and values of a table whose keys are free, such as tags.
    pub(crate) fn into_entries(self) -> Vec<(String, Value<'r, 't>)> {
        let (reader, path) = (self.reader, self.path);
        let entry = |(key, value): (toml::Spanned<std::borrow::Cow<'t, str>>, toml::Spanned<DeValue<'t>>)| {
            let path = format!("{path}.{}", key.get_ref());
            let at = value.span().start;
            (key.into_inner().into_owned(), Value { reader, path, at, value: value.into_inner() })
        };
        self.entries.into_iter().map(entry).collect()
    }

    /// Notes a problem with `key`, at the place of the table.
    pub(crate) fn problem(&self, key: &str, message: &str) {
        self.reader.problem(self.at, format!("`{}`: {message}", self.path_of(key)));
    }

    /// Notes a warning about `key`, at the place of the table.
    pub(crate) fn warning(&self, key: &str, message: &str) {
        self.reader.warning(self.at, format!("`{}`: {message}", self.path_of(key)));
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn reader(&self) -> &'r Reader<'t> {
        self.reader
    }

    /// Notes the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for key in self.entries.keys() {
            let name = key.get_ref();
            let hint =
                closest(name, &self.asked).map_or_else(String::new, |known| format!(" (did you mean `{known}`?)"));
            self.reader.problem(key.span().start, format!("`{}`: unknown key{hint}", self.path_of(name)));
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Whether a length of time may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    Allowed,
    Refused,
}

/// What [`Table::secret`] found.
pub(crate) enum Secret {
    Absent,
    Refused,
    Given(SecretKey),
}

/// One value of the document, with its key's full name.
pub(crate) struct Value<'r, 't> {
    reader: &'r Reader<'t>,
    path: String,
    at: usize,
    value: DeValue<'t>,
}

impl<'r, 't> Value<'r, 't> {
    /// Where it stands, as a byte offset.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Notes a problem with it.
    pub(crate) fn problem(&self, message: &str) {
        self.reader.problem(self.at, format!("`{}`: {message}", self.path));
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.parse(|text| Ok(text.to_owned()))
    }

    /// Notes a warning about it.
    pub(crate) fn warning(&self, message: &str) {
        self.reader.warning(self.at, format!("`{}`: {message}", self.path));
    }

    /// What `parse` makes of a text; its error becomes a problem.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match self.value.as_str().map(parse) {
            Some(Ok(value)) => Some(value),
            Some(Err(message)) => {
                self.problem(&message);
                None
            }
            None => self.expected("a string"),
        }
    }

    /// One of the words of `table`.
    pub(crate) fn choice<T: Copy>(&self, table: &[(&str, T)]) -> Option<T> {
        self.parse(|text| {
            let found = table.iter().find(|(word, _)| *word == text);
            let words = || table.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            found.map(|(_, value)| *value).ok_or_else(|| format!("`{text}` is not one of {}", words()))
        })
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(flag),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number, at least 1.
    pub(crate) fn count(&self) -> Option<usize> {
        let DeValue::Integer(integer) = &self.value else { return self.expected("a whole number") };
        let count = usize::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|count| *count > 0);
        if count.is_none() {
            self.problem(&format!("`{integer}` is not a whole number of at least 1"));
        }
        count
    }

    /// A number from 0 to 1.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let text = match &self.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) => integer.as_str(),
            _ => return self.expected("a number"),
        };
        let ratio = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        if ratio.is_none() {
            self.problem(&format!("`{text}` is not a number from 0 to 1"));
        }
        ratio
    }

    pub(crate) fn table(self) -> Option<Table<'r, 't>> {
        match self.value {
            DeValue::Table(entries) => {
                Some(Table { reader: self.reader, path: self.path, at: self.at, entries, asked: Vec::new() })
            }
            _ => self.expected("a table"),
        }
    }

    /// The entries of a list; nothing, and a problem, for anything else.
    pub(crate) fn list(self) -> Vec<Value<'r, 't>> {
        match self.value {
            DeValue::Array(_) => self.one_or_list(),
            _ => self.expected("a list").unwrap_or_default(),
        }
    }

    /// The entries of a list, or the value itself where it is not one.
    pub(crate) fn one_or_list(self) -> Vec<Value<'r, 't>> {
        let Self { reader, path, at, value } = self;
        match value {
            DeValue::Array(array) => {
                let entry = |entry: toml::Spanned<DeValue<'t>>| {
                    let at = entry.span().start;
                    Value { reader, path: path.clone(), at, value: entry.into_inner() }
                };
                array.into_iter().map(entry).collect()
            }
            value => vec![Value { reader, path, at, value }],
        }
    }

    /// The name of its key, without the tables it is in.
    fn key(&self) -> Option<String> {
        self.path.rsplit('.').next().map(str::to_owned)
    }

    pub(crate) fn is_text(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    pub(crate) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|array| array.is_empty())
    }

    /// Notes that the value is of the wrong type. It is not quoted: it may be a secret in the wrong place.
    fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match &self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(&format!("expected {what}, found {found}"));
        None
    }
}

/// Reads `500ms`, `3s`, `2m`, `1h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds_each = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    number
        .zip(milliseconds_each)
        .and_then(|(number, each)| number.checked_mul(each))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is not a length of time such as `500ms`, `3s`, `2m` or `1h`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, expected) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("3s", Some(Duration::from_secs(3))),
            ("2m", Some(Duration::from_secs(120))),
            ("1h", Some(Duration::from_secs(3600))),
            ("0s", Some(Duration::ZERO)),
            ("3", None),
            ("", None),
            ("s", None),
            ("-3s", None),
            ("1.5s", None),
            ("3 s", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
            ("3µs", None),
        ] {
            assert_eq!(parse_duration(text).ok(), expected, "{text}");
        }
    }
}
