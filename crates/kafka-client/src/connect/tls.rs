//! TLS over TCP: rustls with a provider in pure Rust, passed explicitly.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::{
    BoxFuture, ConnectError, Connector, Stream, TcpConnector, TlsFailure, cpu,
    verify::{AnyCertificate, failure_of},
};
use crate::{
    address::BrokerAddress,
    config::{TlsConfig, TlsIdentity},
};

/// Opens TLS streams over TCP.
#[derive(Debug)]
pub struct TlsConnector {
    tcp: TcpConnector,
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    has_identity: bool,
}

impl TlsConnector {
    /// A connector with these settings. Reads no file and opens nothing.
    ///
    /// # Errors
    /// [`ConnectError::TlsCpu`] on a processor without the needed instructions, [`ConnectError::TlsConfig`] for
    /// PEM texts that cannot be used.
    pub fn new(tls: &TlsConfig) -> Result<Self, ConnectError> {
        let missing = cpu::missing_features();
        if !missing.is_empty() {
            return Err(ConnectError::TlsCpu { missing });
        }
        let server_name = tls.server_name.as_deref().map(server_name).transpose()?;
        Ok(Self {
            tcp: TcpConnector::new(),
            config: Arc::new(client_config(tls)?),
            server_name,
            has_identity: tls.identity.is_some(),
        })
    }

    async fn open(&self, address: &BrokerAddress) -> Result<Box<dyn Stream>, ConnectError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(&address.host)?,
        };
        let stream = self.tcp.open(address).await?;
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await
            .map_err(|error| {
                let failure =
                    failure_of(&error, self.has_identity).unwrap_or_else(|| match error.kind() {
                        io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::BrokenPipe => TlsFailure::PeerClosed,
                        _ => TlsFailure::Other(error.to_string()),
                    });
                ConnectError::TlsHandshake { address: address.clone(), failure }
            })?;
        Ok(Box::new(stream))
    }
}

impl Connector for TlsConnector {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(self.open(address))
    }
}

/// The one place that names the cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls_graviola::default_provider())
}

fn client_config(tls: &TlsConfig) -> Result<ClientConfig, ConnectError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(bad)?;
    let builder = if tls.verify {
        builder.with_root_certificates(roots(tls)?)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider())))
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let (chain, key) = read_identity(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(bad)
        }
    }
}

fn roots(tls: &TlsConfig) -> Result<RootCertStore, ConnectError> {
    let mut store = RootCertStore::empty();
    if let Some(pem) = &tls.ca {
        for certificate in certificates(pem, "tls.ca")? {
            store.add(certificate).map_err(bad)?;
        }
        return Ok(store);
    }
    let (_, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        // An image without certificates, such as `scratch`.
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(store)
}

fn read_identity(
    identity: &TlsIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConnectError> {
    let chain = certificates(&identity.certificate, "tls.cert")?;
    let pem = identity.key.expose();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        let hint = if pem.contains("ENCRYPTED") {
            "is encrypted"
        } else {
            "holds no PEM private key (PKCS#8, PKCS#1 or SEC1)"
        };
        bad(format!("tls.key {hint}"))
    })?;
    Ok((chain, key))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(format!("{what}: {error}")))?;
    if found.is_empty() { Err(bad(format!("{what} holds no PEM certificate"))) } else { Ok(found) }
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| bad(format!("{host:?} is not a name that a certificate can carry")))
}

fn bad(error: impl ToString) -> ConnectError {
    ConnectError::TlsConfig { message: error.to_string() }
}
