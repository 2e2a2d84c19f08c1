//! A real nginx before the exporter.

use std::{fs, process::Stdio};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::eventually;

/// An nginx that ends with the test: it is one process, as workers outlive a master that is killed.
pub(crate) struct Nginx {
    _process: Child,
    _directory: TempDir,
}

impl Nginx {
    /// One that listens at `address`, with these lines in its server, once it serves what is at `path`.
    pub(crate) async fn start(address: &str, lines: &str, path: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log error.log; events {{}}
             http {{
               access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
               uwsgi_temp_path uwsgi; scgi_temp_path scgi; proxy_max_temp_file_size 0;
               server {{ listen {address}; {lines} }}
             }}"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, configuration).expect("it is written");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).arg("-c").arg(file).stdin(Stdio::null()).kill_on_drop(true);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx starts");
        let serves = async || reqwest::get(format!("http://{address}{path}")).await.ok()?.error_for_status().ok();
        eventually("nginx serves", serves).await;
        Self { _process: process, _directory: directory }
    }
}
