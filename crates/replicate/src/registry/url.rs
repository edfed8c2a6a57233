//! Where a registry is.

use std::{fmt, str::FromStr};

use hyper::Uri;
use kafka_client::BrokerAddress;

/// The longest URL.
const URL_BYTES_MAX: usize = 2048;

/// Where a registry is: `http://HOST[:PORT][/PATH]`, or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryUrl {
    pub(super) is_tls: bool,
    pub(super) address: BrokerAddress,
    /// What goes before each path; empty, or begins with a slash and does not end with one.
    pub(super) path: String,
}

impl RegistryUrl {
    /// Whether it is `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Host and port as a `Host` header has them.
    pub(super) fn host(&self) -> String {
        let default = if self.is_tls { 443 } else { 80 };
        let text = self.address.to_string();
        if self.address.port == default {
            text.strip_suffix(&format!(":{default}")).unwrap_or(&text).to_owned()
        } else {
            text
        }
    }
}

impl FromStr for RegistryUrl {
    type Err = String;

    /// The error never quotes the text: somebody may have written a password into it.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |cause: &str| Err(cause.to_owned());
        if text.len() > URL_BYTES_MAX {
            return wrong("the URL is too long");
        }
        let Ok(uri) = text.parse::<Uri>() else { return wrong("it is no URL") };
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return wrong("it is neither http nor https"),
            None => return wrong("it does not begin with http:// or https://"),
        };
        let Some(authority) = uri.authority() else { return wrong("it names no host") };
        if authority.as_str().contains('@') {
            return wrong("user and password do not belong into it");
        }
        if uri.query().is_some() || text.contains('#') {
            return wrong("it has something behind its path");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = match authority.port() {
            None if is_tls => 443,
            None => 80,
            Some(port) => port.as_u16(),
        };
        if host.is_empty() || port == 0 {
            return wrong("it names no host and port");
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { is_tls, address: BrokerAddress::new(host, port), path })
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = text.parse::<RegistryUrl>();
        match (&found, expected) {
            (Ok(url), Ok(shown)) => assert_eq!(url.to_string(), shown),
            (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
            _ => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn urls() {
        check("http://a:8081", Ok("http://a:8081"));
        check("http://a:80/", Ok("http://a"));
        check("https://a.example/apis/ccompat/v7/", Ok("https://a.example/apis/ccompat/v7"));
        check("https://[::1]:8085", Ok("https://[::1]:8085"));
        check("a:8081", Err("http"));
        check("ftp://a", Err("neither"));
        check("https://me:secret@a", Err("do not belong"));
        check("http://a?x=1", Err("behind its path"));
        check("http://", Err(""));
        check("http:// a", Err("no URL"));
    }

    #[test]
    fn a_password_in_a_url_is_not_quoted() {
        let error = "https://me:hunter2@a".parse::<RegistryUrl>().unwrap_err();
        assert!(!error.contains("hunter2"));
    }
}
