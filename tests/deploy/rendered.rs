//! Manifests as they would be applied.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{cache, repository, tools};

/// What manifests are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// A directory of `deploy/kustomize`.
    Kustomize(&'static str),
    /// An overlay of somebody's own, as the component's comment shows it.
    Monitored,
    /// The chart, with these values set.
    Helm(&'static [&'static str]),
}

/// All that a Portcullis by itself is made from.
pub(crate) const ALONE: [Source; 5] = [
    Source::Kustomize("base"),
    Source::Kustomize("overlays/ingress"),
    Source::Kustomize("overlays/fleet"),
    Source::Kustomize("overlays/fleet-etcd"),
    Source::Helm(&[]),
];

/// The same, and the one beside an application.
pub(crate) const ALL: [Source; 6] =
    [ALONE[0], ALONE[1], ALONE[2], ALONE[3], ALONE[4], Source::Kustomize("overlays/sidecar")];

/// The chart with everything that can be switched on.
pub(crate) const HELM_WITH_ALL: Source = Source::Helm(&[
    "ingress.enabled=true",
    "ingress.className=nginx",
    "ingress.tlsSecret=s3-example-com-tls",
    "serviceMonitor.enabled=true",
    "serviceMonitor.labels.release=prometheus",
    "networkPolicy.adminFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=monitoring",
    "networkPolicy.from[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=ingress-nginx",
    "image.pullSecrets[0].name=registry",
    "persistence.storageClass=fast",
    "service.annotations.a=b",
    "podAnnotations.a=b",
    "etcd.passwordSecret.name=portcullis-etcd",
    "etcd.tlsSecret=portcullis-etcd-tls",
    "nodeSelector.disk=ssd",
    "tolerations[0].operator=Exists",
    "topologySpreadConstraints[0].maxSkew=1",
    "topologySpreadConstraints[0].topologyKey=zone",
    "topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key=metadata.name",
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].operator=Exists",
]);

/// The objects of one source.
pub(crate) struct Rendered(Vec<Value>);

impl Rendered {
    pub(crate) fn new(source: Source) -> Self {
        let yaml = match source {
            Source::Kustomize(directory) => kustomize(&repository("deploy/kustomize").join(directory)),
            Source::Monitored => {
                let overlay = tempfile::tempdir().unwrap();
                // Kustomize takes relative paths only.
                let root = "../".repeat(overlay.path().canonicalize().unwrap().components().count() - 1);
                let place = |part: &str| format!("{root}{}", repository("deploy/kustomize").join(part).display());
                let (base, component) = (place("base"), place("components/monitoring"));
                let text = format!(
                    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\
                     resources: [\"{base}\"]\ncomponents: [\"{component}\"]\n"
                );
                fs::write(overlay.path().join("kustomization.yaml"), text.replace("//", "/")).unwrap();
                kustomize(overlay.path())
            }
            Source::Helm(values) => cache::must_run(&mut helm_template(values), "the chart does not render"),
        };
        let objects: Vec<Value> = serde_json::from_str(&to_json(&yaml)).unwrap();
        assert!(objects.iter().all(Value::is_object), "{source:?}: not all documents are objects");
        Self(objects)
    }

    pub(crate) fn objects(&self) -> &[Value] {
        &self.0
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    pub(crate) fn one(&self, kind: &str) -> &Value {
        let [object] = self.all(kind)[..] else { panic!("not one {kind}, but {}", self.all(kind).len()) };
        object
    }

    pub(crate) fn pod(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]
    }

    /// Whether the pods are among those that `selector` (of a Service, or the `matchLabels` of others) chooses.
    pub(crate) fn is_chosen_by(&self, selector: &Value) -> bool {
        let labels = &self.one("Deployment")["spec"]["template"]["metadata"]["labels"];
        let selector = selector.as_object().unwrap();
        // An empty one chooses everybody's.
        !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value)
    }

    /// Portcullis's own container, wherever in the pod it stands.
    pub(crate) fn container(&self) -> &Value {
        let lists = ["containers", "initContainers"].into_iter().filter_map(|list| self.pod()[list].as_array());
        lists.flatten().find(|container| container["name"] == "portcullis").unwrap()
    }

    pub(crate) fn proxy_toml_text(&self) -> String {
        self.one("ConfigMap")["data"]["proxy.toml"].as_str().unwrap().to_owned()
    }

    pub(crate) fn proxy_toml(&self) -> toml::Table {
        self.proxy_toml_text().parse().unwrap()
    }
}

fn kustomize(directory: &Path) -> String {
    let mut kubectl = tools::kubectl();
    kubectl.arg("kustomize").arg(directory);
    cache::must_run(&mut kubectl, "rendering failed; kubectl 1.21 or later is needed")
}

pub(crate) fn helm_template(values: &[&str]) -> Command {
    let mut helm = tools::helm();
    helm.args(["template", "portcullis"]).arg(repository("deploy/helm/portcullis")).args(["--namespace", "s3"]);
    for value in values {
        helm.args(["--set", value]);
    }
    helm
}

/// Both write YAML only; Python reads it.
fn to_json(yaml: &str) -> String {
    let script = "import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(open(sys.argv[1])) if d is not None], sys.stdout)";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), yaml).unwrap();
    cache::must_run(
        Command::new(tools::python_tool("python")).args(["-c", script]).arg(file.path()),
        "what was rendered is no YAML",
    )
}
