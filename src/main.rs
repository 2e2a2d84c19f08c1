//! The `oura-exporter` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    oura_exporter::cli::main()
}
