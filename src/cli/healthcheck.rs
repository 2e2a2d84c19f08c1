//! `healthcheck`: asks the exporter on this machine whether it is ready, or whether it is alive, for containers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hyper::{HeaderMap, header::AUTHORIZATION};

use super::flags::WebFlags;
use crate::{
    config::Config,
    http_client::{self, body},
};

/// How long the answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks how the exporter on this machine is.
#[derive(Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Healthcheck {
    /// Exit with 0 as soon as it serves; use this for anything that restarts it, because it is not ready until somebody has signed in
    #[arg(long)]
    alive: bool,
    #[command(flatten)]
    pub(super) flags: WebFlags,
}

impl Healthcheck {
    pub(super) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let address = config.listen_address.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1);
        let mut http = http_client::to_this_machine().timeout(TIMEOUT);
        let mut scheme = "http";
        let mut headers = HeaderMap::new();
        if let Some(web) = &config.web {
            let pass = web.health();
            headers.insert(AUTHORIZATION, pass.bearer());
            if let Some(identity) = pass.identity() {
                scheme = "https";
                // It asks this machine, by an address that hardly any certificate names.
                http = http.tls_danger_accept_invalid_certs(true).identity(reqwest::Identity::from_pem(identity)?);
            }
        }
        let path = if self.alive { "/-/healthy" } else { "/-/ready" };
        let url = format!("{scheme}://{address}{path}");
        let answer = http.default_headers(headers).build()?.get(&url).send().await;
        let answer = answer.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status();
        let words = String::from_utf8_lossy(&body::beginning(answer, body::LARGEST_REPLY).await).into_owned();
        ensure!(status.is_success(), "{}", words.trim());
        Ok(())
    }
}
