//! Certificates: what their refusal means, and the explicit way not to look at them.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::TlsFailure;

/// Accepts every certificate: `verify: false`. Signatures are still checked, so the peer owns the key it shows.
#[derive(Debug)]
pub(crate) struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl AnyCertificate {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider }
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS reason inside an I/O error, if there is one.
///
/// Not only for the handshake: with TLS 1.3 a broker refuses our certificate after we took the handshake for done.
pub(crate) fn failure_of(error: &io::Error, has_identity: bool) -> Option<TlsFailure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidMessage(_) => TlsFailure::PlainPeer,
        Error::InvalidCertificate(error) => certificate_failure(error),
        Error::AlertReceived(alert) => alert_failure(*alert, has_identity),
        other => TlsFailure::Other(other.to_string()),
    })
}

fn certificate_failure(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::UnknownIssuer => TlsFailure::UnknownIssuer,
        CertificateError::NotValidForName => {
            TlsFailure::WrongHost { wanted: String::new(), found: Vec::new() }
        }
        CertificateError::NotValidForNameContext { expected, presented } => TlsFailure::WrongHost {
            wanted: expected.to_str().into_owned(),
            found: presented.clone(),
        },
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid
        }
        other => TlsFailure::BadCertificate(other.to_string()),
    }
}

fn alert_failure(alert: AlertDescription, has_identity: bool) -> TlsFailure {
    use AlertDescription as Alert;
    let name = format!("{alert:?}");
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            TlsFailure::ClientCertificate { alert: name, offered: has_identity }
        }
        // Java brokers without `ssl.client.auth` never look at us, so these are about our certificate; a broker
        // that wanted one and got none says so with `bad_certificate` in TLS 1.2.
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            TlsFailure::ClientCertificate { alert: name, offered: has_identity }
        }
        _ => TlsFailure::Alert(name),
    }
}
