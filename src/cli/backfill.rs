//! `backfill`: the arguments, and what they make of the history.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::ArgGroup;
use tracing::warn;

use super::asked_to_stop;
use crate::{
    clock::Clock,
    config::{Config, account_name, receiver_url, unencrypted},
    exporter::{self, NO_HTTPS, RECEIVER_TIMEOUT},
    history::{Backfill, Cadence, Destination, Persistence, Receiver, Target},
    oura::Patience,
    status::ApiStats,
};

/// Written by hand, as clap's own does not fit a terminal.
const USAGE: &str = "oura-exporter backfill [OPTIONS] --from <DATE> --output <DIR>
       oura-exporter backfill [OPTIONS] --from <DATE> --remote-write <URL>";

#[derive(Clone, PartialEq, Eq, clap::Args)]
#[command(override_usage = USAGE)]
#[command(group(ArgGroup::new("destination").required(true).args(["output", "remote_write"])))]
pub(super) struct Arguments {
    /// The first day, as 2021-01-31
    #[arg(long, value_name = "DATE", value_parser = day)]
    from: NaiveDate,
    /// The last day; all there are if it is not given
    #[arg(long, value_name = "DATE", value_parser = day)]
    to: Option<NaiveDate>,
    /// When you began to scrape, as 2026-01-31T09:30:00+02:00: nothing is written from then on
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<DateTime<Utc>>,
    /// Files of OpenMetrics for promtool, one a month, into this directory; - means standard output
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Remote write to this address instead, as http://localhost:8428/api/v1/write
    #[arg(long, value_name = "URL", value_parser = receiver_url)]
    remote_write: Option<String>,
    /// This account only
    #[arg(long, value_name = "NAME", value_parser = account_name)]
    account: Option<String>,
    /// How often a day's value is written while it holds
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = every)]
    every: Duration,
    /// Each day's value once only, when it showed first
    #[arg(long, conflicts_with = "every")]
    once_a_day: bool,
    /// Begin a remote write anew, whatever a run before has sent
    #[arg(long, requires = "remote_write")]
    anew: bool,
    /// The label job of your scrapes; wins over OURA_JOB
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// The label instance of your scrapes; wins over OURA_INSTANCE
    #[arg(long, value_name = "ADDRESS")]
    instance: Option<String>,
}

fn day(text: &str) -> Result<NaiveDate, String> {
    text.trim().parse().map_err(|_| "not a day of the calendar; write 2021-01-31".to_owned())
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    text.trim().parse().map_err(|_| "not a time with its offset from UTC; write 2026-01-31T09:30:00+02:00".to_owned())
}

fn every(text: &str) -> Result<Duration, String> {
    let every = humantime::parse_duration(text).map_err(|_| "not a duration; write 5m".to_owned())?;
    let fits = (Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(&every);
    if fits { Ok(every) } else { Err("between a second and a day; write 5m".to_owned()) }
}

impl Arguments {
    /// Brings the history in.
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        let stop = asked_to_stop()?;
        let destination = self.destination(&config)?;
        let backfill = self.plan(config)?;
        backfill.run(destination, stop).await
    }

    /// Whether the days make sense.
    ///
    /// # Errors
    /// Where they do not, in words.
    pub(super) fn judge(&self) -> Result<(), String> {
        let today = Utc::now().date_naive();
        match (self.from, self.to) {
            (from, Some(to)) if from > to => Err(format!("--from: {from} is after --to, {to}; exchange them")),
            (_, Some(to)) if to > today + TimeDelta::days(1) => {
                Err(format!("--to: {to} is in the future; leave it out for all there are"))
            }
            (from, _) if from > today => Err(format!("--from: {from} is in the future; write a day that has been")),
            (from, _) if from < NaiveDate::default() => {
                Err(format!("--from: {from} is before any ring; write 2015-01-01"))
            }
            _ => Ok(()),
        }
    }

    fn destination(&self, config: &Config) -> anyhow::Result<Destination> {
        Ok(match (&self.remote_write, &self.output) {
            (Some(url), _) => {
                if let Some(warning) = unencrypted("--remote-write", url, "what is sent") {
                    warn!("{warning}");
                }
                let receiver = Receiver::new(url, config.history.access.clone(), RECEIVER_TIMEOUT);
                Destination::Remote(receiver.context(NO_HTTPS)?)
            }
            (None, Some(directory)) if directory.as_os_str() != "-" => Destination::Directory(directory.clone()),
            (None, _) => Destination::Output,
        })
    }

    fn plan(self, config: Config) -> anyhow::Result<Backfill> {
        let target = Target {
            job: self.job.unwrap_or_else(|| config.history.target.job.clone()),
            instance: self.instance.unwrap_or_else(|| config.history.target.instance.clone()),
        };
        let (kinds, clock) = (config.collections.clone(), Clock::system());
        let state = config.sign_in.store.as_ref().map(|store| store.directory().to_owned());
        let mut accounts = exporter::accounts(config, &ApiStats::new()?, &clock, Patience::default())?;
        accounts.retain(|account| self.account.as_ref().is_none_or(|name| *name == account.name));
        ensure!(
            !accounts.is_empty(),
            "--account: nobody of that name; `oura-exporter accounts` shows who is signed in"
        );
        let cadence = if self.once_a_day { Cadence::Once } else { Cadence::Every(self.every) };
        let persistence = Persistence::default();
        let Self { from, to, until, anew, .. } = self;
        Ok(Backfill { accounts, kinds, from, to, until, cadence, target, state, anew, clock, persistence })
    }
}
