//! Finds the next byte of a string that is not plain text, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first position from `at` on with a quote, a backslash or a control character; the length when there is none.
pub(crate) fn find_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        let found = zero_bytes(word ^ (ONES * 0x22))
            | zero_bytes(word ^ (ONES * 0x5c))
            | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
        if found != 0 {
            // Carries may mark bytes above the first one wrongly, never the first one itself.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at.min(bytes.len())..];
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
    found.map_or(bytes.len(), |offset| at + offset)
}

/// The high bit of every byte that is zero.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::find_special;

    #[test]
    fn finds_what_a_byte_loop_finds() {
        let plain = |byte: u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
        for special in 0..=255_u8 {
            for length in 0..20 {
                for place in 0..length {
                    for filler in [0x20, 0x21, 0x7f, 0x80, 0xff, b'#', b'[', b']'] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = special;
                        let expected =
                            bytes.iter().position(|byte| !plain(*byte)).unwrap_or(length);
                        assert_eq!(find_special(&bytes, 0), expected, "{bytes:x?}");
                    }
                }
            }
        }
    }
}
