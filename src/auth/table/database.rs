//! What is asked of the database: its tables made, looked at, a row locked and written, and its refusals told apart.

use std::{collections::BTreeMap, future::Future, io, time::Duration};

use tokio::time::timeout;
use tokio_postgres::{Client, Error, Row as Fetched, error::SqlState};
use tracing::debug;

use super::url::Address;
use crate::auth::table_error::{TableError, TableTrouble, VERSION};

/// Held by whoever makes the tables: a number that no other program is likely to choose.
const MIGRATING: i64 = 0x6f75_7261_5f65_7870;
/// How long a connection may take to come about, and an answer to come.
const CONNECTING: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(10);
/// Under which name the right to add an account is locked; the tilde is in no account's name.
pub(super) const ALL: &str = "~all";
/// What makes each version from the one before.
const MIGRATIONS: [&str; VERSION as usize] = ["
    CREATE TABLE oura_exporter_accounts (
        account text PRIMARY KEY,
        -- Changes with each writing, so that a look tells what is new; never the same one twice.
        version bigint NOT NULL DEFAULT 0,
        -- The text of the account's token file; none while nobody is signed in by that name.
        tokens text,
        -- Whose the name was last, as a salted hash.
        person text,
        changed_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE SEQUENCE oura_exporter_versions;
"];

/// A database, of which nothing is known but where it is.
pub(super) struct Database {
    address: Address,
}

/// What a row says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) version: i64,
    /// The text of a token file.
    pub(super) tokens: Option<String>,
    pub(super) person: Option<String>,
}

/// What tells that nothing has changed: how many rows there are, and the sum of their versions, which only rise.
pub(super) type Sum = (i64, String);

type Result<T> = std::result::Result<T, TableError>;

impl From<&Fetched> for Row {
    fn from(row: &Fetched) -> Self {
        Self { version: row.get("version"), tokens: row.get("tokens"), person: row.get("person") }
    }
}

impl Database {
    pub(super) fn at(mut address: Address) -> Self {
        address.config.application_name("oura-exporter").connect_timeout(CONNECTING);
        Self { address }
    }

    pub(super) fn place(&self) -> &str {
        &self.address.place
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Where nobody answers, or nobody is let in.
    pub(super) async fn connect(&self) -> Result<Client> {
        let config = &self.address.config;
        let connecting = async {
            match &self.address.tls {
                Some(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    tokio::spawn(ended(connection));
                    Ok(client)
                }
                None => {
                    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                    tokio::spawn(ended(connection));
                    Ok(client)
                }
            }
        };
        match timeout(CONNECTING, connecting).await {
            Ok(connected) => connected.map_err(|error| self.of_connecting(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    /// Makes the tables, or brings older ones up to this build. Of several who start at once one does it.
    ///
    /// # Errors
    /// Where they are newer, or the server refuses.
    pub(super) async fn migrate(&self, client: &mut Client) -> Result<()> {
        let found = self.within(migrated(client)).await?;
        if found > VERSION { Err(self.error(TableTrouble::Newer(found))) } else { Ok(()) }
    }

    /// What tells whether anything has changed.
    ///
    /// # Errors
    /// Where the server refuses, or takes no writes.
    pub(super) async fn sum(&self, client: &Client) -> Result<Sum> {
        let look = "SELECT count(*), coalesce(sum(version), 0)::text, \
                    current_setting('transaction_read_only') = 'on' FROM oura_exporter_accounts";
        let row = self.within(client.query_one(look, &[])).await?;
        if row.get(2) {
            return Err(self.error(TableTrouble::ReadOnly));
        }
        Ok((row.get(0), row.get(1)))
    }

    /// Which writing of each account's row is there.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn versions(&self, client: &Client) -> Result<BTreeMap<String, i64>> {
        let look = "SELECT account, version FROM oura_exporter_accounts \
                    WHERE tokens IS NOT NULL OR person IS NOT NULL";
        let rows = self.within(client.query(look, &[])).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The rows of these accounts.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn rows(&self, client: &Client, accounts: &[String]) -> Result<Vec<(String, Row)>> {
        let look = "SELECT account, version, tokens, person FROM oura_exporter_accounts WHERE account = ANY($1)";
        let rows = self.within(client.query(look, &[&accounts])).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.into())).collect())
    }

    /// Begins a transaction that has the account's row, once nobody else has it: for five seconds at most it is waited for.
    ///
    /// # Errors
    /// Where somebody else does not let go of it, or the server refuses.
    pub(super) async fn lock(&self, client: &Client, account: &str) -> Result<Row> {
        let locking = async {
            // Whoever set the server up may prefer speed: what is committed here must be on the disk. A process that stops
            // with the row in its hands loses it after a minute.
            let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; \
                         SET LOCAL idle_in_transaction_session_timeout = '60s'";
            client.batch_execute(begin).await?;
            let make = "INSERT INTO oura_exporter_accounts (account) VALUES ($1) ON CONFLICT DO NOTHING";
            client.execute(make, &[&account]).await?;
            let take = "SELECT version, tokens, person FROM oura_exporter_accounts WHERE account = $1 FOR UPDATE";
            client.query_one(take, &[&account]).await.map(|row| Row::from(&row))
        };
        match timeout(ANSWER, locking).await.map_err(|_| self.silent())? {
            Ok(row) => Ok(row),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Err(self.locked(account)),
            Err(error) => Err(self.of_server(&error)),
        }
    }

    /// Tries whether the row that the transaction has can be written, and leaves it as it is.
    ///
    /// # Errors
    /// Where it cannot.
    pub(super) async fn try_out(&self, client: &Client, account: &str) -> Result<()> {
        let write = "UPDATE oura_exporter_accounts SET changed_at = changed_at WHERE account = $1";
        self.within(client.execute(write, &[&account])).await.map(drop)
    }

    /// Writes the row that the transaction has, and ends the transaction. When this returns it is on the disk; its version is
    /// another one than all before.
    ///
    /// # Errors
    /// Where the server refuses, or has gone; without an answer nobody knows whether it is written.
    pub(super) async fn write(&self, client: &Client, account: &str, row: &Row) -> Result<i64> {
        let writing = async {
            let write = "UPDATE oura_exporter_accounts SET tokens = $2, person = $3, changed_at = now(), \
                         version = nextval('oura_exporter_versions') WHERE account = $1 RETURNING version";
            let written = client.query_one(write, &[&account, &row.tokens, &row.person]).await?;
            client.batch_execute("COMMIT").await?;
            Ok(written.get(0))
        };
        self.within(writing).await
    }

    async fn within<T>(&self, asked: impl Future<Output = std::result::Result<T, Error>>) -> Result<T> {
        match timeout(ANSWER, asked).await {
            Ok(answer) => answer.map_err(|error| self.of_server(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    pub(super) fn error(&self, trouble: TableTrouble) -> TableError {
        TableError { place: self.place().to_owned(), trouble }
    }

    pub(super) fn locked(&self, account: &str) -> TableError {
        let what = if account == ALL { "the list of accounts".to_owned() } else { format!("account {account}") };
        self.error(TableTrouble::Locked(what))
    }

    fn silent(&self) -> TableError {
        self.error(TableTrouble::Unreachable(format!("no answer within {} s", ANSWER.as_secs())))
    }

    /// User and database.
    fn names(&self) -> (String, String) {
        let config = &self.address.config;
        let [user, database] = [config.get_user(), config.get_dbname()].map(|name| name.unwrap_or_default().to_owned());
        (user, database)
    }

    fn of_connecting(&self, error: &Error) -> TableError {
        if error.as_db_error().is_some() {
            return self.of_server(error);
        }
        let cause = std::error::Error::source(error);
        let words = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let system = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
        let of_tls = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        self.error(match system {
            Some(system) if of_tls(system) => TableTrouble::Tls(words),
            Some(_) => TableTrouble::Unreachable(words),
            None if self.address.config.get_password().is_none() => {
                TableTrouble::Refused { user: self.names().0, cause: words }
            }
            None if self.address.tls.is_some() => TableTrouble::Tls(words),
            None => TableTrouble::Unreachable(words),
        })
    }

    fn of_server(&self, error: &Error) -> TableError {
        let Some(said) = error.as_db_error() else {
            return self.error(TableTrouble::Unreachable(error.to_string()));
        };
        let ((user, database), code) = (self.names(), said.code());
        // Not its detail, which may show what was stored.
        let cause = said.message().to_owned();
        self.error(match code.code().get(..2) {
            _ if *code == SqlState::INVALID_CATALOG_NAME => TableTrouble::NoDatabase { user, database },
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => TableTrouble::NotAllowed { user, database, cause },
            _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => TableTrouble::ReadOnly,
            // Invalid authorization.
            Some("28") => TableTrouble::Refused { user, cause },
            _ if *code == SqlState::TOO_MANY_CONNECTIONS => TableTrouble::Unreachable(cause),
            // It starts or stops, or has lost the connection or ended it.
            Some("57" | "08" | "25") => TableTrouble::Unreachable(cause),
            _ => TableTrouble::Server(cause),
        })
    }
}

/// Waits for the end of a connection, which it takes to keep it going.
async fn ended(connection: impl Future<Output = std::result::Result<(), Error>>) {
    if let Err(error) = connection.await {
        debug!("a connection to the token store has ended: {error}");
    }
}

/// Makes what is missing of the tables; which version there was.
async fn migrated(client: &mut Client) -> std::result::Result<i32, Error> {
    let version = "SELECT max(version) FROM oura_exporter_schema";
    let known = "SELECT to_regclass('oura_exporter_schema') IS NOT NULL";
    if client.query_one(known, &[]).await?.get(0) {
        let found: Option<i32> = client.query_one(version, &[]).await?.get(0);
        // Who may only use the tables needs no right to make any.
        if found >= Some(VERSION) {
            return Ok(found.unwrap_or_default());
        }
    }
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATING]).await?;
    transaction.batch_execute("CREATE TABLE IF NOT EXISTS oura_exporter_schema (version integer NOT NULL)").await?;
    let found: Option<i32> = transaction.query_one(version, &[]).await?.get(0);
    for (number, statements) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > found.unwrap_or_default()) {
        transaction.batch_execute(statements).await?;
        transaction.execute("INSERT INTO oura_exporter_schema VALUES ($1)", &[&number]).await?;
    }
    transaction.commit().await?;
    Ok(found.unwrap_or_default())
}
