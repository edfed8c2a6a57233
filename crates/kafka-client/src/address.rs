//! Where a broker listens: host and port as configured or as advertised.
//!
//! An advertised address is data from the network; connecting to it is the connection's decision, not this module's.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Host (name or literal IP address, without brackets) and TCP port of one broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrokerAddress {
    /// Host name or IP address, as given; an IPv6 address stands without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text is not a broker address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `:PORT` at the end.
    #[error("{text:?} has no port: write HOST:PORT, for example {text}:9092")]
    NoPort {
        /// What was given.
        text: String,
    },
    /// What follows the last colon is not a port number.
    #[error("{text:?} has no valid port: {port:?} is not a number from 1 to 65535")]
    BadPort {
        /// What was given.
        text: String,
        /// What stands where the port belongs.
        port: String,
    },
    /// The host part is empty or holds characters that no host name has.
    #[error("{text:?} has no valid host name")]
    BadHost {
        /// What was given.
        text: String,
    },
    /// No address at all was given.
    #[error("no broker address given")]
    Empty,
}

impl BrokerAddress {
    /// An address from its two parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Splits a bootstrap list `a:9092,b:9092`; blanks around the commas are allowed.
    ///
    /// # Errors
    /// [`AddressError`] for the first entry that is not an address, or when there is none.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, AddressError> {
        let addresses = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(Self::from_str)
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() { Err(AddressError::Empty) } else { Ok(addresses) }
    }
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    /// Reads `host:port`, `1.2.3.4:port` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = || text.to_owned();
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(AddressError::NoPort { text: owned() });
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            // `::1` or `fe80::1:9092`: without brackets nobody can tell where the port begins.
            return Err(AddressError::NoPort { text: format!("[{text}]") });
        }
        let host = bracketed.unwrap_or(host);
        let good = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '@' | ',' | '[' | ']');
        if host.is_empty() || !host.chars().all(|c| good(c) || c.is_alphanumeric()) {
            return Err(AddressError::BadHost { text: owned() });
        }
        match port.parse::<u16>() {
            Ok(number) if number != 0 => Ok(Self { host: host.to_owned(), port: number }),
            _ => Err(AddressError::BadPort { text: owned(), port: port.to_owned() }),
        }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, u16), ()>) {
        let found = text.parse::<BrokerAddress>();
        match (&found, expected) {
            (Ok(address), Ok((host, port))) => {
                assert_eq!((address.host.as_str(), address.port), (host, port), "{text}")
            }
            (Err(_), Err(())) => {}
            _ => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn addresses() {
        check("localhost:9092", Ok(("localhost", 9092)));
        check("10.0.0.1:1", Ok(("10.0.0.1", 1)));
        check("[::1]:9092", Ok(("::1", 9092)));
        check("::1", Err(()));
        check("fe80::1:9092", Err(()));
        check("localhost", Err(()));
        check(":9092", Err(()));
        check("a:0", Err(()));
        check("a:65536", Err(()));
        check("http://a:80", Err(()));
        check("a b:80", Err(()));
    }

    #[test]
    fn display_reads_back() {
        for text in ["a:1", "[::1]:9092", "10.0.0.1:65535"] {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn lists() {
        assert_eq!(BrokerAddress::parse_list(" a:1 , b:2,").unwrap().len(), 2);
        assert_eq!(BrokerAddress::parse_list(" , "), Err(AddressError::Empty));
    }
}
