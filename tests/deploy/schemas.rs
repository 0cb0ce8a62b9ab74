//! Everything that is rendered, as Kubernetes reads it: its own schemas, in which no field is unknown.

use std::fs;
use std::process::Command;

use crate::rendered::{ALL, HELM_WITH_ALL, Rendered, Source};
use crate::{cache, repository, tools};

/// The oldest that knows all we use (`preStop.sleep`), and the newest there are schemas of.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

#[test]
fn kubernetes_takes_every_object() {
    for source in ALL.into_iter().chain([Source::Monitored, HELM_WITH_ALL]) {
        let objects = Rendered::new(source);
        for version in VERSIONS {
            assert_eq!(problems(version, objects.objects()), "", "{source:?}, Kubernetes {version}");
        }
    }
}

#[test]
fn a_misspelt_field_would_be_found() {
    let objects = Rendered::new(Source::Kustomize("base"));
    let mut deployment = objects.one("Deployment").clone();
    deployment["spec"]["template"]["spec"]["securityContexts"] = serde_json::json!({});
    assert!(problems(VERSIONS[0], &[deployment]).contains("securityContexts"));
}

fn problems(version: &str, objects: &[serde_json::Value]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), serde_json::to_vec(objects).unwrap()).unwrap();
    let mut python = Command::new(tools::python_tool("python"));
    python.args(["-B", "-W", "ignore"]).arg(repository("tests/deploy/schemas.py")).arg(version).arg(file.path());
    cache::must_run(&mut python, "the schemas cannot be read")
}
