//! One account at a time: which accounts a query asks for, and the list by which Prometheus finds a target for each.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{config::ExternalUrl, hosts, observation::ACCOUNT_LABEL};

/// The page: of everybody, or of the accounts that the query names.
pub const METRICS: &str = "/metrics";
/// What of the page is no account's.
pub const EXPORTER: &str = "/metrics/exporter";
/// Samples with their own time: of everybody, or of the accounts that the query names.
pub const SAMPLES: &str = "/metrics/samples";
/// The targets that make up the page.
pub const TARGETS: &str = "/sd";
/// The targets that make up the record.
pub const SAMPLE_TARGETS: &str = "/sd/samples";

/// The parameter that names an account, as a query has it and as Prometheus adds it to one.
const PARAMETER: &str = ACCOUNT_LABEL;
const ADDED_PARAMETER: &str = "__param_account";

/// The accounts that a query names, each once; none where it names none, which means all of them.
///
/// # Errors
/// Where a name is empty: a page of everybody is not what was meant.
pub fn named(query: &str) -> Result<Option<BTreeSet<String>>, &'static str> {
    let named = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == PARAMETER);
    let named: BTreeSet<_> = named.map(|(_, account)| account.into_owned()).collect();
    if named.contains("") {
        return Err("account is empty; write account=NAME, or leave it out for all accounts\n");
    }
    Ok(Some(named).filter(|named| !named.is_empty()))
}

/// What is said to whoever asks for single accounts where there are none.
pub fn misplaced(path: &str, query: &str) -> Option<&'static str> {
    let names_one = || form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == PARAMETER);
    let words = match path {
        EXPORTER => "/metrics/exporter has nothing of an account; leave account= out, or write /metrics?account=NAME\n",
        TARGETS | SAMPLE_TARGETS => {
            "this list has the targets of all accounts; leave account= out, and keep those you want with relabel_configs \
             (source_labels: [account], action: keep)\n"
        }
        _ => return None,
    };
    names_one().then_some(words)
}

/// How Prometheus reaches this exporter.
pub struct Way {
    /// Name or address, and port.
    authority: String,
    /// How it speaks there, where that is known for certain.
    scheme: Option<&'static str>,
    /// The path below which all is, with a slash at its end.
    root: String,
}

impl Way {
    /// The way by which somebody came who asked for `authority`: it leads here, and its name is one that may be asked for.
    /// Below the path of a proxy everything is found with and without the proxy.
    pub fn of(authority: &str, is_encrypted: bool, external: &ExternalUrl) -> Self {
        let is_by_proxy =
            external.host().is_some() && hosts::name_in(authority.as_bytes()).as_deref() == external.host();
        let own = is_encrypted.then_some("https");
        let scheme = if is_by_proxy { external.scheme() } else { own };
        Self { authority: authority.to_owned(), scheme, root: external.root() }
    }

    /// A target for each of `accounts`, whose series are at `path`.
    pub fn to_each<'a>(&self, path: &str, accounts: impl IntoIterator<Item = &'a str>) -> Vec<Target> {
        let to_one = |account: &str| {
            let names = [(ACCOUNT_LABEL, account.to_owned()), (ADDED_PARAMETER, account.to_owned())];
            self.target(path, names)
        };
        accounts.into_iter().map(to_one).collect()
    }

    /// The target of what is no account's.
    pub fn to_the_exporter(&self) -> Target {
        self.target(EXPORTER, [])
    }

    fn target<const N: usize>(&self, path: &str, names: [(&'static str, String); N]) -> Target {
        let path = format!("{}{}", self.root, path.trim_start_matches('/'));
        let scheme = self.scheme.map(|scheme| ("__scheme__", scheme.to_owned()));
        let labels = names.into_iter().chain([("__metrics_path__", path)]).chain(scheme).collect();
        Target { targets: [self.authority.clone()], labels }
    }
}

/// A target as Prometheus' HTTP service discovery lists it. Its label `account` tells its `up` from that of the others; with
/// `honor_labels`, the series are as on the page of everybody.
#[derive(Debug, Serialize)]
pub struct Target {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(target: &Target) -> String {
        serde_json::to_string(target).unwrap()
    }

    #[test]
    fn a_query_names_each_account_once_and_an_empty_name_is_a_mistake() {
        let names = |query| named(query).map(|named| named.map(|named| Vec::from_iter(named).join(" ")));
        for (query, expected) in [
            ("", None),
            ("learnt=48h&accounts=anna&Account=anna", None),
            ("account=anna", Some("anna")),
            ("account=ben&account=anna&account=ben", Some("anna ben")),
            ("account=a%2Db_c.D&x", Some("a-b_c.D")),
            ("account=%22%0A%FF", Some("\"\n\u{fffd}")),
        ] {
            assert_eq!(names(query), Ok(expected.map(str::to_owned)), "{query}");
        }
        for query in ["account=", "account", "account=anna&account=", "account&learnt=1h"] {
            assert!(names(query).unwrap_err().contains("account=NAME"), "{query}");
        }
        assert_eq!(names(&"account=anna&".repeat(1_000)), Ok(Some("anna".to_owned())));
    }

    #[test]
    fn where_no_account_can_be_chosen_it_is_said_what_would_be_right() {
        for (path, words) in
            [(EXPORTER, "/metrics?account=NAME"), (TARGETS, "relabel_configs"), (SAMPLE_TARGETS, "relabel_configs")]
        {
            for query in ["account=anna", "x=1&account=", "learnt=1h&account=anna&account=ben"] {
                assert!(misplaced(path, query).is_some_and(|said| said.contains(words)), "{path}?{query}");
            }
            assert_eq!(misplaced(path, "accounts=anna&x"), None, "{path}");
        }
        assert_eq!([METRICS, SAMPLES, "/"].map(|path| misplaced(path, "account=anna")), [None; 3]);
    }

    #[test]
    fn a_target_is_where_whoever_asks_has_come_to() {
        let direct = Way::of("10.1.2.3:10058", false, &ExternalUrl::default());
        let targets = direct.to_each(METRICS, ["anna"]);
        assert_eq!(
            labels(&targets[0]),
            "{\"targets\":[\"10.1.2.3:10058\"],\"labels\":{\"__metrics_path__\":\"/metrics\",\
             \"__param_account\":\"anna\",\"account\":\"anna\"}}"
        );
        let encrypted = Way::of("oura.lan", true, &ExternalUrl::default()).to_the_exporter();
        assert_eq!(
            labels(&encrypted),
            "{\"targets\":[\"oura.lan\"],\"labels\":{\"__metrics_path__\":\"/metrics/exporter\",\"__scheme__\":\"https\"}}"
        );
    }
}
