//! Several exporters that divide the accounts among them: each account is shown once, wherever people sign in and whichever
//! shard moves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use chrono::{TimeDelta, Utc};
use oura_exporter::{
    auth::{Portal as Issuer, Store, Tokens},
    clock::Clock,
    shard::Shard,
    simulator::Portal,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::common::{
    Page, Program,
    door::{Visitor, at_the_redirect_with},
    eventually,
    needs::there_are,
    scene::{Scene, consent},
    servers::{file, free_address, start},
    signal,
    stores::{self, Labels, Points},
};

/// Accounts and their persons; each of three shards has some.
const STUDY: [(&str, &str); 6] = [
    ("anna", "alice"),
    ("ben", "bob"),
    ("bob", "bob"),
    ("default", "alice"),
    ("wearer-0001", "alice"),
    ("wearer-0002", "bob"),
];

/// Who is shown by that shard.
fn of(shard: &str) -> BTreeSet<String> {
    let shard: Shard = shard.parse().expect("a shard");
    STUDY.iter().map(|(name, _)| (*name).to_owned()).filter(|name| shard.has(name)).collect()
}

/// The accounts on a page.
fn accounts(page: &Page) -> BTreeSet<String> {
    page.starting_with("oura_up").into_iter().filter_map(|series| Some(series.split('"').nth(1)?.to_owned())).collect()
}

async fn page(program: &Program) -> Page {
    Page::parse(&program.get("/metrics").await.expect("a page"))
}

/// Everybody of the study signs in, as a sign-in leaves it.
fn sign_everybody_in(scene: &Scene) {
    let (store, now) = (Store::new(scene.tokens()), Utc::now());
    for (name, person) in STUDY {
        let granted = scene.simulator.authorizations().grant(Portal::New, person, &[]);
        let tokens = Tokens {
            access: granted.access_token.into(),
            refresh: Some(granted.refresh_token.into()),
            issued_at: now,
            expires_at: Some(now + TimeDelta::days(1)),
            scopes: None,
            portal: Issuer::New,
            signed_in_at: now,
            person: None,
        };
        store.write(name, &tokens).expect("it is stored");
    }
}

/// The program as one of the shards, which polls once.
fn program(scene: &Scene, shard: &str) -> Command {
    let mut command = scene.program();
    command.env("OURA_SHARD", shard).env("OURA_POLL_INTERVAL", "36h");
    command.env("OURA_COLLECTIONS", "daily_sleep,daily_readiness,workout");
    command
}

/// The agent of docs/scale.md, with its configuration there.
struct Agent {
    address: String,
    directory: TempDir,
    process: Child,
}

impl Agent {
    async fn start(store: &stores::Store) -> Self {
        let (address, directory) = (free_address().await, tempfile::tempdir().expect("a directory"));
        fs::write(directory.path().join("agent.yml"), "scrape_configs: []\n").expect("a file");
        let arguments = [
            "-promscrape.config=agent.yml",
            "-remoteWrite.tmpDataPath=data",
            &format!("-remoteWrite.url={}", store.write_url()),
            &format!("-httpListenAddr={address}"),
        ];
        let process = start("vmagent", directory.path(), &arguments);
        eventually("the agent answers", async || reqwest::get(format!("http://{address}/health")).await.ok()).await;
        Self { address, directory, process }
    }

    /// Has it read the shards at these addresses.
    async fn read(&self, shards: &[&str]) {
        let page = fs::read_to_string(file("docs/scale.md")).expect("docs/scale.md");
        let examples = page.split("```yaml\n").filter_map(|rest| rest.split("```").next());
        let example = examples.into_iter().find(|block| block.contains("oura-exporter-0.")).expect("an example");
        let mut config = example.replace("scrape_interval: 1m", "scrape_interval: 1s");
        for (index, address) in shards.iter().enumerate() {
            let named = format!("oura-exporter-{index}.oura-exporter:10058");
            assert!(config.contains(&named), "{named}: {config}");
            config = config.replace(&named, address);
        }
        fs::write(self.directory.path().join("agent.yml"), config).expect("a file");
        signal("HUP", &self.process.id().expect("it runs").to_string()).await;
    }
}

/// The labels of a series without the agent's own.
fn told(labels: &Labels) -> Labels {
    let own = |name: &&str| !matches!(*name, "instance" | "job");
    labels.iter().filter(|(name, _)| own(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The series of accounts on a page, with their labels.
fn series(text: &str) -> Vec<Labels> {
    let labelled = |line: &str| {
        let (name, rest) = line.split_once('{').filter(|_| !line.starts_with('#'))?;
        let (labels, _) = rest.rsplit_once('}')?;
        let pairs = labels.split("\",").map(|pair| pair.trim_end_matches('"').split_once("=\"").expect("a label"));
        let labels: Labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        labels.contains_key("account").then(|| [labels, Labels::from([("__name__".into(), name.into())])])
    };
    text.lines().filter_map(labelled).map(|parts| parts.into_iter().flatten().collect()).collect()
}

/// VictoriaMetrics keeps fifteen digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.12e}").parse().expect("a number")
}

/// What the shards tell of the last fourteen days, as a database is to have it.
async fn record(shards: &[Program]) -> BTreeMap<Labels, Points> {
    let mut record = BTreeMap::<Labels, Points>::new();
    for shard in shards {
        let text = shard.get("/metrics/samples?learnt=14d").await.expect("the record");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for (line, labels) in lines.iter().zip(series(&text)) {
            let mut end = line.rsplit(' ');
            let time = end.next().and_then(|time| time.parse().ok()).expect("a time");
            let value = end.next().and_then(|value| value.parse().ok()).expect("a value");
            record.entry(labels).or_default().push((time, rounded(value)));
        }
    }
    record.values_mut().for_each(|points| points.sort_by_key(|(time, _)| *time));
    record
}

/// The record as the database has it.
async fn kept(store: &stores::Store) -> BTreeMap<Labels, Points> {
    store.flush().await;
    // Two metrics of the page begin as those of the record do.
    let query = "{__name__=~\"oura_sample_.*\",__name__!~\"oura_sample_(lag_seconds|revisions_total)\"}";
    let found = store.samples(query, "30d", Utc::now()).await;
    let rounded = |points: Points| points.into_iter().map(|(time, value)| (time, rounded(value))).collect();
    found.into_iter().map(|(labels, points)| (told(&labels), rounded(points))).collect()
}

/// Waits until the database has every series of these pages, each once, and no other account's; how many they are.
async fn assert_each_once(store: &stores::Store, shards: &[Program]) -> usize {
    let mut shown = Vec::new();
    for shard in shards {
        shown.extend(series(&page(shard).await.text));
    }
    shown.sort();
    let names: BTreeSet<_> = shown.iter().map(|labels| labels["__name__"].clone()).collect();
    let all = async || {
        let found = store.all_at("{account!=\"\"}", Utc::now()).await;
        // Of the record only what was dated just now is there at this moment, if anything is.
        let mut found: Vec<_> =
            found.iter().map(|(labels, _)| told(labels)).filter(|labels| names.contains(&labels["__name__"])).collect();
        found.sort();
        (found == shown).then_some(())
    };
    eventually("the database has what the shards show, each series once", all).await;
    shown.len()
}

/// Each account's `oura_up` in the database: its only series, without the marks of an end.
async fn ups(store: &stores::Store) -> BTreeMap<String, Points> {
    store.flush().await;
    let mut ups = BTreeMap::new();
    for (labels, points) in store.samples("oura_up", "1h", Utc::now()).await {
        let points = points.into_iter().filter(|(_, value)| !value.is_nan()).collect();
        assert_eq!(ups.insert(labels["account"].clone(), points), None, "a second series: {labels:?}");
    }
    ups
}

/// The shards of the study, the agent that reads them, and the database.
struct Cluster {
    scene: Scene,
    store: stores::Store,
    agent: Agent,
    shards: Vec<Program>,
}

impl Cluster {
    /// Everybody is signed in, and three shards run.
    async fn start() -> Self {
        // Nobody's ring syncs meanwhile: what is told twice is told because of the shards.
        let scene = Scene::at(Portal::New, Clock::still_at(Utc::now())).await;
        sign_everybody_in(&scene);
        let store = stores::Store::victoria_metrics(&["-retentionPeriod=100y"]).await;
        let agent = Agent::start(&store).await;
        let mut cluster = Self { scene, store, agent, shards: vec![] };
        for shard in ["0/3", "1/3", "2/3"] {
            let program = cluster.begin(shard).await;
            assert_eq!(accounts(&page(&program).await), of(shard), "{shard}");
            cluster.shards.push(program);
        }
        cluster.read().await;
        cluster
    }

    async fn begin(&self, shard: &str) -> Program {
        let receiver = format!("http://{}/api/v1/write", self.agent.address);
        let program = Program::start(program(&self.scene, shard).env("OURA_REMOTE_WRITE_URL", receiver)).await;
        program.ready().await;
        program
    }

    /// Has the agent read the shards where they are.
    async fn read(&self) {
        let addresses: Vec<_> = self.shards.iter().map(|shard| shard.address.as_str()).collect();
        self.agent.read(&addresses).await;
    }

    /// Kills the second shard, and starts it elsewhere.
    async fn move_second(&mut self) {
        let mut moved = self.shards.remove(1);
        moved.child.kill().await.expect("it runs");
        self.shards.insert(1, self.begin("1/3").await);
        assert_ne!(self.shards[1].address, moved.address);
        self.read().await;
    }

    /// Waits until the database has that record, and nothing else.
    async fn assert_kept(&self, record: &BTreeMap<Labels, Points>) {
        let is_kept = async || (kept(&self.store).await == *record).then_some(());
        eventually("the database has the record", is_kept).await;
    }
}

#[tokio::test]
async fn three_shards_and_an_agent_give_a_database_every_account_once_and_a_shard_that_moves_loses_nothing() {
    let name = "three_shards_and_an_agent_give_a_database_every_account_once_and_a_shard_that_moves_loses_nothing";
    if !there_are(&["victoria-metrics", "vmagent"], name) {
        return;
    }
    let mut cluster = Cluster::start().await;
    let count = assert_each_once(&cluster.store, &cluster.shards).await;
    let before = record(&cluster.shards).await;
    cluster.assert_kept(&before).await;

    let moved_at = Utc::now().timestamp_millis();
    cluster.move_second().await;
    assert_eq!(assert_each_once(&cluster.store, &cluster.shards).await, count);
    let is_back = async || {
        let ups = ups(&cluster.store).await;
        let is_after = |name: &String| ups[name].last().is_some_and(|(time, _)| *time > moved_at);
        of("1/3").iter().all(is_after).then_some(ups)
    };
    let ups = eventually("the accounts of the shard that moved are read again", is_back).await;
    assert_eq!(ups.keys().cloned().collect::<Vec<_>>(), STUDY.map(|(name, _)| name.to_owned()));
    for (name, points) in &ups {
        assert!(points.iter().all(|(_, value)| *value == 1.0), "{name} was never in trouble: {points:?}");
        let gap = points.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default();
        println!("{name}: {} scrapes, at most {gap} ms between two", points.len());
    }
    // The journal says what was told: nothing is told a second time, and nothing is missing.
    assert_eq!(record(&cluster.shards).await, before);
    cluster.assert_kept(&before).await;
    assert_shards_are_told(&cluster.store, cluster.shards.len()).await;
    let samples = before.values().flatten().count();
    println!("{count} series of the page, {} of the record in {samples} samples", before.len());
}

/// The two questions of docs/scale.md find nothing missing, and what is missing when a shard is.
async fn assert_shards_are_told(store: &stores::Store, count: usize) {
    let page = fs::read_to_string(file("docs/scale.md")).expect("docs/scale.md").replace("\n  ", " ");
    let question = |begin: &str| {
        let found = page.split('`').find(|code| code.starts_with(begin));
        found.unwrap_or_else(|| panic!("docs/scale.md has no {begin}")).to_owned()
    };
    let (missing, differing) = (question("count(count by (shard)"), question("min(oura_exporter_shards)"));
    let alone = |query: &str| query.replace("oura_exporter_shards", "oura_exporter_shards{shard!=\"1\"}");
    for (query, answer) in [(missing.clone(), None), (differing, None), (alone(&missing), Some((count - 1) as f64))] {
        eventually(&query, async || (store.now(&query).await == answer).then_some(())).await;
    }
}

/// The documents of a file for Kubernetes, by kind.
fn documents(path: &str) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let each = text.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).expect("YAML"));
    each.map(|document| (document["kind"].as_str().expect("a kind").to_owned(), document)).collect()
}

#[test]
fn each_pod_of_the_stateful_set_is_another_shard_and_the_agent_reads_them_all() {
    let sharded = documents("deploy/kubernetes-shards.yaml");
    let (set, service) = (&sharded["StatefulSet"], &sharded["Service"]);
    let replicas = set["spec"]["replicas"].as_u64().expect("a number");
    let mut container = set["spec"]["template"]["spec"]["containers"][0].clone();
    let variables = container["env"].as_array().expect("variables").clone();
    let named = |name: &str| variables.iter().find(|one| one["name"] == name).expect(name);
    assert_eq!(
        named("POD_INDEX")["valueFrom"]["fieldRef"]["fieldPath"],
        "metadata.labels['apps.kubernetes.io/pod-index']"
    );
    let page = fs::read_to_string(file("docs/scale.md")).expect("docs/scale.md");
    let shard = named("OURA_SHARD")["value"].as_str().expect("a shard");
    for index in 0..replicas {
        let told: Shard = shard.replace("$(POD_INDEX)", &index.to_string()).parse().expect("a shard");
        assert_eq!((u64::from(told.index()), u64::from(told.count())), (index, replicas));
        let pod = format!("{}-{index}", set["metadata"]["name"].as_str().expect("a name"));
        let target = format!("- {pod}.{}:10058", service["metadata"]["name"].as_str().expect("a name"));
        assert!(page.contains(&target), "the agent of docs/scale.md does not read {target}");
    }
    assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    assert_eq!(service["spec"]["clusterIP"], "None", "each pod has a name of its own");
    let to = named("OURA_REMOTE_WRITE_URL")["value"].as_str().expect("an address");
    assert!(page.contains(&format!("OURA_REMOTE_WRITE_URL={to}`")), "docs/scale.md names another agent than {to}");
    let guarded = &sharded["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"];
    assert_eq!(*guarded, set["spec"]["template"]["metadata"]["labels"], "the policy guards other pods");
    // All else is as in the file for one exporter, but what it takes.
    let mut alone = documents("deploy/kubernetes.yaml")["Deployment"]["spec"]["template"]["spec"].clone();
    let mut pod = set["spec"]["template"]["spec"].clone();
    let own = |one: &Value| matches!(one["name"].as_str(), Some("POD_INDEX" | "OURA_SHARD" | "OURA_REMOTE_WRITE_URL"));
    container["env"] = variables.iter().filter(|one| !own(one)).cloned().collect();
    container["resources"].take();
    pod["containers"][0] = container;
    alone["containers"][0]["resources"].take();
    assert_eq!(pod, alone);
}

#[tokio::test]
async fn people_sign_in_and_out_at_any_shard_and_are_told_which_one_shows_them() {
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let here =
        at_the_redirect_with(&scene, "127.0.0.1", &[("OURA_SHARD", "0/2"), ("OURA_COLLECTIONS", "workout")]).await;
    let other = Program::start(&mut program(&scene, "1/2")).await;
    let visitor = Visitor::of(&format!("http://localhost:{}/", scene.port()));
    let front = visitor.get("./").await.text;
    assert!(front.contains("<h1>Nobody here yet</h1>") && front.contains("is shard 0/2"), "{front}");
    for program in [&here, &other] {
        program.ready().await;
    }
    // The first two are the other shard's.
    for (account, person, words) in [
        ("anna", "alice", "Shard 1/2 shows this account"),
        ("ben", "alice", "Shard 1/2 shows this account"),
        ("bob", "bob", "This collection may be read: workout."),
    ] {
        let is_here = account == "bob";
        let (place, oura) = visitor.begin(account).await;
        let back = consent(&oura, person, "allow").await;
        assert_eq!(visitor.get(&back).await.status, 303);
        let done = visitor.titled(&place, &format!("Signed in as {account}")).await;
        assert!(done.contains(words), "{done}");
        let (shows, does_not) = if is_here { (&here, &other) } else { (&other, &here) };
        let there = async || accounts(&page(shows).await).contains(account).then_some(());
        eventually("its shard shows the account", there).await;
        assert!(!accounts(&page(does_not).await).contains(account), "{account}");
        let answer = visitor.post("sign-out", &[("account", account)]).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let gone = async || (!accounts(&page(shows).await).contains(account)).then_some(());
        eventually("who has signed out has left its shard", gone).await;
        assert_no_record(&scene.tokens(), account);
    }
}

/// Nothing of the record of that account is left.
fn assert_no_record(state: &Path, account: &str) {
    let entries = fs::read_dir(state.join("samples")).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.contains(account)), "{names:?}");
}

#[tokio::test]
async fn the_commands_of_a_shard_work_on_its_accounts_and_say_so() {
    let scene = Scene::of(Portal::New).await;
    sign_everybody_in(&scene);
    let run = async |shard: &str, arguments: &[&str]| {
        let output = program(&scene, shard).args(arguments).output().await.expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        scene.assert_discreet(&said, "");
        (output.status.code(), said)
    };
    let (code, said) = run("2/3", &["accounts"]).await;
    assert_eq!(code, Some(0), "{said}");
    for (name, _) in STUDY {
        let shard = "0/3".parse::<Shard>().expect("a shard").of(name).to_string();
        let row = said.lines().find(|line| line.split_whitespace().next() == Some(name));
        assert_eq!(row.and_then(|row| row.split_whitespace().nth(1)), Some(shard.as_str()), "{said}");
    }
    let (code, said) = run("2/3", &["check"]).await;
    let named = said.lines().filter_map(|line| line.strip_prefix("Account ")?.split_once(": there is a token"));
    let tested: BTreeSet<_> = named.map(|(name, _)| name).collect();
    assert_eq!(tested, of("2/3").iter().map(String::as_str).collect(), "{said}");
    assert!(code == Some(0) && said.contains("This is shard 2/3 (OURA_SHARD): only its accounts are tested"), "{said}");
    let backfill = ["backfill", "--from", "2026-01-01", "--output", "-", "--account", "anna"];
    let (code, said) = run("2/3", &backfill).await;
    assert!(code == Some(1) && said.contains("--account: anna is of shard 1/3, and this is shard 2/3"), "{said}");
    // Nobody of six is of this one of many.
    let empty = (0..64).map(|index| format!("{index}/64")).find(|shard| of(shard).is_empty()).expect("one of 64");
    for command in [&["check"][..], &["backfill", "--from", "2026-01-01", "--output", "-"]] {
        let (code, said) = run(&empty, command).await;
        let words = format!("OURA_SHARD: none of the 6 accounts that are signed in is of shard {empty}; unset it");
        assert!(code == Some(2) && said.contains(&words) && !said.contains("no account:"), "{said}");
    }
    let (code, said) = run("3/3", &["check"]).await;
    assert!(code == Some(2) && said.contains("OURA_SHARD: \"3/3\" names a shard that is not there"), "{said}");
}

#[tokio::test]
async fn the_account_of_a_token_by_hand_is_shown_by_one_shard_alone() {
    let scene = Scene::of(Portal::New).await;
    let token = &scene.simulator.people()[0].token;
    for (account, shown_by) in [("default", "0/2"), ("anna", "1/2"), ("ben", "1/2")] {
        for shard in ["0/2", "1/2"] {
            let mut command = program(&scene, shard);
            let program = Program::start(command.env("OURA_ACCESS_TOKEN", token).env("OURA_ACCOUNT", account)).await;
            program.ready().await;
            let expected = BTreeSet::from_iter((shard == shown_by).then(|| account.to_owned()));
            assert_eq!(accounts(&page(&program).await), expected, "{account} {shard}");
            let (_, log) = program.terminate().await;
            let says = format!("the account of OURA_ACCESS_TOKEN is shown by shard {shown_by}");
            assert_eq!(log.contains(&says), shard != shown_by, "{log}");
        }
    }
}

#[tokio::test]
async fn while_shards_are_added_two_have_an_account_and_none_of_its_tokens_is_spent_twice() {
    let scene = Scene::of(Portal::New).await;
    sign_everybody_in(&scene);
    let mut shards = Vec::new();
    // The two of before have not ended yet, and the three of afterwards run already.
    for shard in ["0/2", "1/2", "0/3", "1/3", "2/3"] {
        shards.push(Program::start(program(&scene, shard).env("OURA_POLL_INTERVAL", "1s")).await);
    }
    for shard in &shards {
        shard.ready().await;
    }
    let store = Store::new(scene.tokens());
    let exchanges = || scene.simulator.authorizations().exchanges();
    // Whoever has renewed an account does not do it again at once, and then the other one does.
    for round in 1..=2 {
        STUDY.iter().for_each(|(name, _)| scene.expire(name));
        let renewed = async || {
            let is_good = |name: &str| matches!(store.read(name), Ok(Some(tokens)) if !tokens.has_expired(Utc::now()));
            (exchanges().len() >= round * STUDY.len() && STUDY.iter().all(|(name, _)| is_good(name))).then_some(())
        };
        eventually("each account's tokens are renewed and stored", renewed).await;
    }
    let everybody = async || {
        let mut shown = Vec::new();
        for shard in &shards {
            let page = page(shard).await;
            let up = |name: &String| page.get(&format!("oura_up{{account=\"{name}\"}}")) == Some(1.0);
            shown.extend(accounts(&page).into_iter().filter(up));
        }
        (shown.len() == 2 * STUDY.len()).then_some(())
    };
    eventually("each account is well at both of its shards", everybody).await;
    for shard in shards {
        assert_eq!(shard.terminate().await.0, Some(0));
    }
    assert_eq!(exchanges().len(), 2 * STUDY.len());
    assert!(exchanges().iter().all(|exchange| exchange.spent == 0), "{:?}", exchanges());
}
