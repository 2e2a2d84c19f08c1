//! A browser and an application at the simulator's authorization server.

use std::{collections::HashMap, time::Duration};

use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};

use super::{Bench, Got, NOON, got};
use crate::{Application, Authorizations, Portal};

pub(super) const CALLBACK: &str = "http://localhost:10058/callback";
pub(super) const BOTH: [Portal; 2] = [Portal::Legacy, Portal::New];
pub(super) const LEGACY_TOKEN: &str = "/oauth/token";
pub(super) const NEW_TOKEN: &str = "/oauth/v2/ext/oauth-token";

pub(super) type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// A simulator, and a browser or application that goes where it decides itself.
pub(super) struct Office {
    pub(super) bench: Bench,
    pub(super) http: Client,
}

impl Office {
    pub(super) async fn open() -> Self {
        let bench = Bench::at(NOON).await;
        let http = Client::builder().user_agent("office/1").redirect(Policy::none()).build().unwrap();
        Self { bench, http }
    }

    pub(super) fn authorizations(&self) -> &Authorizations {
        self.bench.simulator.authorizations()
    }

    pub(super) fn application(&self, portal: Portal) -> Application {
        self.bench.simulator.applications().into_iter().find(|one| one.portal == portal).unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.bench.simulator.url())
    }

    pub(super) fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = Url::parse_with_params("http://form/", form).unwrap().query().unwrap_or_default().to_owned();
        self.http.post(self.url(path)).header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// The answer of a token URL to a form with the application's credentials.
    pub(super) async fn exchange(&self, path: &str, application: &Application, form: &[(&str, &str)]) -> Got {
        let credentials = [("client_id", &*application.client_id), ("client_secret", &*application.client_secret)];
        got(self.form(path, &[form, &credentials].concat())).await
    }

    pub(super) async fn refresh(&self, portal: Portal, token: &str) -> Got {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.exchange(token_path(portal), &self.application(portal), &form).await
    }

    /// A refresh at the new portal by HTTP Basic, for which an answer is awaited a moment only.
    pub(super) fn refreshing(&self, token: &str) -> RequestBuilder {
        let application = self.application(Portal::New);
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let request = self.form(NEW_TOKEN, &form).timeout(Duration::from_millis(500));
        request.basic_auth(application.client_id, Some(application.client_secret))
    }

    pub(super) async fn authorize(&self, portal: Portal, query: &[(&str, &str)]) -> Response {
        let path = match portal {
            Portal::Legacy => "/oauth/authorize",
            Portal::New => "/oauth/v2/ext/oauth-authorize",
        };
        self.http.get(Url::parse_with_params(&self.url(path), query).unwrap()).send().await.unwrap()
    }

    /// What the browser is sent back with after alice has answered the page.
    pub(super) async fn answered(
        &self,
        portal: Portal,
        query: &[(&str, &str)],
        action: &str,
    ) -> HashMap<String, String> {
        let page = self.authorize(portal, query).await;
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        let inputs = [inputs(&page, "hidden"), inputs(&page, "checkbox")].concat();
        let mut form: Pairs = inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        form.extend([("person", "alice"), ("action", action)]);
        location(&self.form("/oauth/consent", &form).send().await.unwrap())
    }

    /// A fresh code for everything, without PKCE.
    pub(super) async fn code(&self, portal: Portal) -> String {
        let application = self.application(portal);
        let query = [("response_type", "code"), ("client_id", &application.client_id), ("redirect_uri", CALLBACK)];
        self.answered(portal, &query, "allow").await["code"].clone()
    }

    pub(super) async fn api(&self, token: &str, collection: &str) -> Got {
        got(self.bench.request(&format!("usercollection/{collection}")).bearer_auth(token)).await
    }
}

pub(super) fn token_path(portal: Portal) -> &'static str {
    if portal == Portal::Legacy { LEGACY_TOKEN } else { NEW_TOKEN }
}

/// The names and values of a page's inputs of this kind.
fn inputs(page: &str, kind: &str) -> Vec<(String, String)> {
    let start = format!("<input type=\"{kind}\" name=\"");
    let inputs = page.split(start.as_str()).skip(1).filter_map(|rest| rest.split_once("\" value=\""));
    inputs.map(|(name, rest)| (name.to_owned(), unescaped(rest.split('"').next().unwrap_or_default()))).collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
}

pub(super) fn location(answer: &Response) -> HashMap<String, String> {
    assert_eq!(answer.status(), 302);
    let address = answer.headers()["location"].to_str().unwrap();
    assert!(address.starts_with(CALLBACK), "{address}");
    Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

/// What a refusal comes to: its status, its error, and whether its description has the word.
pub(super) fn refusal(got: &Got, word: &str) -> (u16, String, bool) {
    let text = |name: &str| got.1[name].as_str().unwrap_or_default().to_owned();
    (got.0, text("error"), text("error_description").contains(word))
}
