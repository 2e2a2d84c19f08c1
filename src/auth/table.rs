//! The token store for many machines: one row of a table in PostgreSQL for each account, locked while it is renewed.

use std::{collections::BTreeMap, str::FromStr as _, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::{
    Client, Config,
    config::{Host, SslMode},
    error::SqlState,
};
use tracing::debug;

use super::{
    table_tls::Tls,
    tokens::{Tokens, Unfit},
};

/// The version of the tables that this build makes and reads.
const VERSION: i32 = 1;
/// Held by whoever makes the tables, in all databases' one space of such keys: the first bytes of "oura-exporter".
const MIGRATING: i64 = 0x6f75_7261_2d65_7870;
/// How long a server may take to answer a connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// What makes each version from the one before.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE oura_exporter_accounts (
        account text PRIMARY KEY,
        -- Changes with each writing, so that a look tells what is new; never the same one twice.
        version bigint NOT NULL DEFAULT 0,
        -- The text of the account's token file; none while nobody is signed in by that name.
        tokens text,
        changed_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE SEQUENCE oura_exporter_versions;
"];

/// What goes wrong with the table, with what to do; the URL's password is in none of it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The variable holds no such URL.
    #[error("OURA_TOKEN_STORE: not the URL of a database: {0}; write postgres://USER@HOST/DATABASE")]
    Url(&'static str),
    /// Nobody answers there.
    #[error(
        "OURA_TOKEN_STORE: no answer from PostgreSQL at {place} ({cause}); start it, or check the host and the network"
    )]
    Unreachable {
        /// Host, port and database.
        place: String,
        /// In the system's words.
        cause: String,
    },
    /// It answers and does not let us in.
    #[error(
        "OURA_TOKEN_STORE: PostgreSQL at {place} does not let {user} in ({cause}); check the user and the password"
    )]
    Refused {
        /// Host, port and database.
        place: String,
        /// Who asked.
        user: String,
        /// In the server's words.
        cause: String,
    },
    /// There is no such database.
    #[error(
        "OURA_TOKEN_STORE: PostgreSQL at {place} has no such database; create it: createdb --owner={user} {database}"
    )]
    NoDatabase {
        /// Host, port and database.
        place: String,
        /// Who asked.
        user: String,
        /// For which database.
        database: String,
    },
    /// A newer build made the tables.
    #[error(
        "OURA_TOKEN_STORE: a newer oura-exporter made the tables at {place} (version {found}, and this one knows {VERSION}); use that one"
    )]
    Newer {
        /// Host, port and database.
        place: String,
        /// Their version.
        found: i32,
    },
    /// Another process does not let go of the account.
    #[error(
        "OURA_TOKEN_STORE: another process has held account {account} at {place} for 5 s; let it finish, or stop it"
    )]
    Locked {
        /// Host, port and database.
        place: String,
        /// Which account.
        account: String,
    },
    /// The row says nothing that can be used.
    #[error("OURA_TOKEN_STORE: the row of account {account} at {place} cannot be used: {cause}")]
    Unfit {
        /// Host, port and database.
        place: String,
        /// Which account.
        account: String,
        /// Why, and what to do.
        cause: Unfit,
    },
    /// Anything else that the server refuses.
    #[error("OURA_TOKEN_STORE: PostgreSQL at {place} refuses ({cause}); what was stored before is intact")]
    Server {
        /// Host, port and database.
        place: String,
        /// In the server's words.
        cause: String,
    },
}

/// A database in which tokens are kept. `Debug` shows no password: it has none.
pub struct Table {
    config: Config,
    /// Host, port and database, as a person is told.
    place: String,
}

/// An account's row, locked against everybody else until it is committed or dropped.
pub struct Row<'a> {
    transaction: tokio_postgres::Transaction<'a>,
    table: &'a Table,
    account: String,
    /// What it holds.
    pub tokens: Option<Tokens>,
}

impl Table {
    /// The table that `url` names; nothing is asked yet.
    ///
    /// # Errors
    /// Where it is no such URL.
    pub fn of(url: &SecretString) -> Result<Self, TableError> {
        let text = url.expose_secret();
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(TableError::Url("it does not begin with postgres://"));
        }
        // Its own words might repeat a part of the URL.
        let mut config = Config::from_str(text).map_err(|_| TableError::Url("it cannot be read"))?;
        let host = match config.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            [] => return Err(TableError::Url("it names no host")),
            _ => return Err(TableError::Url("it names another host than one by name or address")),
        };
        let database = config.get_dbname().ok_or(TableError::Url("it names no database"))?;
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let place = format!("{host}:{port}/{database}");
        // Tokens cross no network in the open unless the URL says so.
        if config.get_ssl_mode() == SslMode::Prefer && !is_of_this_machine(&host) {
            config.ssl_mode(SslMode::Require);
        }
        config.application_name("oura-exporter").connect_timeout(CONNECTING);
        Ok(Self { config, place })
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Where nobody answers, or nobody is let in.
    pub async fn connect(&self) -> Result<Client, TableError> {
        let tls = Tls::new().map_err(|error| self.unreachable(error.to_string()))?;
        let (client, connection) = self.config.connect(tls).await.map_err(|error| self.of_connecting(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("a connection to the token store has ended: {error}");
            }
        });
        Ok(client)
    }

    /// Makes the tables, or brings older ones up to this build. Of several who start at once one does it.
    ///
    /// # Errors
    /// Where they are newer, or the server refuses.
    pub async fn migrate(&self, client: &mut Client) -> Result<(), TableError> {
        let transaction = client.transaction().await.map_err(|error| self.of_server(&error))?;
        let made = async {
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATING]).await?;
            transaction
                .batch_execute("CREATE TABLE IF NOT EXISTS oura_exporter_schema (version integer NOT NULL)")
                .await?;
            let found = transaction.query_opt("SELECT max(version) FROM oura_exporter_schema", &[]).await?;
            let found: i32 = found.and_then(|row| row.get::<_, Option<i32>>(0)).unwrap_or_default();
            for (number, statements) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
                transaction.batch_execute(statements).await?;
                transaction.execute("INSERT INTO oura_exporter_schema VALUES ($1)", &[&number]).await?;
            }
            Ok(found)
        };
        let found = made.await.map_err(|error: tokio_postgres::Error| self.of_server(&error))?;
        if found > VERSION {
            return Err(TableError::Newer { place: self.place.clone(), found });
        }
        transaction.commit().await.map_err(|error| self.of_server(&error))
    }

    /// Who is signed in, each with the version of their row: it changes with each writing.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn versions(&self, client: &Client) -> Result<BTreeMap<String, i64>, TableError> {
        let rows =
            client.query("SELECT account, version FROM oura_exporter_accounts WHERE tokens IS NOT NULL", &[]).await;
        let rows = rows.map_err(|error| self.of_server(&error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The account's row, once nobody else has it: for five seconds at most it is waited for.
    ///
    /// # Errors
    /// Where somebody else does not let go of it, it cannot be used, or the server refuses.
    pub async fn lock<'a>(&'a self, client: &'a mut Client, account: &str) -> Result<Row<'a>, TableError> {
        let transaction = client.transaction().await.map_err(|error| self.of_server(&error))?;
        let locked = async {
            // Whoever set the server up may prefer speed: what is committed here must be on the disk. A process that stops
            // with the row in its hands loses it after a minute.
            transaction
                .batch_execute(
                    "SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '60s'",
                )
                .await?;
            let make = "INSERT INTO oura_exporter_accounts (account) VALUES ($1) ON CONFLICT DO NOTHING";
            transaction.execute(make, &[&account]).await?;
            let take = "SELECT tokens FROM oura_exporter_accounts WHERE account = $1 FOR UPDATE";
            Ok(transaction.query_one(take, &[&account]).await?.get::<_, Option<String>>(0))
        };
        let text = locked.await.map_err(|error: tokio_postgres::Error| match error.code() {
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
                TableError::Locked { place: self.place.clone(), account: account.to_owned() }
            }
            _ => self.of_server(&error),
        })?;
        let tokens = text.map(|text| self.tokens(account, &text)).transpose()?;
        Ok(Row { transaction, table: self, account: account.to_owned(), tokens })
    }

    fn tokens(&self, account: &str, text: &str) -> Result<Tokens, TableError> {
        let unfit = |cause| TableError::Unfit { place: self.place.clone(), account: account.to_owned(), cause };
        match Tokens::from_json(text).map_err(unfit)? {
            (name, tokens) if name == account => Ok(tokens),
            (name, _) => Err(unfit(Unfit::of_other_account(name))),
        }
    }

    fn unreachable(&self, cause: String) -> TableError {
        TableError::Unreachable { place: self.place.clone(), cause }
    }

    fn of_connecting(&self, error: &tokio_postgres::Error) -> TableError {
        let (place, user) = (self.place.clone(), self.config.get_user().unwrap_or_default().to_owned());
        let Some(said) = error.as_db_error() else {
            let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            return TableError::Unreachable { place, cause };
        };
        if *said.code() == SqlState::INVALID_CATALOG_NAME {
            let database = self.config.get_dbname().unwrap_or_default().to_owned();
            return TableError::NoDatabase { place, user, database };
        }
        match said.code().code().get(..2) {
            // Invalid authorization.
            Some("28") => TableError::Refused { place, user, cause: said.message().to_owned() },
            // It starts or stops.
            Some("57") => TableError::Unreachable { place, cause: said.message().to_owned() },
            _ => TableError::Server { place, cause: said.message().to_owned() },
        }
    }

    fn of_server(&self, error: &tokio_postgres::Error) -> TableError {
        match error.as_db_error() {
            Some(said) if said.code().code().starts_with("57") => self.unreachable(said.message().to_owned()),
            // Not its detail, which may show what was stored.
            Some(said) => TableError::Server { place: self.place.clone(), cause: said.message().to_owned() },
            None => self.unreachable(error.to_string()),
        }
    }
}

impl Row<'_> {
    /// Stores the tokens, or with none forgets them. When this returns they are safe; if it fails, the row is as before.
    ///
    /// # Errors
    /// Where the server refuses, or has gone.
    pub async fn write(self, tokens: Option<&Tokens>) -> Result<(), TableError> {
        let text = tokens.map(|tokens| tokens.to_json(&self.account)).transpose();
        let place = || self.table.place.clone();
        let text = text.map_err(|error| TableError::Server { place: place(), cause: error.to_string() })?;
        let write = "UPDATE oura_exporter_accounts SET tokens = $2, version = nextval('oura_exporter_versions'), \
                     changed_at = now() WHERE account = $1";
        let written = self.transaction.execute(write, &[&self.account, &text]).await;
        written.map_err(|error| self.table.of_server(&error))?;
        self.transaction.commit().await.map_err(|error| self.table.of_server(&error))
    }
}

fn is_of_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
