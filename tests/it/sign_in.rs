//! Signing in: by paste, through the simulator's consent page, and what a person sees when it goes wrong.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use crate::common::{
    Page, Program, eventually,
    scene::{Scene, consent, mode},
};
use crate::receiving::receiver::{Behaviour, Receiver, Trouble};
use oura_exporter::{
    documents::KINDS,
    simulator::{Portal, TokenFault},
};
use tokio::{io::AsyncWriteExt as _, time::timeout};

#[tokio::test]
async fn signed_in_by_paste_at_either_portal_the_exporter_serves_and_the_doctor_is_content() {
    for portal in [Portal::Legacy, Portal::New] {
        let scene = Scene::of(portal).await;
        let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        assert_eq!(code, Some(0), "{portal:?}: {said}");
        assert!(said.contains("Signed in as account anna") && said.contains("All is well"), "{said}");
        assert_eq!(mode(&scene.tokens()), 0o700);
        assert_eq!(mode(&scene.tokens().join("anna.json")), 0o600);
        let (code, said) = scene.run(&["check"]).await;
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = scene.run(&["accounts"]).await;
        assert!(code == Some(0) && said.contains("anna") && said.contains("heartrate"), "{said}");
        let exporter = Program::start(&mut scene.program()).await;
        exporter.ready().await;
        let page = exporter.get("/metrics").await.expect("a page");
        assert!(page.contains("oura_account_authorized{account=\"anna\"} 1"), "{page}");
        assert!(page.contains("oura_token_expiry_timestamp_seconds{account=\"anna\"}"), "{page}");
        assert!(page.contains("oura_up{account=\"anna\"} 1"), "{page}");
    }
}

#[tokio::test]
async fn a_logout_forgets_the_record_whatever_stands_in_its_place() {
    let scene = Scene::of(Portal::New).await;
    for (account, person) in [("anna", "alice"), ("anna.b", "bob")] {
        let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let (samples, outside) = (scene.tokens().join("samples"), scene.tokens().join("outside"));
    fs::create_dir_all(&outside).expect("a directory");
    fs::write(outside.join("kept"), "of somebody else").expect("it is written");
    for directory in ["anna.journal", "anna.journal.damaged/deep/down", ".anna.journal~new-abc", "anna.b.journal"] {
        fs::create_dir_all(samples.join(directory)).expect("a directory");
    }
    fs::write(samples.join("anna.journal.damaged/deep/told"), "something").expect("it is written");
    std::os::unix::fs::symlink(&outside, samples.join("anna.backfill")).expect("a link");
    fs::write(samples.join("anna.backfill.damaged"), "").expect("it is written");
    let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
    assert!(code == Some(0) && said.contains("Account anna is forgotten here."), "{said}");
    let left = fs::read_dir(&samples).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["anna.b.journal"], "another account's stays");
    assert!(outside.join("kept").exists(), "where a link leads nothing is removed");
}

#[tokio::test]
async fn two_accounts_whose_journals_cannot_be_used_are_served_and_each_is_named_once() {
    let scene = Scene::of(Portal::New).await;
    let samples = scene.tokens().join("samples");
    for (account, person) in [("anna", "alice"), ("ben", "bob")] {
        let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
    }
    fs::create_dir_all(samples.join("anna.journal")).expect("a directory in the place of a journal");
    fs::create_dir_all(samples.join("ben.journal.damaged")).expect("a directory where it is set aside");
    fs::write(samples.join("ben.journal"), "no journal\n").expect("it is written");
    let exporter = Program::start(scene.program().env("OURA_COLLECTIONS", "daily_readiness,heartrate")).await;
    exporter.ready().await;
    let page = exporter.get("/metrics/samples?learnt=14d").await.expect("a page");
    for account in ["anna", "ben"] {
        let series = format!("oura_sample_readiness_score{{account=\"{account}\"}}");
        assert!(page.matches(&series).count() > 10, "{account}: {page}");
    }
    let (code, log) = exporter.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    for account in ["anna", "ben"] {
        let path = samples.join(format!("{account}.journal")).display().to_string();
        let told: Vec<_> = log.lines().filter(|line| line.contains(" WARN ") && line.contains(&path)).collect();
        assert_eq!(told.len(), 1, "{account}: {log}");
    }
    assert_eq!(log.matches(" WARN ").count(), 2, "{log}");
    for account in ["anna", "ben"] {
        let (code, said) = scene.run(&["logout", "--account", account]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    assert!(fs::read_dir(&samples).expect("a directory").next().is_none(), "nothing is left of either");
}

#[tokio::test]
async fn a_revoked_account_shows_and_recovers_after_a_new_login_without_a_restart() {
    let scene = Scene::of(Portal::New).await;
    for (account, person) in [("anna", "alice"), ("ben", "bob")] {
        let (code, said) = scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    exporter.ready().await;
    scene.simulator.authorizations().revoke_everything("alice");
    let shows = async |series: &str| {
        eventually(series, async || exporter.get("/metrics").await.filter(|page| page.contains(series))).await
    };
    let page = shows("oura_account_authorized{account=\"anna\"} 0").await;
    assert!(page.contains("oura_readiness_score{account=\"anna\"}"), "the last values stay");
    assert!(page.contains("oura_account_authorized{account=\"ben\"} 1") && page.contains("oura_up{account=\"ben\"} 1"));
    let (code, said) = scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    assert_eq!(code, Some(0), "{said}");
    shows("oura_account_authorized{account=\"anna\"} 1").await;
    shows("oura_up{account=\"anna\"} 1").await;
    let (_, log) = exporter.terminate().await;
    assert_eq!(log.matches("oura-exporter login --account anna").count(), 1, "one line with the command: {log}");
}

#[tokio::test]
async fn logged_out_is_revoked_and_forgotten() {
    let scene = Scene::of(Portal::Legacy).await;
    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!scene.tokens().join("anna.json").exists());
    let (_, said) = scene.run(&["accounts"]).await;
    assert!(said.contains("Nobody is signed in"), "{said}");
    let (code, said) = scene.run(&["check"]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("oura-exporter login"), "{said}");
}

#[tokio::test]
async fn a_renewal_under_way_at_the_stop_is_not_lost() {
    let scene = Scene::of(Portal::New).await;
    let authorizations = scene.simulator.authorizations();
    authorizations.set_token_lifetime(1);
    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    authorizations.set_token_lifetime(3_600);
    authorizations.set_fault(TokenFault::Delay(Duration::from_millis(900)));
    let before = std::fs::read_to_string(scene.tokens().join("anna.json")).expect("tokens");
    let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", "1s")).await;
    let renewals =
        || authorizations.exchanges().iter().filter(|exchange| exchange.grant_type == "refresh_token").count();
    eventually("a renewal begins", async || (renewals() == 1).then_some(())).await;
    let (code, log) = exporter.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert_ne!(std::fs::read_to_string(scene.tokens().join("anna.json")).expect("tokens"), before, "{log}");
    authorizations.clear_faults();
    let (code, said) = scene.run(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
}

/// What the consent page of this address is asked for.
fn asked_scopes(url: &reqwest::Url) -> BTreeSet<String> {
    let scope = url.query_pairs().find(|(name, _)| name == "scope").expect("scopes").1.into_owned();
    scope.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_sign_in_asks_for_what_is_read_and_for_nothing_else() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let ticked = readme.split("Tick every scope you want to see:").nth(1).and_then(|rest| rest.split("\n3. ").next());
    let ticked: BTreeSet<_> = ticked.expect("the list").split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let needed: BTreeSet<_> = KINDS.iter().map(|kind| kind.scope.to_owned()).collect();
    assert_eq!(needed, ticked, "what the README says to tick");
    for portal in [Portal::Legacy, Portal::New] {
        let begun = Scene::of(portal).await.begin(&["--no-browser", "--account", "anna"]).await;
        let asked = asked_scopes(&begun.url.expect("an address"));
        let bare: BTreeSet<_> = asked.iter().map(|scope| scope.trim_start_matches("extapi:").to_owned()).collect();
        assert_eq!(bare, needed, "{portal:?}: {asked:?}");
        let named = asked.iter().filter(|scope| scope.contains("email")).count();
        assert_eq!(named, 0, "neither email nor extapi:email");
    }
}

#[tokio::test]
async fn an_empty_line_at_the_paste_prompt_asks_again() {
    for nothing in ["\n", "  \n\t\r\n", "\n\nhttp://\n\n"] {
        let scene = Scene::of(Portal::New).await;
        let pasted = async |url: &reqwest::Url| nothing.to_owned() + &consent(url, "alice", "allow").await;
        let (code, said) = scene.log_in("anna", pasted).await;
        assert_eq!(code, Some(0), "{said}");
        let empty = nothing.lines().filter(|line| line.trim().is_empty()).count();
        assert_eq!(said.matches("Nothing was pasted. Paste the address").count(), empty, "{said}");
        assert!(said.contains("Signed in as account anna"), "{said}");
    }
    let scene = Scene::of(Portal::New).await;
    let mut begun = scene.begin(&["--no-browser", "--account", "anna"]).await;
    drop(begun.child.stdin.take());
    let (code, said) = begun.end().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("oura-exporter: nothing was pasted"), "{said}");
}

#[tokio::test]
async fn after_three_empty_lines_at_the_paste_prompt_nobody_waits() {
    for nothing in ["\n\n\n", " \n\t\n\r\n", "http://\n\n\n \n"] {
        let scene = Scene::of(Portal::New).await;
        let mut begun = scene.begin(&["--no-browser", "--account", "anna"]).await;
        let mut terminal = begun.child.stdin.take().expect("a pipe");
        terminal.write_all(nothing.as_bytes()).await.expect("it reads");
        let (code, said) = begun.end().await;
        drop(terminal);
        assert!(code == Some(1) && said.contains("oura-exporter: nothing was pasted"), "{nothing:?}: {said}");
        assert_eq!(said.matches("Nothing was pasted. Paste").count(), 2, "{nothing:?}: {said}");
    }
}

#[tokio::test]
async fn a_closed_pipe_leaves_no_sign_in_half_done() {
    let scene = Scene::of(Portal::New).await;
    let mut begun = scene.begin(&["--no-browser", "--account", "anna"]).await;
    let pasted = consent(begun.url.as_ref().expect("an address"), "alice", "allow").await;
    let mut stdin = begun.child.stdin.take().expect("a pipe");
    let (child, url) = (begun.child, begun.url);
    drop((url, begun.lines));
    stdin.write_all(format!("{pasted}\n").as_bytes()).await.expect("it reads");
    let ended = child.wait_with_output().await.expect("an end");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), said.as_ref()), (Some(141), ""), "{said}");
    assert!(scene.file("anna").exists(), "the sign-in is kept");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = scene.program().args(["logout", "--account", "anna"]).stdout(writer).spawn().expect("it starts");
    let ended = child.wait_with_output().await.expect("an end");
    assert_eq!(ended.status.code(), Some(141), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(!scene.file("anna").exists(), "the account is forgotten");
}

#[tokio::test]
async fn after_a_logout_the_account_leaves_the_page_of_a_running_exporter_and_after_a_login_it_is_back() {
    for interval in ["1s", "5m", "36h"] {
        let scene = Scene::of(Portal::New).await;
        for (account, person) in [("anna", "alice"), ("ben", "bob")] {
            scene.log_in(account, async |url| consent(url, person, "allow").await).await;
        }
        let exporter = Program::start(scene.program().env("OURA_POLL_INTERVAL", interval)).await;
        exporter.ready().await;
        let pages = async || {
            let mut text = String::new();
            for path in ["/metrics", "/metrics/samples", "/"] {
                text += &exporter.get(path).await?;
            }
            Some(text)
        };
        assert!(pages().await.is_some_and(|pages| pages.contains("\"anna\"") && pages.contains("Account anna")));
        let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
        assert_eq!(code, Some(0), "{said}");
        let gone = async || pages().await.filter(|pages| !pages.contains("anna"));
        let pages_of_ben = timeout(Duration::from_secs(10), eventually("anna is gone", gone)).await.expect("soon");
        assert!(pages_of_ben.contains("oura_up{account=\"ben\"} 1"), "{pages_of_ben}");
        exporter.ready().await;
        scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
        let back = async || exporter.get("/metrics").await.filter(|page| page.contains("oura_up{account=\"anna\"} 1"));
        eventually("anna is back", back).await;
        let (_, log) = exporter.terminate().await;
        // Among two weeks of real life there may be a record of sleep without a type.
        let is_of_others =
            |line: &str| ["OURA_POLL_INTERVAL", "documents cannot be read"].iter().any(|of| line.contains(of));
        let warnings = log.lines().filter(|line| line.contains("WARN") && !is_of_others(line));
        let warnings: Vec<_> = warnings.collect();
        assert!(warnings.is_empty(), "{log}");
        assert_eq!(log.matches("account removed: ").count(), 1, "{log}");
    }
}

/// What of the samples of an account there is to be seen: on the page, and at a receiver.
async fn seen_of(exporter: &Program, receiver: &Receiver, account: &str) -> Option<[usize; 2]> {
    let label = format!("account=\"{account}\"");
    let page = exporter.get("/metrics/samples?learnt=14d").await?;
    let sent = receiver.kept();
    Some([page.matches(&label).count(), sent.samples.all().filter(|(series, ..)| series.contains(&label)).count()])
}

/// The journal of an account.
fn journal(scene: &Scene, account: &str) -> PathBuf {
    scene.tokens().join(format!("samples/{account}.journal"))
}

/// Waits until so many samples wait to be sent.
async fn pending(exporter: &Program, is_right: impl Fn(f64) -> bool) {
    let pending = async || {
        let page = Page::parse(&exporter.get("/metrics").await?);
        page.get("oura_remote_write_pending_samples").filter(|count| is_right(*count))
    };
    eventually("as many wait to be sent", pending).await;
}

/// Logs anna out, after which neither the page nor a file has anything of her, nor of what was set aside before.
async fn log_anna_out(scene: &Scene, exporter: &Program, receiver: &Receiver) {
    fs::write(journal(scene, "anna").with_extension("journal.damaged"), "of old").expect("it is written");
    let (code, said) = scene.run(&["logout", "--account", "anna"]).await;
    assert_eq!(code, Some(0), "{said}");
    let gone = async || seen_of(exporter, receiver, "anna").await.filter(|seen| seen[0] == 0);
    eventually("the page has nothing of it", gone).await;
    let left = fs::read_dir(scene.tokens().join("samples")).expect("a directory");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["anna.b.journal"], "an account whose name begins alike is another one");
}

#[tokio::test]
async fn after_a_logout_nothing_of_the_account_is_told_and_its_journal_is_gone_and_a_login_begins_a_new_one() {
    let scene = Scene::of(Portal::New).await;
    for (account, person) in [("anna", "alice"), ("anna.b", "bob")] {
        scene.log_in(account, async |url| consent(url, person, "allow").await).await;
    }
    // The receiver is away, so that all of it waits to be sent when somebody logs out.
    let away = Behaviour { troubles: vec![(0..usize::MAX, Trouble::Status(503, None))], ..Behaviour::default() };
    let receiver = Receiver::that(away).await;
    let mut command = scene.program();
    command.env("OURA_POLL_INTERVAL", "1s").env("OURA_REMOTE_WRITE_URL", receiver.url());
    let exporter = Program::start(command.env("OURA_COLLECTIONS", "daily_readiness,daily_sleep,heartrate")).await;
    exporter.ready().await;
    pending(&exporter, |count| count > 1_000.0).await;
    let [of_anna, of_ben] =
        ["anna", "anna.b"].map(|account| fs::read_to_string(journal(&scene, account)).expect("a journal"));
    log_anna_out(&scene, &exporter, &receiver).await;

    receiver.set(Behaviour::default());
    pending(&exporter, |count| count == 0.0).await;
    let there = fs::read_to_string(journal(&scene, "anna.b")).expect("a journal");
    assert!(there.starts_with(&of_ben), "the other one's journal goes on");
    assert_eq!(seen_of(&exporter, &receiver, "anna").await, Some([0, 0]), "nothing of it was ever sent");
    let [served, taken] = seen_of(&exporter, &receiver, "anna.b").await.expect("a page");
    assert!(served > 500 && served == taken, "{served} samples on the page and {taken} sent");

    scene.log_in("anna", async |url| consent(url, "alice", "allow").await).await;
    let back = async || seen_of(&exporter, &receiver, "anna").await.filter(|[page, sent]| *page > 500 && page == sent);
    eventually("it is there again", back).await;
    let again = fs::read_to_string(journal(&scene, "anna")).expect("a journal");
    assert_ne!(again.lines().next(), of_anna.lines().next(), "a new journal");
    exporter.terminate().await;
}
