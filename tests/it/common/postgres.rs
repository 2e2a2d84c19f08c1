//! A PostgreSQL of Debian's, with one user and one database, on loopback.

use std::{
    env, fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{eventually, needs::there_is, servers::free_address};

/// The user, and the database of the same name.
pub(crate) const USER: &str = "oura";
/// Its password, which nothing may show.
pub(crate) const PASSWORD: &str = "pa55-word-of-the-database";

/// A server, which ends with the test.
pub(crate) struct Postgres {
    pub(crate) address: String,
    directory: TempDir,
    process: Option<std::process::Child>,
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
    let is_root = fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).ok() == Some(0);
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:")).filter(|_| is_root)?;
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a number"));
    numbers.next().zip(numbers.next())
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        if let Some((user, group)) = harmless() {
            chown(directory.path(), Some(user), Some(group)).expect("it is given away");
        }
        let mut server = Self { address: free_address().await, directory, process: None };
        fs::write(server.path("password"), PASSWORD).expect("a file");
        let made = server
            .command("initdb")
            .args(["-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile=password", "--no-sync"])
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("it starts").success(), "initdb");
        server.begin().await;
        let mut psql = Command::new("createdb");
        psql.env("PGPASSWORD", PASSWORD).args(["-h", server.host(), "-p", server.port(), "-U", USER, USER]);
        assert!(psql.status().expect("it starts").success(), "createdb");
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().expect("PostgreSQL").join(program));
        command.current_dir(self.directory.path()).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        if let Some((user, group)) = harmless() {
            command.uid(user).gid(group);
        }
        command
    }

    fn host(&self) -> &str {
        self.address.rsplit_once(':').expect("a port").0
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').expect("a port").1
    }

    /// Starts it, on the data that are there.
    pub(crate) async fn begin(&mut self) {
        let directory: &Path = self.directory.path();
        let sockets = directory.to_str().expect("UTF-8");
        let mut command = self.command("postgres");
        command.args(["-D", "data", "-h", self.host(), "-p", self.port(), "-k", sockets, "-F"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("it starts"));
        let is_up = async || TcpStream::connect(&self.address).await.ok();
        eventually("PostgreSQL answers", is_up).await;
        let answers = async || {
            let mut ready = Command::new("pg_isready");
            ready.args(["-q", "-h", self.host(), "-p", self.port()]);
            ready.status().expect("it starts").success().then_some(())
        };
        eventually("PostgreSQL takes connections", answers).await;
    }

    /// Ends it as a crash would.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
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

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}
