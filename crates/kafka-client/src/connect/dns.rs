//! Host names to IP addresses, in pure Rust: a static binary must not call the C library's resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::{Resolver, TokioResolver, config::LookupIpStrategy};
use tokio::sync::OnceCell;

use super::ConnectError;
use crate::address::BrokerAddress;

/// The system's resolver settings, read at the first name.
#[derive(Default)]
pub(crate) struct Dns {
    resolver: OnceCell<TokioResolver>,
}

impl Dns {
    /// All IP addresses of a host: literal, `/etc/hosts`, then A and AAAA records.
    pub(crate) async fn resolve(
        &self,
        address: &BrokerAddress,
    ) -> Result<Vec<IpAddr>, ConnectError> {
        let host = address.host.trim_end_matches('.');
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![ip]);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        }
        let failed = |message: String| ConnectError::Dns { address: address.clone(), message };
        let resolver = self.resolver.get_or_try_init(|| async { build() }).await.map_err(failed)?;
        let found = resolver
            .lookup_ip(address.host.as_str())
            .await
            .map_err(|error| failed(error.to_string()))?;
        let ips: Vec<IpAddr> = found.iter().collect();
        if ips.is_empty() { Err(failed("it has no IP address".to_owned())) } else { Ok(ips) }
    }
}

fn build() -> Result<TokioResolver, String> {
    let mut builder = Resolver::builder_tokio()
        .map_err(|error| format!("/etc/resolv.conf cannot be used: {error}"))?;
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(|error| error.to_string())
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}
