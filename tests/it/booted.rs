//! A Debian that is booted for the test: from the program to a service with people signed in, every line pasted from docs/deployment.md.

use std::{fs, path::Path, process::Stdio};

use crate::common::{
    door::Visitor,
    eventually,
    needs::systemd_boots,
    scene::{Scene, consent},
    servers::{file, text},
};
use oura_exporter::simulator::Portal;
use reqwest::Url;
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Boots what this machine has installed, with nothing enabled and nothing of it changed, and does there what it finds in the
/// directory that it is given.
const BOOT: &str = r#"set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
rm -f etc/systemd/system/*.wants/*
rm -rf etc/oura-exporter var/lib/oura-exporter var/lib/private usr/local/bin/oura-exporter
printf '[Service]\nExecStart=/bin/bash /lines/loop\n' > etc/systemd/system/lines.service
mkdir -p etc/systemd/system/multi-user.target.wants
ln -s ../lines.service etc/systemd/system/multi-user.target.wants/
exec systemd-nspawn --quiet --register=no --keep-unit --bind="$1":/lines --directory=/mnt/root --boot"#;

/// Runs one text after the other as it comes.
const LOOP: &str = r#"cd /lines; mkfifo typed; exec 3<>typed
for number in $(seq 1000); do
  while ! [ -e "$number.sh" ]; do sleep 0.1; done
  bash "$number.sh" <&3 >>"$number.out" 2>&1
  echo $? >rc; mv rc "$number.rc"
done"#;

/// A machine with a person who has built the program and has the checkout.
struct Machine {
    lines: TempDir,
    /// How many texts were run.
    count: usize,
    booted: Child,
}

impl Machine {
    /// Boots it. Its network is this machine's, so that the simulator stands for Oura there, too.
    fn boot() -> Self {
        let lines = tempfile::tempdir().expect("a directory");
        fs::write(lines.path().join("loop"), LOOP).expect("it is written");
        fs::copy(env!("CARGO_BIN_EXE_oura-exporter"), lines.path().join("oura-exporter")).expect("the program");
        fs::copy(file("deploy/oura-exporter.service"), lines.path().join("oura-exporter.service")).expect("the unit");
        let mut boot = Command::new("unshare");
        boot.args(["--mount", "sh", "-c", BOOT, "sh", text(lines.path())]).kill_on_drop(true);
        boot.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let booted = boot.spawn().expect("it boots");
        Self { lines, count: 0, booted }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.lines.path().join(name)
    }

    /// Has it begin with this text.
    fn begin(&mut self, lines: &str) {
        self.count += 1;
        let name = format!("{}.sh", self.count);
        fs::write(self.path("next"), lines).expect("it is written");
        fs::rename(self.path("next"), self.path(&name)).expect("it is there at once");
    }

    /// What the text that it is at has said so far.
    fn said(&self) -> String {
        let said = fs::read(self.path(&format!("{}.out", self.count))).unwrap_or_default();
        String::from_utf8_lossy(&said).replace('\r', "")
    }

    /// The exit code of the text that it is at, and what it said.
    async fn ended(&self) -> (i32, String) {
        let code = async || fs::read_to_string(self.path(&format!("{}.rc", self.count))).ok();
        let code = eventually(&format!("an end of what was pasted:\n{}", self.said()), code).await;
        (code.trim().parse().expect("a code"), self.said())
    }

    /// Pastes a text, which must go well; what it says.
    async fn paste(&mut self, lines: &str) -> String {
        self.begin(lines);
        let (code, said) = self.ended().await;
        assert_eq!(code, 0, "{lines}\n{said}");
        said
    }

    /// Types a line for what reads it.
    fn type_in(&self, line: &str) {
        let mut terminal = fs::OpenOptions::new().write(true).open(self.path("typed")).expect("a terminal");
        std::io::Write::write_all(&mut terminal, format!("{line}\n").as_bytes()).expect("it is typed");
    }

    async fn power_off(mut self) {
        self.begin("systemctl poweroff");
        let _ended = tokio::time::timeout(std::time::Duration::from_secs(20), self.booted.wait()).await;
    }
}

/// The documented texts for the service, one after the other.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(file("docs/deployment.md")).expect("docs/deployment.md");
    let part = page.split("\n## As a service\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let blocks = part.expect("the section").split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// What the shell has in which the sign-in was made: the person's, who has the application's id and secret in it, and who
/// may use sudo.
fn shell_of_anna(scene: &Scene) -> String {
    format!(
        "set -e; cd /home/anna/oura; export HOME=/home/anna PATH=/home/anna/.cargo/bin:/usr/local/bin:$PATH\n\
         export OURA_CLIENT_ID={} OURA_CLIENT_SECRET={}\n",
        scene.application.client_id, scene.application.client_secret
    )
}

/// Makes anna, her checkout and her built program; and what stands for Oura, by documented variables.
fn furnished(scene: &Scene, address: &str) -> String {
    let oura: String = scene
        .variables()
        .into_iter()
        .filter(|(name, _)| name.ends_with("_URL") || *name == "OURA_REDIRECT_URI")
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    format!(
        "set -e; useradd --create-home anna; mkdir -p /home/anna/.cargo/bin /home/anna/oura/deploy /etc/oura-exporter\n\
         install --mode=0755 /lines/oura-exporter /home/anna/.cargo/bin/; cp /lines/oura-exporter.service /home/anna/oura/deploy/\n\
         chown -R anna /home/anna\n\
         command -v sudo || {{ printf '#!/bin/sh\\nexec \"$@\"\\n' >/usr/local/bin/sudo; chmod +x /usr/local/bin/sudo; }}\n\
         cat >/etc/oura-exporter/environment <<'END'\n{oura}OURA_LISTEN_ADDRESS={address}\nEND\n"
    )
}

async fn shown(visitor: &Visitor, account: &str, is_there: bool) {
    let series = format!("oura_readiness_score{{account=\"{account}\"}}");
    let url = visitor.home.join("metrics").expect("an address");
    let page = async || reqwest::get(url.clone()).await.ok()?.text().await.ok();
    let as_meant = async || page().await.filter(|page| page.contains("oura_exporter_build_info"));
    let as_meant = async || as_meant().await.filter(|page| page.contains(&series) == is_there);
    eventually(&format!("{series}: {is_there}"), as_meant).await;
}

async fn sign_in(visitor: &Visitor, account: &str, person: &str) {
    let (place, oura) = visitor.begin(account).await;
    visitor.get(&consent(&oura, person, "allow").await).await;
    visitor.titled(&place, &format!("Signed in as {account}")).await;
}

/// What is told of: the simulator that stands for Oura, who visits the page, anna's shell, and the documented texts.
struct Story {
    scene: Scene,
    visitor: Visitor,
    shell: String,
    blocks: Vec<String>,
}

impl Story {
    /// The documented text for a command as the unit's own user, with another command in it.
    fn as_the_unit(&self, command: &str) -> String {
        format!("{}{}", self.shell, self.blocks[1].replace("login --no-browser", command))
    }
}

/// The sign-in in the foreground, and its end.
async fn first_sign_in(machine: &mut Machine, story: &Story) {
    let Story { visitor, shell, .. } = story;
    let first = "set -a; . /etc/oura-exporter/environment; set +a\n\
                 setpriv --reuid=anna --regid=anna --clear-groups oura-exporter >/home/anna/log 2>&1 &\n\
                 echo $! >/lines/pid; disown\n";
    machine.paste(&format!("{shell}{first}")).await;
    let up = async || reqwest::get(visitor.home.clone()).await.ok().map(drop);
    eventually("the first exporter serves", up).await;
    sign_in(visitor, "anna", "alice").await;
    shown(visitor, "anna", true).await;
    machine.paste("kill -INT $(cat /lines/pid); while kill -0 $(cat /lines/pid) 2>/dev/null; do sleep 0.1; done").await;
}

/// The documented lines make a service of it, to which the sign-in moves.
async fn becomes_a_service(machine: &mut Machine, story: &Story) {
    let Story { visitor, shell, blocks, .. } = story;
    machine.paste(&format!("{shell}{}", blocks[0])).await;
    shown(visitor, "anna", true).await;
    let status = machine.paste("systemctl status --no-pager oura-exporter").await;
    assert!(status.contains("active (running)"), "{status}");
    let kept = machine.paste("stat --format='%a %u' /var/lib/private/oura-exporter{,/anna.json}").await;
    // By number: only libnss-systemd, which a bare machine lacks, knows the user's name.
    let runs_as = "stat --format=%u /proc/$(systemctl show --property=MainPID --value oura-exporter)";
    let user = machine.paste(runs_as).await.trim().parse::<u32>().expect("a user");
    assert!((61_184..=65_519).contains(&user), "a user made up for it by systemd: {user}");
    assert_eq!(kept, format!("700 {user}\n600 {user}\n"), "its own, and nobody else's");
}

/// As the unit's own user one finds the account; as oneself one finds none, and is told where they are.
async fn by_command(machine: &mut Machine, story: &Story) {
    let Story { shell, .. } = story;
    let said = machine.paste(&story.as_the_unit("check")).await;
    assert!(said.contains("Account anna: "), "{said}");
    machine.begin(&format!("{shell}setpriv --reuid=anna --regid=anna --clear-groups oura-exporter check"));
    let (code, said) = machine.ended().await;
    assert!(
        code == 2 && said.contains("the service on this machine keeps its accounts in /var/lib/oura-exporter"),
        "{said}"
    );
}

/// A second person, by command: with the name, the address, and the paste.
async fn next_person(machine: &mut Machine, story: &Story) {
    let Story { visitor, shell, blocks, .. } = story;
    machine.begin(&format!("{shell}{}", blocks[1]));
    let is_asked = async || machine.said().contains("Name: ").then_some(());
    eventually("the account's name is asked for", is_asked).await;
    machine.type_in("ben");
    let url = async || {
        let said = Some(machine.said()).filter(|said| said.contains("press Enter"))?;
        said.split_whitespace()
            .find(|word| word.starts_with("http"))
            .map(|word| word.parse::<Url>().expect("an address"))
    };
    let url = eventually("the address of Oura's page", url).await;
    machine.type_in(&consent(&url, "bob", "allow").await);
    let (code, said) = machine.ended().await;
    assert!(code == 0 && said.contains("Signed in as account ben"), "{said}");
    shown(visitor, "ben", true).await;

    let said = machine.paste(&story.as_the_unit("accounts")).await;
    assert!(said.contains("anna ") && said.contains("ben "), "{said}");
}

/// The history of three days as a file.
async fn history(machine: &mut Machine, story: &Story) {
    let history = story.as_the_unit("backfill --from 2026-11-01 --to 2026-11-03 --account anna --output -");
    let history =
        machine.paste(&history.replace("--pty", "--pipe").replace("-'\n", "-' > /var/tmp/oura-all.om\n")).await;
    let lines = machine.paste("grep -c '^oura_sample_' /var/tmp/oura-all.om").await;
    assert!(lines.trim().parse::<usize>().is_ok_and(|lines| lines > 100), "{lines}: {history}");
}

/// Signing out, reloading and upgrading; what the log then has.
async fn goes_on(machine: &mut Machine, story: &Story) {
    let Story { scene, visitor, shell, blocks } = story;
    machine.paste(&story.as_the_unit("logout --account ben")).await;
    shown(visitor, "ben", false).await;
    machine.paste("systemctl reload oura-exporter").await;
    let upgrade = blocks[2].strip_prefix("cargo install --locked --path .\n").expect("cargo");
    machine.paste(&format!("{shell}{upgrade}")).await;
    shown(visitor, "anna", true).await;
    let log = machine.paste("journalctl --no-pager --unit oura-exporter").await;
    // The simulator has documents for ben that no version knows.
    let troubles: Vec<_> = log
        .lines()
        .filter(|line| [" WARN ", "ERROR"].iter().any(|level| line.contains(level)) && !line.contains("ben"))
        .collect();
    assert!(log.contains("serving http://") && troubles.is_empty(), "{log}");
    scene.assert_discreet(&log, "");
}

#[tokio::test]
async fn a_booted_debian_comes_from_the_first_sign_in_to_a_service_by_the_documented_lines() {
    if !systemd_boots("a_booted_debian_comes_from_the_first_sign_in_to_a_service_by_the_documented_lines") {
        return;
    }
    assert!(geteuid().is_root(), "only the administrator boots one");
    let scene = Scene::of(Portal::New).await.with_free_redirect();
    let uri: Url = scene.redirect.as_deref().expect("one of ours").parse().expect("an address");
    let address = format!("127.0.0.1:{}", uri.port().expect("a port"));
    let (blocks, shell) = (blocks(), shell_of_anna(&scene));
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    let visitor = Visitor::of(uri.join("/").expect("an address").as_str());
    let story = Story { scene, visitor, shell, blocks };
    let mut machine = Machine::boot();
    eventually("it has booted", async || machine.path("typed").exists().then_some(())).await;
    machine.paste(&furnished(&story.scene, &address)).await;
    first_sign_in(&mut machine, &story).await;
    becomes_a_service(&mut machine, &story).await;
    by_command(&mut machine, &story).await;
    next_person(&mut machine, &story).await;
    history(&mut machine, &story).await;
    goes_on(&mut machine, &story).await;
    machine.power_off().await;
    assert!(!Path::new("/var/lib/private/oura-exporter").exists(), "nothing of it is left on this machine");
}
