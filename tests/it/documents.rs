//! The Markdown of this repository: what it links to is there, and every alert has its action.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn links_within_the_repository_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    markdown_below(root, &mut files);
    let mut checked = 0;
    let mut broken = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for (line, link) in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (path, heading) = link.split_once('#').map_or((link.as_str(), None), |(path, to)| (path, Some(to)));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let is_there = match heading {
                None => target.exists(),
                Some(heading) => fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(&heading.into())),
            };
            if !is_there {
                broken.push(format!("{}:{line}: {link}", file.strip_prefix(root).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "links to nothing:\n{}", broken.join("\n"));
    assert!(checked >= 10, "{checked} links in {files:?}");
}

/// An alert without an action wakes somebody up for nothing.
#[test]
fn every_alert_has_its_action() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let (rules, guide) = (read("deploy/prometheus/alerts.yaml"), read("docs/operating.md"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: ")).collect();
    assert!(!alerts.is_empty(), "{rules}");
    let untold: Vec<_> = alerts.iter().filter(|alert| !guide.contains(&format!("`{alert}`"))).collect();
    assert!(untold.is_empty(), "alerts that docs/operating.md does not tell what to do about: {untold:?}");
}

fn markdown_below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
                markdown_below(&path, files);
            }
        } else if name.ends_with(".md") {
            files.push(path);
        }
    }
}

/// The lines that are not code, each with its number.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

/// What each `[…](…)` links to.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        // Every second part stands between backticks.
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for part in outside.split("](").skip(1) {
            links.push((number, part.split(')').next().unwrap().to_owned()));
        }
    }
    links
}

/// The names that GitHub gives to headings.
fn anchors(text: &str) -> Vec<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| heading(line)).collect()
}
