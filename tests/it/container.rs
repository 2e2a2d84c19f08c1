//! The container: its build has all that cargo needs, it starts without anybody and goes to the sign-in, and what watches it
//! leaves it alone meanwhile.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command as StdCommand,
};

use crate::common::{
    Program,
    door::Visitor,
    eventually,
    needs::own_disks_are_there,
    scene::{Scene, consent},
    servers::{file, yaml},
};
use oura_exporter::simulator::Portal;
use serde_json::Value;
use tokio::process::Command;

use tempfile::TempDir;

/// The sources that the Dockerfile stands in for, because its context has only the product's.
const STANDS_IN: [&str; 6] = [
    "benches/backfill.rs",
    "benches/boards.rs",
    "benches/page.rs",
    "examples/cloud.rs",
    "tests/alone/main.rs",
    "tests/it/main.rs",
];

/// Shuts the root as a container does with `--read-only`, and goes on as its user in its directory. A volume is there or not,
/// as the first argument mounts one.
const CONTAINED: &str = "eval \"$1\" && shift && mount -o remount,bind,ro / && cd / && exec unshare --user --map-user=10058 \
                         --map-group=10058 \"$@\"";
const VOLUME: &str = "mount -t tmpfs -o mode=0700 tmpfs \"$OURA_STATE_DIR\"";

/// The path of a file in the context, whose directories are there.
fn within(context: &TempDir, name: &str) -> PathBuf {
    let path = context.path().join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
    path
}

#[test]
fn the_build_context_is_enough_for_cargo() {
    let (dockerfile, ignore) = (read("Dockerfile"), read(".dockerignore"));
    for name in STANDS_IN {
        assert!(dockerfile.contains(name), "the Dockerfile no longer makes {name}");
    }
    let context = tempfile::tempdir().expect("a directory");
    for name in ignore.lines().filter_map(|line| line.strip_prefix('!')) {
        std::os::unix::fs::symlink(file(name), within(&context, name)).expect("a link");
    }
    for name in STANDS_IN {
        fs::write(within(&context, name), "fn main() {}").expect("a file");
    }
    let mut cargo = StdCommand::new(env::var_os("CARGO").expect("cargo runs this"));
    cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"]).current_dir(context.path());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Each target that the manifest names is one that the build finds: cargo says of a missing one nothing until it builds.
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let targets = |package: &Value| package["targets"].as_array().expect("targets").clone();
    let packages = told["packages"].as_array().expect("packages");
    let missing: Vec<_> = packages
        .iter()
        .flat_map(targets)
        .filter(|target| target["src_path"].as_str().is_none_or(|path| !Path::new(path).exists()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The program of `scene` as in a container whose volume is made by that.
fn contained(scene: &Scene, volume: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", CONTAINED, "sh", volume]);
    command.arg(env!("CARGO_BIN_EXE_oura-exporter")).kill_on_drop(true);
    command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path))).envs(scene.variables());
    command
}

/// What the image, Compose and Kubernetes ask the exporter, to restart it or take it off the net.
fn probes() -> Vec<Vec<String>> {
    let words = |list: &Value| {
        let words = list.as_array().expect("a list").iter();
        words.map(|word| word.as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    let dockerfile = read("Dockerfile");
    let health = dockerfile.lines().find(|line| line.starts_with("HEALTHCHECK ")).expect("a health check");
    let image = health.split_once(" CMD ").expect("a command").1;
    let mut probes = vec![words(&serde_json::from_str(image).expect("JSON"))];
    for (name, service) in yaml("deploy/compose.yaml")["services"].as_object().expect("services") {
        if service["image"] == "oura-exporter" {
            let test = words(&service["healthcheck"]["test"]);
            assert_eq!(test[0], "CMD", "{name}");
            probes.push(test[1..].to_vec());
        }
    }
    assert_eq!(probes.len(), 3, "{probes:?}");
    probes
}

/// The paths that Kubernetes asks for.
fn probed_paths() -> Vec<String> {
    let text = read("deploy/kubernetes.yaml");
    let paths: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("httpGet: {path: ")).collect();
    assert_eq!(paths.len(), 2, "one for each probe: {paths:?}");
    paths.iter().filter_map(|line| line.split(',').next()).map(str::to_owned).collect()
}

/// The exit code of the program with these arguments, as an exporter at that address is asked by it.
async fn ask(words: &[String], address: &str) -> Option<i32> {
    assert_eq!(words[0], "oura-exporter");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().env("OURA_LISTEN_ADDRESS", address).args(&words[1..]);
    command.output().await.expect("it runs").status.code()
}

#[tokio::test]
async fn a_fresh_container_waits_at_the_sign_in_and_is_left_alone_meanwhile() {
    if !own_disks_are_there("a_fresh_container_waits_at_the_sign_in_and_is_left_alone_meanwhile") {
        return;
    }
    let scene = Scene::of(Portal::New).await;
    fs::create_dir(scene.tokens()).expect("a place for the volume");
    let exporter = Program::start(&mut contained(&scene, VOLUME)).await;
    let status = async |path: &str| {
        reqwest::get(format!("http://{}{path}", exporter.address)).await.expect("an answer").status().as_u16()
    };
    assert_eq!(status("/-/ready").await, 503, "nobody has signed in");
    for probe in probes() {
        assert_eq!(ask(&probe, &exporter.address).await, Some(0), "{probe:?}");
        assert_eq!(ask(&probe, "127.0.0.1:1").await, Some(1), "{probe:?} of nobody");
    }
    for path in probed_paths() {
        assert_eq!(status(&path).await, 200, "{path}");
    }
    assert_eq!(ask(&["oura-exporter".into(), "healthcheck".into()], &exporter.address).await, Some(1));

    let visitor = Visitor::of(&format!("http://{}/", exporter.address));
    let front = visitor.get("").await.text;
    assert!(front.contains("Sign in with Oura") && !front.contains("role=\"alert\""), "{front}");
    let (place, oura) = visitor.begin("anna").await;
    let pasted = consent(&oura, "alice", "allow").await;
    let attempt = place.split_once('=').expect("an attempt").1;
    visitor.post("sign-in-paste", &[("attempt", attempt), ("address", &pasted)]).await;
    visitor.titled(&place, "Signed in as anna").await;
    let series = "oura_readiness_score{account=\"anna\"}";
    eventually(series, async || exporter.get("/metrics").await.filter(|page| page.contains(series))).await;
    exporter.ready().await;
    let (code, log) = exporter.terminate().await;
    assert!(code == Some(0) && !log.contains(" WARN "), "{log}");
    assert!(fs::read_dir(scene.tokens()).expect("a directory").next().is_none(), "all is in the volume");
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_is_told_at_the_start_in_readiness_and_on_the_page() {
    if !own_disks_are_there("a_state_directory_that_cannot_be_written_is_told") {
        return;
    }
    let read_only = "mount a file system there that this user can write to";
    for (volume, is_there, cause) in [
        // A file system without its volume, whether the directory is in the image or not; a volume that is shut; one of
        // another's.
        ("true", true, read_only),
        ("true", false, read_only),
        ("mount -t tmpfs -o ro tmpfs \"$OURA_STATE_DIR\"", true, read_only),
        ("mount -t tmpfs -o mode=0555 tmpfs \"$OURA_STATE_DIR\"", true, "make this user its owner"),
        ("mount -t tmpfs -o mode=0000 tmpfs \"$OURA_STATE_DIR\"", true, "make this user its owner"),
    ] {
        let scene = Scene::of(Portal::New).await;
        if is_there {
            fs::create_dir(scene.tokens()).expect("a place for the volume");
        }
        let exporter = Program::start(&mut contained(&scene, volume)).await;
        let (place, visitor) =
            (scene.tokens().display().to_string(), Visitor::of(&format!("http://{}/", exporter.address)));
        let ready = exporter.get("/-/ready").await.expect("an answer");
        assert!(ready.starts_with("nobody has signed in, and nobody can: cannot "), "{volume}: {ready}");
        for page in ["", "sign-in"] {
            let shown = visitor.get(page).await;
            let alert = shown.text.split("role=\"alert\">").nth(1).and_then(|rest| rest.split("</p>").next());
            let alert = alert.unwrap_or_else(|| panic!("{volume}: {}", shown.text));
            assert!(
                alert.starts_with("Sign-ins cannot be stored: cannot ") && alert.contains(cause),
                "{volume}: {alert}"
            );
            assert!(alert.contains(&place), "{volume}: {alert}");
        }
        let shown = visitor.post("sign-in", &[("account", "anna")]).await;
        assert!(shown.status == 400 && shown.text.contains(cause), "{volume}: {}", shown.text);
        let (code, log) = exporter.terminate().await;
        assert_eq!(code, Some(0), "{volume}: {log}");
        assert_eq!(log.matches(" WARN ").count(), 1, "{volume}: {log}");
        assert!(log.contains("sign-ins cannot be stored: cannot ") && log.contains(cause), "{volume}: {log}");
    }
}

#[tokio::test]
async fn a_state_directory_that_is_mended_is_used_without_a_restart() {
    let scene = Scene::of(Portal::New).await;
    // A file in the way is a mistake where nothing else gives an account; with a token in the environment it is a warning.
    fs::write(scene.tokens(), "").expect("a file in the way");
    let output = scene.program().output().await.expect("the program starts");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && words.contains("is a file; move that file away"), "{words}");
    let token = scene.simulator.people()[1].token.clone();
    let exporter = Program::start(scene.program().env("OURA_ACCESS_TOKEN", token).env("OURA_ACCOUNT", "carl")).await;
    exporter.ready().await;
    let visitor = Visitor::of(&format!("http://{}/", exporter.address));
    assert!(visitor.get("sign-in").await.text.contains("is a file; move that file away"), "told on the page");
    fs::remove_file(scene.tokens()).expect("it is moved away");
    let page = visitor.get("sign-in").await.text;
    assert!(!page.contains("role=\"alert\""), "{page}");
    let (place, oura) = visitor.begin("anna").await;
    let pasted = consent(&oura, "alice", "allow").await;
    let attempt = place.split_once('=').expect("an attempt").1;
    visitor.post("sign-in-paste", &[("attempt", attempt), ("address", &pasted)]).await;
    visitor.titled(&place, "Signed in as anna").await;
    assert_eq!(fs::metadata(scene.tokens()).expect("made").permissions().mode() & 0o777, 0o700);
    let (_, log) = exporter.terminate().await;
    assert!(log.contains("sign-ins can now be stored in "), "{log}");
    assert_eq!(log.matches("sign-ins cannot be stored").count(), 1, "{log}");
}
