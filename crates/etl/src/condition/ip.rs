//! IP filters: addresses and CIDR blocks, host bits ignored.

use std::net::IpAddr;

/// Networks, as 128 bits and how many of them count. IPv4 is kept as IPv4-mapped IPv6.
#[derive(Debug)]
pub(crate) struct Networks(Vec<(u128, u8)>);

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl Networks {
    /// A comma-separated list.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| network(part.trim())).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        let address = bits(address);
        self.0.iter().any(|(network, length)| {
            let shift = 128 - u32::from(*length);
            network.checked_shr(shift).unwrap_or(0) == address.checked_shr(shift).unwrap_or(0)
        })
    }
}

fn network(text: &str) -> Result<(u128, u8), String> {
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(format!("{address:?} is no IP address"));
    };
    let (length_max, mapped) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length = match length {
        None => length_max,
        Some(text) => match text.parse::<u8>() {
            Ok(length) if length <= length_max && text.len() <= 3 && !text.starts_with('+') => {
                length
            }
            _ => return Err(format!("{text:?} is no length from 0 to {length_max}")),
        },
    };
    Ok((bits(address), length + mapped))
}
