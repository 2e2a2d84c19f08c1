//! The configuration while it is read: what the settings say, each by itself, before they are judged together.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use chrono::TimeDelta;
use reqwest::Url;
use secrecy::SecretString;
use tracing::Level;

use super::{
    ExternalUrl, Flags, Reader,
    parse::{Setting, setting},
    settings::{Unset, VARIABLES},
};
use crate::{auth::Endpoints, documents::Kind, shard::Shard};

/// A value for each setting; what is not set has its default here, too.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) client_id: Secret,
    pub(super) client_secret: Secret,
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) token_store: Secret,
    pub(super) shard: Shard,
    pub(super) access_token: Secret,
    pub(super) account: String,
    pub(super) listen_address: String,
    /// With the name of the setting, which its mistakes begin with.
    pub(super) web_config_file: Option<(&'static str, PathBuf)>,
    pub(super) allowed_hosts: Vec<String>,
    pub(super) external_url: ExternalUrl,
    pub(super) web_sign_in: bool,
    pub(super) poll_interval: Duration,
    pub(super) request_budget: Option<u32>,
    pub(super) stale_after: TimeDelta,
    pub(super) collections: Option<Vec<&'static Kind>>,
    pub(super) sandbox: bool,
    pub(super) api_url: String,
    pub(super) legacy: Endpoints,
    pub(super) new: Endpoints,
    pub(super) samples: bool,
    pub(super) remote_write_url: Option<String>,
    pub(super) remote_write_username: Option<String>,
    pub(super) remote_write_password: Secret,
    pub(super) remote_write_bearer_token: Secret,
    pub(super) job: String,
    pub(super) instance: String,
    pub(super) webhook_url: Option<Url>,
    pub(super) webhook_listen: String,
    pub(super) log_level: Option<Level>,
    pub(super) log_json: bool,
}

/// A secret that is given by one of two settings: as it is, or by the file that holds it.
#[derive(Debug, Default)]
pub(super) struct Secret {
    given_by: Option<&'static str>,
    file: Option<PathBuf>,
    value: Option<SecretString>,
}

impl Secret {
    pub(super) fn take(
        &mut self,
        setting: &Setting,
        read: fn(&Setting) -> Result<SecretString, String>,
    ) -> Result<(), String> {
        if let Some(other) = self.given_by {
            return Err(format!("{other}, {}: both are set; unset one", setting.name));
        }
        // Noted before it is read: what is wrong is set all the same.
        self.given_by = Some(setting.name);
        self.value = Some(read(setting)?);
        Ok(())
    }

    /// The same out of a file, whose place is kept.
    pub(super) fn take_file(&mut self, setting: &Setting) -> Result<(), String> {
        self.take(setting, Setting::secret_file)?;
        self.file = Some(PathBuf::from(&setting.text));
        Ok(())
    }

    pub(super) fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }

    /// The setting that gives it.
    pub(super) fn given_by(&self) -> &'static str {
        self.given_by.unwrap_or_default()
    }

    pub(super) fn is_set(&self) -> bool {
        self.given_by.is_some()
    }

    pub(super) fn into_value(self) -> Option<SecretString> {
        self.value
    }
}

impl Draft {
    /// What `given` and the flags, which win over it, say; their mistakes go to `reader`.
    pub(super) fn read(mut given: BTreeMap<String, String>, flags: &Flags, reader: &mut Reader) -> Self {
        let mut draft = Self::default();
        for variable in VARIABLES {
            if let Unset::Value(text) = variable.unset {
                let default = Setting { name: variable.name, text: text.to_owned() };
                reader.mistakes.extend((variable.effect)(&mut draft, &default).err());
            }
            let by_flag = variable.flag.and_then(|flag| setting(flag.name, flags.get(flag.name)));
            let by_variable = setting(variable.name, given.remove(variable.name));
            if let Some(setting) = by_flag.or(by_variable) {
                reader.mistakes.extend((variable.effect)(&mut draft, &setting).err());
            }
        }
        draft
    }
}
