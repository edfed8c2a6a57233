//! A corrected checksum equals a computed one. Two bytes say where the change stands, one how long it is.
#![no_main]

use kafka_wire::crc::{crc32c, patch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(([high, low, length, zeroes], data)) = data.split_first_chunk::<4>() else { return };
    let length = usize::from(*length).min(data.len());
    let (new, message) = data.split_at(length);
    // Zeroes behind the message reach lengths that inputs do not have: up to 4 MiB.
    let mut message = message.to_vec();
    message.resize(message.len() + length + (usize::from(*zeroes) << 14), 0);
    let at = usize::from(u16::from_be_bytes([*high, *low])).min(message.len() - length);
    let stored = crc32c(&message);
    let old = message[at..at + length].to_vec();
    message[at..at + length].copy_from_slice(new);
    assert_eq!(patch(stored, &old, new, message.len() - at - length), crc32c(&message));
});
