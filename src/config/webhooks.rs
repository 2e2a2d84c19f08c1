//! The part of the configuration that concerns webhooks: where Oura finds the callback, and where it is answered.

use std::mem::take;

use reqwest::Url;

use super::{Reader, SignIn, draft::Draft, parse::Setting};
use crate::{http_client::is_loopback, webhooks::Place};

const NOT_IN_SHARDS: &str = "OURA_WEBHOOK_URL, OURA_SHARD: both are set, but Oura sends the events of all accounts of an \
                             application to one address, so one exporter has to show them all; unset OURA_SHARD and run one \
                             exporter, or unset OURA_WEBHOOK_URL for polls alone";
const EXAMPLE: &str = "https://oura.example/webhook";

/// Where webhooks are on; none where no address is set.
pub(super) fn place(draft: &mut Draft, sign_in: &SignIn, reader: &mut Reader) -> Option<Place> {
    let (url, listen_address) = (draft.webhook_url.take()?, take(&mut draft.webhook_listen));
    if draft.shard.is_one_of_several() {
        reader.mistakes.push(NOT_IN_SHARDS.to_owned());
        return None;
    }
    let lacks = match (&sign_in.application, &sign_in.store) {
        (Some(application), Some(store)) => {
            let (application, store) = (application.clone(), store.clone());
            return Some(Place { path: url.path().to_owned(), url: url.into(), listen_address, application, store });
        }
        (None, _) => "OURA_CLIENT_ID and OURA_CLIENT_SECRET, in whose name Oura sends events; set both",
        (_, None) => "a place for its verification token; set OURA_STATE_DIR",
    };
    reader.mistakes.push(format!("OURA_WEBHOOK_URL: needs {lacks}"));
    None
}

impl Setting {
    /// The callback as Oura sees it.
    pub(super) fn callback(&self) -> Result<Url, String> {
        let url = self.address_like(EXAMPLE)?;
        let mistake = |cause: &str| Err(format!("{}: {cause}; write {EXAMPLE}", self.name));
        if url.query().is_some() {
            return mistake("has a query (?...), and Oura appends one of its own");
        }
        if url.scheme() != "https" && !is_loopback(url.as_str()) {
            return mistake("does not begin with https://, which Oura demands");
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        Setting { name: "OURA_WEBHOOK_URL", text: text.to_owned() }.callback().map(String::from)
    }

    #[test]
    fn a_callback_is_public_and_encrypted_or_on_this_machine_for_tests() {
        for (text, url) in [
            ("https://oura.example/webhook", "https://oura.example/webhook"),
            ("https://Oura.Example", "https://oura.example/"),
            ("http://127.0.0.1:10060/webhook", "http://127.0.0.1:10060/webhook"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(url));
        }
        for (text, cause) in [
            ("http://oura.example/webhook", "does not begin with https://, which Oura demands"),
            ("https://oura.example/?key=secret", "has a query"),
            ("oura.example/webhook", "does not begin with https:// or http://"),
            ("https://anna:secret@oura.example/", "a user or password in it"),
            ("https://oura.example/#x", "has a fragment"),
        ] {
            let mistake = read(text).unwrap_err();
            assert!(mistake.starts_with("OURA_WEBHOOK_URL: ") && mistake.contains(cause), "{mistake}");
            assert!(!mistake.contains("secret"), "{mistake}");
        }
    }
}
