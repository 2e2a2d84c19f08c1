//! What goes wrong with the table of tokens, as data that can be kept and compared, with what to do about it.

use super::tokens::Unfit;

/// The version of the tables that this build makes; it uses no newer ones.
pub(super) const VERSION: i32 = 1;

/// What went wrong at which database; what was stored before is intact, and the URL's password is in none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("OURA_TOKEN_STORE: PostgreSQL at {place} {trouble}")]
pub struct TableError {
    /// Host, port and database.
    pub place: String,
    /// What it is.
    pub trouble: TableTrouble,
}

/// What goes wrong with a table of tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableTrouble {
    /// Nobody answers there.
    #[error("does not answer ({0}); start it, or check the URL's host and port and the network")]
    Unreachable(String),
    /// It cannot be talked to in secret.
    #[error(
        "cannot be reached over TLS ({0}); give it a certificate for the URL's host that this system trusts, or name its \
         authority with sslrootcert=FILE in the URL"
    )]
    Tls(String),
    /// It answers and does not let us in.
    #[error("does not let user {user} in ({cause}); check the URL's user and password, and pg_hba.conf")]
    Refused {
        /// Who asked.
        user: String,
        /// In the server's words.
        cause: String,
    },
    /// There is no such database.
    #[error("has no database {database}; check the URL, or create it: createdb --owner={user} {database}")]
    NoDatabase {
        /// Who asked.
        user: String,
        /// For which database.
        database: String,
    },
    /// The user may not do what is needed.
    #[error("does not let user {user} use its tables ({cause}); run: ALTER DATABASE {database} OWNER TO {user}")]
    NotAllowed {
        /// Who asked.
        user: String,
        /// For which database.
        database: String,
        /// In the server's words.
        cause: String,
    },
    /// A newer build made the tables.
    #[error(
        "has the tables of a newer oura-exporter (oura_exporter_schema says version {0}, and this one knows {VERSION}); \
         use that one"
    )]
    Newer(i32),
    /// Nothing can be written there.
    #[error("takes no writes, because it is a standby or read-only; name the primary in the URL")]
    ReadOnly,
    /// Another process does not let go of what is to be changed.
    #[error(
        "has {0} locked by another process, for longer than 5 s; let it finish, or stop it (pg_stat_activity shows which)"
    )]
    Locked(String),
    /// The row says nothing that can be used.
    #[error("has a row of account {account} in oura_exporter_accounts that cannot be used: {cause}")]
    Unfit {
        /// Which account.
        account: String,
        /// Why, and what to do.
        cause: Unfit,
    },
    /// The lock was lost, and somebody else has stored something since.
    #[error("has another sign-in of account {0} by now; that one is used")]
    Changed(String),
    /// Anything else that the server refuses.
    #[error("refuses ({0}); see its log; what was stored before is intact")]
    Server(String),
}

impl TableError {
    /// Whether no waiting mends it.
    pub fn is_a_mistake(&self) -> bool {
        use TableTrouble::{Newer, NoDatabase, NotAllowed, ReadOnly, Refused, Tls};
        matches!(self.trouble, Newer(_) | NoDatabase { .. } | NotAllowed { .. } | ReadOnly | Refused { .. } | Tls(_))
    }
}
