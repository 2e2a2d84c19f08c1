//! Why a collection cannot be trusted, in words for a person and in a closed list for a label.

use crate::{
    defect::Defect,
    documents::{Reading, Unreadable},
};

/// What is wrong with a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its place in the closed list.
    pub reason: Reason,
    /// What happened, in words.
    pub what: String,
}

/// How an account comes by its token: what a person can do depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrigin<'a> {
    /// By a sign-in, of the account of that name.
    SignIn(&'a str),
    /// Made by hand, in the environment.
    ByHand,
    /// Made by hand, in a file that is read again when it changes.
    ByFile,
}

impl TokenOrigin<'_> {
    /// How a new token by hand gets to where it is read, as `token` calls it.
    fn put(self, token: &str) -> String {
        match self {
            Self::ByFile => {
                format!("put {token} into the file that OURA_ACCESS_TOKEN_FILE names, which is read again by itself")
            }
            Self::SignIn(_) | Self::ByHand => format!("put {token} into OURA_ACCESS_TOKEN and restart the exporter"),
        }
    }
}

/// Why a collection fails: the closed list behind the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The access token is refused everywhere.
    Token,
    /// The token is good, and lacks the scope of this collection.
    Scope,
    /// The token is good, this collection is refused, and something speaks against a missing scope.
    Refused,
    /// The membership has lapsed.
    Membership,
    /// Too many requests.
    RateLimit,
    /// A status of 500 or more, or one that says that the moment was bad.
    Server,
    /// No answer in time.
    Timeout,
    /// No connection.
    Network,
    /// An answer that is no JSON, or too large.
    Unreadable,
    /// A document of another shape than this build knows.
    Document,
    /// Pages without end.
    Paging,
    /// A request that Oura rejects.
    Request,
    /// A panic of this program.
    Defect,
    /// The directory with the tokens: its disk, its rights, or a lock that another process holds.
    State,
}

impl Reason {
    /// The closed list.
    pub const ALL: &'static [Self] = &[
        Self::Token,
        Self::Scope,
        Self::Refused,
        Self::Membership,
        Self::RateLimit,
        Self::Server,
        Self::Timeout,
        Self::Network,
        Self::Unreadable,
        Self::Document,
        Self::Paging,
        Self::Request,
        Self::Defect,
        Self::State,
    ];

    /// The label's value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Scope => "scope",
            Self::Refused => "refused",
            Self::Membership => "membership",
            Self::RateLimit => "rate_limit",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Unreadable => "unreadable",
            Self::Document => "document",
            Self::Paging => "paging",
            Self::Request => "request",
            Self::Defect => "defect",
            Self::State => "state",
        }
    }

    /// What it means, in words that hold for every collection.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Token => "Oura refuses the token everywhere, or refuses to renew the sign-in",
            Self::Scope => "the token lacks the scope of this collection",
            Self::Refused => {
                "Oura refuses this collection, although the token is good and nothing says that a scope is missing"
            }
            Self::Membership => "Oura forbids everything: the membership has lapsed",
            Self::RateLimit => "Oura asked for a pause, which applies to the whole account",
            Self::Server => "Oura's server has a problem",
            Self::Timeout => "no answer in time",
            Self::Network => "no connection, or one that broke",
            Self::Unreadable => "an answer that is not JSON, or is larger than any that Oura is known to send",
            Self::Document => "a document has a shape that this version does not know; the others are shown",
            Self::Paging => "an answer whose pages never end",
            Self::Request => {
                "Oura rejects the request; the log has the status: 426 means that the Oura app on the phone is too \
                 old, a redirect that OURA_API_URL is wrong"
            }
            Self::Defect => "a defect in this program; the log names its place; the other collections go on",
            Self::State => {
                "the tokens cannot be read or stored, or another process holds their lock: the disk, the permissions, the database of \
                 OURA_TOKEN_STORE, or a process that was stopped; the log names the place"
            }
        }
    }

    /// What a person can do about it.
    pub fn advice(self, access: TokenOrigin<'_>) -> String {
        match (self, access) {
            (Self::Token, TokenOrigin::SignIn(name)) => format!("run: {}", login(name)),
            (Self::Token, access) => access.put("a new token"),
            (Self::Scope, TokenOrigin::SignIn(name)) => format!(
                "tick it in your application at Oura, then run: {}, and tick it on Oura's consent page",
                login(name)
            ),
            (Self::Scope, access) => format!(
                "tick it in your application at Oura and on Oura's consent page, {}",
                access.put("the new token")
            ),
            (Self::Refused, access) => {
                format!("it is tried again within minutes; if it persists, {}", every_scope(access))
            }
            (reason, _) => reason.common_advice().to_owned(),
        }
    }

    /// What a person can do about it where nothing is tried again by itself.
    pub fn remedy(self, access: TokenOrigin<'_>) -> String {
        let words = match self {
            Self::Token | Self::Scope => return self.advice(access),
            Self::Refused => return every_scope(access),
            Self::Membership => "renew the Oura membership",
            Self::Network => "check the network and OURA_API_URL",
            Self::Unreadable | Self::Paging => "wait until that is over; if it persists, report it",
            Self::RateLimit | Self::Server | Self::Timeout => "wait until that is over",
            Self::Document | Self::Request => self.common_advice(),
            Self::Defect => "report it, with that place and the version",
            Self::State => "fix that in OURA_STATE_DIR, or at the database of OURA_TOKEN_STORE",
        };
        words.to_owned()
    }

    /// What a person can do where the way to the token makes no difference.
    const fn common_advice(self) -> &'static str {
        match self {
            Self::Membership => "renew the Oura membership; it is tried again every hour",
            Self::RateLimit => "nothing to do, it continues by itself; if it happens often, raise OURA_POLL_INTERVAL",
            Self::Network => "check the network and OURA_API_URL; it is tried again at the next poll",
            Self::Unreadable | Self::Paging => "it is tried again at the next poll; if it persists, report it",
            Self::Document => "if it persists, report it with the field's name",
            Self::Defect => "report it, with that place and the version; it is tried again at the next poll",
            Self::Request => "look for a newer version of this exporter, or report it",
            Self::Token | Self::Scope | Self::Refused | Self::Server | Self::Timeout => {
                "nothing to do, it is tried again at the next poll"
            }
            Self::State => {
                "fix that in OURA_STATE_DIR, or at the database of OURA_TOKEN_STORE; it is tried again by itself"
            }
        }
    }

    /// Whether Oura answered 401 or 403 although the token is good.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Scope | Self::Refused | Self::Membership)
    }

    /// Whether it is the whole account's and not one collection's, so that it is told once.
    pub const fn is_of_the_account(self) -> bool {
        matches!(self, Self::Token | Self::Membership | Self::RateLimit | Self::Network | Self::State)
    }
}

/// How a token comes to all scopes.
fn every_scope(access: TokenOrigin<'_>) -> String {
    match access {
        TokenOrigin::SignIn(name) => format!("run: {}, and tick every scope", login(name)),
        access => access.put("a new token with every scope"),
    }
}

/// The command that signs an account in.
fn login(name: &str) -> String {
    format!("oura-exporter login --account {name}")
}

impl Problem {
    /// What is wrong with an answer of whose documents none can be read; none where one can, or where there are none.
    pub fn of_reading(reading: &Reading) -> Option<Self> {
        let Unreadable { count, field } = &reading.unreadable;
        let what = || format!("no document can be read, the first fails at {field}");
        (*count > 0 && *count == reading.documents).then(|| Self { reason: Reason::Document, what: what() })
    }

    /// A defect that broke a turn off.
    pub fn of_defect(defect: &Defect) -> Self {
        Self { reason: Reason::Defect, what: format!("a defect in this program at {}", defect.place) }
    }

    /// A refusal for want of that scope.
    pub fn of_scope(scope: &str) -> Self {
        Self { reason: Reason::Scope, what: format!("the token lacks the scope {scope}") }
    }

    /// What happened, and what a person can do about it where nothing is tried again by itself.
    pub fn with_remedy(&self, access: TokenOrigin<'_>) -> String {
        format!("{}; {}", self.what, self.reason.remedy(access))
    }

    /// What happened, and what a person can do about it whose token comes in that way.
    pub fn with_advice(&self, access: TokenOrigin<'_>) -> String {
        format!("{}; {}", self.what, self.reason.advice(access))
    }
}
