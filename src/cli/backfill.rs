//! `backfill`: the arguments, and what they make of the record.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail, ensure};
use chrono::{NaiveDate, TimeDelta, Utc};
use clap::ArgGroup;
use tracing::warn;

use super::stop::asked_to_stop;
use crate::{
    backfill::{Backfill, Destination, Readers, RetryPolicy},
    clock::Clock,
    config::{Config, account_name, receiver_url, unencrypted},
    exporter::{self, NO_HTTPS, RECEIVER_TIMEOUT},
    oura::ClientOptions,
    remote_write::Receiver,
    samples::Target,
    status::ApiStats,
};

/// Written by hand, as clap's own does not fit a terminal.
const USAGE: &str = "oura-exporter backfill [OPTIONS] --from <DATE> --output <DIR>
       oura-exporter backfill [OPTIONS] --from <DATE> --remote-write <URL>";

#[derive(Clone, PartialEq, Eq, clap::Args)]
#[command(override_usage = USAGE)]
#[command(group(ArgGroup::new("destination").required(true).args(["output", "remote_write"])))]
pub(super) struct Arguments {
    /// The first day, such as 2021-01-31
    #[arg(long, value_name = "DATE", value_parser = day)]
    from: NaiveDate,
    /// The last day; without it, up to now, or for files up to six hours ago
    #[arg(long, value_name = "DATE", value_parser = day)]
    to: Option<NaiveDate>,
    /// Write OpenMetrics files for promtool, one per month, into this directory; - means standard output
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Send to this remote-write address instead, such as http://localhost:8428/api/v1/write
    #[arg(long, value_name = "URL", value_parser = receiver_url)]
    remote_write: Option<String>,
    /// This account only
    #[arg(long, value_name = "NAME", value_parser = account_name)]
    account: Option<String>,
    /// Begin at the first day, even if an earlier run was interrupted
    #[arg(long, conflicts_with = "output")]
    restart: bool,
    /// The group that may read the files, such as prometheus
    #[arg(long, value_name = "GROUP", conflicts_with = "remote_write", value_parser = group)]
    group: Option<u32>,
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

/// The number of a group that the system knows.
fn group(text: &str) -> Result<u32, String> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let number = |line: &str| {
        let mut parts = line.split(':');
        let is_it = parts.next() == Some(text);
        parts.nth(1).filter(|_| is_it)?.parse().ok()
    };
    let found = groups.lines().find_map(number);
    // The last number there is means "leave it as it is" to the system.
    let by_number = || text.parse().ok().filter(|number| *number != u32::MAX);
    found.or_else(by_number).ok_or_else(|| "no such group; write the one that Prometheus runs as".to_owned())
}

impl Arguments {
    /// Brings it in.
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
            (from, Some(to)) if from > to => Err(format!("--from: {from} is after --to, {to}; swap them")),
            (_, Some(to)) if to > today + TimeDelta::days(1) => {
                Err(format!("--to: {to} is in the future; leave it out to include every day"))
            }
            (from, _) if from > today => Err(format!("--from: {from} is in the future; write a day in the past")),
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
                let receiver = Receiver::new(url, config.samples.access.clone(), RECEIVER_TIMEOUT);
                Destination::Remote(receiver.context(NO_HTTPS)?)
            }
            (None, Some(directory)) if directory.as_os_str() != "-" => Destination::Directory(directory.clone()),
            (None, _) => Destination::Output,
        })
    }

    fn plan(self, config: Config) -> anyhow::Result<Backfill> {
        let target = Target {
            job: self.job.unwrap_or_else(|| config.samples.target.job.clone()),
            instance: self.instance.unwrap_or_else(|| config.samples.target.instance.clone()),
        };
        let kinds = config.collections.iter().copied().filter(|kind| kind.is_recorded()).collect();
        let clock = Clock::system();
        let store = config.sign_in.store.clone();
        let shard = config.shard;
        if let Some(name) = self.account.as_ref().filter(|name| !shard.has(name)) {
            let own = shard.of(name);
            bail!(
                "--account: {name} is of shard {own}, and this is shard {shard} (OURA_SHARD); unset it to import {name} here"
            );
        }
        let mut accounts = exporter::accounts(config, &ApiStats::new()?, &clock, ClientOptions::default())?;
        accounts.retain(|account| self.account.as_ref().is_none_or(|name| *name == account.name));
        ensure!(
            !accounts.is_empty(),
            "--account: nobody is signed in under that name; oura-exporter accounts shows who is"
        );
        let Self { from, to, restart, group, .. } = self;
        let readers = group.map_or(Readers::Owner, Readers::Group);
        let persistence = RetryPolicy::default();
        Ok(Backfill { accounts, kinds, from, to, target, readers, store, restart, clock, persistence })
    }
}
