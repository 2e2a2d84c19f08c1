//! Sign-in: how an account gets tokens, keeps them, and has them renewed.

mod authority;
mod keeper;
mod store;
mod tokens;

pub use authority::{Application, Authority, AuthorityError, Code, Endpoints};
pub use keeper::{Keeper, NoToken};
pub use store::{Edition, Lock, Store, StoreError};
pub use tokens::{Portal, Tokens};
