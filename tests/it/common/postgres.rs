//! PostgreSQL of Debian's: one server for all tests of this binary, each with a database of its own, and servers that a test
//! may end and begin again.

use std::{
    env, fs,
    os::unix::{fs::MetadataExt as _, fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{certificates, eventually, needs::there_is, servers::free_address};

/// The user that owns all databases.
pub(crate) const USER: &str = "oura";
/// Its password, which nothing may show.
pub(crate) const PASSWORD: &str = "pa55-word-of-the-database";
/// Runs the server until nobody has the other end of its standard input any more, however that comes about; then a directory
/// is removed that nobody else would.
const WHILE_WANTED: &str = "\"$@\" & cat >/dev/null; kill -QUIT $!; wait; [ \"$0\" = none ] || rm -rf \"$0\"";

/// The data of a server that has just been made, of which each server has a copy, and the server that all share.
static MADE: OnceCell<(PathBuf, Postgres)> = OnceCell::const_new();
/// How many databases were made.
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A server, which ends with the test.
pub(crate) struct Postgres {
    address: String,
    directory: PathBuf,
    process: Option<Child>,
    /// What goes with the test.
    own: Option<TempDir>,
}

/// Where Debian keeps the server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
    found.sort();
    found.pop()
}

/// Whether the server is there.
pub(crate) fn postgres_is_there(test: &str) -> bool {
    there_is(programs().is_some(), "PostgreSQL", "apt-get install postgresql", test)
}

/// A user and a group that the server may run as: it refuses to be root.
fn harmless() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:")).filter(|_| is_root)?;
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a number"));
    numbers.next().zip(numbers.next())
}

fn give_away(path: &Path) {
    if let Some((user, group)) = harmless() {
        chown(path, Some(user), Some(group)).expect("it is given away");
    }
}

/// A program as the user that the server may run as, which ends well.
fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let mut command = command(directory, program);
    let ended = command.args(arguments).stdout(Stdio::null()).status().expect("it starts");
    assert!(ended.success(), "{program} {arguments:?}");
}

fn command(directory: &Path, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(directory).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    if let Some((user, group)) = harmless() {
        command.uid(user).gid(group);
    }
    command
}

/// The server that all tests share, made once.
async fn shared() -> &'static (PathBuf, Postgres) {
    let make = async || {
        // Nobody drops what is static: the server removes it.
        let made = tempfile::tempdir().expect("a directory").keep();
        give_away(&made);
        fs::write(made.join("password"), PASSWORD).expect("a file");
        let initdb = programs().expect("PostgreSQL").join("initdb");
        let arguments =
            ["-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile=password", "--no-sync", "--no-instructions"];
        run(&made, initdb.to_str().expect("UTF-8"), &arguments);
        for name in ["trusted", "other"] {
            certificates::authority(&made, name);
        }
        certificates::certify(&made, "trusted", "server", "DNS:localhost");
        give_away(&made.join("server.key"));
        let directory = made.join("shared");
        fs::create_dir(&directory).expect("a directory");
        let server = Postgres::on_a_copy_of(&made, directory, None).await;
        (made, server)
    };
    MADE.get_or_init(make).await
}

/// The certificate of an authority, which has signed the one of all servers if it is the `trusted` one.
pub(crate) async fn authority(name: &str) -> PathBuf {
    let path = shared().await.0.join(format!("{name}.pem"));
    assert!(path.exists(), "{}", path.display());
    path
}

/// The URL of a database of its own on the server that all tests share.
pub(crate) async fn database() -> String {
    let (_, server) = shared().await;
    let name = format!("oura_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    ask(&server.url(USER, PASSWORD, "postgres"), &format!("CREATE DATABASE {name}"));
    server.url(USER, PASSWORD, &name)
}

/// What the database at that URL answers, without blanks and headings.
pub(crate) fn ask(url: &str, statement: &str) -> String {
    let asked =
        Command::new("psql").args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url]).output();
    let asked = asked.expect("psql starts");
    assert!(asked.status.success(), "{statement}: {}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8_lossy(&asked.stdout).trim().to_owned()
}

impl Postgres {
    /// A server of its own, with a database that is called as its user.
    pub(crate) async fn start() -> Self {
        let own = tempfile::tempdir().expect("a directory");
        let server = Self::on_a_copy_of(&shared().await.0, own.path().to_owned(), Some(own)).await;
        ask(&server.url(USER, PASSWORD, "postgres"), &format!("CREATE DATABASE {USER}"));
        server
    }

    async fn on_a_copy_of(made: &Path, directory: PathBuf, own: Option<TempDir>) -> Self {
        give_away(&directory);
        let mut server = Self { address: free_address().await, directory, process: None, own };
        for name in ["data", "server.pem", "server.key"] {
            run(&server.directory, "cp", &["-a", made.join(name).to_str().expect("UTF-8"), "."]);
        }
        server.begin().await;
        server
    }

    /// Starts it, on the data that are there.
    pub(crate) async fn begin(&mut self) {
        let (host, port) = self.address.rsplit_once(':').expect("a port");
        let directory = self.directory.to_str().expect("UTF-8");
        let mut command = command(&self.directory, "sh");
        // What is kept is lost with the machine, which no test takes away, so that nothing waits for the disk.
        let settings = "fsync=off autovacuum=off shared_buffers=16MB max_connections=200 ssl=on ssl_cert_file=../server.pem \
                        ssl_key_file=../server.key";
        let left = self.directory.parent().filter(|_| self.own.is_none());
        command
            .args(["-c", WHILE_WANTED, left.map_or("none", |left| left.to_str().expect("UTF-8"))])
            .arg(programs().expect("PostgreSQL").join("postgres"));
        command.args(["-D", "data", "-h", host, "-p", port, "-k", directory]);
        command.args(settings.split(' ').flat_map(|setting| ["-c", setting]));
        // What ends the tests from a terminal must not end the one that cleans up after them.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("it starts"));
        let answers = async || {
            let mut ready = Command::new("pg_isready");
            ready.args(["-q", "-h", host, "-p", port]).status().expect("it starts").success().then_some(())
        };
        eventually("PostgreSQL takes connections", answers).await;
    }

    /// The URL of that database there, for that user with that password.
    pub(crate) fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@{}/{database}", self.address)
    }

    /// The URL of its own database.
    pub(crate) fn own_url(&self) -> String {
        self.url(USER, PASSWORD, USER)
    }
}

impl Postgres {
    /// Ends it at once, as a crash would: nobody who is connected hears of it.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("it ends");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}
