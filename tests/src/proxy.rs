//! A TCP proxy between the program and a cluster, for what networks do: connections that break, go silent, are slow, or
//! are refused. TLS passes through it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// How often a connection looks whether it was cut.
const GLANCE: Duration = Duration::from_millis(50);

/// The proxy. It ends with all its connections when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
}

/// What happens to the connections.
#[derive(Default)]
struct Network {
    weather: Mutex<Weather>,
    changed: Condvar,
}

#[derive(Default)]
struct Weather {
    /// Connections of an earlier time than this are cut.
    cuts: u64,
    /// Connections of an earlier time than this are silent for ever.
    stalls: u64,
    /// Nothing passes.
    is_paused: bool,
    /// New connections are closed at once.
    is_refusing: bool,
    /// Bytes come so much later.
    delay: Duration,
    /// Connections so far.
    connections: usize,
    is_over: bool,
}

impl Network {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.weather());
        self.changed.notify_all();
    }
}

impl Proxy {
    /// A proxy in front of the cluster that a kubeconfig names.
    ///
    /// # Errors
    /// When it names no server, or there is no free port.
    pub fn start(kubeconfig: &Path) -> Result<Proxy> {
        let server = server(&read(kubeconfig)?)?;
        let upstream = authority(&server)?.to_socket_addrs()?.next().context("the server has no address")?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let network = Arc::new(Network::default());
        let shared = network.clone();
        std::thread::spawn(move || accept(&listener, upstream, &shared));
        Ok(Proxy { address, network })
    }

    /// Writes a kubeconfig that leads through the proxy, beside nothing else that is changed.
    ///
    /// # Errors
    /// When the one it is made of cannot be read, or the file not written.
    pub fn kubeconfig(&self, original: &Path, written: PathBuf) -> Result<PathBuf> {
        let mut kubeconfig = read(original)?;
        let server = server(&kubeconfig)?;
        let host = authority(&server)?.rsplit_once(':').map(|(host, _)| host.to_owned()).unwrap_or_default();
        let through = server.replacen(&authority(&server)?, &self.address.to_string(), 1);
        let cluster = kubeconfig.pointer_mut("/clusters/0/cluster").and_then(Value::as_object_mut);
        let cluster = cluster.context("the kubeconfig has no cluster")?;
        cluster.insert("server".to_owned(), through.into());
        cluster.entry("tls-server-name").or_insert_with(|| host.into());
        std::fs::write(&written, serde_yaml::to_string(&kubeconfig)?)?;
        Ok(written)
    }

    /// Breaks all connections that there are.
    pub fn cut(&self) {
        self.network.change(|weather| weather.cuts += 1);
    }

    /// All connections that there are stay open, and nothing comes any more; new ones work.
    pub fn stall(&self) {
        self.network.change(|weather| weather.stalls += 1);
    }

    /// Whether all connections hold back what comes, as to a program that does not read. Nothing is lost.
    pub fn pause(&self, is_paused: bool) {
        self.network.change(|weather| weather.is_paused = is_paused);
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, is_refusing: bool) {
        self.network.change(|weather| weather.is_refusing = is_refusing);
    }

    /// How much later each piece comes, in either direction.
    pub fn delay(&self, delay: Duration) {
        self.network.change(|weather| weather.delay = delay);
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.network.weather().connections
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.change(|weather| {
            weather.is_over = true;
            weather.cuts += 1;
        });
        // The listener sees the end with its next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn read(kubeconfig: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(kubeconfig).with_context(|| kubeconfig.display().to_string())?;
    Ok(serde_yaml::from_str(&text)?)
}

fn server(kubeconfig: &Value) -> Result<String> {
    let server = kubeconfig.pointer("/clusters/0/cluster/server").and_then(Value::as_str);
    server.map(str::to_owned).context("the kubeconfig names no server")
}

/// Host and port of a URL.
fn authority(url: &str) -> Result<String> {
    let uri: http::Uri = url.parse()?;
    let host = uri.host().context("no host")?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    Ok(format!("{host}:{port}"))
}

fn accept(listener: &TcpListener, upstream: SocketAddr, network: &Arc<Network>) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        let weather = network.weather();
        if weather.is_over {
            return;
        }
        let born = (weather.cuts, weather.stalls);
        let is_refusing = weather.is_refusing;
        drop(weather);
        if is_refusing {
            // Dropping it closes it.
            continue;
        }
        let Ok(server) = TcpStream::connect(upstream) else { continue };
        network.change(|weather| weather.connections += 1);
        let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { continue };
        let (there, back) = (network.clone(), network.clone());
        std::thread::spawn(move || forward(client, server, &there, born));
        std::thread::spawn(move || forward(server_too, client_too, &back, born));
    }
}

/// Copies one direction of a connection until it ends, or is cut.
fn forward(mut from: TcpStream, mut to: TcpStream, network: &Network, (cuts, stalls): (u64, u64)) {
    let _ = from.set_read_timeout(Some(GLANCE));
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut weather = network.weather();
        // A silent connection waits for its end, and takes nothing more from either side.
        while (weather.stalls > stalls || weather.is_paused) && weather.cuts == cuts {
            weather = network.changed.wait(weather).unwrap_or_else(PoisonError::into_inner);
        }
        let (is_cut, delay) = (weather.cuts > cuts, weather.delay);
        drop(weather);
        if is_cut {
            break;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                std::thread::sleep(delay);
                let piece = buffer.get(..count).unwrap_or_default();
                if to.write_all(piece).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
