//! One connection to a broker: frames in, answers out, one request at a time.
//!
//! Like a real broker it looks at the next request only after the answer to the one before is
//! written (P11), and goes on serving what has arrived after the client went away (P2).

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_wire::frame::{FrameLimits, LENGTH_BYTES, bytes_wanted, next_frame};
use kafka_wire::message::RequestPreamble;
use kafka_wire::messages::ApiKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::cluster::Cluster;
use crate::faults::FaultAction;
use crate::handlers::{self, Peer, Reply};

/// Bytes asked from a stream when nothing is known of the next frame.
const READ_BYTES: usize = 64 << 10;

/// The same after a frame larger than that: what is read beyond its length is copied once more, so little is read.
const PEEK_BYTES: usize = 256;

/// Slices given to one vectored write.
const SLICES_MAX: usize = 64;

/// Which of a broker's addresses a client came by; it is told the same kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Memory,
    Tcp,
}

/// Serves one connection until it ends or is cut; `true` when it was cut.
pub(crate) async fn serve<S>(
    cluster: Cluster,
    broker: i32,
    listener: Listener,
    stream: &mut S,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let watches = cluster
        .state()
        .brokers
        .get(&broker)
        .filter(|found| found.up)
        .map(|found| (found.cuts.clone(), found.paused.clone()));
    let Some((cuts, paused)) = watches else { return true };
    let cut_count = cuts.get();
    let mut connection = Connection {
        limits: FrameLimits { frame_bytes_max: cluster.config().request_bytes_max },
        peer: Peer::new(cluster, broker, listener),
        stream,
        input: BytesMut::new(),
        large_frames: false,
    };
    let work = async {
        loop {
            let Some(frame) = connection.read_frame().await? else { return Ok(Ended::ByPeer) };
            paused.wait_for(|paused| !paused).await;
            if let Some(ended) = connection.answer(frame).await? {
                return Ok::<_, io::Error>(ended);
            }
        }
    };
    tokio::select! {
        biased;
        ended = work => matches!(ended, Ok(Ended::Cut)),
        () = cuts.wait_for(|count| count != cut_count) => true,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    ByPeer,
    Cut,
}

struct Connection<'a, S> {
    peer: Peer,
    stream: &'a mut S,
    input: BytesMut,
    limits: FrameLimits,
    /// The frame before was a large one.
    large_frames: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn read_frame(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let invalid = |cause| io::Error::new(io::ErrorKind::InvalidData, cause);
            if let Some(frame) = next_frame(&mut self.input, &self.limits).map_err(invalid)? {
                self.large_frames = frame.len() > READ_BYTES;
                return Ok(Some(frame));
            }
            let wanted = bytes_wanted(&self.input, &self.limits).map_err(invalid)?;
            // Up to the end of a large frame and not beyond: its buffer then holds nothing else.
            let count = match self.input.len() {
                0..LENGTH_BYTES if self.large_frames => PEEK_BYTES,
                0..LENGTH_BYTES => READ_BYTES,
                _ if wanted > READ_BYTES => wanted,
                _ => READ_BYTES,
            };
            self.input.reserve(count);
            if self.stream.read_buf(&mut (&mut self.input).limit(count)).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Carries out one request and answers it. `Some` when the connection ends here.
    async fn answer(&mut self, frame: Bytes) -> io::Result<Option<Ended>> {
        self.lie().await;
        let fault = self.fault(&frame);
        if fault == Some(FaultAction::CutBefore) {
            return Ok(Some(Ended::Cut));
        }
        if let Some(FaultAction::Late(delay)) = fault {
            tokio::time::sleep(delay).await;
        }
        let chunks = match handlers::handle(&mut self.peer, frame).await {
            Reply::Chunks(chunks) => chunks,
            Reply::Nothing => return Ok(None),
            Reply::Close => return Ok(Some(Ended::ByPeer)),
        };
        self.lie().await;
        match fault {
            Some(FaultAction::LoseAnswer) => return Ok(Some(Ended::Cut)),
            Some(FaultAction::Hang) => std::future::pending().await,
            Some(FaultAction::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(FaultAction::Duplicate) => self.write(chunks.clone()).await?,
            Some(FaultAction::CutAfterBytes(count)) => {
                self.write(first_bytes(chunks, count)).await?;
                return Ok(Some(Ended::Cut));
            }
            Some(FaultAction::CutBefore | FaultAction::Late(_)) | None => {}
        }
        self.write(chunks).await?;
        Ok(None)
    }

    /// Lets a request or an answer lie for a while.
    async fn lie(&self) {
        let millis = self.peer.cluster.config().service_time_max.as_millis();
        let Ok(millis @ 1..) = u64::try_from(millis) else { return };
        let drawn = self.peer.cluster.state().random.u64(0..=millis);
        if drawn > 0 {
            tokio::time::sleep(Duration::from_millis(drawn)).await;
        }
    }

    fn fault(&self, frame: &Bytes) -> Option<FaultAction> {
        let preamble = RequestPreamble::parse(frame).ok()?;
        let api_key = ApiKey::try_from(preamble.api_key).ok()?;
        let mut state = self.peer.cluster.state();
        let state = &mut *state;
        state.faults.hit(api_key, self.peer.broker, &mut state.random)
    }

    /// Writes all chunks without joining them.
    async fn write(&mut self, chunks: Vec<Bytes>) -> io::Result<()> {
        let mut rest =
            &mut chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect::<Vec<_>>()[..];
        while !rest.is_empty() {
            let count = rest.len().min(SLICES_MAX);
            let slices: Vec<IoSlice<'_>> =
                rest[..count].iter().map(|chunk| IoSlice::new(chunk)).collect();
            let mut written = self.stream.write_vectored(&slices).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            while written > 0 {
                let taken = written.min(rest[0].len());
                rest[0].advance(taken);
                written -= taken;
                if rest[0].is_empty() {
                    rest = &mut rest[1..];
                }
            }
        }
        self.stream.flush().await
    }
}

fn first_bytes(chunks: Vec<Bytes>, mut count: usize) -> Vec<Bytes> {
    let mut first = Vec::new();
    for chunk in chunks {
        let taken = chunk.len().min(count);
        first.push(chunk.slice(..taken));
        count -= taken;
    }
    first
}
