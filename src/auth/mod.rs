//! Sign-in: how an account gets tokens, keeps them, and has them renewed.

mod authority;
mod callback;
mod challenge;
mod keeper;
mod login;
mod source;
mod store;
mod tokens;

#[doc(hidden)]
pub use authority::read_reply;
pub use authority::{Application, Authority, AuthorityError, Code, Endpoints};
pub use keeper::{Keeper, NoToken};
pub use login::{Login, keep};
pub(crate) use source::is_same;
pub use source::{Grant, TokenSource};
pub use store::{Edition, Lock, Store, StoreError};
pub use tokens::{Portal, Tokens};
