//! The command line: which command, with which flags, and which exit code.

#[macro_use]
mod output;

mod backfill;
mod check;
mod demo;
mod examine;
mod flags;
mod logging;
mod naming;
mod sign_in;

use std::{env, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use hyper::{HeaderMap, header::AUTHORIZATION};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

use self::{
    flags::{ServeFlags, WebFlags},
    logging::Reader,
};
use crate::{
    clock::Clock,
    config::{self, Accounts, Config, Flags, Mistakes},
    exporter::Exporter,
    oura::Patience,
    oura::body,
    tls, version,
};

/// Wrong use or configuration.
const MISUSE: u8 = 2;
/// How long the health check waits for the answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Prometheus exporter for Oura Ring.
#[derive(Parser)]
#[command(version, about, after_help = config::help(), max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: ServeFlags,
}

#[derive(Clone, PartialEq, Eq, Subcommand)]
enum Command {
    /// Polls the account and serves the page; the default
    Serve(ServeFlags),
    /// Serves made-up data of two people: no account, no network
    Demo(demo::Demo),
    /// Exits with 0 when the exporter on this machine is ready
    Healthcheck(WebFlags),
    /// Signs a person in at Oura
    Login(sign_in::Login),
    /// Takes a person's sign-in back at Oura and forgets it
    Logout(sign_in::Logout),
    /// Shows who is signed in, and renames accounts
    Accounts(sign_in::Accounts),
    /// Brings in any stretch of the past: as files for promtool, or by remote write
    Backfill(backfill::Arguments),
    /// Looks at everything as a doctor would: 0 only if all is well
    Check,
}

impl Command {
    /// Who reads what it tells.
    fn reader(&self) -> Reader {
        if matches!(self, Self::Serve(_) | Self::Demo(_)) { Reader::Log } else { Reader::Person }
    }

    /// Its flags, and those before its name where it has none of that kind.
    fn flags(&self, before: ServeFlags) -> Flags {
        let own = match self {
            Self::Serve(flags) => flags.0.clone(),
            Self::Demo(demo) => demo.flags.0.clone(),
            Self::Healthcheck(flags) => flags.0.clone(),
            _ => Flags::default(),
        };
        own.or(before.0)
    }
}

/// The definition of the command line, of which completions and man pages are made.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments name, and says how the process is to end.
pub fn main() -> ExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(asked) if asked.kind() == ErrorKind::DisplayVersion => {
            println!("{}", version::text());
            ExitCode::SUCCESS
        }
        // Help, or what is wrong with the arguments.
        Err(words) if words.print().is_err() && !words.use_stderr() => ExitCode::from(output::CLOSED_PIPE),
        Err(words) => ExitCode::from(u8::try_from(words.exit_code()).unwrap_or(MISUSE)),
    };
    if output::is_closed() { ExitCode::from(output::CLOSED_PIPE) } else { ended }
}

fn run(cli: Cli) -> ExitCode {
    let command = cli.command.unwrap_or_else(|| Command::Serve(ServeFlags::default()));
    if let Command::Backfill(arguments) = &command
        && let Err(mistake) = arguments.judge()
    {
        return misuse(&Mistakes { mistakes: vec![mistake], warnings: vec![] });
    }
    let accounts = match command {
        Command::Serve(_) => Accounts::MayCome,
        Command::Check | Command::Backfill(_) => Accounts::Needed,
        _ => Accounts::NotNeeded,
    };
    let config = match Config::from_environment(env::vars_os(), command.flags(cli.flags), accounts) {
        Ok(config) => config,
        Err(mistakes) => return misuse(&mistakes),
    };
    let reader = command.reader();
    logging::start(config.log, reader);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    match on_runtime(command, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if output::is_of_closed_pipe(&failure) => ExitCode::from(output::CLOSED_PIPE),
        Err(failure) => {
            match reader {
                Reader::Log => error!("{failure:#}"),
                Reader::Person => output::complain(format_args!("{failure:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn misuse(mistakes: &Mistakes) -> ExitCode {
    for mistake in mistakes.warnings.iter().chain(&mistakes.mistakes) {
        output::complain(format_args!("{mistake}"));
    }
    ExitCode::from(MISUSE)
}

fn on_runtime(command: Command, config: Config) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        match command {
            Command::Serve(_) => serve(config).await,
            Command::Demo(demo) => demo.run(config).await,
            Command::Healthcheck(_) => healthcheck(&config).await,
            Command::Login(login) => login.run(&config.sign_in, &config).await,
            Command::Logout(logout) => logout.run(&config.sign_in).await,
            Command::Accounts(accounts) => accounts.run(&config.sign_in).await,
            Command::Backfill(arguments) => arguments.run(config).await,
            Command::Check => check::run(config).await,
        }
    });
    // What is still under way, a request to Oura at most, is of no use any more.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = asked_to_stop()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let listener = TcpListener::bind(&config.listen_address).await.with_context(|| {
        format!("cannot listen on {}; stop what listens there or set OURA_LISTEN_ADDRESS", config.listen_address)
    })?;
    let exporter = Exporter::new(config, listener.local_addr()?, Clock::system(), Patience::default())?;
    let look = exporter.accounts.look();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("looking at the token files, as the signal HUP asks for");
            look.notify_one();
        }
    });
    exporter.run(listener, stop).await
}

/// Resolves when the process is told to end; the handlers are in place when this returns.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
    })
}

async fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let address = config.listen_address.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1);
    tls::choose_provider();
    let mut http = reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(HEALTH_TIMEOUT);
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
    let url = format!("{scheme}://{address}/-/ready");
    let answer = http.default_headers(headers).build()?.get(&url).send().await;
    let answer = answer.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let words = String::from_utf8_lossy(&body::beginning(answer, body::LARGEST_REPLY).await).into_owned();
    anyhow::ensure!(status.is_success(), "{}", words.trim());
    Ok(())
}
