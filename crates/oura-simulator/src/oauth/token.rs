//! The token URLs: codes and refresh tokens against new pairs, as each portal does it and as it fails.

use std::{future::pending, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Asked, Authorizations, State,
    applications::{Application, Portal},
    credentials::proven,
    faults::TokenFault,
    refusals::Refusal,
};
use crate::{cloud::Dropped, query::value, replies::Reply};

/// The grant type of a refresh.
pub(super) const REFRESH: &str = "refresh_token";

/// What a request comes to.
enum Outcome {
    Answer(Reply),
    Late(Duration, Reply),
    Hang,
    Drop,
}

/// A request to a token URL, and the moment of it.
struct Order<'a> {
    applications: &'a [Application],
    portal: Portal,
    asked: Asked<'a>,
    now: DateTime<Utc>,
}

impl Authorizations {
    /// Answers at a token URL, and writes the request down.
    pub(super) async fn token(&self, portal: Portal, asked: Asked<'_>) -> Result<Reply, Dropped> {
        let (place, outcome) = {
            let order = Order { applications: &self.applications, portal, asked, now: self.clock.now() };
            let mut state = self.state();
            (state.note(portal, asked.form, order.now, 0), state.serve(&order))
        };
        let reply = match outcome {
            Outcome::Answer(reply) => reply,
            Outcome::Late(delay, reply) => {
                sleep(delay).await;
                reply
            }
            Outcome::Hang => pending().await,
            Outcome::Drop => return Err(Dropped),
        };
        if let Some(exchange) = self.state().exchanges.get_mut(place) {
            exchange.status = reply.status;
        }
        Ok(reply)
    }
}

impl State {
    fn serve(&mut self, order: &Order) -> Outcome {
        self.faults.asked();
        let fault = self.faults.current();
        let Some(fault) = fault.filter(|fault| !fault.spoils()) else { return self.exchange(order) };
        self.faults.spend();
        match fault {
            TokenFault::Hang => Outcome::Hang,
            TokenFault::Delay(delay) => Outcome::Late(delay, reply(order, self.pair(order, None))),
            fault => Outcome::Answer(fault.reply(order.now)),
        }
    }

    /// The real answer, or what a fault leaves of it.
    fn exchange(&mut self, order: &Order) -> Outcome {
        let fault = self.faults.current();
        let pair = self.pair(order, fault.as_ref());
        if pair.is_ok() && fault.is_some() {
            self.faults.spend();
            if fault == Some(TokenFault::DropAfterRotating) {
                return Outcome::Drop;
            }
        }
        Outcome::Answer(reply(order, pair))
    }

    /// A new pair for what the request brings.
    fn pair(&mut self, order: &Order, fault: Option<&TokenFault>) -> Result<Value, Refusal> {
        let (portal, form) = (order.portal, order.asked.form);
        let needed = |name: &str| value(form, name).ok_or(Refusal::Incomplete);
        let grant_type = needed("grant_type")?;
        if ![REFRESH, "authorization_code"].contains(&grant_type) {
            return Err(Refusal::OtherGrantType);
        }
        proven(order.applications, portal, order.asked)?;
        let grant = if grant_type == REFRESH {
            self.ledger.present(needed(REFRESH)?, portal, fault.is_some_and(TokenFault::keeps))?
        } else {
            let (redirect, verifier) = (value(form, "redirect_uri"), value(form, "code_verifier"));
            self.ledger.redeem(needed("code")?, portal, redirect, verifier, order.now)?
        };
        let granted = self.issue(grant, order.now);
        let mut answer = json!({
            "access_token": granted.access_token,
            "token_type": "bearer",
            "expires_in": granted.expires_in,
            "refresh_token": granted.refresh_token,
            "scope": granted.scope,
            "id_token": null,
        });
        if let Some(fault) = fault {
            fault.spoil(&mut answer);
        }
        Ok(answer)
    }
}

fn reply(order: &Order, pair: Result<Value, Refusal>) -> Reply {
    let is_refresh = value(order.asked.form, "grant_type") == Some(REFRESH);
    pair.map_or_else(|refusal| refusal.reply(order.portal, is_refresh), |pair| Reply::json(200, &pair))
}
