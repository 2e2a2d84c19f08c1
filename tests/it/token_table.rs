//! The token store for many machines: what it promises while processes are killed and the database restarts, what it says in
//! trouble, and how people come and go in it.

use std::{collections::BTreeMap, fs, io::Write as _, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::{self, OAuthError, Store, Table, TokenManager, Tokens},
    clock::Clock,
    simulator::{Portal, TokenFault},
};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::{Child, Command},
    time::sleep,
};

use crate::common::{
    Page, Program, eventually,
    postgres::{self, PASSWORD, Postgres, USER, postgres_is_there},
    scene::{Scene, consent},
    servers::free_address,
    signed_in::{ANNA, SignedIn, ended},
};

/// The moment of a kill after the first renewal was asked for, in milliseconds.
const MOMENTS: std::ops::RangeInclusive<u64> = 0..=30;

/// A store in the database at that URL.
fn store(url: &str, directory: &TempDir) -> Store {
    let table = Table::of(&SecretString::from(url)).expect("a URL");
    Store::in_table(directory.path().to_owned(), table)
}

/// Somebody who is signed in, with tokens in a database.
struct Shared {
    scene: SignedIn,
    url: String,
    /// What each exporter keeps for itself.
    own: [TempDir; 3],
}

/// What kills did to the tokens.
#[derive(Debug, Default)]
struct Count {
    /// Nobody had been asked for a pair.
    before_any_request: u32,
    /// A pair was renewed, and is the one that is stored.
    renewed: u32,
    /// Oura spent the token, and its process was killed before the next one was stored.
    lost: u32,
    /// Among these, where the other exporter then presented the spent token, which Oura refused.
    refused: u32,
}

impl Shared {
    async fn at(url: String, life: TimeDelta) -> Self {
        let mut scene = SignedIn::with(Clock::system(), life).await;
        let own = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
        scene.store = store(&url, &own[0]);
        scene.sign_in(life);
        Self { scene, url, own }
    }

    /// One of two exporters on the database.
    fn exporter(&self, index: usize) -> Command {
        let mut command = self.scene.program_in(&[], self.own[index].path());
        command.env("OURA_TOKEN_STORE", &self.url);
        command
    }

    fn start(&self, index: usize) -> Child {
        let mut command = self.exporter(index);
        command.args(["--web.listen-address", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program starts")
    }

    /// What the table has now, once no transaction has the row.
    async fn stored(&self) -> Tokens {
        let _read_again = auth::lock(&self.scene.store, ANNA).await.expect("a lock");
        self.scene.stored()
    }

    /// Both exporters start with a pair that is to be renewed; one of them, or both, are killed while that is under way.
    async fn one_kill(&self, count: &mut Count) {
        let authorizations = self.scene.simulator.authorizations();
        authorizations.set_fault(TokenFault::Delay(Duration::from_millis(fastrand::u64(0..20))));
        let (from, before) = (self.scene.exchanges(0).len(), self.stored().await);
        let mut both = [self.start(1), self.start(2)];
        let asked = async || (!self.scene.exchanges(from).is_empty()).then_some(());
        eventually("one of them asks for tokens", asked).await;
        sleep(Duration::from_millis(fastrand::u64(MOMENTS))).await;
        let victims = fastrand::usize(0..3);
        for (index, exporter) in both.iter_mut().enumerate() {
            if victims != index {
                exporter.kill().await.expect("it was running");
            }
        }
        if victims < 2 {
            let settled = async || {
                let refused = self.scene.exchanges(from).iter().any(|exchange| exchange.status == 400);
                (refused || !self.stored().await.is_same(&before)).then_some(())
            };
            eventually("the other one renews the pair, or learns that it is spent", settled).await;
        }
        for exporter in &mut both {
            let _killed_before = exporter.kill().await;
        }
        authorizations.clear_faults();
        self.judge(from, &before, count).await;
    }

    /// What the kills did; afterwards a pair is in place that is to be renewed.
    async fn judge(&self, from: usize, before: &Tokens, count: &mut Count) {
        let stored = self.stored().await;
        let seen = self.scene.exchanges(from);
        let tried = self.scene.refresh().await;
        match tried {
            Ok(tokens) => {
                let is_renewed = !stored.is_same(before);
                *(if is_renewed { &mut count.renewed } else { &mut count.before_any_request }) += 1;
                assert!(seen.iter().all(|exchange| exchange.spent == 0), "no token was presented twice: {seen:?}");
                self.scene.keep(ended(tokens, Utc::now()));
            }
            Err(OAuthError::Refused(_)) => {
                // Only by a killed process, and only one that had asked for the pair that is stored still.
                assert!(stored.is_same(before), "what was stored after a renewal is good: {seen:?}");
                let first = seen.iter().filter(|exchange| exchange.spent == 0).count();
                assert_eq!(first, 1, "spent once: {seen:?}");
                let again: Vec<_> = seen.iter().filter(|exchange| exchange.spent > 0).collect();
                assert!(again.len() <= 1 && again.iter().all(|exchange| exchange.status != 200), "{seen:?}");
                count.lost += 1;
                count.refused += u32::from(!again.is_empty());
                self.scene.sign_in(TimeDelta::zero());
            }
            Err(error) => panic!("the simulator is well: {error}"),
        }
    }
}

/// So many kills of two exporters on one database.
async fn kills(number: u32) {
    let shared = Shared::at(postgres::database().await, TimeDelta::zero()).await;
    let mut count = Count::default();
    for _ in 0..number {
        shared.one_kill(&mut count).await;
    }
    let exchanges = shared.scene.exchanges(0);
    let good = exchanges.iter().filter(|exchange| exchange.status == 200);
    assert!(good.clone().all(|exchange| exchange.spent == 0), "Oura gave one pair for each token: {exchanges:?}");
    let text = format!("{number} kills, {} pairs given: {count:?}\n", good.count());
    let _ = std::io::stderr().write_all(text.as_bytes());
    assert!(count.renewed > 0, "renewals went through: {count:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_exporters_on_one_database_spend_no_token_twice_whoever_is_killed() {
    if postgres_is_there("two_exporters_on_one_database_spend_no_token_twice_whoever_is_killed") {
        kills(12).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "200 renewals and kills: cargo test --workspace --test it token_table:: -- --ignored --nocapture"]
async fn two_exporters_are_killed_two_hundred_times() {
    kills(200).await;
}

/// What the page of a program says.
async fn page_where(program: &Program, what: &str, condition: impl Fn(&Page) -> bool) -> Page {
    let fits = async || program.get("/metrics").await.map(|text| Page::parse(&text)).filter(|page| condition(page));
    eventually(what, fits).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_values_stay_and_afterwards_all_goes_on_without_a_restart() {
    if !postgres_is_there("while_the_database_is_away_values_stay_and_afterwards_all_goes_on_without_a_restart") {
        return;
    }
    let mut server = Postgres::start().await;
    let shared = Shared::at(server.own_url(), TimeDelta::hours(2)).await;
    let program = Program::start(&mut shared.exporter(1)).await;
    program.ready().await;
    let is_up = |page: &Page, value: f64| page.get("oura_token_store_up") == Some(value);
    let before = page_where(&program, "the database is there", |page| is_up(page, 1.0)).await;
    let scores =
        |page: &Page| page.starting_with("oura_sleep_score").into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(!scores(&before).is_empty());
    server.end();
    let away = page_where(&program, "the page says that it is away", |page| is_up(page, 0.0)).await;
    assert_eq!(scores(&away), scores(&before), "values stay");
    assert_eq!(away.get("oura_up{account=\"anna\"}"), Some(1.0), "as long as the token works, so does all else");
    program.said("OURA_TOKEN_STORE: PostgreSQL at 127.0.0.1:").await;
    program.said("does not answer").await;
    let (code, said) = run(shared.exporter(2).arg("accounts")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("does not answer (") && said.contains("start it, or check the URL's host"), "{said}");
    // One that starts meanwhile says so, and needs no restart either.
    let late = Program::start(&mut shared.exporter(2)).await;
    let not_yet = async || late.get("/-/ready").await.filter(|text| text.contains("does not answer ("));
    eventually("it says why nobody is there", not_yet).await;
    server.begin().await;
    page_where(&program, "it is back", |page| is_up(page, 1.0)).await;
    late.ready().await;
    // Another sign-in, of which they learn by looking, and which one of them renews.
    shared.scene.sign_in(TimeDelta::zero());
    let renewed = async || (!shared.scene.exchanges(0).is_empty()).then_some(());
    eventually("the new sign-in is renewed", renewed).await;
    assert!(shared.scene.exchanges(0).iter().all(|exchange| exchange.spent == 0), "and once");
    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the token store answers again"), "{log}");
    assert!(!log.contains(PASSWORD) && log.matches("does not answer").count() <= 2, "told once for each outage: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_oura_has_given_is_stored_although_the_database_restarts_under_way() {
    if !postgres_is_there("what_oura_has_given_is_stored_although_the_database_restarts_under_way") {
        return;
    }
    let mut server = Postgres::start().await;
    let shared = Shared::at(server.own_url(), TimeDelta::zero()).await;
    let authorizations = shared.scene.simulator.authorizations();
    authorizations.set_fault(TokenFault::Delay(Duration::from_millis(300)));
    let (store, client) = (shared.scene.store.clone(), Arc::new(shared.scene.authority()));
    let renewing =
        tokio::spawn(async move { TokenManager::new(ANNA, store, client, Clock::system()).access_token().await });
    eventually("Oura is asked", async || (!shared.scene.exchanges(0).is_empty()).then_some(())).await;
    server.end();
    let answered = async || shared.scene.exchanges(0).iter().any(|exchange| exchange.status == 200).then_some(());
    eventually("Oura has answered, while there is no database", answered).await;
    server.begin().await;
    let token = renewing.await.expect("no defect").expect("a token");
    assert_eq!(shared.stored().await.access.expose_secret(), token.expose_secret(), "it is stored before it is used");
    assert!(shared.scene.refresh().await.is_ok(), "and good");
    assert!(shared.scene.exchanges(0).iter().all(|exchange| exchange.spent == 0));
}

async fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().await.expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for secret in [PASSWORD, "_0XB", "_1XB"] {
        assert!(!said.contains(secret), "it shows {secret}: {said}");
    }
    (output.status.code(), said)
}

/// A server that takes no encrypted connections.
async fn without_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 8];
            let _asked = stream.read_exact(&mut asked).await;
            let _refused = stream.write_all(b"N").await;
        }
    });
    address
}

/// A URL that does not do, what is said to be the cause, and what to do.
type Wrong = (String, &'static str, &'static str);

/// The URL of a database with the tables of a newer build, and of one that its user may not use.
async fn not_for_us() -> [String; 2] {
    let [newer, foreign] = [postgres::database().await, postgres::database().await];
    postgres::ask(&newer, "CREATE TABLE oura_exporter_schema (version integer NOT NULL)");
    postgres::ask(&newer, "INSERT INTO oura_exporter_schema VALUES (1), (7)");
    postgres::ask(&foreign, &format!("CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'"));
    [newer, foreign.replace(&format!("{USER}:"), "stranger:")]
}

/// What can be wrong with the way to the database whose URL is `good`.
async fn wrong_ways(good: &str) -> Vec<Wrong> {
    let (server, _) = good.rsplit_once('/').expect("a database");
    let (_, address) = server.rsplit_once('@').expect("an address");
    let [nobody, plain] = [free_address().await, without_tls().await];
    let [newer, foreign] = not_for_us().await;
    let in_the_open = |host: &str| good.replace(address, host) + "?sslmode=disable";
    let wrong_user = "check the URL's user";
    vec![
        (good.replace(PASSWORD, "wrong"), "does not let user oura in (password authentication failed", wrong_user),
        (good.replace(&format!(":{PASSWORD}"), ""), "does not let user oura in (password missing", wrong_user),
        (good.replace("oura:", "nobody:"), "does not let user nobody in", wrong_user),
        (format!("{server}/missing"), "has no database missing", "createdb --owner=oura missing"),
        (foreign, "use its tables (permission denied", "OWNER TO stranger"),
        (newer, "version 7, and this one knows 1", "use that one"),
        (good.replace(address, &nobody), "does not answer (", "start it, or check"),
        (in_the_open("nowhere.invalid"), "nowhere.invalid:5432", "check the URL's host"),
        (good.replace(address, &plain) + "?sslmode=require", "(server does not support TLS)", "give it a certificate"),
        (good.to_owned() + "?sslmode=prefer", "leaves open whether tokens are encrypted", "write sslmode=verify-full"),
        (good.replace("postgres:", "mysql:"), "not the URL of a database", "write postgres://USER"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_database_is_named_with_what_to_do() {
    if !postgres_is_there("what_is_wrong_with_the_database_is_named_with_what_to_do") {
        return;
    }
    let scene = Scene::of(Portal::New).await;
    let good = postgres::database().await;
    for (url, cause, next) in wrong_ways(&good).await {
        let (code, said) = run(scene.program().arg("accounts").env("OURA_TOKEN_STORE", &url)).await;
        assert!(matches!(code, Some(1 | 2)), "{said}");
        assert!(said.contains("OURA_TOKEN_STORE: ") && said.contains(cause) && said.contains(next), "{cause}: {said}");
    }
    // The same out of a file, by the exporter itself: what no waiting mends ends it at the start.
    let written = scene.tokens().with_file_name("url");
    fs::write(&written, good.replace(PASSWORD, "wrong")).expect("a file");
    let (code, said) = run(scene.program().env("OURA_TOKEN_STORE_FILE", &written)).await;
    assert!(code == Some(2) && said.contains("password authentication failed"), "{said}");
    let (code, said) = run(scene.program().env("OURA_TOKEN_STORE_FILE", &written).env("OURA_TOKEN_STORE", &good)).await;
    assert!(code == Some(2) && said.contains("both are set; unset one"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_there_is_encrypted_and_whose_certificate_it_is_is_verified() {
    if !postgres_is_there("the_way_there_is_encrypted_and_whose_certificate_it_is_is_verified") {
        return;
    }
    let scene = Scene::of(Portal::New).await;
    let by_name = postgres::database().await.replace("127.0.0.1", "localhost");
    let [trusted, other] = [postgres::authority("trusted").await, postgres::authority("other").await];
    let signed_by = |authority: &PathBuf| format!("{by_name}?sslmode=verify-full&sslrootcert={}", authority.display());
    let accounts = async |url: &str| run(scene.program().arg("accounts").env("OURA_TOKEN_STORE", url)).await;
    let (code, said) = accounts(&signed_by(&trusted)).await;
    assert!(code == Some(0) && said.contains("Nobody is signed in"), "{said}");
    let encrypted = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE datname = current_database() AND application_name = 'oura-exporter'";
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(&signed_by(&trusted), &directory);
    assert_eq!(store.accounts().expect("a look"), Vec::<String>::new());
    assert!(!format!("{store:?}").contains(PASSWORD), "{store:?}");
    assert_eq!(postgres::ask(&by_name, encrypted), "t");
    for (url, cause) in [
        (signed_by(&other), "over TLS (invalid peer certificate: UnknownIssuer"),
        (signed_by(&trusted).replace("localhost", "127.0.0.1"), "not valid for name"),
        (format!("{by_name}?sslmode=require"), "over TLS (invalid peer certificate"),
    ] {
        let (code, said) = accounts(&url).await;
        assert!(code == Some(1) && said.contains(cause) && said.contains("sslrootcert=FILE"), "{cause}: {said}");
    }
}

#[tokio::test]
async fn of_many_who_start_at_once_one_makes_the_tables() {
    if !postgres_is_there("of_many_who_start_at_once_one_makes_the_tables") {
        return;
    }
    let (url, directory) = (postgres::database().await, Arc::new(tempfile::tempdir().expect("a directory")));
    for round in 0..3 {
        let starts = (0..8).map(|_| {
            let (url, directory) = (url.clone(), Arc::clone(&directory));
            tokio::task::spawn_blocking(move || store(&url, &directory).accounts())
        });
        for started in futures_util::future::join_all(starts).await {
            assert_eq!(started.expect("no defect").expect("tables"), Vec::<String>::new(), "{round}");
        }
        assert_eq!(postgres::ask(&url, "SELECT version FROM oura_exporter_schema"), "1", "{round}");
    }
}

/// Two exporters on machines of their own, which share a table and no directory.
struct Study {
    scene: Scene,
    url: String,
    programs: [Program; 2],
    _elsewhere: TempDir,
}

impl Study {
    async fn begin() -> Self {
        let scene = Scene::of(Portal::New).await.with_free_redirect();
        let (url, elsewhere) = (postgres::database().await, tempfile::tempdir().expect("a directory"));
        let mut commands = [on_the_table(&scene, &url), on_the_table(&scene, &url)];
        commands[1].env("OURA_STATE_DIR", elsewhere.path());
        let [one, other] = &mut commands;
        let programs = [Program::start(one).await, Program::start(other).await];
        Self { scene, url, programs, _elsewhere: elsewhere }
    }

    async fn sign_in(&self, account: &str, person: &str) -> (Option<i32>, String) {
        let table = [("OURA_TOKEN_STORE", self.url.as_str())];
        let mut begun = self.scene.begin_with(&["--no-browser", "--account", account], "", &table).await;
        let pasted = consent(begun.url.as_ref().expect("an address"), person, "allow").await;
        begun.paste(&pasted).await;
        let (code, said) = begun.end().await;
        self.scene.assert_discreet(&said, &pasted);
        assert!(!said.contains(PASSWORD), "{said}");
        (code, said)
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        run(on_the_table(&self.scene, &self.url).args(arguments)).await
    }

    /// Both exporters show these accounts, and no others.
    async fn show(&self, accounts: &[&str]) {
        let series = |account: &&str| format!("oura_up{{account=\"{account}\"}}");
        let wanted: Vec<_> = accounts.iter().map(series).collect();
        for program in &self.programs {
            let fits = |page: &Page| {
                let shown = page.starting_with("oura_up{");
                shown.len() == wanted.len() && wanted.iter().all(|series| page.get(series) == Some(1.0))
            };
            page_where(program, &format!("{accounts:?} are there"), fits).await;
        }
    }
}

fn on_the_table(scene: &Scene, url: &str) -> Command {
    let mut command = scene.program();
    command.env("OURA_TOKEN_STORE", url).env("OURA_POLL_INTERVAL", "1s").env("OURA_COLLECTIONS", "daily_sleep");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_and_go_by_commands_and_running_exporters_notice() {
    if !postgres_is_there("people_come_and_go_by_commands_and_running_exporters_notice") {
        return;
    }
    let study = Study::begin().await;
    let (code, said) = study.sign_in(ANNA, "alice").await;
    assert!(code == Some(0) && said.contains("Tokens are in PostgreSQL at 127.0.0.1:"), "{said}");
    assert!(!study.scene.file(ANNA).exists(), "no file has them");
    assert_eq!(study.sign_in("ben", "bob").await.0, Some(0));
    study.show(&[ANNA, "ben"]).await;
    let (code, said) = study.run(&["accounts"]).await;
    assert!(code == Some(0) && said.contains("anna ") && said.contains("ben "), "{said}");
    let (code, said) = study.run(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    // Tokens that are damaged do not make the name anybody else's.
    let damage =
        "UPDATE oura_exporter_accounts SET tokens = 'access-9', version = version + 1000 WHERE account = 'ben'";
    postgres::ask(&study.url, damage);
    let (code, said) = study.run(&["accounts"]).await;
    assert!(code == Some(1) && said.contains("a row of account ben") && said.contains("damaged"), "{said}");
    assert!(!said.contains("access-9"), "{said}");
    let (code, said) = study.sign_in("ben", "alice").await;
    assert!(code == Some(1) && said.contains("nothing was stored"), "{said}");
    assert_eq!(study.sign_in("ben", "bob").await.0, Some(0));
    let (code, said) = study.run(&["logout", "--account", ANNA]).await;
    assert!(code == Some(0) && said.contains("revoked at Oura"), "{said}");
    study.show(&["ben"]).await;
    let rows = "SELECT account, tokens IS NULL, person IS NULL FROM oura_exporter_accounts WHERE account NOT LIKE '~%'";
    let rows = postgres::ask(&study.url, rows);
    let rows: BTreeMap<_, _> = rows.lines().filter_map(|row| row.split_once('|')).collect();
    assert_eq!(rows, BTreeMap::from([(ANNA, "t|t"), ("ben", "f|f")]), "nothing is left of anna");
    for program in study.programs {
        let (code, log) = program.terminate().await;
        assert!(code == Some(0) && !log.contains(PASSWORD) && !log.contains("access-9"), "{log}");
    }
    let rename = ["accounts", "rename", "ben", "benno"];
    let renamed = run(on_the_table(&study.scene, &study.url).args(rename)).await;
    assert_eq!(renamed.0, Some(0), "{}", renamed.1);
    let (_, said) = run(on_the_table(&study.scene, &study.url).arg("accounts")).await;
    assert!(said.contains("benno ") && !said.contains("ben "), "{said}");
}
