//! What wearers allowed, and every code and token that was issued for it; none is forgotten, so reuse is seen.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{applications::Portal, challenge::Challenge, refusals::Refusal};
use crate::noise::Noise;

/// How long a code lives.
const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// What access tokens begin with.
const ACCESS: &str = "_0XBPWQQ_";
/// What refresh tokens begin with.
const REFRESH: &str = "_1XBPWQQ_";

/// Consents, codes and tokens.
pub(super) struct Ledger {
    noise: Noise,
    issued: i64,
    grants: Vec<Grant>,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
}

/// What a person allowed an application.
struct Grant {
    portal: Portal,
    person: String,
    scopes: Vec<String>,
    is_revoked: bool,
}

struct Code {
    grant: usize,
    proof: Proof,
    until: DateTime<Utc>,
    is_spent: bool,
}

struct Access {
    grant: usize,
    until: DateTime<Utc>,
}

struct Refresh {
    grant: usize,
    /// How often it was taken.
    presented: u32,
}

/// What the exchange of a code must fit.
pub(super) struct Proof {
    /// The redirect URI of the sign-in, if it named one.
    pub(super) redirect: Option<String>,
    pub(super) challenge: Option<Challenge>,
}

/// Whose data an access token opens, and which of them.
pub(crate) struct Pass {
    pub(crate) person: String,
    /// The scopes, without a prefix.
    pub(crate) scopes: Vec<String>,
}

impl Ledger {
    /// An empty one, whose secrets follow from `noise`.
    pub(super) fn new(noise: Noise) -> Self {
        let (codes, access, refresh) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { noise, issued: 0, grants: Vec::new(), codes, access, refresh }
    }

    /// Writes down that a person allowed something; returns the number of the grant.
    pub(super) fn allow(&mut self, portal: Portal, person: &str, scopes: Vec<String>) -> usize {
        self.grants.push(Grant { portal, person: person.to_owned(), scopes, is_revoked: false });
        self.grants.len() - 1
    }

    /// A code for this grant.
    pub(super) fn code(&mut self, grant: usize, proof: Proof, now: DateTime<Utc>) -> String {
        let text = self.secret("");
        self.codes.insert(text.clone(), Code { grant, proof, until: now + CODE_LIFETIME, is_spent: false });
        text
    }

    /// An access token for this grant.
    pub(super) fn access(&mut self, grant: usize, until: DateTime<Utc>) -> String {
        let text = self.secret(ACCESS);
        self.access.insert(text.clone(), Access { grant, until });
        text
    }

    /// A refresh token for this grant.
    pub(super) fn refresh(&mut self, grant: usize) -> String {
        let text = self.secret(REFRESH);
        self.refresh.insert(text.clone(), Refresh { grant, presented: 0 });
        text
    }

    /// What was granted, in the portal's names.
    pub(super) fn scopes(&self, grant: usize) -> &[String] {
        self.grants.get(grant).map_or(&[], |grant| &grant.scopes)
    }

    /// Takes a code; it is spent even if what comes with it does not fit.
    pub(super) fn redeem(
        &mut self,
        code: &str,
        portal: Portal,
        redirect: Option<&str>,
        verifier: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<usize, Refusal> {
        let grants = &self.grants;
        let is_here = |grant: usize| grants.get(grant).is_some_and(|grant| grant.portal == portal);
        let code = self.codes.get_mut(code).filter(|code| is_here(code.grant)).ok_or(Refusal::NoSuchCode)?;
        if code.is_spent || grants.get(code.grant).is_none_or(|grant| grant.is_revoked) {
            return Err(Refusal::CodeUsed);
        }
        code.is_spent = true;
        if now >= code.until {
            return Err(Refusal::CodeExpired);
        }
        if code.proof.redirect.as_deref().is_some_and(|meant| redirect != Some(meant)) {
            return Err(Refusal::OtherRedirect);
        }
        let is_proven = |challenge: &Challenge| verifier.is_some_and(|verifier| challenge.fits(verifier));
        if !code.proof.challenge.as_ref().is_none_or(is_proven) {
            return Err(Refusal::Unproven);
        }
        Ok(code.grant)
    }

    /// Takes a refresh token; with `keep` it stays good.
    pub(super) fn present(&mut self, token: &str, portal: Portal, keep: bool) -> Result<usize, Refusal> {
        let grants = &self.grants;
        let is_here = |grant: usize| grants.get(grant).is_some_and(|grant| grant.portal == portal);
        let refresh = self.refresh.get_mut(token).filter(|refresh| is_here(refresh.grant));
        let refresh = refresh.ok_or(Refusal::NoSuchToken)?;
        let is_good = refresh.presented == 0 && grants.get(refresh.grant).is_some_and(|grant| !grant.is_revoked);
        if !(is_good && keep) {
            refresh.presented = refresh.presented.saturating_add(1);
        }
        if is_good { Ok(refresh.grant) } else { Err(Refusal::TokenUsed) }
    }

    /// How often this refresh token of this portal was taken.
    pub(super) fn presented(&self, token: &str, portal: Portal) -> u32 {
        let refresh = self.refresh.get(token);
        let is_here = |grant: usize| self.grants.get(grant).is_some_and(|grant| grant.portal == portal);
        refresh.filter(|refresh| is_here(refresh.grant)).map_or(0, |refresh| refresh.presented)
    }

    /// What an access token opens, if it is good.
    pub(super) fn pass(&self, token: &str, now: DateTime<Utc>) -> Option<Pass> {
        let access = self.access.get(token).filter(|access| now < access.until)?;
        let grant = self.grants.get(access.grant).filter(|grant| !grant.is_revoked)?;
        let bare = |scope: &String| grant.portal.bare(scope).map(str::to_owned);
        Some(Pass { person: grant.person.clone(), scopes: grant.scopes.iter().filter_map(bare).collect() })
    }

    /// Ends what this token, of either kind, was issued for; false if there is nothing to end.
    pub(super) fn revoke(&mut self, token: &str, portal: Portal) -> bool {
        let refresh = self.refresh.get(token).map(|refresh| refresh.grant);
        let number = self.access.get(token).map(|access| access.grant).or(refresh);
        let grant = number.and_then(|number| self.grants.get_mut(number));
        let grant = grant.filter(|grant| grant.portal == portal && !grant.is_revoked);
        grant.is_some_and(|grant| {
            grant.is_revoked = true;
            true
        })
    }

    /// Ends everything that this person allowed.
    pub(super) fn revoke_person(&mut self, person: &str) {
        for grant in self.grants.iter_mut().filter(|grant| grant.person == person) {
            grant.is_revoked = true;
        }
    }

    /// How many grants of this person are not revoked.
    pub(super) fn standing(&self, person: &str) -> usize {
        self.grants.iter().filter(|grant| grant.person == person && !grant.is_revoked).count()
    }

    fn secret(&mut self, prefix: &str) -> String {
        let noise = self.noise.of(prefix).at(self.issued);
        self.issued += 1;
        format!("{prefix}{:016x}-{:016x}", noise.bits(), noise.of("more").bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_lives_ten_minutes() {
        let now = DateTime::UNIX_EPOCH;
        let mut ledger = Ledger::new(Noise::new(1));
        let grant = ledger.allow(Portal::New, "alice", Vec::new());
        let mut redeemed_after = |seconds: i64| {
            let code = ledger.code(grant, Proof { redirect: None, challenge: None }, now);
            ledger.redeem(&code, Portal::New, None, None, now + TimeDelta::seconds(seconds))
        };
        assert_eq!(redeemed_after(599), Ok(grant));
        assert_eq!(redeemed_after(600), Err(Refusal::CodeExpired));
    }
}
