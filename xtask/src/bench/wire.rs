//! A few requests in their plain form, for looking at clusters and loading them without the client under test.
//!
//! Old, non-flexible versions that every broker since 0.11 and the sandbox answer. One broker, which leads everything.
//! Source: the message schemas of Apache Kafka (`clients/src/main/resources/common/message`).

mod admin;

use super::batch;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const RESPONSE_BYTES_MAX: usize = 64 << 20;

const PRODUCE: (i16, i16) = (0, 3);
const FETCH: (i16, i16) = (1, 4);
const LIST_OFFSETS: (i16, i16) = (2, 1);
const DELETE_TOPICS: (i16, i16) = (20, 1);

const FETCH_BYTES_MAX: i32 = 16 << 20;
const FETCH_WAIT_MS: i32 = 100;
const PRODUCE_TIMEOUT_MS: i32 = 30_000;

const NONE: i16 = 0;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// One connection to one broker.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// Correlation ids count from one; brokers answer in order.
    sent: i32,
    received: i32,
}

impl Wire {
    pub(super) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("reaching {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, sent: 0, received: 0 })
    }

    /// The end of each partition's log as readers see it; `None` for one that does not exist.
    pub(super) fn end_offsets(&mut self, topic: &str, partitions: u32) -> Result<Vec<Option<i64>>> {
        let mut body = Writer::default();
        body.i32(-1); // a client, not a replica
        body.i32(1).string(topic)?.i32(i32::try_from(partitions)?);
        for partition in 0..partitions {
            body.i32(i32::try_from(partition)?).i64(-1); // latest
        }
        let answer = self.call(LIST_OFFSETS, &body)?;
        let mut answer = Reader(&answer);
        let mut ends = vec![None; usize::try_from(partitions)?];
        for _ in 0..answer.i32()? {
            answer.string()?;
            for _ in 0..answer.i32()? {
                let (index, code) = (usize::try_from(answer.i32()?)?, answer.i16()?);
                answer.i64()?; // timestamp
                let offset = answer.i64()?;
                let end = ends.get_mut(index).context("a partition nobody asked for")?;
                match code {
                    NONE => *end = Some(offset),
                    UNKNOWN_TOPIC_OR_PARTITION => {}
                    // It is there, and has no leader yet or no more.
                    LEADER_NOT_AVAILABLE | NOT_LEADER_OR_FOLLOWER => *end = Some(0),
                    code => bail!("ListOffsets of {topic}-{index}: error {code}"),
                }
            }
        }
        Ok(ends)
    }

    /// Deletes a topic; one that does not exist is deleted already.
    pub(super) fn delete_topic(&mut self, topic: &str) -> Result<()> {
        let mut body = Writer::default();
        body.i32(1).string(topic)?.i32(30_000);
        let answer = self.call(DELETE_TOPICS, &body)?;
        let mut answer = Reader(&answer);
        answer.i32()?; // throttle
        for _ in 0..answer.i32()? {
            answer.string()?;
            let code = answer.i16()?;
            ensure!(
                code == NONE || code == UNKNOWN_TOPIC_OR_PARTITION,
                "DeleteTopics: error {code}"
            );
        }
        Ok(())
    }

    /// Appends one batch and waits for the acknowledgement of all replicas.
    pub(super) fn produce(&mut self, topic: &str, partition: u32, batch: &[u8]) -> Result<()> {
        self.send_produce(topic, partition, batch)?;
        self.receive_produced()
    }

    /// Sends one batch and waits for nothing: several may be under way. Each needs one [`Self::receive_produced`].
    pub(super) fn send_produce(&mut self, topic: &str, partition: u32, batch: &[u8]) -> Result<()> {
        let mut body = Writer::default();
        body.i16(-1); // no transaction
        body.i16(-1).i32(PRODUCE_TIMEOUT_MS); // acks=all
        body.i32(1).string(topic)?.i32(1).i32(i32::try_from(partition)?);
        body.i32(i32::try_from(batch.len())?);
        body.0.extend(batch);
        self.send(PRODUCE, &body)
    }

    /// Takes the next acknowledgement.
    pub(super) fn receive_produced(&mut self) -> Result<()> {
        let answer = self.receive()?;
        let mut answer = Reader(&answer);
        for _ in 0..answer.i32()? {
            answer.string()?;
            for _ in 0..answer.i32()? {
                let (index, code) = (answer.i32()?, answer.i16()?);
                ensure!(code == NONE, "Produce to partition {index}: error {code}");
                answer.i64()?; // base offset
                answer.i64()?; // append time
            }
        }
        Ok(())
    }

    /// Waits a little for records behind `offsets` (by partition), moves those on, and gives the records' bytes.
    pub(super) fn fetch(&mut self, topic: &str, offsets: &mut [i64]) -> Result<Vec<Vec<u8>>> {
        let mut body = Writer::default();
        body.i32(-1).i32(FETCH_WAIT_MS).i32(1).i32(FETCH_BYTES_MAX);
        body.0.push(1); // committed records only
        body.i32(1).string(topic)?.i32(i32::try_from(offsets.len())?);
        for (partition, offset) in offsets.iter().enumerate() {
            body.i32(i32::try_from(partition)?).i64(*offset).i32(FETCH_BYTES_MAX);
        }
        self.send(FETCH, &body)?;
        let answer = self.receive()?;
        let mut answer = Reader(&answer);
        answer.i32()?; // throttle
        let mut found = Vec::new();
        for _ in 0..answer.i32()? {
            answer.string()?;
            for _ in 0..answer.i32()? {
                let (index, code) = (usize::try_from(answer.i32()?)?, answer.i16()?);
                ensure!(code == NONE, "Fetch of {topic}-{index}: error {code}");
                answer.take(16)?; // high watermark, last stable offset
                for _ in 0..answer.i32()?.max(0) {
                    answer.take(16)?; // an aborted transaction
                }
                let length = usize::try_from(answer.i32()?.max(0))?;
                let records = answer.take(length)?;
                if let Some(next) = batch::next_offset(records)? {
                    *offsets.get_mut(index).context("a partition nobody asked for")? = next;
                    found.push(records.to_vec());
                }
            }
        }
        Ok(found)
    }

    /// The same connection for another thread: one sends, the other receives.
    pub(super) fn twin(&self) -> Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, ..*self })
    }

    fn call(&mut self, api: (i16, i16), body: &Writer) -> Result<Vec<u8>> {
        self.send(api, body)?;
        self.receive()
    }

    fn send(&mut self, (key, version): (i16, i16), body: &Writer) -> Result<()> {
        self.sent += 1;
        let mut head = Writer::default();
        head.i16(key).i16(version).i32(self.sent).string("xtask")?;
        let length = i32::try_from(head.0.len() + body.0.len())?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend(head.0);
        frame.extend(&body.0);
        self.stream.write_all(&frame)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        self.received += 1;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length =
            usize::try_from(i32::from_be_bytes(length)).context("negative frame length")?;
        ensure!((4..=RESPONSE_BYTES_MAX).contains(&length), "an answer of {length} bytes");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        let body = answer.split_off(4);
        ensure!(answer == self.received.to_be_bytes(), "the answer to another request");
        Ok(body)
    }
}

/// Kafka's primitive types, big-endian.
#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn string(&mut self, value: &str) -> Result<&mut Self> {
        self.i16(i16::try_from(value.len())?);
        self.0.extend(value.as_bytes());
        Ok(self)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).context("the answer is too short")?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8]> {
        // -1 is null.
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Wire, Writer};
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    /// A broker that answers its first request with `answer` and gives that request back.
    fn broker(answer: Writer) -> (Wire, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            socket.read_exact(&mut length).unwrap();
            let mut request = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
            socket.read_exact(&mut request).unwrap();
            let mut frame = Writer::default();
            frame.i32(i32::try_from(answer.0.len()).unwrap() + 4).i32(1);
            frame.0.extend(answer.0);
            socket.write_all(&frame.0).unwrap();
            request
        });
        (Wire::connect(&address).unwrap(), serving)
    }

    #[test]
    fn reads_end_offsets() {
        let mut answer = Writer::default();
        answer.i32(1).string("t").unwrap().i32(3);
        for (index, code, offset) in [(2, 0, 7), (0, 3, -1), (1, 6, -1)] {
            answer.i32(index).i16(code).i64(-1).i64(offset);
        }
        let (mut wire, serving) = broker(answer);
        assert_eq!(wire.end_offsets("t", 3).unwrap(), [None, Some(0), Some(7)]);
        let request = serving.join().unwrap();
        // ListOffsets, version 1, first request.
        assert_eq!(request[..8], [0, 2, 0, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn refusals_are_errors() {
        let mut answer = Writer::default();
        answer.i32(1).string("t").unwrap().i32(1).i32(0).i16(10).i64(-1).i64(-1).i32(0);
        let (mut wire, _serving) = broker(answer);
        let error = wire.produce("t", 0, b"x").unwrap_err().to_string();
        assert!(error.contains("error 10"), "{error}");
    }

    #[test]
    fn short_answers_are_errors() {
        assert!(Reader(&[0, 0, 0]).i32().is_err());
        assert!(Reader(&[0, 5, b'a']).string().is_err());
        let (mut wire, _serving) = broker(Writer::default());
        assert!(wire.end_offsets("t", 1).is_err());
    }
}
