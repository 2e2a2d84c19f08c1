//! Where a client's access token comes from: a fixed one from the environment, or one that is kept renewed.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use super::{NoToken, SignInNeeded, TokenFile, TokenManager};
use crate::problem::TokenOrigin;

/// What a person granted at a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// When they signed in; renewals change nothing about it.
    pub signed_in_at: DateTime<Utc>,
    /// The scopes, without prefixes; none if Oura never said.
    pub scopes: Option<Vec<String>>,
}

impl Grant {
    /// Whether that scope was granted, as far as Oura said.
    pub fn has(&self, scope: &str) -> Option<bool> {
        Some(self.scopes.as_ref()?.iter().any(|granted| granted == scope))
    }
}

/// Where an access token comes from.
pub enum TokenSource {
    /// From the environment: nobody renews it.
    Fixed(SecretString),
    /// From a file that the environment names: whoever writes it renews it.
    File(TokenFile),
    /// From a sign-in, renewed in time.
    Kept(TokenManager),
}

impl TokenSource {
    /// An access token that is good as far as we know.
    ///
    /// # Errors
    /// Where there is none, and whether a person has to do something about it.
    pub async fn token(&self) -> Result<SecretString, NoToken> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::File(file) => Ok(file.token()),
            Self::Kept(token_manager) => token_manager.access_token().await,
        }
    }

    /// Another token than `refused`, which Oura refuses everywhere.
    ///
    /// # Errors
    /// Where there is none, and whether a person has to do something about it.
    pub async fn replace(&self, refused: &SecretString) -> Result<SecretString, NoToken> {
        match self {
            Self::Fixed(_) => Err(NoToken::SignIn(SignInNeeded::Fixed)),
            Self::File(file) => {
                let token = file.token();
                if is_same(&token, refused) { Err(NoToken::SignIn(SignInNeeded::Fixed)) } else { Ok(token) }
            }
            Self::Kept(token_manager) => token_manager.replace(refused).await,
        }
    }

    /// Oura's API has accepted a token.
    pub fn accepted(&self) {
        if let Self::Kept(token_manager) = self {
            token_manager.accepted();
        }
    }

    /// Oura has said, with this id, whose sign-in that of then is.
    pub fn is_of(&self, id: &str, signed_in_at: DateTime<Utc>) {
        if let Self::Kept(token_manager) = self {
            token_manager.is_of(id, signed_in_at);
        }
    }

    /// Whether it is a sign-in of which Oura never said whose it is.
    pub fn lacks_person(&self) -> bool {
        matches!(self, Self::Kept(token_manager) if token_manager.lacks_person())
    }

    /// Whether there is another sign-in, or another token by hand, than a moment ago.
    pub fn has_news(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::File(file) => file.has_news(),
            Self::Kept(token_manager) => token_manager.has_news(),
        }
    }

    /// Whether somebody else has signed in as the account, or may have, so that it gives no token any more.
    pub fn is_anothers(&self) -> bool {
        matches!(self, Self::Kept(token_manager) if token_manager.is_anothers())
    }

    /// Whether there may ever be another token than now.
    pub const fn can_change(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// Whether a person must sign in again: no token is left that works, and Oura refuses another one.
    pub async fn needs_sign_in(&self) -> bool {
        match self {
            Self::Fixed(_) | Self::File(_) => false,
            Self::Kept(token_manager) => token_manager.needs_sign_in().await,
        }
    }

    /// When the current token expires, if that is known.
    pub async fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Fixed(_) | Self::File(_) => None,
            Self::Kept(token_manager) => token_manager.expires_at().await,
        }
    }

    /// What the present token's sign-in granted; none if there was none.
    pub async fn grant(&self) -> Option<Grant> {
        match self {
            Self::Fixed(_) | Self::File(_) => None,
            Self::Kept(token_manager) => token_manager.grant().await,
        }
    }

    /// How the account of that name comes by its token.
    pub const fn access<'a>(&self, name: &'a str) -> TokenOrigin<'a> {
        match self {
            Self::Fixed(_) => TokenOrigin::ByHand,
            Self::File(_) => TokenOrigin::ByFile,
            Self::Kept(_) => TokenOrigin::SignIn(name),
        }
    }

    /// Whether `oura-exporter login` is the way to a new token.
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

/// Whether both are the same token.
pub(crate) fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
