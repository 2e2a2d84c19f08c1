//! The files in `deploy/`: each is what its program reads, and they fit each other and the exporter.

mod common;

use std::{collections::BTreeSet, fs, process::Command};

use common::{
    needs::there_are,
    servers::{ask, file, promtool, text, yaml},
};
use oura_exporter::config::VARIABLES;
use serde_json::Value;
use tempfile::TempDir;

/// What a history has by default, so that scrapes continue it.
const INSTANCE: &str = "localhost:10058";
/// The most that `systemd-analyze security` may find exposed, of 100.
const MOST_EXPOSED: &str = "--threshold=20";

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().map_or(&[], Vec::as_slice)
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The services of the compose file that have `key`.
fn services_with(key: &str) -> Vec<(String, Value)> {
    let services = yaml("deploy/compose.yaml")["services"].as_object().expect("services").clone();
    let found: Vec<_> = services.into_iter().filter(|(_, service)| !service[key].is_null()).collect();
    assert!(!found.is_empty(), "no service has {key}");
    found
}

fn assert_content(command: &mut Command) {
    let (is_good, said) = ask(command, "");
    assert!(is_good, "{said}");
}

#[test]
fn prometheus_takes_its_configuration_and_the_rules() {
    if !there_are(&["promtool"], "prometheus_takes_its_configuration_and_the_rules") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    fs::create_dir(directory.path().join("alerts")).expect("a directory");
    for (from, to) in [("deploy/prometheus.yml", "prometheus.yml"), ("alerts/oura.rules.yml", "alerts/oura.rules.yml")]
    {
        fs::copy(file(from), directory.path().join(to)).expect("a copy");
    }
    let config = directory.path().join("prometheus.yml");
    let (is_good, said) = promtool(&["check", "config", "--lint-fatal", text(&config)], "");
    assert!(is_good, "{said}");
}

#[test]
fn alertmanager_takes_its_configuration() {
    if !there_are(&["amtool"], "alertmanager_takes_its_configuration") {
        return;
    }
    assert_content(Command::new("amtool").arg("check-config").arg(file("deploy/alertmanager.yml")));
}

#[test]
fn systemd_understands_the_unit_and_finds_it_confined() {
    if !there_are(&["systemd-analyze"], "systemd_understands_the_unit_and_finds_it_confined") {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let unit = directory.path().join("oura-exporter.service");
    let built = read("deploy/oura-exporter.service").replace(
        "ExecStart=/usr/local/bin/oura-exporter",
        concat!("ExecStart=\"", env!("CARGO_BIN_EXE_oura-exporter"), "\""),
    );
    fs::write(&unit, built).expect("a file");
    let (is_good, said) = ask(Command::new("systemd-analyze").arg("verify").arg(&unit), "");
    assert!(is_good && !said.contains("oura-exporter.service:"), "{said}");
    assert_content(Command::new("systemd-analyze").args(["security", "--offline=true", MOST_EXPOSED]).arg(&unit));
}

#[test]
fn compose_takes_its_file() {
    if !there_are(&["check-jsonschema"], "compose_takes_its_file") {
        return;
    }
    let mut check = Command::new("check-jsonschema");
    assert_content(check.args(["--builtin-schema", "vendor.compose-spec"]).arg(file("deploy/compose.yaml")));
}

#[test]
fn kubernetes_takes_its_file() {
    if !there_are(&["kubernetes-validate"], "kubernetes_takes_its_file") {
        return;
    }
    assert_content(Command::new("kubernetes-validate").arg("--strict").arg(file("deploy/kubernetes.yaml")));
}

#[test]
fn no_port_is_open_to_other_machines() {
    for (name, service) in services_with("ports") {
        let is_local = |port: &Value| port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:"));
        assert!(list(&service, "ports").iter().all(is_local), "{name}: {}", service["ports"]);
    }
}

#[test]
fn images_are_of_one_version() {
    let foreign = services_with("image").into_iter().filter(|(_, service)| service["build"].is_null());
    for (name, service) in foreign {
        let version = service["image"].as_str().and_then(|image| image.split_once(':')).map(|(_, version)| version);
        let is_exact = version.is_some_and(|version| version.matches('.').count() == 2);
        assert!(is_exact, "{name}: {}", service["image"]);
    }
}

#[test]
fn all_that_is_mounted_is_there() {
    let mut count = 0;
    for (name, service) in services_with("volumes") {
        let mounts = list(&service, "volumes").iter().filter_map(Value::as_str);
        for source in mounts.filter_map(|mount| mount.split(':').next()).filter(|source| source.starts_with('.')) {
            assert!(file("deploy").join(source).exists(), "{name}: there is no {source}");
            count += 1;
        }
    }
    assert!(count >= 5, "{count} mounts");
}

#[test]
fn both_jobs_give_the_labels_of_the_history() {
    let config = yaml("deploy/prometheus.yml");
    let jobs = list(&config, "scrape_configs");
    let named: Vec<_> = jobs.iter().filter_map(|job| job["job_name"].as_str()).collect();
    assert_eq!(named, ["oura", "oura-samples"]);
    for job in jobs {
        assert_eq!(job["relabel_configs"][0]["target_label"], "instance");
        assert_eq!(job["relabel_configs"][0]["replacement"], INSTANCE);
    }
    assert_eq!(jobs[1]["metric_relabel_configs"][0]["target_label"], "job");
    assert_eq!(jobs[1]["metric_relabel_configs"][0]["replacement"], "oura");
}

#[test]
fn the_containers_find_each_other() {
    let services = yaml("deploy/compose.yaml")["services"].take();
    let aliases = |name: &str| services[name]["networks"]["default"]["aliases"][0].clone();
    let target = |config: &Value| config["static_configs"][0]["targets"][0].clone();
    let prometheus = yaml("deploy/prometheus.yml");
    for name in ["exporter", "demo"] {
        assert_eq!(
            target(&prometheus["scrape_configs"][0]),
            format!("{}:10058", aliases(name).as_str().expect("a name"))
        );
    }
    assert_eq!(target(&prometheus["alerting"]["alertmanagers"][0]), "alertmanager:9093");
    let grafana = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(grafana["datasources"][0]["uid"], "prometheus");
    assert_eq!(grafana["datasources"][0]["url"], "http://prometheus:9090");
    let provider = yaml("deploy/grafana/provisioning/dashboards/oura.yml")["providers"][0].take();
    let mount = format!("../dashboards:{}:ro", provider["options"]["path"].as_str().expect("a path"));
    assert!(list(&services["grafana"], "volumes").contains(&Value::from(mount)));
    let rules = prometheus["rule_files"][0].as_str().expect("a path");
    let mount = format!("../{rules}:/etc/prometheus/{rules}:ro");
    assert!(list(&services["prometheus"], "volumes").contains(&Value::from(mount)));
}

#[test]
fn every_variable_exists() {
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for path in
        ["deploy/compose.yaml", "deploy/oura-exporter.service", "deploy/kubernetes.yaml", "deploy/prometheus.yml"]
    {
        let text = read(path);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let unknown: BTreeSet<_> = words.filter(|word| word.starts_with("OURA_") && !known.contains(word)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}
