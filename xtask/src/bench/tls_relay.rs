//! The yardstick where TLS is on: the raw relay with the client side of TLS on both sockets, by the same libraries and
//! settings as kferry. It is what decrypting and encrypting costs whoever does it.

use super::process::{Cost, measure};
use anyhow::{Context, Result, ensure};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use xtask::kafka::Certificates;

const BUFFER_BYTES: usize = 256 << 10;
const WITHIN: Duration = Duration::from_secs(300);

/// Feeds `bytes` through a relay process, run by `program` (this one, built with optimisation), and measures that
/// process alone.
pub(super) fn run(program: &Path, certificates: &Certificates, bytes: u64) -> Result<Cost> {
    let server = Arc::new(server_config(certificates)?);
    let (source, target) = (
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    );
    let mut command = Command::new(program);
    command
        .arg("relay")
        .arg(source.local_addr()?.to_string())
        .arg(target.local_addr()?.to_string());
    command.arg("--ca").arg(certificates.ca()).stdin(Stdio::null());
    let config = Arc::clone(&server);
    let feeder = thread::spawn(move || feed(&source, config, bytes));
    let sink = thread::spawn(move || drain(&target, server));
    let cost = measure(&mut command, WITHIN)?;
    feeder.join().ok().context("the feeder panicked")??;
    let received = sink.join().ok().context("the sink panicked")??;
    ensure!(received == bytes, "the relay passed {received} of {bytes} bytes");
    Ok(cost)
}

/// The process itself (`cargo xtask relay --ca`, hidden).
pub(super) fn relay(source: SocketAddr, target: SocketAddr, ca: &Path) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let connect = |address: SocketAddr| -> Result<_> {
        let name = ServerName::from(address.ip());
        let connection = ClientConnection::new(Arc::clone(&config), name)?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(StreamOwned::new(connection, socket))
    };
    let (mut source, mut target) = (connect(source)?, connect(target)?);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match source.read(&mut buffer)? {
            0 => break,
            count => target.write_all(&buffer[..count])?,
        }
    }
    target.conn.send_close_notify();
    target.flush()?;
    // Closing with something unread is a reset, which may overtake what was sent: wait for the other end.
    target.sock.shutdown(Shutdown::Write)?;
    io::copy(&mut target.sock, &mut io::sink())?;
    Ok(())
}

fn feed(listener: &TcpListener, config: Arc<ServerConfig>, bytes: u64) -> Result<()> {
    let (socket, _) = listener.accept()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, socket);
    let block = vec![0x5a; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        stream.write_all(&block[..part])?;
        left -= u64::try_from(part)?;
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

fn drain(listener: &TcpListener, config: Arc<ServerConfig>) -> Result<u64> {
    let (socket, _) = listener.accept()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, socket);
    let mut block = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        match stream.read(&mut block) {
            Ok(0) => return Ok(total),
            Ok(count) => total += u64::try_from(count)?,
            // The relay may end without waiting for us.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(total),
            Err(error) => return Err(error.into()),
        }
    }
}

/// As `kafka-client` has it.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls_graviola::default_provider())
}

fn server_config(certificates: &Certificates) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificates.client_certificate("broker"))?
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(certificates.client_key("broker"))?;
    Ok(ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}
