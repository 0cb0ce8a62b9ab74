//! The recipes, out of the Markdown.
//!
//! - The first table names the people: who, ARN, tags.
//! - Every `##` heading with a `json` block under it is a recipe. The word after `json` says whose policy the block is: a
//!   person's own, or else the bucket's of that name.
//! - A table whose first column is `who` is a recipe's: who, request, with, answer.

#![expect(clippy::indexing_slicing, reason = "a test ends at its first surprise")]

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The whole document.
pub(crate) struct Cookbook {
    pub(crate) people: Vec<Person>,
    pub(crate) recipes: Vec<Recipe>,
}

/// Somebody who signs.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) tags: Vec<(String, String)>,
}

/// One heading's policies and the requests held against them.
#[derive(Clone, Default)]
pub(crate) struct Recipe {
    pub(crate) title: String,
    /// Whose, and the text as it stands.
    pub(crate) policies: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
}

/// One row of a recipe's table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) who: String,
    pub(crate) request: String,
    pub(crate) with: Vec<String>,
    pub(crate) answer: String,
}

impl Cookbook {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cookbook.md");
        let text = fs::read_to_string(path).unwrap();
        let mut people = Vec::new();
        let mut recipes: Vec<Recipe> = Vec::new();
        let mut columns = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                recipes.push(Recipe { title: title.to_owned(), ..Recipe::default() });
            } else if let Some(whose) = line.strip_prefix("```json ") {
                let block = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
                let block = block.collect::<Vec<_>>().join("\n");
                recipes.last_mut().unwrap().policies.push((whose.to_owned(), block));
            } else if let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix('|')) {
                let cells: Vec<_> = row.split('|').map(str::trim).collect();
                if cells[0] == "who" {
                    columns = cells.join(" ");
                    continue;
                }
                match (columns.as_str(), cells.as_slice()) {
                    ("who ARN tags", [who, arn, tags]) => people.push(Person::of(who, arn, tags)),
                    ("who request with answer", [who, request, with, answer]) => {
                        let row = Row {
                            line: index + 1,
                            who: plain(who),
                            request: plain(request),
                            with: with.split(';').map(plain).filter(|item| !item.is_empty()).collect(),
                            answer: plain(answer),
                        };
                        assert!(["allowed", "denied"].contains(&row.answer.as_str()), "line {}: {row:?}", row.line);
                        recipes.last_mut().unwrap().rows.push(row);
                    }
                    _ => {}
                }
            } else if !line.starts_with('|') {
                columns.clear();
            }
        }
        recipes.retain(|recipe| !recipe.policies.is_empty() || !recipe.rows.is_empty());
        Self { people, recipes }
    }
}

impl Person {
    fn of(who: &str, arn: &str, tags: &str) -> Self {
        let tags = tags.split(',').map(plain).filter(|tag| !tag.is_empty());
        let tag = |tag: String| tag.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        Self { name: plain(who), arn: plain(arn), tags: tags.map(tag).collect() }
    }
}

impl Recipe {
    /// The recipe without each of its statements, and which one that is.
    pub(crate) fn without_each_statement(&self) -> Vec<(Self, String)> {
        let mut all = Vec::new();
        for (index, (whose, text)) in self.policies.iter().enumerate() {
            let policy: Value = serde_json::from_str(text).unwrap();
            for statement in 0..policy["Statement"].as_array().unwrap().len() {
                let mut policy = policy.clone();
                let left = policy["Statement"].as_array_mut().unwrap();
                left.remove(statement);
                let is_empty = left.is_empty();
                let mut without = self.clone();
                match is_empty {
                    true => drop(without.policies.remove(index)),
                    false => without.policies[index].1 = policy.to_string(),
                }
                all.push((without, format!("statement {statement} of {whose}'s policy")));
            }
        }
        all
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} with {:?}: {}", self.who, self.request, self.with, self.answer)
    }
}

/// Without the marks of code.
fn plain(cell: &str) -> String {
    cell.trim().trim_matches('`').to_owned()
}
