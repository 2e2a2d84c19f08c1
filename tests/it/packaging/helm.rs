//! The Helm chart, rendered by Helm's own code: what Kubernetes takes, and what fits the exporter, its rules and dashboards.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    process::Command,
};

use oura_exporter::config::VARIABLES;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{
    needs::{there_are, there_is},
    servers::{ask, file, promtool, text, yaml},
};

/// The Python that has Helm's library: that of the other checks, or whichever is found first.
fn python() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut pythons = env::split_paths(&path).map(|directory| directory.join("python3"));
    pythons.find(|python| {
        let mut probe = Command::new(python);
        probe.args(["-c", "import helm_python"]).output().is_ok_and(|output| output.status.success())
    })
}

/// What Helm makes of these values: each document by its kind and name, or what it says is wrong.
fn render(values: &Value) -> Result<BTreeMap<String, Value>, String> {
    let mut helm = Command::new(python().expect("a Python with Helm"));
    let chart = file("deploy/helm");
    helm.args([text(&file("tests/it/packaging/render.py")), text(&chart), &values.to_string()]);
    let output = helm.output().expect("it runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(made["errors"], json!([]), "what helm lint says of {values}");
    let mut documents = BTreeMap::new();
    for (path, content) in made["files"].as_object().expect("files") {
        let content = content.as_str().expect("text");
        for one in content.split("\n---\n").filter(|one| path.ends_with(".yaml") && !one.trim().is_empty()) {
            let document: Value = serde_saphyr::from_str(one).unwrap_or_else(|error| panic!("{path}: {error}\n{one}"));
            let name = |value: &Value| value.as_str().expect("text").to_owned();
            documents.insert(format!("{} {}", name(&document["kind"]), name(&document["metadata"]["name"])), document);
        }
    }
    Ok(documents)
}

fn helm_is_there(test: &str) -> bool {
    there_is(python().is_some(), "helm-python-sdk", "pip install helm-python-sdk", test)
}

/// What somebody may set, each in another way.
fn choices() -> [Value; 4] {
    let all = json!({"enabled": true, "labels": {"release": "prometheus"}});
    [
        json!({"oura": {"existingSecret": "mine"}}),
        json!({"demo": true, "serviceMonitor": all, "prometheusRule": all, "dashboards": {"enabled": true}}),
        json!({
            "oura": {"clientId": "an-id", "clientSecret": "a: secret # with \"marks\""},
            "env": {"OURA_POLL_INTERVAL": "10m", "OURA_SAMPLES": false},
            "webConfig": {"existingSecret": "web"},
            "persistence": {"existingClaim": "claim"},
        }),
        json!({
            "oura": {"existingSecret": "mine"},
            "persistence": {"enabled": false},
            "image": {"repository": "example/oura", "digest": format!("sha256:{}", "0".repeat(64))},
            "podAnnotations": {"a": "b"}, "nodeSelector": {"kubernetes.io/arch": "arm64"},
            "tolerations": [{"operator": "Exists"}], "imagePullSecrets": [{"name": "pull"}], "resources": {},
        }),
    ]
}

#[test]
fn kubernetes_takes_what_the_chart_makes() {
    let name = "kubernetes_takes_what_the_chart_makes";
    if !helm_is_there(name) || !there_are(&["kubernetes-validate"], name) {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    for values in choices() {
        for (name, document) in render(&values).expect("it renders") {
            // Not of Kubernetes itself: the Prometheus operator's kinds.
            if document["apiVersion"] == "monitoring.coreos.com/v1" {
                continue;
            }
            let path = directory.path().join("document.yaml");
            fs::write(&path, document.to_string()).expect("a file");
            let (is_good, said) = ask(Command::new("kubernetes-validate").arg("--strict").arg(&path), "");
            assert!(is_good, "{name} of {values}: {said}");
        }
    }
}

#[test]
fn the_charts_container_is_set_up_as_its_values_say() {
    if !helm_is_there("the_charts_container_is_set_up_as_its_values_say") {
        return;
    }
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    let told = choices().map(|values| {
        let documents = render(&values).expect("it renders");
        let pod = documents["Deployment oura-oura-exporter"]["spec"]["template"]["spec"].clone();
        let container = &pod["containers"][0];
        let set = container["env"].as_array().expect("variables").iter();
        let set: BTreeMap<_, _> =
            set.map(|one| (one["name"].as_str().expect("a name"), one["value"].clone())).collect();
        assert!(set.keys().all(|name| known.contains(name)), "{set:?}");
        // Whatever is mounted is a volume, and the other way round.
        let names = |list: &Value| -> BTreeSet<_> {
            list.as_array()
                .expect("a list")
                .iter()
                .map(|one| one["name"].as_str().expect("a name").to_owned())
                .collect()
        };
        assert_eq!(names(&pod["volumes"]), names(&container["volumeMounts"]), "{values}");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        (
            container["args"][0].clone(),
            container["image"].clone(),
            set.len(),
            documents.keys().cloned().collect::<Vec<_>>(),
        )
    });
    let version = concat!("oura-exporter:", env!("CARGO_PKG_VERSION"));
    let (claim, secret) = ("PersistentVolumeClaim oura-oura-exporter", "Secret oura-oura-exporter");
    let common = ["Deployment oura-oura-exporter", "Service oura-oura-exporter"];
    assert_eq!(told[0], ("serve".into(), version.into(), 3, vec![common[0].into(), claim.into(), common[1].into()]));
    let (boards, others): (Vec<_>, Vec<_>) = told[1].3.iter().partition(|name| name.starts_with("ConfigMap "));
    assert_eq!((&told[1].0, told[1].2, others.len()), (&"demo".into(), 1, 4), "{:?}", told[1].3);
    let files = fs::read_dir(file("dashboards")).expect("dashboards").flatten().map(|entry| entry.path());
    assert_eq!(boards.len(), files.filter(|path| path.extension().is_some_and(|end| end == "json")).count());
    assert_eq!(told[2], ("serve".into(), version.into(), 6, vec![common[0].into(), secret.into(), common[1].into()]));
    let digest = format!("example/oura@sha256:{}", "0".repeat(64));
    assert_eq!(told[3], ("serve".into(), digest.into(), 3, common.map(str::to_owned).to_vec()));
}

#[test]
fn the_charts_secret_is_what_was_given() {
    if !helm_is_there("the_charts_secret_is_what_was_given") {
        return;
    }
    let values = choices()[2].clone();
    let secret = &render(&values).expect("it renders")["Secret oura-oura-exporter"]["stringData"];
    assert_eq!(secret, &json!({"client-id": "an-id", "client-secret": values["oura"]["clientSecret"]}));
}

/// The groups of all files of rules, file by file.
fn groups() -> Vec<Value> {
    let names = fs::read_dir(file("alerts"))
        .expect("alerts")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let names: BTreeSet<_> = names.filter(|name| name.ends_with(".rules.yml")).collect();
    let of = |name: &String| yaml(&format!("alerts/{name}"))["groups"].as_array().expect("groups").clone();
    names.iter().flat_map(of).collect()
}

#[test]
fn the_chart_scrapes_alerts_and_draws_as_the_files_do() {
    if !helm_is_there("the_chart_scrapes_alerts_and_draws_as_the_files_do") {
        return;
    }
    let documents = render(&choices()[1]).expect("it renders");
    let rules = &documents["PrometheusRule oura-oura-exporter"]["spec"];
    assert_eq!(rules, &json!({ "groups": groups() }));
    if there_are(&["promtool"], "the_chart_scrapes_alerts_and_draws_as_the_files_do") {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("rules.yml");
        fs::write(&path, rules.to_string()).expect("a file");
        let (is_good, said) = promtool(&["check", "rules", text(&path)], "");
        assert!(is_good, "{said}");
    }
    let mut drawn = 0;
    for (name, map) in documents.iter().filter(|(name, _)| name.starts_with("ConfigMap ")) {
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1", "{name}");
        for (path, content) in map["data"].as_object().expect("data") {
            let source = fs::read_to_string(file("dashboards").join(path)).expect("a dashboard");
            assert!(content == source.as_str(), "{name}: {path} differs");
            drawn += 1;
        }
    }
    let there = fs::read_dir(file("dashboards")).expect("dashboards");
    let there = there
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "json")));
    assert_eq!(drawn, there.count());
    // As deploy/kubernetes.yaml offers it to whoever has the operator and no Helm.
    let offered = fs::read_to_string(file("deploy/kubernetes.yaml")).expect("a file");
    let (_, offered) = offered.split_once("\n# ---\n").expect("a ServiceMonitor");
    let offered: String =
        offered.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or_default())).collect();
    let offered: Value = serde_saphyr::from_str(&offered).expect("YAML");
    let monitor = &documents["ServiceMonitor oura-oura-exporter"];
    assert_eq!(monitor["spec"]["endpoints"], offered["spec"]["endpoints"]);
    let service = &documents["Service oura-oura-exporter"];
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], service["spec"]["selector"]);
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
}

#[test]
fn what_does_not_fit_the_chart_is_named() {
    if !helm_is_there("what_does_not_fit_the_chart_is_named") {
        return;
    }
    for (values, words) in [
        (json!({}), "set oura.existingSecret"),
        (json!({"oura": {"clientId": "only"}}), "set oura.existingSecret"),
        (json!({"demo": true, "persistance": {"enabled": false}}), "persistance"),
        (json!({"demo": true, "env": {"OURA_CLIENT_SECRET": "x"}}), "OURA_CLIENT_SECRET"),
        (json!({"demo": true, "env": {"POLL": "5m"}}), "POLL"),
        (json!({"demo": true, "image": {"digest": "latest"}}), "digest"),
        (json!({"demo": "yes"}), "demo"),
    ] {
        let mistake = render(&values).expect_err(&values.to_string());
        assert!(mistake.contains(words), "{values}: {mistake}");
    }
}
