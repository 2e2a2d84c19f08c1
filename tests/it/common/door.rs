//! Whoever visits the exporter's page to sign in, as a browser would: forms are sent from the page's own origin.

use std::{fs, path::Path};

use reqwest::{
    Certificate, Client, Response, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION},
    redirect,
};

use super::{Program, eventually, proxy::Nginx, scene::Scene};

/// A visitor of the page at `home`.
pub(crate) struct Visitor {
    http: Client,
    pub(crate) home: Url,
}

/// What a visitor is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: u16,
    /// Where the browser is sent on to.
    pub(crate) location: Option<String>,
    pub(crate) policy: String,
    pub(crate) text: String,
}

impl Shown {
    async fn of(answer: Response) -> Self {
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().expect("a text").to_owned());
        let (location, policy) = (header(LOCATION.as_str()), header("content-security-policy").unwrap_or_default());
        Self { status: answer.status().as_u16(), location, policy, text: answer.text().await.expect("a body") }
    }

    /// The address of Oura's page, as the page leads there.
    pub(crate) fn oura(&self) -> Url {
        let link = self.text.split("id=\"oura\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
        let link = link.unwrap_or_else(|| panic!("no way to Oura: {}", self.text));
        link.replace("&amp;", "&").parse().expect("an address")
    }
}

impl Visitor {
    pub(crate) fn of(home: &str) -> Self {
        let http = Client::builder().redirect(redirect::Policy::none());
        // As browsers do it, whatever the system's resolver knows.
        let http = http.resolve("ring.localhost", ([127, 0, 0, 1], 0).into()).build().expect("a client");
        Self { http, home: home.parse().expect("an address") }
    }

    /// One who trusts an authority, and gives these words as `Authorization`.
    pub(crate) fn over_tls(home: &str, authority: &Path, words: &str) -> Self {
        let authority = Certificate::from_pem(&fs::read(authority).expect("a certificate")).expect("PEM");
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(words).expect("a header"));
        let http = Client::builder().redirect(redirect::Policy::none()).tls_certs_only([authority]);
        let http = http.default_headers(headers).build().expect("a client");
        Self { http, home: home.parse().expect("an address") }
    }

    pub(crate) async fn get(&self, place: &str) -> Shown {
        let url = self.home.join(place).expect("an address");
        Shown::of(self.http.get(url).send().await.expect("an answer")).await
    }

    /// Sends a form of the page.
    pub(crate) async fn post(&self, place: &str, form: &[(&str, &str)]) -> Shown {
        let origin = self.home.origin().ascii_serialization();
        self.post_from(place, form, &[("origin", &origin), ("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a form with these headers.
    pub(crate) async fn post_from(&self, place: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Shown {
        let url = self.home.join(place).expect("an address");
        let request = self.http.post(url).form(form);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Shown::of(request.send().await.expect("an answer")).await
    }

    /// Begins to sign in as `account`; where the page of the attempt is, and Oura's page.
    pub(crate) async fn begin(&self, account: &str) -> (String, Url) {
        let shown = self.post("sign-in", &[("account", account)]).await;
        assert_eq!(shown.status, 303, "{}", shown.text);
        let place = shown.location.expect("a place");
        assert!(place.starts_with("sign-in?attempt="), "{place}");
        let url = self.get(&place).await.oura();
        (place, url)
    }

    /// What the page of an attempt says once it is titled so.
    pub(crate) async fn titled(&self, place: &str, title: &str) -> String {
        let heading = format!("<h1>{title}</h1>");
        let done = async || {
            let text = self.get(place).await.text;
            (text.contains(&heading) && !text.contains("data-state")).then_some(text)
        };
        eventually(title, done).await
    }
}

/// The program at the redirect URI of `scene`, as it is when its port is the usual one.
pub(crate) async fn at_the_redirect(scene: &Scene, address: &str) -> (Program, Visitor) {
    (at_the_redirect_with(scene, address, &[]).await, Visitor::of(&format!("http://localhost:{}/", scene.port())))
}

/// The same, with more variables.
pub(crate) async fn at_the_redirect_with(scene: &Scene, address: &str, variables: &[(&str, &str)]) -> Program {
    let mut command = scene.program();
    command.env("OURA_POLL_INTERVAL", "36h").envs(variables.iter().copied());
    Program::start_at(&format!("{address}:{}", scene.port()), &mut command).await
}

/// The program behind an nginx that shows it below `/oura/`, where the redirect URI of `scene` is then.
pub(crate) async fn behind_nginx(scene: &mut Scene) -> (Program, Visitor, Nginx) {
    let port = scene.port();
    let uri = format!("http://localhost:{port}/oura/callback");
    scene.simulator.authorizations().register_redirect(&uri);
    scene.redirect = Some(uri);
    let program = Program::start(scene.program().env("OURA_POLL_INTERVAL", "36h")).await;
    let lines = format!(
        "proxy_http_version 1.1; proxy_set_header Host $http_host; location /oura/ {{ proxy_pass http://{}/; }}",
        program.address
    );
    let nginx = Nginx::start(&format!("127.0.0.1:{port}"), &lines, "/oura/").await;
    (program, Visitor::of(&format!("http://localhost:{port}/oura/")), nginx)
}
