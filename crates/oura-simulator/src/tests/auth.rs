//! Sign-in at both portals: consent, codes, tokens, scopes, and every refusal and fault of the token URLs.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    got,
    office::{BOTH, CALLBACK, LEGACY_TOKEN, NEW_TOKEN, Office, Pairs, location, refusal, token_path},
};
use crate::{Application, Granted, Portal, TokenFault};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn a_person_signs_in_with_pkce_at_both_portals() {
    let office = Office::open().await;
    for portal in BOTH {
        let application = office.application(portal);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let scopes = ["email", "daily", "extapi:daily", "extapi:email", "spo2Daily"].join(" ");
        let query = [
            ("response_type", "code"),
            ("client_id", &application.client_id),
            ("redirect_uri", CALLBACK),
            ("scope", &scopes),
            ("state", "a state & \"more\""),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let denied = office.answered(portal, &query[..4], "deny").await;
        assert_eq!(denied, HashMap::from([("error".to_owned(), "access_denied".to_owned())]));
        let back = office.answered(portal, &query, "allow").await;
        assert_eq!((back["state"].as_str(), back.contains_key("iss")), ("a state & \"more\"", portal == Portal::New));
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &back["code"]),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let (status, pair) = office.exchange(token_path(portal), &application, &form).await;
        let scope = if portal == Portal::Legacy { "email daily" } else { "extapi:email extapi:daily" };
        assert_eq!((status, &pair["scope"]), (200, &json!(scope)));
        assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("bearer"), &json!(2_591_999)));
        assert_eq!(pair.get("id_token"), Some(&Value::Null));
        let tokens = ["access_token", "refresh_token"].map(|name| pair[name].as_str().unwrap());
        assert!(tokens[0].starts_with("_0XBPWQQ_") && tokens[1].starts_with("_1XBPWQQ_"));
        let (status, person) = office.api(tokens[0], "personal_info").await;
        assert_eq!((status, &person["email"], person.get("age")), (200, &json!("alice@example.com"), None));
        assert_eq!(office.bench.simulator.requests().last().unwrap().person, Some("alice"));
        assert_eq!(office.refresh(portal, tokens[1]).await.0, 200);
    }
}

#[tokio::test]
async fn only_registered_applications_and_addresses_get_an_answer_sent() {
    let office = Office::open().await;
    let [legacy, new] = BOTH.map(|portal| office.application(portal).client_id);
    let slash = format!("{CALLBACK}/");
    for (portal, id, redirect, status) in [
        (Portal::Legacy, &legacy, Some(CALLBACK), 200),
        (Portal::Legacy, &legacy, None, 200),
        (Portal::New, &new, None, 400),
        (Portal::New, &new, Some(slash.as_str()), 400),
        (Portal::New, &legacy, Some(CALLBACK), 400),
        (Portal::Legacy, &new, Some(CALLBACK), 400),
    ] {
        let query: Pairs = [("response_type", "code"), ("client_id", id)].into();
        let query = [query, redirect.map(|uri| ("redirect_uri", uri)).into_iter().collect()].concat();
        let answer = office.authorize(portal, &query).await;
        assert_eq!(answer.status(), status, "{portal:?} {redirect:?}");
        assert!(answer.text().await.unwrap().contains("<h1>"));
    }
    office.authorizations().register_redirect(&slash);
    let query = [("response_type", "token"), ("client_id", &*new), ("redirect_uri", &*slash), ("state", "s")];
    let back = location(&office.authorize(Portal::New, &query).await);
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("unsupported_response_type", "s"));
}

/// Where somebody comes with what, and the status, the error and a word of the description that they get.
type Row<'a> = (&'a str, &'a Application, &'a [(&'a str, &'a str)], (u16, &'a str, &'a str));

#[tokio::test]
async fn each_portal_refuses_in_its_own_words() {
    let office = Office::open().await;
    let [legacy, new] = BOTH.map(|portal| office.application(portal));
    let wrong = |right: &Application| Application { client_secret: "wrong".to_owned(), ..right.clone() };
    let stranger = Application { client_id: "nobody".to_owned(), ..legacy.clone() };
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "_1XBPWQQ_none")];
    let code = [("grant_type", "authorization_code"), ("code", "none"), ("redirect_uri", CALLBACK)];
    let machine = [("grant_type", "client_credentials")];
    let rows: [Row; 14] = [
        (LEGACY_TOKEN, &new, &refresh, (400, "invalid_request", "Invalid request")),
        (LEGACY_TOKEN, &new, &code, (401, "invalid_client", "")),
        (LEGACY_TOKEN, &stranger, &refresh, (400, "invalid_request", "Invalid client_id")),
        (LEGACY_TOKEN, &wrong(&legacy), &code, (401, "invalid_client", "Invalid client_id")),
        (LEGACY_TOKEN, &legacy, &refresh, (400, "invalid_grant", "invalid")),
        (LEGACY_TOKEN, &legacy, &code, (400, "invalid_grant", "invalid")),
        (LEGACY_TOKEN, &legacy, &machine, (400, "unsupported_grant_type", "authorization_code or refresh_token")),
        (LEGACY_TOKEN, &legacy, &[], (400, "invalid_request", "missing")),
        (NEW_TOKEN, &legacy, &refresh, (401, "invalid_client", "")),
        (NEW_TOKEN, &wrong(&new), &code, (401, "invalid_client", "")),
        (NEW_TOKEN, &stranger, &refresh, (401, "invalid_client", "")),
        (NEW_TOKEN, &new, &refresh, (400, "invalid_grant", "invalid")),
        (NEW_TOKEN, &new, &code, (400, "invalid_grant", "invalid")),
        (NEW_TOKEN, &new, &machine, (400, "unsupported_grant_type", "")),
    ];
    for (path, application, form, (status, error, word)) in rows {
        let answer = office.exchange(path, application, form).await;
        assert_eq!(refusal(&answer, word), (status, error.to_owned(), true), "{path} {form:?} {}", answer.1);
    }
    let bare = office.exchange(NEW_TOKEN, &stranger, &refresh).await;
    assert_eq!(bare.1, json!({ "error": "invalid_client" }));
    let nameless = office.form(NEW_TOKEN, &refresh).header("user-agent", "");
    assert_eq!(got(nameless).await.0, 403);
    let exchanges = office.authorizations().exchanges();
    let last = exchanges.last().unwrap();
    assert_eq!((exchanges.len(), last.status, last.grant_type.as_str()), (16, 403, "refresh_token"));
    assert_eq!(office.http.get(office.url(LEGACY_TOKEN)).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_code_works_once_and_only_with_what_it_was_asked_for() {
    let office = Office::open().await;
    for (portal, mismatch) in [(Portal::Legacy, "invalid_redirect_uri"), (Portal::New, "invalid_grant")] {
        let (path, application) = (token_path(portal), office.application(portal));
        let code = office.code(portal).await;
        let good = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK)];
        let basic = office.form(path, &good).basic_auth(&application.client_id, Some(&application.client_secret));
        let (status, pair) = got(basic).await;
        assert_eq!((status, pair["scope"].as_str().unwrap().split(' ').count()), (200, 11), "no scope: all");
        let again = office.exchange(path, &application, &good).await;
        assert_eq!(refusal(&again, "used"), (400, "invalid_grant".to_owned(), true));
        let code = office.code(portal).await;
        let other = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", "http://localhost/")];
        assert_eq!(refusal(&office.exchange(path, &application, &other).await, "").1, mismatch);
        let query = [
            ("response_type", "code"),
            ("client_id", &application.client_id),
            ("redirect_uri", CALLBACK),
            ("code_challenge", VERIFIER),
            ("code_challenge_method", "S256"),
        ];
        let code = office.answered(portal, &query, "allow").await["code"].clone();
        let unproven = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK)];
        let answer = office.exchange(path, &application, &unproven).await;
        assert_eq!(refusal(&answer, "code_verifier"), (400, "invalid_grant".to_owned(), true));
    }
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let office = Office::open().await;
    for portal in BOTH {
        let before = office.authorizations().exchanges().len();
        let first = office.authorizations().grant(portal, "bob", &["daily", "spo2Daily"]);
        assert_eq!(first.scope, if portal == Portal::Legacy { "daily" } else { "extapi:daily" });
        let (status, second) = office.refresh(portal, &first.refresh_token).await;
        assert_eq!((status, &second["scope"]), (200, &json!(first.scope)));
        assert_ne!(second["refresh_token"], json!(first.refresh_token));
        let again = office.refresh(portal, &first.refresh_token).await;
        assert_eq!(refusal(&again, "already used"), (400, "invalid_grant".to_owned(), true));
        let second = second["refresh_token"].as_str().unwrap();
        assert_eq!(office.refresh(portal, second).await.0, 200, "the pair outlives the reuse of the one before");
        office.refresh(portal, &first.refresh_token).await;
        let seen: Vec<(u16, u32)> =
            office.authorizations().exchanges()[before..].iter().map(|one| (one.status, one.spent)).collect();
        assert_eq!(seen, [(200, 0), (400, 1), (200, 0), (400, 2)]);
    }
}

#[tokio::test]
async fn tokens_end_by_the_clock_and_by_revocation() {
    let office = Office::open().await;
    let authorizations = office.authorizations();
    authorizations.set_token_lifetime(1);
    let brief = authorizations.grant(Portal::New, "alice", &[]);
    assert_eq!((brief.expires_in, office.api(&brief.access_token, "sleep").await.0), (1, 200));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(office.api(&brief.access_token, "sleep").await.0, 401);
    authorizations.set_token_lifetime(60);
    let [legacy, new] = BOTH.map(|portal| authorizations.grant(portal, "alice", &[]));
    let query = format!("/oauth/revoke?access_token={}", legacy.access_token);
    let revoked = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(revoked(office.http.get(office.url(&query))).await, 200);
    let again = office.http.post(office.url("/oauth/revoke")).bearer_auth(&legacy.refresh_token);
    assert_eq!(revoked(again).await, 401);
    assert_eq!(office.exchange("/oauth/v2/ext/oauth-revoke", &office.application(Portal::Legacy), &[]).await.0, 401);
    let form = [("token", new.refresh_token.as_str())];
    assert_eq!(office.exchange("/oauth/v2/ext/oauth-revoke", &office.application(Portal::New), &form).await.0, 200);
    let third = authorizations.grant(Portal::New, "alice", &[]);
    let bobs = authorizations.grant(Portal::New, "bob", &[]);
    authorizations.revoke_everything("alice");
    for (portal, Granted { access_token, refresh_token, .. }) in
        [(Portal::Legacy, legacy), (Portal::New, new), (Portal::New, third)]
    {
        assert_eq!(office.api(&access_token, "personal_info").await.0, 401);
        assert_eq!(refusal(&office.refresh(portal, &refresh_token).await, "revoked").0, 400);
    }
    assert_eq!(office.api(&bobs.access_token, "sleep").await.0, 200);
}

#[tokio::test]
async fn scopes_open_collections() {
    let office = Office::open().await;
    for portal in BOTH {
        let token = office.authorizations().grant(portal, "alice", &["personal", "extapi:heart_health"]).access_token;
        for (collection, status) in
            [("vO2_max", 200), ("daily_cardiovascular_age", 200), ("sleep", 401), ("ring_battery_level", 401)]
        {
            let (got, body) = office.api(&token, collection).await;
            let refused = body["detail"].as_str().is_some_and(|detail| detail.contains("scope"));
            assert_eq!((got, refused), (status, status == 401), "{portal:?} {collection}");
        }
        let (_, person) = office.api(&token, "personal_info").await;
        assert_eq!((&person["age"], person.get("email")), (&json!(38), None));
        let none = office.authorizations().grant(portal, "alice", &["spo2Daily"]);
        let (status, person) = office.api(&none.access_token, "personal_info").await;
        assert_eq!((none.scope.as_str(), status, person.as_object().unwrap().len()), ("", 200, 1), "{person}");
    }
}

fn once(fault: TokenFault) -> TokenFault {
    TokenFault::Times(1, Box::new(fault))
}

#[tokio::test]
async fn an_answer_in_place_of_the_real_one_spends_nothing() {
    let office = Office::open().await;
    let authorizations = office.authorizations();
    let kept = authorizations.grant(Portal::New, "bob", &[]).refresh_token;
    for (fault, status, body) in [
        (TokenFault::Status(400), 400, "{\"error\""),
        (TokenFault::Status(503), 503, "<!DOCTYPE"),
        (TokenFault::EmptyBody(400), 400, ""),
        (TokenFault::Html(200), 200, "<!DOCTYPE"),
        (TokenFault::RateLimited { retry_after_seconds: 9 }, 429, "{"),
        (TokenFault::Redirect, 307, ""),
    ] {
        authorizations.set_fault(once(fault.clone()));
        let answer = office.refreshing(&kept).send().await.unwrap();
        assert_eq!(answer.status(), status, "{fault:?}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
        let text = answer.text().await.unwrap();
        assert!(text.starts_with(body) && text.is_empty() == body.is_empty(), "{fault:?}: {text}");
    }
    authorizations.set_fault(once(TokenFault::Hang));
    assert!(office.refreshing(&kept).send().await.unwrap_err().is_timeout());
    authorizations.set_fault(once(TokenFault::NoRefreshToken));
    let poor = got(office.refreshing(&kept)).await.1;
    assert_eq!((poor.get("refresh_token"), poor["access_token"].is_string()), (None, true));
    assert_eq!(got(office.refreshing(&kept)).await.0, 200);
    assert!(authorizations.exchanges().iter().all(|exchange| exchange.spent == 0));
}

#[tokio::test]
async fn a_good_answer_can_be_spoilt_or_lost() {
    let office = Office::open().await;
    let authorizations = office.authorizations();
    let token = || authorizations.grant(Portal::New, "bob", &["daily", "tag"]).refresh_token;
    authorizations.set_fault(once(TokenFault::DropAfterRotating));
    assert_eq!(got(office.refreshing("none")).await.0, 400, "a refusal does not use it up");
    let lost = token();
    assert!(!office.refreshing(&lost).send().await.unwrap_err().is_timeout());
    assert_eq!(got(office.refreshing(&lost)).await.0, 400, "the pair is lost");
    let statuses: Vec<u16> = authorizations.exchanges().iter().map(|exchange| exchange.status).collect();
    assert_eq!(statuses, [400, 0, 400]);
    for (fault, field, left) in [
        (TokenFault::NoExpiresIn, "expires_in", None),
        (TokenFault::NoScope, "scope", None),
        (TokenFault::ScopeAsList, "scope", Some(json!(["extapi:daily", "extapi:tag"]))),
        (TokenFault::Delay(Duration::from_millis(30)), "token_type", Some(json!("bearer"))),
    ] {
        authorizations.set_fault(fault);
        assert_eq!(got(office.refreshing(&token())).await.1.get(field), left.as_ref());
    }
    authorizations.clear_faults();
    assert_eq!(got(office.refreshing(&token())).await.1["scope"], "extapi:daily extapi:tag");
}
