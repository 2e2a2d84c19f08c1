//! The simulator's own routes below `/simulator/`: what goes wrong is switched and looked at over HTTP, and events are sent.

use hyper::Method;
use serde_json::{Value, json};

use crate::{Recorded, Rule, cloud::Cloud, replies::Reply, webhooks::answer_by_hand};

/// What begins the path of each of them.
pub(crate) const ROOT: &str = "/simulator/";
const FAULTS: &str = "/simulator/faults";
const EVENTS: &str = "/simulator/events";
const REQUESTS: &str = "/simulator/requests";

/// Answers a request below [`ROOT`].
pub(crate) async fn answer(cloud: &Cloud, method: &Method, path: &str, body: &str) -> Reply {
    match (path, method) {
        (FAULTS, &Method::GET) => Reply::json(200, &faults(cloud)),
        (FAULTS, &Method::POST) => add(cloud, body),
        (FAULTS, &Method::DELETE) => {
            cloud.faults.clear();
            cloud.authorizations.clear_faults();
            Reply::json(200, &faults(cloud))
        }
        (REQUESTS, &Method::GET) => Reply::json(200, &cloud.recorded().iter().map(request).collect()),
        (REQUESTS, &Method::DELETE) => {
            cloud.forget();
            Reply::json(200, &json!([]))
        }
        (EVENTS, _) => answer_by_hand(cloud, method, body).await,
        (FAULTS | REQUESTS, _) => Reply::method_not_allowed("GET, POST, DELETE"),
        _ => Reply::detail(404, "Not Found"),
    }
}

/// Sets the faults that `body` names, one in each line, or none of them where one is wrong.
fn add(cloud: &Cloud, body: &str) -> Reply {
    let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.map(str::parse::<Rule>).collect::<Result<Vec<_>, _>>() {
        Ok(rules) => {
            rules.into_iter().for_each(|rule| cloud.faults.set(rule.scope, rule.fault));
            Reply::json(200, &faults(cloud))
        }
        Err(error) => Reply::detail(400, &error.to_string()),
    }
}

fn faults(cloud: &Cloud) -> Value {
    cloud.faults.set_now().iter().map(Rule::to_string).collect()
}

fn request(recorded: &Recorded) -> Value {
    json!({
        "at": recorded.at.to_rfc3339(),
        "person": recorded.person,
        "path": recorded.path,
        "query": recorded.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        "status": recorded.status,
        "body_bytes": recorded.body_bytes,
        "user_agent": recorded.user_agent,
    })
}
