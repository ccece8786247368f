//! `runner local-cluster`: the embedded cluster on loopback, for kubectl and for runs that outlive each other.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ::local_cluster::{NOTICE, Server};
use futures_util::StreamExt as _;

use crate::cli::LocalCluster;
use crate::journal::{self, state_folder};
use crate::local::{self, Objects};
use crate::report::{ExitCode, Failed, Streams};
use crate::signals::signals;

pub(super) fn run(arguments: LocalCluster, streams: Streams) -> ExitCode {
    let LocalCluster { port, local_objects, state_dir } = arguments;
    let state = match state_folder(state_dir) {
        Ok(state) => state,
        Err(error) => {
            streams.error(&Failed::new(&error, error.help()));
            return ExitCode::Invalid;
        }
    };
    match super::runtime() {
        Ok(runtime) => runtime.block_on(serve(port, local_objects, &state, streams)),
        Err(error) => {
            streams.error(&Failed::new(&error, None));
            ExitCode::Invalid
        }
    }
}

async fn serve(port: u16, objects: Option<PathBuf>, state: &Path, streams: Streams) -> ExitCode {
    let failed = |error: &dyn std::error::Error| {
        streams.error(&Failed::new(error, None));
        ExitCode::Invalid
    };
    // Before anything is started: a signal from here on ends it in order.
    let mut signals = match signals() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let started = match objects.as_deref().map(Objects::read).transpose() {
        Ok(objects) => local::start(state, objects).await,
        Err(error) => Err(error),
    };
    let cluster = match started {
        Ok(cluster) => cluster,
        Err(error) => return failed(&error),
    };
    let code = match cluster.serve((Ipv4Addr::LOCALHOST, port).into()).await {
        Err(error) => failed(&error),
        Ok(server) => match write_kubeconfig(state, &server) {
            Err(error) => failed(&error),
            Ok(path) => {
                let told = streams.data(&format!("{}\n", path.display()));
                streams.words(&format!("{NOTICE}\nexport KUBECONFIG={}\n", path.display()));
                if told == ExitCode::Success {
                    signals.next().await;
                }
                // It leads nowhere any more.
                let _ = std::fs::remove_file(&path);
                told
            }
        },
    };
    match cluster.shutdown().await {
        Ok(()) => code,
        Err(error) => failed(&error),
    }
}

/// The kubeconfig in a file that only its owner can read: it holds the token.
fn write_kubeconfig(state: &Path, server: &Server) -> std::io::Result<PathBuf> {
    use std::io::Write as _;
    let path = state.join("local-cluster").join(format!("kubeconfig-{}", server.address().port()));
    // One of a cluster that was killed on the same port.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    journal::new_file(&path)?.write_all(server.kubeconfig().as_bytes())?;
    Ok(path)
}
