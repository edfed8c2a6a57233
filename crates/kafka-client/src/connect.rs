//! How a byte stream to a broker comes about: TCP, TLS, or memory.
//!
//! A [`Connector`] is all the client knows of the network; the simulator and tests bring their own.

pub(crate) mod cpu;
pub(crate) mod dns;
mod error;
mod tcp;
mod tls;
pub(crate) mod verify;

use std::{fmt, future::Future, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::{
    error::{ConnectError, ConnectStep, TlsFailure},
    tcp::TcpConnector,
    tls::TlsConnector,
};
use crate::address::BrokerAddress;

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ordered byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// Opens streams to brokers.
pub trait Connector: Send + Sync + fmt::Debug + 'static {
    /// Opens one stream to `address`. The caller brings the deadline and drops the future when it passes.
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>>;
}
