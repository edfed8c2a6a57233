//! Bytes of a charset as text.

use std::borrow::Cow;

use encoding_rs::{BIG5, Encoding, GB18030, GBK, SHIFT_JIS, UTF_16BE, UTF_16LE};

/// A charset that values may be written in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Charset {
    Utf8,
    /// ISO 8859-1: each byte is the code point of its number.
    Latin1,
    Other(&'static Encoding),
}

impl Charset {
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8" | "utf8" => Self::Utf8,
            "latin1" | "iso-8859-1" => Self::Latin1,
            "gbk" | "gb2312" => Self::Other(GBK),
            "gb18030" => Self::Other(GB18030),
            "big5" => Self::Other(BIG5),
            "shift-jis" => Self::Other(SHIFT_JIS),
            "utf-16le" => Self::Other(UTF_16LE),
            "utf-16be" => Self::Other(UTF_16BE),
            _ => return None,
        })
    }

    /// The text of `bytes`; the error is the offset of the first byte that is not of the charset (0 where it is not known).
    pub(crate) fn decode(self, bytes: &[u8], replace: bool) -> Result<Cow<'_, str>, usize> {
        match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) if replace => Ok(String::from_utf8_lossy(bytes)),
                Err(error) => Err(error.valid_up_to()),
            },
            Self::Latin1 => Ok(Cow::Owned(bytes.iter().copied().map(char::from).collect())),
            Self::Other(encoding) if replace => Ok(encoding.decode_without_bom_handling(bytes).0),
            Self::Other(encoding) => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                text.ok_or_else(|| first_invalid(encoding, bytes))
            }
        }
    }
}

/// Where the first sequence that cannot be decoded begins.
fn first_invalid(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut room = [0; 4096];
    let mut at = 0;
    loop {
        let (result, read, _) =
            decoder.decode_to_utf8_without_replacement(&bytes[at..], &mut room, true);
        at += read;
        match result {
            encoding_rs::DecoderResult::Malformed(bad, after) => {
                return at.saturating_sub(usize::from(bad) + usize::from(after));
            }
            encoding_rs::DecoderResult::InputEmpty => return at,
            encoding_rs::DecoderResult::OutputFull => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Charset;

    #[test]
    fn decodes() {
        let check = |name: &str, bytes: &[u8], expected: Result<&str, usize>| {
            let found = Charset::find(name).unwrap().decode(bytes, false);
            assert_eq!(found.as_deref().map_err(|at| *at), expected, "{name}");
        };
        check("gbk", b"a\xc4\xe3", Ok("a你"));
        check("GBK", b"ab\xff\xff", Err(2));
        check("latin1", b"\xe4", Ok("ä"));
        check("utf-16le", b"\x60\x4f", Ok("你"));
        check("utf-8", b"ab\xff", Err(2));
        assert_eq!(Charset::find("utf-8").unwrap().decode(b"a\xffb", true).unwrap(), "a�b");
        assert!(Charset::find("ebcdic").is_none());
    }
}
