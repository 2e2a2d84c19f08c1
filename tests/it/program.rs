//! The program itself: its exit codes, what it says of mistakes, and how it stops.

use std::{
    env, fs,
    path::Path,
    process::{Output, Stdio},
};

use crate::common::{Program, eventually, needs::own_disks_are_there, settings, simulator_at};
use oura_exporter::{
    clock::Clock,
    simulator::{Fault, Scope, Simulator},
};
use tokio::{net::TcpListener, process::Command};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oura-exporter"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().await.expect("the program starts");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[tokio::test]
async fn without_an_account_one_sentence_says_what_to_do() {
    let (code, text) = run(&mut program()).await;
    assert_eq!(code, Some(2));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("OURA_ACCESS_TOKEN") && text.contains("oura-exporter demo"), "{text}");
    assert!(text.contains("neither HOME nor OURA_STATE_DIR is set"), "{text}");
}

#[tokio::test]
async fn all_mistakes_are_named_at_once() {
    let mut command = program();
    command.env("OURA_POLL_INTERVAL", "often").env("OURA_STALE_AFTER", "0s").env("OURA_LISTEN_ADDRESS", "home");
    command.env("OURA_COLLECTIONS", "sleep,daily_sleeps").env("OURA_LOG", "loud").env("OURA_LOG_FORMAT", "xml");
    command.env("OURA_SANDBOX", "perhaps").env("OURA_API_URL", "ftp://x").env("OURA_ACCOUNT", "anna@example.com");
    command.env("OURA_ACCESS_TOKEN", "two words");
    let (code, text) = run(&mut command).await;
    assert_eq!(code, Some(2));
    let told = [
        r#"OURA_POLL_INTERVAL: "often" is not a duration; write 5m"#,
        r#"OURA_STALE_AFTER: "0s" is zero"#,
        r#"OURA_LISTEN_ADDRESS: "home" is not an address with a port"#,
        r#"OURA_COLLECTIONS: "daily_sleeps" is not a collection; did you mean daily_sleep?"#,
        r#"OURA_LOG: "loud" is not a level"#,
        r#"OURA_LOG_FORMAT: "xml" is not a format"#,
        r#"OURA_SANDBOX: "perhaps" is neither true nor false"#,
        "OURA_API_URL: does not begin with https://",
        "OURA_ACCOUNT: a name has",
        "OURA_ACCESS_TOKEN: not a token",
    ];
    for line in told {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    assert_eq!(text.lines().count(), told.len(), "{text}");
    assert!(!text.contains("two words") && !text.contains("anna@"), "neither secrets nor names are repeated: {text}");
}

#[tokio::test]
async fn a_missing_account_is_named_with_the_other_mistakes_and_with_what_may_explain_it() {
    let mut command = program();
    command.env("OURA_POLL_INTERVAL", "1ms").env("OURA_ACESS_TOKEN", "x");
    let (code, text) = run(&mut command).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("OURA_ACESS_TOKEN: there is no such variable; did you mean OURA_ACCESS_TOKEN?"), "{text}");
    assert!(text.contains(r#"OURA_POLL_INTERVAL: "1ms" is too often"#) && text.contains("no account: "), "{text}");
}

#[tokio::test]
async fn a_flag_wins_over_its_variable_and_is_named_in_its_mistake() {
    let mut command = program();
    command.env("OURA_LOG", "info").args(["demo", "--log.level", "loud"]);
    let (code, text) = run(&mut command).await;
    assert_eq!(code, Some(2));
    assert!(text.contains(r#"--log.level: "loud" is not a level"#), "{text}");
}

#[tokio::test]
async fn a_token_may_come_from_a_file_but_not_from_two_places() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&file, "\n").expect("a blank file");
    let mut command = program();
    let (code, text) = run(command.env("OURA_ACCESS_TOKEN_FILE", file.path())).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("OURA_ACCESS_TOKEN_FILE: not a token"), "{text}");
    let (code, text) = run(command.env("OURA_ACCESS_TOKEN", "secret")).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("both are set; unset one") && !text.contains("secret\""), "{text}");
    let (_, text) = run(program().env("OURA_ACCESS_TOKEN_FILE", "_0XBPWQQ_in_the_wrong_place")).await;
    assert!(text.contains("write a full path, not the token") && !text.contains("_0XB"), "{text}");
    let (code, text) = run(program().env("OURA_ACCESS_TOKEN_FILE", "/nowhere/token")).await;
    assert_eq!(code, Some(2));
    assert!(text.contains(r#"OURA_ACCESS_TOKEN_FILE: "/nowhere/token" cannot be read"#), "{text}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, text) = run(program().args(["demo", "--web.listen-address", &address])).await;
    assert_eq!(code, Some(1));
    let told = format!("cannot listen on {address}; stop what listens there or set OURA_LISTEN_ADDRESS");
    assert!(text.contains(&told) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_backfill_that_makes_no_sense_is_told_so_before_anything_is_asked() {
    let cases = [
        (&["--from", "2026-02-30", "--output", "x"][..], "invalid value '2026-02-30'"),
        (&["--from", "2024-02-01", "--to", "2024-01-01", "--output", "x"], "swap them"),
        (&["--from", "2999-01-01", "--output", "x"], "write a day in the past"),
        (&["--from", "2024-01-01"], "<--output <DIR>|--remote-write <URL>>"),
        (&["--output", "x", "--from", "tomorrow"], "not a day of the calendar; write 2021-01-31"),
        (&["--output", "x", "--from", "2024-01-01", "--to", "01.02.2024"], "write 2021-01-31"),
        (&["--from", "2024-01-01", "--remote-write", "ftp://a"], "write http://localhost:9090/api/v1/write"),
        (&["--from", "2024-01-01", "--output", "x", "--remote-write", "http://a/"], "cannot be used with"),
        (&["--from", "2024-01-01", "--output", "x", "--group", "nobody-has-it"], "no such group"),
        (&["--from", "2024-01-01", "--remote-write", "http://a/", "--group", "root"], "cannot be used with"),
        (&["--from", "2024-01-01", "--output", "x", "--restart"], "cannot be used with"),
    ];
    for (arguments, words) in cases {
        let (code, said) = run(program().env("OURA_ACCESS_TOKEN", "t0k3n").arg("backfill").args(arguments)).await;
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_receiver_is_opened_in_one_way_and_whole() {
    let with = async |variables: &[(&str, &str)]| {
        run(program().env("OURA_ACCESS_TOKEN", "t0k3n").envs(variables.iter().copied())).await
    };
    let (user, password, token) =
        ("OURA_REMOTE_WRITE_USERNAME", "OURA_REMOTE_WRITE_PASSWORD", "OURA_REMOTE_WRITE_BEARER_TOKEN");
    let url = ("OURA_REMOTE_WRITE_URL", "http://anna:s3cret@localhost:9090/api/v1/write");
    let cases = [
        (&[(user, "anna")][..], "one is set without the other; set both"),
        (&[(user, "anna"), (password, "s3cret"), (token, "s3cret")], "both are set; unset one"),
        (&[url], "OURA_REMOTE_WRITE_URL: not a URL, or one with a user or password in it"),
    ];
    for (variables, words) in cases {
        let (code, said) = with(variables).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn a_misspelt_variable_is_warned_of() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = program();
    command.args(["demo", "--web.listen-address", &address]).env("OURA_POL_INTERVAL", "5m");
    let (_, text) = run(command.env("OURA_EXPORTER_SERVICE_HOST", "10.0.0.1")).await;
    assert!(text.contains("OURA_POL_INTERVAL: there is no such variable; did you mean OURA_POLL_INTERVAL?"), "{text}");
    assert!(!text.contains("SERVICE_HOST"), "what a cluster sets is nobody's mistake: {text}");
}

#[tokio::test]
async fn sigterm_in_mid_poll_ends_it_well() {
    let simulator = simulator_at(crate::common::NOON).await;
    simulator.faults().set(Scope::all(), Fault::Hang);
    let token = simulator.people()[0].token.clone();
    let mut command = program();
    command.env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", token);
    let program = Program::start(&mut command).await;
    eventually("a request hangs", async || (!simulator.requests().is_empty()).then_some(())).await;
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("stopping"), "{log}");
}

#[tokio::test]
async fn the_health_check_follows_readiness() {
    let check = async |address: &str| run(program().args(["healthcheck", "--web.listen-address", address])).await;
    let (code, text) = check("127.0.0.1:1").await;
    assert_eq!(code, Some(1));
    assert!(text.contains("no answer from http://127.0.0.1:1/-/ready"), "{text}");
    let alive =
        async |address: &str| run(program().args(["healthcheck", "--alive", "--web.listen-address", address])).await;
    let (code, text) = alive("127.0.0.1:1").await;
    assert!(code == Some(1) && text.contains("no answer from http://127.0.0.1:1/-/healthy"), "{text}");
    let demo = Program::start(program().arg("demo")).await;
    assert_eq!(alive(&demo.address).await.0, Some(0), "ready or not");
    eventually("it becomes ready", async || (check(&demo.address).await.0 == Some(0)).then_some(())).await;
}

#[tokio::test]
async fn the_health_check_finds_every_kind_of_address_that_is_listened_on() {
    let six = TcpListener::bind("[::1]:0").await.is_ok();
    assert!(six || env::var_os("OURA_TEST_ALL").is_none(), "needs IPv6 on loopback");
    let hosts = ["127.0.0.1", "0.0.0.0", "", "localhost", "[::1]", "::1", "[::]", "::"];
    for host in hosts.into_iter().filter(|host| six || !host.contains("::")) {
        let demo = Program::start_at(&format!("{host}:0"), program().arg("demo")).await;
        let port = demo.address.rsplit_once(':').expect("a port").1;
        let address = format!("{host}:{port}");
        eventually("it is ready", async || {
            let (code, text) = run(program().env("OURA_LISTEN_ADDRESS", &address).arg("healthcheck")).await;
            assert!(code == Some(0) || text.starts_with("oura-exporter: the first poll"), "{address}: {text}");
            (code == Some(0)).then_some(())
        })
        .await;
        let (code, log) = demo.terminate().await;
        assert_eq!(code, Some(0), "{log}");
        let is_open = matches!(host, "0.0.0.0" | "" | "[::]" | "::");
        assert_eq!(log.matches("is open beyond this machine").count(), usize::from(is_open), "{address}: {log}");
    }
}

/// The program with a standard output that nobody reads any more; its exit code and what it complains of.
async fn unread(command: &mut Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = command.stdin(Stdio::null()).stdout(writer).spawn().expect("the program starts");
    let ended = child.wait_with_output().await.expect("an end");
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[tokio::test]
async fn a_closed_pipe_ends_every_command_quietly() {
    let simulator = simulator_at(crate::common::NOON).await;
    let person = |arguments: &[&str]| {
        let mut command = program();
        command.env("OURA_API_URL", simulator.url()).env("OURA_ACCESS_TOKEN", &simulator.people()[0].token);
        command.env("OURA_STATE_DIR", "/nowhere/oura").args(arguments);
        command
    };
    for arguments in [
        &["check"][..],
        &["accounts"],
        &["--help"],
        &["--version"],
        &["help", "backfill"],
        &["backfill", "--from", "2026-11-01", "--output", "-"],
    ] {
        let (code, text) = unread(&mut person(arguments)).await;
        assert_eq!(code, Some(141), "{arguments:?}: {text}");
        assert!(!text.contains("panicked") && !text.contains("Broken pipe"), "{arguments:?}: {text}");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    for (arguments, code) in [(&["check"][..], 0), (&["login"], 1), (&["demo", "--log.level", "loud"], 2)] {
        let mut command = person(arguments);
        command.stderr(writer.try_clone().expect("a pipe")).stdout(Stdio::null());
        let ended = command.status().await.expect("the program starts");
        assert_eq!(ended.code(), Some(code), "{arguments:?}: nobody hears complaints");
    }
}

#[tokio::test]
async fn commands_for_people_speak_in_sentences_and_log_lines_are_for_the_service() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nobody-was-ever-here");
    let (code, text) = run(program().args(["logout", "--account", "anna"]).env("OURA_STATE_DIR", &nowhere)).await;
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.starts_with("oura-exporter: account anna is not signed in"), "{text}");
    assert!(!nowhere.exists(), "a logout of nobody makes a directory");
    let (_, text) = run(program().args(["accounts"]).env("OURA_STATE_DIR", &nowhere).env("OURA_POL", "x")).await;
    assert!(text.contains("\noura-exporter: OURA_POL: there is no such variable"), "{text}");
    let (_, text) = run(program().arg("healthcheck").env("OURA_LISTEN_ADDRESS", "127.0.0.1:1")).await;
    assert!(text.starts_with("oura-exporter: no answer from "), "{text}");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let (_, text) = run(program().args(["demo", "--web.listen-address", &address])).await;
    assert!(text.lines().all(|line| line.contains(" INFO ") || line.contains("ERROR ")), "{text}");
}

#[tokio::test]
async fn the_demo_needs_no_network_and_no_proxy() {
    let mut command = program();
    command.env("HTTP_PROXY", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9").arg("demo");
    let demo = Program::start(&mut command).await;
    demo.ready().await;
    let page = demo.get("/metrics").await.expect("a page");
    assert!(page.contains("oura_up{account=\"alice\"} 1"), "{page}");
}

#[tokio::test]
async fn neither_log_nor_page_holds_what_is_private() {
    let simulator = Simulator::start(settings(Clock::system())).await.expect("a free port on loopback");
    simulator.faults().set(Scope::collection("daily_stress"), Fault::Html);
    simulator.faults().set(Scope::collection("daily_spo2"), Fault::ScopeMissing);
    let private = ["alice@example.com", "private-id", "with Anna", "slept badly", "my own tag", "_0XB", "_1XB"];
    simulator.faults().edit(Scope::all(), |documents| {
        for document in documents.iter_mut().filter_map(serde_json::Value::as_object_mut) {
            for (key, words) in [("id", "private-id"), ("label", "with Anna"), ("comment", "slept badly")] {
                document.insert(key.to_owned(), words.into());
            }
            document.insert("custom_name".to_owned(), "my own tag".into());
        }
    });
    simulator.faults().edit(Scope::collection("daily_sleep"), |documents| {
        documents.iter_mut().for_each(|document| document["score"] = "alice@example.com".into());
    });
    let mut command = program();
    command.env("OURA_API_URL", simulator.url()).env("OURA_LOG", "trace");
    let program = Program::start(command.env("OURA_ACCESS_TOKEN", &simulator.people()[0].token)).await;
    program.ready().await;
    let page = program.get("/metrics").await.expect("a page");
    let broken = r#"oura_api_errors_total{account="default",collection="daily_sleep",reason="document"}"#;
    assert!(page.contains(broken), "the private value was met: {page}");
    assert!(page.contains("oura_workout_last_info") && page.contains("oura_day_tags"), "{page}");
    let landing = program.get("/").await.expect("a landing page");
    let (_, log) = program.terminate().await;
    for words in private {
        assert!(![&page, &landing, &log].iter().any(|text| text.contains(words)), "{words} in {page}{landing}{log}");
    }
}

#[tokio::test]
async fn help_names_every_variable() {
    let (code, text) = run(program().arg("--help")).await;
    assert_eq!(code, Some(0));
    for variable in oura_exporter::config::VARIABLES {
        assert!(text.contains(&format!("\n  {}\n", variable.name)), "{} is missing in:\n{text}", variable.name);
    }
}

#[tokio::test]
async fn help_fits_a_terminal_and_shows_a_command_what_concerns_it_its_own_first() {
    let serve = &["--web.listen-address", "--web.config.file", "--web.external-url", "--log.level", "--log.format"][..];
    let demo = &[&["--sign-in"], serve].concat()[..];
    for (command, flags) in [
        (&[][..], serve),
        (&["serve"], serve),
        (&["demo"], demo),
        (&["healthcheck"], &["--alive", "--web.listen-address", "--web.config.file"]),
        (&["login"], &["--account", "--no-browser", "--replace-person"]),
        (&["logout"], &["--account"]),
        (&["accounts"], &[]),
        (&["check"], &[]),
        (
            &["backfill"],
            &[
                "--from",
                "--to",
                "--output",
                "--remote-write",
                "--account",
                "--restart",
                "--group",
                "--job",
                "--instance",
            ],
        ),
    ] {
        for help in ["--help", "-h"] {
            let (code, text) = run(program().args(command).arg(help)).await;
            assert_eq!(code, Some(0), "{text}");
            let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{command:?}: {wide:?}");
            assert!(!text.contains('`') && !text.contains("**"), "{command:?}: {text}");
            let lines = text.lines().map(|line| line.trim_start().trim_start_matches("-h, "));
            let shown: Vec<_> =
                lines.filter(|line| line.starts_with("--")).filter_map(|line| line.split(' ').next()).collect();
            assert_eq!(shown, [flags, &["--help"]].concat(), "{command:?}: {text}");
        }
    }
}

#[tokio::test]
async fn the_doctor_says_all_that_is_missing_before_anybody_has_signed_in() {
    let application = "OURA_CLIENT_ID, OURA_CLIENT_SECRET: not set; register an application at Oura and set both";
    let home = tempfile::tempdir().expect("a directory");
    let without = async |command: &[&str]| run(program().env("HOME", home.path()).args(command)).await;
    for command in [&["check"][..], &["backfill", "--from", "2026-11-01", "--output", "-"]] {
        let (code, text) = without(command).await;
        assert_eq!(code, Some(2), "{command:?}: {text}");
        assert!(text.contains("no account: sign in ") && text.contains(application), "{command:?}: {text}");
        assert!(!text.contains('`'), "{text}");
    }
    let mut with = program();
    with.env("HOME", home.path()).env("OURA_CLIENT_ID", "id").env("OURA_CLIENT_SECRET", "secret").arg("check");
    let (code, text) = run(&mut with).await;
    assert!(code == Some(2) && text.contains("no account: ") && !text.contains("not set"), "{text}");
}

#[tokio::test]
async fn who_has_no_account_is_led_to_those_of_the_service() {
    if !own_disks_are_there("who_has_no_account_is_led_to_those_of_the_service") {
        return;
    }
    // As systemd leaves it: a link to where only root and the unit come.
    let service = "mkdir -m 700 /var/lib/private && ln -s private/oura-exporter /var/lib/oura-exporter";
    let led = "the service on this machine keeps its accounts in /var/lib/oura-exporter: to use them, run this as its \
               user, with the command sudo systemd-run";
    for (made, is_led) in [(service, true), ("mkdir /var/lib/oura-exporter", true), ("true", false)] {
        for command in ["check", "backfill --from 2026-11-01 --output -"] {
            let script = format!("mount -t tmpfs tmpfs /var/lib && {made} && exec \"$0\" {command}");
            let mut shell = Command::new("unshare");
            shell.args(["--map-root-user", "--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_oura-exporter")]);
            shell.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path))).env("HOME", "/nowhere");
            let (code, text) = run(&mut shell).await;
            assert!(code == Some(2) && text.contains("no account: "), "{made}, {command}: {text}");
            assert_eq!(text.contains(led), is_led, "{made}, {command}: {text}");
            let named = text.contains("nobody is signed in in /nowhere/.local/state/oura-exporter; ");
            assert_eq!(named, is_led, "{made}, {command}: {text}");
        }
    }
}

#[tokio::test]
async fn a_way_to_the_network_that_leads_nowhere_is_named() {
    for (name, value, cause) in [
        ("SSL_CERT_FILE", "/proc/nowhere.pem", "\"/proc/nowhere.pem\" cannot be read (No such file"),
        ("SSL_CERT_FILE", "/etc/passwd", "\"/etc/passwd\" contains no PEM certificate"),
        ("SSL_CERT_FILE", "", "\"\" is empty"),
        ("SSL_CERT_DIR", "/etc/passwd", "\"/etc/passwd\" is not a directory"),
    ] {
        let (code, text) = run(program().arg("demo").env(name, value)).await;
        let named = text.contains(&format!("{name}: {cause}")) && text.contains("; write the full path");
        assert!(code == Some(2) && named, "{name}={value}: {text}");
    }
    for (name, value) in
        [("HTTPS_PROXY", "anna:secret words"), ("https_proxy", "ftp://secret"), ("ALL_PROXY", "http://")]
    {
        let demo = Program::start(program().arg("demo").env(name, value)).await;
        let (code, log) = demo.terminate().await;
        let told = format!("{name}: not the address of an HTTP proxy, so it is ignored");
        assert!(code == Some(0) && log.matches(&told).count() == 1, "{name}={value}: {log}");
        assert!(!log.contains("secret"), "{log}");
    }
    let (code, text) = run(program().args(["demo", "--web.external-url", ""])).await;
    assert!(code == Some(2) && text.contains("--web.external-url: ") && text.contains("write https://"), "{text}");
}
