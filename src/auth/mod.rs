//! Sign-in: how an account gets tokens, keeps them, and has them renewed.

mod account;
mod callback;
mod challenge;
mod discreet;
mod files;
mod heads;
mod listing;
mod lock;
mod login;
mod logout;
mod no_token;
mod oauth_client;
mod oauth_error;
mod person;
mod persons;
mod retry;
mod running;
mod source;
mod store;
mod store_error;
mod store_health;
mod store_stats;
#[cfg(feature = "postgres")]
mod table;
mod table_error;
mod token_file;
mod token_manager;
mod tokens;
mod under_way;
mod whose;

pub use account::is_name;
pub(crate) use challenge::random;
pub use listing::Listing;
pub use lock::{can_keep, lock};
pub(crate) use login::Redirected;
pub use login::{Forget, Keeping, Login, keep};
pub use logout::{Revoked, log_out, signed_in};
pub use no_token::{NoToken, SignInNeeded};
#[doc(hidden)]
pub use oauth_client::read_reply;
pub use oauth_client::{Application, Code, Endpoints, OAuthClient};
pub use oauth_error::{ErrorCode, OAuthError, Refusal, UnusableReply};
pub use person::{Doubt, NoPerson, Person, Replaces, WrongPerson, one_person};
pub use running::{Announced, Running};
pub(crate) use source::is_same;
pub use source::{Grant, TokenSource};
pub use store::{Glance, Lock, Store, Version};
pub use store_error::StoreError;
pub use store_health::StoreHealth;
pub use store_stats::{StoreStats, TOKEN_STORE};
#[cfg(feature = "postgres")]
pub use table::Table;
pub use table_error::{TableError, TableTrouble};
pub use token_file::TokenFile;
pub use token_manager::TokenManager;
pub use tokens::{Portal, SignedIn, Tokens, Unfit};
pub(crate) use under_way::apart;
pub use under_way::settle;
