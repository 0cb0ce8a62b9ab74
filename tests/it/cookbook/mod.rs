//! `docs/cookbook.md`: every recipe's policies are valid, every row of its table is decided as it says, and no statement
//! is there that no row would miss.

mod document;
mod kitchen;

use document::{Cookbook, Recipe};
use kitchen::answers;

/// What a row says, and what the Layer does.
fn differences(recipe: &Recipe, found: &[String]) -> Vec<String> {
    let rows = recipe.rows.iter().zip(found).filter(|(row, found)| row.answer != **found);
    rows.map(|(row, found)| format!("  line {}: {}: {found}, not {}", row.line, row.request, row.answer)).collect()
}

#[tokio::test]
async fn every_recipe_does_what_its_table_says() {
    let cookbook = Cookbook::read();
    let mut wrong = Vec::new();
    for recipe in &cookbook.recipes {
        let found = answers(&cookbook, recipe).await;
        let differences = differences(recipe, &found);
        if !differences.is_empty() {
            wrong.push(format!("{}\n{}", recipe.title, differences.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "docs/cookbook.md is not what the proxy does:\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_statement_of_a_recipe_makes_a_difference() {
    let cookbook = Cookbook::read();
    let mut idle = Vec::new();
    for recipe in &cookbook.recipes {
        for (without, name) in recipe.without_each_statement() {
            let found = answers(&cookbook, &without).await;
            if differences(&without, &found).is_empty() {
                idle.push(format!("{}: {name}", recipe.title));
            }
        }
    }
    assert!(idle.is_empty(), "statements that no row of their table would miss:\n{}", idle.join("\n"));
}

#[test]
fn every_recipe_says_what_is_allowed_and_what_is_denied() {
    let cookbook = Cookbook::read();
    assert!(cookbook.recipes.len() >= 20, "{} recipes", cookbook.recipes.len());
    for recipe in &cookbook.recipes {
        assert!(!recipe.policies.is_empty(), "{}: no policy", recipe.title);
        for answer in ["allowed", "denied"] {
            assert!(recipe.rows.iter().any(|row| row.answer == answer), "{}: nothing is {answer}", recipe.title);
        }
    }
}
