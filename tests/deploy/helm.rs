//! The chart.

use crate::rendered::{HELM_WITH_ALL, Rendered, Source, helm_template};
use crate::{cache, repository, tools};

#[test]
fn the_chart_passes_helms_own_check() {
    let mut helm = tools::helm();
    helm.args(["lint", "--strict"]).arg(repository("deploy/helm/portcullis"));
    cache::must_run(&mut helm, "helm lint");
}

#[test]
fn the_chart_says_what_kustomize_says() {
    let (chart, base) = (Rendered::new(Source::Helm(&[])), Rendered::new(Source::Kustomize("base")));
    assert_eq!(chart.proxy_toml(), base.proxy_toml());
    let of_container =
        ["args", "env", "lifecycle", "livenessProbe", "ports", "readinessProbe", "resources", "securityContext"];
    for key in of_container.into_iter().chain(["startupProbe", "volumeMounts", "image"]) {
        assert_eq!(chart.container()[key], base.container()[key], "{key}");
    }
    for key in
        ["automountServiceAccountToken", "enableServiceLinks", "securityContext", "terminationGracePeriodSeconds"]
    {
        assert_eq!(chart.pod()[key], base.pod()[key], "{key}");
    }
    let kinds = |objects: &Rendered| {
        let mut kinds: Vec<_> = objects.objects().iter().map(|object| object["kind"].to_string()).collect();
        kinds.sort_unstable();
        kinds
    };
    assert_eq!(kinds(&chart), kinds(&base));
}

#[test]
fn values_that_would_lose_something_are_refused() {
    for (values, words) in [
        (&["replicas=2"][..], "`redb:` is a file that one process holds"),
        (&["persistence.enabled=false"], "policies would be lost with the pod"),
        (&["replicaCount=2"], "replicaCount"),
        (&["image.repo=x"], "repo"),
        (&["service.port=none"], "port"),
    ] {
        let output = helm_template(values).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(words), "{values:?}: {told}");
    }
}

#[test]
fn replicas_that_share_a_store_are_replaced_one_by_one() {
    let objects = Rendered::new(Source::Helm(&[
        "replicas=3",
        "persistence.enabled=false",
        "config=[store]\nurl = \"s3://portcullis-policies/prod\"",
    ]));
    let spec = &objects.one("Deployment")["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&3.into(), &"RollingUpdate".into()));
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    assert!(objects.all("PersistentVolumeClaim").is_empty());
    assert!(!objects.pod()["volumes"].to_string().contains("persistentVolumeClaim"));
}

#[test]
fn the_chart_reaches_etcd_as_kustomize_does() {
    let overlay = Rendered::new(Source::Kustomize("overlays/fleet-etcd"));
    let chart = Rendered::new(Source::Helm(&[
        "replicas=3",
        "persistence.enabled=false",
        "config=[store]\nurl = \"etcd://etcd.example:2379/prod\"",
        "etcd.passwordSecret.name=portcullis-etcd",
        "etcd.tlsSecret=portcullis-etcd-tls",
    ]));
    let by_name = |list: &serde_json::Value| {
        let mut list = list.as_array().unwrap().clone();
        list.sort_by_key(|item| item["name"].to_string());
        list
    };
    for key in ["env", "volumeMounts"] {
        assert_eq!(by_name(&chart.container()[key]), by_name(&overlay.container()[key]), "{key}");
    }
    // The configuration's name has a hash in Kustomize.
    let secrets = |objects: &Rendered| {
        let volumes = by_name(&objects.pod()["volumes"]).into_iter();
        volumes.filter(|volume| volume["secret"].is_object()).collect::<Vec<_>>()
    };
    assert_eq!(secrets(&chart), secrets(&overlay));
    assert_eq!(secrets(&chart).len(), 2);
}

#[test]
fn a_changed_configuration_rolls_the_pods() {
    let annotation = |source| {
        let objects = Rendered::new(source);
        objects.one("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"].clone()
    };
    let shown = annotation(Source::Helm(&[]));
    assert!(shown.is_string());
    assert_eq!(shown, annotation(HELM_WITH_ALL));
    assert_ne!(shown, annotation(Source::Helm(&["config=[log]\nlevel = \"debug\""])));
}

#[test]
fn a_release_of_another_name_has_all_names_of_its_own() {
    let mut helm = tools::helm();
    helm.args(["template", "other"]).arg(repository("deploy/helm/portcullis"));
    let text = cache::must_run(&mut helm, "the chart does not render");
    assert!(text.contains("name: other-portcullis\n"), "{text}");
    assert!(!text.contains("name: portcullis\n    labels"), "{text}");
}
