//! Sign-in: how an account gets tokens, keeps them, and has them renewed.

mod account;
mod authority;
mod callback;
mod challenge;
mod discreet;
mod keeper;
mod listing;
mod lock;
mod login;
mod logout;
mod no_token;
mod oauth_error;
mod person;
mod retry;
mod running;
mod source;
mod store;
mod store_error;
mod store_health;
mod token_file;
mod tokens;

pub use account::is_name;
#[doc(hidden)]
pub use authority::read_reply;
pub use authority::{Application, Authority, Code, Endpoints};
pub(crate) use challenge::random;
pub use keeper::Keeper;
pub use listing::Listing;
pub use lock::{Lock, can_keep, lock};
pub(crate) use login::Answer;
pub use login::{Login, keep};
pub use logout::{Revoked, log_out, signed_in};
pub use no_token::{NoToken, SignIn};
pub use oauth_error::{ErrorCode, OAuthError, Refusal, Unusable};
pub use person::{Doubt, Person, Replaces, WrongPerson, one_person};
pub use running::{Announced, Running};
pub(crate) use source::is_same;
pub use source::{Grant, TokenSource};
pub use store::{Edition, Glance, Store};
pub use store_error::StoreError;
pub use store_health::StoreHealth;
pub use token_file::TokenFile;
pub use tokens::{Portal, SignedIn, Tokens, Unfit};
