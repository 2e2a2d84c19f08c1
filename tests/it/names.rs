//! The names of accounts: asked for at the sign-in, changed with all that belongs to the account; and the sign-in on a
//! machine whose browser is elsewhere.

use std::{fs, path::Path};

use crate::common::{
    Program, eventually,
    scene::{Scene, consent, mode},
};
use oura_exporter::simulator::Portal;

#[tokio::test]
async fn a_sign_in_asks_for_the_name_until_it_is_one() {
    for (typed, refused) in [("anna\n", 0), ("\n../anna\nanna\n", 2), ("anna@example.com\n-anna\n anna \n", 2)] {
        let scene = Scene::of(Portal::New).await;
        let mut begun = scene.begin_with(&["--no-browser"], typed, &[]).await;
        let url = begun.url.clone().expect("an address");
        let pasted = consent(&url, "alice", "allow").await;
        begun.paste(&pasted).await;
        let (code, said) = begun.end().await;
        scene.assert_discreet(&said, &pasted);
        assert!(code == Some(0) && said.contains("Signed in as account anna"), "{typed:?}: {said}");
        assert_eq!(said.matches("a name has up to 64 letters").count(), refused, "{typed:?}: {said}");
        assert!(scene.file("anna").exists() && !scene.file("default").exists(), "{said}");
    }
}

#[tokio::test]
async fn without_a_name_nobody_is_signed_in() {
    let scene = Scene::of(Portal::Legacy).await;
    for typed in ["", "\n", "anna@example.com\n"] {
        let file = scene.tokens().with_file_name("typed");
        fs::write(&file, typed).expect("it is written");
        let mut command = scene.program();
        command.arg("login").stdin(fs::File::open(&file).expect("a file"));
        let output = command.output().await.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{typed:?}: {said}");
        assert!(said.contains("run: oura-exporter login --account NAME"), "{typed:?}: {said}");
        scene.assert_discreet(&said, "");
    }
    assert_eq!(fs::read_dir(scene.tokens()).expect("a directory").count(), 0);
}

#[tokio::test]
async fn a_login_whose_browser_is_elsewhere_takes_the_address_that_is_pasted() {
    for (ssh, machine) in
        [("192.0.2.7 50000 192.0.2.1 22", "anna@192.0.2.1"), ("2001:db8::7 50000 2001:db8::1 22", "anna@2001:db8::1")]
    {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let variables = [("SSH_CONNECTION", ssh), ("USER", "anna")];
        let mut begun = scene.begin_with(&["--account", "anna"], "", &variables).await;
        let pasted = consent(begun.url.as_ref().expect("an address"), "alice", "allow").await;
        begun.paste(&pasted).await;
        let (code, said) = begun.end().await;
        scene.assert_discreet(&said, &pasted);
        assert!(code == Some(0) && said.contains("Signed in as account anna"), "{said}");
        let redirect: reqwest::Url = scene.redirect.as_deref().expect("one").parse().expect("an address");
        let port = redirect.port().expect("a port");
        assert!(said.contains(&format!("ssh -L {port}:localhost:{port} {machine}\n")), "{said}");
    }
}

#[tokio::test]
async fn a_login_without_standard_input_waits_for_the_browser() {
    let scene = Scene::of(Portal::Legacy).await.with_free_redirect();
    let mut begun = scene.begin(&["--account", "anna"]).await;
    drop(begun.child.stdin.take());
    let address = consent(begun.url.as_ref().expect("an address"), "alice", "allow").await;
    assert!(reqwest::get(&address).await.expect("an answer").status().is_success());
    let (code, said) = begun.end().await;
    assert!(code == Some(0) && said.contains("Signed in as account anna"), "{said}");
}

/// A signed-in account with a record, and the page of the record.
async fn recorded(scene: &Scene) -> String {
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    let exporter = Program::start(&mut scene.program()).await;
    let has_days = |page: &String| page.contains("oura_sample_readiness_score{account=\"anna\"}");
    let page = async || exporter.get("/metrics/samples").await.filter(has_days);
    let page = eventually("a record", page).await;
    // What it has is whole: the journal is written before the page is made.
    exporter.terminate().await;
    page
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

#[tokio::test]
async fn a_renamed_account_keeps_its_sign_in_and_its_record() {
    let scene = Scene::of(Portal::New).await;
    let page = recorded(&scene).await;
    let samples = scene.tokens().join("samples");
    let journal = read(&samples.join("anna.journal"));
    fs::write(samples.join("anna.journal.damaged"), "a part").expect("it is written");
    fs::write(samples.join("anna.b.journal"), "of somebody else").expect("it is written");
    let (code, said) = scene.run(&["accounts", "rename", "anna", "anne"]).await;
    assert!(code == Some(0) && said.contains("anna is called anne from now on"), "{said}");
    assert!(!scene.file("anna").exists() && mode(&scene.file("anne")) == 0o600);
    let names = fs::read_dir(&samples).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("a name")).collect();
    names.sort();
    assert_eq!(names, ["anna.b.journal", "anne.journal", "anne.journal.damaged"]);
    assert_eq!(mode(&samples.join("anne.journal")), 0o600);
    let renamed = |text: &str| text.replace("\"account\":\"anna\"", "\"account\":\"anne\"");
    assert!(read(&samples.join("anne.journal")) == renamed(&journal), "the lines are the same but for the name");
    let exporter = Program::start(&mut scene.program()).await;
    exporter.ready().await;
    let after = exporter.get("/metrics/samples").await.expect("a page");
    let missing: Vec<_> = page
        .lines()
        .map(|line| line.replace("account=\"anna\"", "account=\"anne\""))
        .filter(|line| !after.contains(line.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    let now = exporter.get("/metrics").await.expect("a page");
    assert!(now.contains("oura_account_authorized{account=\"anne\"} 1") && !now.contains("\"anna\""), "{now}");
    let (_, log) = exporter.terminate().await;
    assert!(!log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn what_cannot_be_renamed_stays_as_it_is() {
    let scene = Scene::of(Portal::New).await;
    recorded(&scene).await;
    scene.log_in("ben", async |url| consent(url, "bob", "allow").await).await;
    let (tokens, journal) = (scene.file("anna"), scene.tokens().join("samples/anna.journal"));
    let before = (read(&tokens), read(&journal));
    fs::write(scene.tokens().join("samples/left.journal"), "of somebody before").expect("it is written");
    for (arguments, code, words) in [
        (["anna", "ben"], 1, "account ben is signed in, too"),
        (["carl", "dora"], 1, "account carl is not signed in"),
        (["anna", "anna"], 1, "has that name already"),
        (["anna", "left"], 1, "left.journal is there already"),
        (["anna", "an/na"], 2, "a name has up to 64 letters"),
        (["anna", "anna@example.com"], 2, "a name has up to 64 letters"),
    ] {
        let command = scene.program().args(["accounts", "rename"]).args(arguments).output().await.expect("it starts");
        let said = String::from_utf8_lossy(&command.stderr).into_owned();
        assert!(command.status.code() == Some(code) && said.contains(words), "{arguments:?}: {said}");
    }
    let exporter = Program::start(&mut scene.program()).await;
    exporter.ready().await;
    let (code, said) = scene.run(&["accounts", "rename", "anna", "anne"]).await;
    assert!(
        code == Some(1) && said.contains("is using its record: stop it") && said.contains("another process has it"),
        "{said}"
    );
    exporter.terminate().await;
    assert_eq!(read(&tokens), before.0);
    assert!(read(&journal).starts_with(&before.1) && !scene.file("anne").exists());
}

/// What a rename leaves that is interrupted: after the first journal, after both, and after the tokens as well.
fn interrupted(scene: &Scene, is_after_both: bool, is_after_the_tokens: bool) {
    let (samples, renamed) =
        (scene.tokens().join("samples"), |text: &str| text.replace("\"account\":\"anna\"", "\"account\":\"anne\""));
    for (ending, is_done) in [("journal", true), ("backfill", is_after_both)] {
        let old = samples.join(format!("anna.{ending}"));
        if is_done {
            fs::write(samples.join(format!("anne.{ending}")), renamed(&read(&old))).expect("it is written");
        }
        if is_after_the_tokens {
            fs::remove_file(old).expect("it is there");
        }
    }
    if is_after_the_tokens {
        fs::write(scene.file("anne"), renamed(&read(&scene.file("anna")).replace("\": \"", "\":\"")))
            .expect("it is written");
    }
}

#[tokio::test]
async fn a_rename_that_was_interrupted_goes_on_when_it_is_run_again() {
    let scene = Scene::of(Portal::New).await;
    recorded(&scene).await;
    let samples = scene.tokens().join("samples");
    fs::copy(samples.join("anna.journal"), samples.join("anna.backfill")).expect("it is copied");
    let (journal, tokens) = (read(&samples.join("anna.journal")), read(&scene.file("anna")));
    for (is_after_both, is_after_the_tokens) in [(false, false), (true, false), (true, true)] {
        interrupted(&scene, is_after_both, is_after_the_tokens);
        let (code, said) = scene.run(&["accounts", "rename", "anna", "anne"]).await;
        assert!(code == Some(0) && said.contains("anna is called anne from now on"), "{said}");
        let names = fs::read_dir(&samples).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().expect("a name")).collect();
        names.sort();
        assert_eq!(names, ["anne.backfill", "anne.journal"]);
        assert!(!scene.file("anna").exists(), "{said}");
        let (code, said) = scene.run(&["accounts", "rename", "anne", "anna"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(
            read(&samples.join("anna.journal")) == journal && read(&scene.file("anna")) == tokens,
            "and it is whole"
        );
    }
}
