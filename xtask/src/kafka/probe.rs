//! Asks one broker how much of its cluster it sees: the readiness test, independent of the client under test.

use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// What a Metadata v1 answer says about the cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) broker_ids: Vec<i32>,
    /// -1: none elected yet.
    pub(super) controller_id: i32,
}

/// Sends Metadata v1 (every release since 0.10 answers it) without topics to a plaintext listener.
pub(super) fn cluster(port: u16) -> Result<Seen> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let client_id = b"xtask";
    let mut request = Vec::new();
    request.extend(3_i16.to_be_bytes()); // api key
    request.extend(1_i16.to_be_bytes()); // api version
    request.extend(7_i32.to_be_bytes()); // correlation id
    request.extend(i16::try_from(client_id.len())?.to_be_bytes());
    request.extend(client_id);
    request.extend(0_i32.to_be_bytes()); // an empty array: no topics
    let mut frame = i32::try_from(request.len())?.to_be_bytes().to_vec();
    frame.append(&mut request);
    stream.write_all(&frame)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).context("negative frame length")?;
    ensure!(length <= RESPONSE_BYTES_MAX, "a Metadata answer of {length} bytes");
    let mut response = vec![0; length];
    stream.read_exact(&mut response)?;
    parse(&response)
}

fn parse(response: &[u8]) -> Result<Seen> {
    let mut rest = Reader(response);
    ensure!(rest.i32()? == 7, "wrong correlation id");
    let count = rest.i32()?;
    let mut broker_ids = Vec::new();
    for _ in 0..count {
        broker_ids.push(rest.i32()?);
        rest.skip_string()?; // host
        rest.i32()?; // port
        rest.skip_string()?; // rack
    }
    Ok(Seen { broker_ids, controller_id: rest.i32()? })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((head, rest)) = self.0.split_first_chunk::<N>() else {
            bail!("the Metadata answer is too short")
        };
        self.0 = rest;
        Ok(*head)
    }

    fn i32(&mut self) -> Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn skip_string(&mut self) -> Result<()> {
        let length = usize::try_from(i16::from_be_bytes(self.take()?)).unwrap_or(0); // -1 is null
        self.0 = self.0.get(length..).context("the Metadata answer is too short")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, parse};

    fn check(response: &[u8], expected: Option<Seen>) {
        assert_eq!(parse(response).ok(), expected, "{response:?}");
    }

    #[test]
    fn reads_brokers_and_controller() {
        check(&[], None);
        check(
            &[0, 0, 0, 7, 0, 0, 0, 0, 255, 255, 255, 255],
            Some(Seen { broker_ids: vec![], controller_id: -1 }),
        );
        let one =
            [0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, b'h', 0, 0, 35, 132, 255, 255, 0, 0, 0, 2];
        check(&one, Some(Seen { broker_ids: vec![2], controller_id: 2 }));
        for length in 0..one.len() {
            check(&one[..length], None);
        }
        check(&[0, 0, 0, 7, 127, 255, 255, 255], None);
    }
}
