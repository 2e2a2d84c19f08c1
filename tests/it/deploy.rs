//! The files in `deploy/`: each is what its program reads, and they fit each other and the exporter.

use std::{collections::BTreeSet, env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use crate::common::{
    eventually,
    needs::there_are,
    servers::{ask, file, free_address, promtool, start, text, yaml},
};
use oura_exporter::{
    auth::{Portal, Store, Tokens},
    config::{Unset, VARIABLES},
    tls,
};
use serde_json::{Value, json};
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
    let (is_good, said) = promtool(&["check", "config", "--lint-fatal", text(&file("deploy/prometheus.yml"))], "");
    assert!(is_good && said.contains("4 rule files found"), "{said}");
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
    for path in ["deploy/kubernetes.yaml", "deploy/kubernetes-shards.yaml"] {
        assert_content(Command::new("kubernetes-validate").arg("--strict").arg(file(path)));
    }
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
    let rules =
        prometheus["rule_files"][0].as_str().and_then(|rules| rules.strip_suffix("/*.rules.yml")).expect("a path");
    let mount = format!("{rules}:/etc/{}:ro", rules.trim_start_matches("../"));
    assert!(list(&services["prometheus"], "volumes").contains(&Value::from(mount)));
}

#[test]
fn every_variable_exists() {
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for path in [
        "deploy/compose.yaml",
        "deploy/oura-exporter.service",
        "deploy/kubernetes.yaml",
        "deploy/kubernetes-shards.yaml",
        "deploy/prometheus.yml",
    ] {
        let text = read(path);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        let unknown: BTreeSet<_> = words.filter(|word| word.starts_with("OURA_") && !known.contains(word)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn every_service_is_confined_in_the_same_way() {
    for (name, service) in services_with("image") {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        let user = service["user"].as_str().and_then(|user| user.split(':').next()?.parse::<u32>().ok());
        assert!(user.is_some_and(|user| user > 0), "{name} is nobody in particular: {}", service["user"]);
        assert!(service["privileged"].is_null() && service["cap_add"].is_null(), "{name}");
    }
}

#[test]
fn no_password_stands_in_the_files_and_a_missing_one_is_named() {
    let services = yaml("deploy/compose.yaml")["services"].take();
    let password = services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"].as_str().expect("a password");
    assert!(password.starts_with("${GRAFANA_ADMIN_PASSWORD:?not set, ") && password.ends_with('}'), "{password}");
    assert!(password.contains("deploy/.env"), "the error says where it is to be written: {password}");
    for (name, service) in services.as_object().expect("services") {
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let is_secret = ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| variable.contains(word));
            let is_asked_for = value.is_null() || value.as_str().is_some_and(|value| value.starts_with("${"));
            assert!(!is_secret || is_asked_for, "{name}: {variable}");
        }
    }
}

/// The commands in the comment at the top of a file, each block as one would paste it.
fn instructions(path: &str) -> Vec<String> {
    let text = read(path);
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let lines: Vec<_> = head.map(|line| line.strip_prefix("#   ").unwrap_or_default()).collect();
    let blocks = lines.split(|line| line.is_empty()).filter(|block| !block.is_empty());
    blocks.map(|block| block.join("\n") + "\n").collect()
}

/// A directory that stands for the root of a machine, with the repository's files where the instructions are pasted.
struct Machine {
    root: TempDir,
    bin: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { root: TempDir::new().expect("a directory"), bin: TempDir::new().expect("a directory") }
    }

    /// Puts a program in place that does not exist here.
    fn program(&self, name: &str, script: &str) {
        let path = self.bin.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Pastes `commands` into a shell in `deploy/`, as on a machine whose root is this one; what it says.
    fn paste(&self, commands: &str) -> String {
        let root = text(self.root.path());
        let program = format!("'{}'", env!("CARGO_BIN_EXE_oura-exporter"));
        let mut here = commands.replace("../target/release/oura-exporter", &program);
        for directory in ["/etc/", "/usr/local/"] {
            here = here.replace(&format!(" {directory}"), &format!(" {root}{directory}"));
            here = here.replace(&format!(":{directory}"), &format!(":{root}{directory}"));
        }
        let path = format!("{}:{root}/usr/local/bin:{}", text(self.bin.path()), env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.arg("-e").current_dir(file("deploy")).env("PATH", path).env("ROOT", root);
        // What this suite is told is nothing that the program knows, which it would say.
        let ours = env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("OURA_"));
        for name in ours {
            shell.env_remove(name);
        }
        let (is_good, said) = ask(&mut shell, &here);
        assert!(is_good, "{here}\n{said}");
        said
    }
}

#[test]
fn the_units_instructions_can_be_pasted() {
    let machine = Machine::new();
    for directory in ["etc/systemd/system", "usr/local/bin"] {
        fs::create_dir_all(machine.path(directory)).expect("a directory");
    }
    machine.program("systemctl", "echo \"systemctl $*\"");
    // What systemd does with these options, as far as the sign-in sees it.
    machine.program(
        "systemd-run",
        r#"export CREDENTIALS_DIRECTORY="$ROOT/credentials" STATE_DIRECTORY="$ROOT/state"
mkdir -p "$CREDENTIALS_DIRECTORY" "$STATE_DIRECTORY"
while :; do
  case "$1" in
    -p) case "$2" in LoadCredential=*) from=${2#*=}; cp "${from#*:}" "$CREDENTIALS_DIRECTORY/${from%%:*}";; esac; shift 2;;
    --*) shift;;
    *) break;;
  esac
done
echo anna | OURA_AUTHORIZE_URL=http://127.0.0.1:9 OURA_FALLBACK_AUTHORIZE_URL=http://127.0.0.1:9 "$@" 2>&1 || true"#,
    );
    let blocks = instructions("deploy/oura-exporter.service");
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    let said: Vec<_> = blocks.iter().map(|block| machine.paste(block)).collect();
    assert!(said[0].ends_with("systemctl daemon-reload\n"), "{said:?}");
    let made: BTreeSet<_> = fs::read_dir(machine.path("etc/oura-exporter"))
        .expect("a directory")
        .flatten()
        .collect::<Vec<_>>()
        .iter()
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(made, ["client-id", "client-secret"].map(str::to_owned).into());
    let mode = |path: &str| fs::metadata(machine.path(path)).expect(path).permissions().mode() & 0o777;
    assert_eq!(mode("etc/oura-exporter/client-secret"), 0o600);
    assert_eq!(mode("usr/local/bin/oura-exporter"), 0o755);
    assert_eq!(mode("etc/systemd/system/oura-exporter.service"), 0o644);
    // It has read both credentials and begun the sign-in; here, no Oura answers.
    assert!(said[1].contains("Name: oura-exporter: no answer from Oura's sign-in"), "{said:?}");
    assert_eq!(said[2], "systemctl enable --now oura-exporter\n");
    let unit = read("deploy/oura-exporter.service");
    assert!(unit.contains("\nLimitNOFILE=1024\n") && unit.contains("\nExecStart=/usr/local/bin/oura-exporter\n"));
}

/// The documented commands for the service, block by block.
fn service_blocks() -> Vec<String> {
    let page = read("docs/deployment.md");
    let section = page.split("\n## As a service\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let blocks = section.expect("the section").split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A machine of a person who may use sudo, whose systemd says what it is told.
fn with_systemd() -> Machine {
    let machine = Machine::new();
    for directory in ["etc/systemd/system", "usr/local/bin", "home/.local/state", "var/lib"] {
        fs::create_dir_all(machine.path(directory)).expect("a directory");
    }
    machine.program("sudo", "exec \"$@\"");
    machine.program("systemctl", "echo \"systemctl $*\"");
    machine.program("systemd-run", "echo \"systemd-run $*\"");
    machine
}

#[test]
fn the_documents_make_a_service_of_the_sign_in_that_was_just_made() {
    let machine = with_systemd();
    let before = Store::new(machine.path("home/.local/state/oura-exporter"));
    before.write("anna", &tokens()).expect("it is written");
    let root = text(machine.root.path()).to_owned();
    let paste = |block: &str| {
        // The shell in which the sign-in was made, and the program that cargo has installed.
        let shell = format!(
            "export HOME='{root}/home' OURA_CLIENT_ID=the-id OURA_CLIENT_SECRET=the-secret\n\
             export CARGO_HOME='{root}/cargo' PATH='{root}/cargo/bin':$PATH\n\
             mkdir -p \"$CARGO_HOME/bin\" && ln -sf '{}' \"$CARGO_HOME/bin/oura-exporter\"\n",
            env!("CARGO_BIN_EXE_oura-exporter")
        );
        let here = block.replace(" deploy/", " ../deploy/").replace(" /var/lib/", &format!(" {root}/var/lib/"));
        machine.paste(&(shell + &here))
    };
    let blocks = service_blocks();
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    assert_eq!(paste(&blocks[0]), "systemctl daemon-reload\nsystemctl enable --now oura-exporter\n");
    let mode = |path: &str| fs::metadata(machine.path(path)).expect(path).permissions().mode() & 0o777;
    for (path, holds) in
        [("etc/oura-exporter/client-id", "the-id\n"), ("etc/oura-exporter/client-secret", "the-secret\n")]
    {
        assert_eq!((fs::read_to_string(machine.path(path)).expect(path), mode(path)), (holds.to_owned(), 0o600));
    }
    assert_eq!(mode("usr/local/bin/oura-exporter"), 0o755);
    assert_eq!(
        fs::read(machine.path("etc/systemd/system/oura-exporter.service")).expect("a unit"),
        fs::read(file("deploy/oura-exporter.service")).expect("a unit")
    );
    let moved = machine.path("var/lib/private/oura-exporter");
    assert_eq!(Store::new(&moved).accounts().expect("a store"), ["anna"]);
    assert!(!machine.path("home/.local/state/oura-exporter").exists() && mode("var/lib/private") == 0o700);
    // The sign-in there is that of the unit's own instructions.
    let login = instructions("deploy/oura-exporter.service")[1].clone();
    let words = |block: &str| block.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (own, unit) = (words(&blocks[1]), words(&login));
    assert_eq!(own[1..=unit.len()], unit, "{own:?}");
    let upgrade = blocks[2].strip_prefix("cargo install --locked --path .\n").expect("cargo");
    assert_eq!(paste(upgrade), "systemctl daemon-reload\nsystemctl restart oura-exporter\n");
}

/// Tokens as a sign-in leaves them.
fn tokens() -> Tokens {
    let now = chrono::Utc::now();
    Tokens {
        access: "access".into(),
        refresh: Some("refresh".into()),
        issued_at: now,
        expires_at: None,
        scopes: None,
        portal: Portal::New,
        signed_in_at: now,
        person: None,
    }
}

#[tokio::test]
async fn prometheus_without_containers_loads_the_rules_and_finds_the_exporter() {
    if !there_are(&["promtool", "prometheus"], "prometheus_without_containers_loads_the_rules_and_finds_the_exporter") {
        return;
    }
    tls::choose_provider();
    let machine = Machine::new();
    let blocks = instructions("deploy/prometheus.yml");
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    let said = machine.paste(&blocks[0]);
    assert!(said.contains("4 rule files found"), "{said}");
    let config = machine.path("etc/prometheus/prometheus.yml");
    let written = fs::read_to_string(&config).expect("a configuration");
    assert!(written.matches("\"localhost:10058\"").count() == 2 && written.contains("\"localhost:9093\""), "{written}");
    for config in [config, file("deploy/prometheus.yml")] {
        let (address, data) = (free_address().await, TempDir::new().expect("a directory"));
        let _prometheus = start(
            "prometheus",
            data.path(),
            &[
                &format!("--config.file={}", text(&config)),
                &format!("--storage.tsdb.path={}", text(data.path())),
                &format!("--web.listen-address={address}"),
            ],
        );
        let rules = eventually("Prometheus tells its rules", async || {
            let answer = reqwest::get(format!("http://{address}/api/v1/rules")).await.ok()?;
            answer.error_for_status().ok()?.json::<Value>().await.ok()
        });
        let groups = list(&rules.await["data"], "groups").len();
        assert!(groups > 0, "{}: no rules", config.display());
    }
}

#[test]
fn composes_instructions_name_what_is_there() {
    let machine = Machine::new();
    machine.program("docker", "echo \"docker $*\"");
    let blocks = instructions("deploy/compose.yaml");
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    // A password of its own each time, in a file that its owner alone reads.
    let passwords: BTreeSet<_> = (0..2)
        .map(|number| {
            let file = machine.path(&format!("env-{number}"));
            machine.paste(&blocks[0].replace(">> .env", &format!(">> {}", text(&file))));
            assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
            fs::read_to_string(file).expect("a password")
        })
        .collect();
    let is_long = |line: &String| line.starts_with("GRAFANA_ADMIN_PASSWORD=") && line.trim().len() == 23 + 24;
    assert!(passwords.len() == 2 && passwords.iter().all(is_long), "{passwords:?}");
    let said: String = blocks[1..].iter().map(|block| machine.paste(block)).collect();
    let services = yaml("deploy/compose.yaml")["services"].take();
    for line in said.lines() {
        let words: Vec<_> = line.split(' ').collect();
        assert!(words.starts_with(&["docker", "compose", "--profile"]), "{line}");
        let service = if words[3] == "demo" { "demo" } else { "exporter" };
        assert_eq!(services[service]["profiles"], json!([words[3]]), "{line}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn kubernetes_instructions_name_what_is_there() {
    let machine = Machine::new();
    for name in ["docker", "kubectl"] {
        machine.program(name, &format!("echo \"{name} $*\""));
    }
    // A bare machine has none, and the checkout may be no repository.
    machine.program("git", "echo 0123456789abcdef");
    let said: String = instructions("deploy/kubernetes.yaml").iter().map(|block| machine.paste(block)).collect();
    assert_eq!(said.lines().count(), 4, "{said}");
    let file = read("deploy/kubernetes.yaml");
    assert!(
        file.contains("kind: Deployment\nmetadata:\n  name: oura-exporter\n") && said.contains("deploy/oura-exporter")
    );
    // What is forwarded is where the browser comes back to.
    let port = format!("- {{name: metrics, containerPort: {}}}\n", INSTANCE.trim_start_matches("localhost:"));
    assert!(file.contains(&port) && said.contains("port-forward deploy/oura-exporter 10058\n"), "{said}");
    let redirect = VARIABLES.iter().find(|variable| variable.name == "OURA_REDIRECT_URI").expect("a setting");
    assert!(
        matches!(redirect.unset, Unset::Value(uri) if file.contains(&format!("redirect URI {uri}, which"))),
        "{file}"
    );
    let tag = format!("oura-exporter:{}", env!("CARGO_PKG_VERSION"));
    assert!(said.matches(&tag).count() == 2 && file.contains(&format!("image: {tag}\n")), "{said}");
    // What is left out at the end is YAML as well.
    let (_, monitor) = file.split_once("\n# ---\n").expect("a ServiceMonitor");
    let monitor: String =
        monitor.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or_default())).collect();
    let monitor: Value = serde_saphyr::from_str(&monitor).unwrap_or_else(|error| panic!("{monitor}: {error}"));
    assert_eq!(list(&monitor["spec"], "endpoints").len(), 2);
}
