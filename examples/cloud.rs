//! An Oura Cloud in a process of its own, so that `benches/load` can look at the exporter alone.
//!
//! Prints `URL TOKEN` of the first wearer; each line `report` on stdin is answered with `REQUESTS BYTES` since the one
//! before, bytes being those of the answers' bodies as sent. Ends when stdin is closed.

use std::io::{self, BufRead as _};

use oura_exporter::simulator::{Settings, Simulator};
use tokio::runtime;

fn main() -> io::Result<()> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let simulator = runtime.block_on(Simulator::start(Settings::default()))?;
    let wearer = simulator.people().into_iter().next().ok_or_else(|| io::Error::other("nobody wears a ring"))?;
    println!("{} {}", simulator.url(), wearer.token);
    for line in io::stdin().lock().lines() {
        if line? == "report" {
            report(&simulator);
        }
    }
    Ok(())
}

fn report(simulator: &Simulator) {
    let requests = simulator.requests();
    simulator.forget_requests();
    let bytes: usize = requests.iter().map(|request| request.body_bytes).sum();
    println!("{} {bytes}", requests.len());
}
