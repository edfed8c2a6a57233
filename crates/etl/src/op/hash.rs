//! Digests.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use twox_hash::XxHash3_64;

use crate::{context::Context, error::Fallible, value::Value};

/// A compiled op `hash`.
pub(crate) enum Hasher {
    Sha256,
    /// Keyed and ready: the key itself is not kept.
    Hmac(Box<Hmac<Sha256>>),
    Xxh3,
}

/// The key stays out of logs.
impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "Sha256",
            Self::Hmac(_) => "Hmac",
            Self::Xxh3 => "Xxh3",
        })
    }
}

impl Hasher {
    pub(crate) fn hmac(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(|mac| Self::Hmac(Box::new(mac)))
    }

    pub(super) fn apply<'a>(&self, ctx: &Context<'a>, text: &str) -> Fallible<Value<'a>> {
        let digest: String = match self {
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
            Self::Hmac(keyed) => {
                let mut mac = keyed.as_ref().clone();
                mac.update(text.as_bytes());
                hex(&mac.finalize().into_bytes())
            }
            Self::Xxh3 => hex(&XxHash3_64::oneshot(text.as_bytes()).to_be_bytes()),
        };
        Ok(Value::String(ctx.text(&digest)?))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
