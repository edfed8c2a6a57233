//! Bytes in: small answers share a small buffer, each large frame gets a page-aligned one that is used again.
//!
//! The kernel copies slower to a place that begins a few bytes into a page, as every large `malloc` does, and a fresh buffer per frame
//! costs a page fault for each 4 KiB. So large frames live in buffers whose data begins at a page, and which go back to the
//! client's [`FramePool`] when the last slice of the frame is gone.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use kafka_wire::frame::{FrameError, FrameLimits, LENGTH_BYTES, bytes_wanted, next_frame};
use tokio::io::{AsyncReadExt as _, ReadBuf};

use crate::connect::Stream;

/// What is read while the size of the next frame is unknown; this much of a large frame is copied once.
const READ_BYTES: usize = 4096;

/// Frames from this size on get a buffer of their own.
const LARGE_BYTES: usize = 128 << 10;

/// Where the data of a large frame begins.
const PAGE_BYTES: usize = 4096;

/// Larger buffers are not kept: a frame of that size is rare.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Bytes kept in buffers that nobody uses now.
const FREE_BYTES_MAX: usize = 16 << 20;

/// The buffers of one client that wait for their next frame, by size.
#[derive(Debug, Default)]
pub(crate) struct FramePool {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    by_size: BTreeMap<usize, Vec<Vec<u8>>>,
    bytes: usize,
}

impl FramePool {
    /// A buffer for a frame of `frame_bytes`. At most twice as large, so that what is held is what is accounted for.
    fn take(self: &Arc<Self>, frame_bytes: usize) -> FrameBuffer {
        let size = frame_bytes.next_power_of_two();
        let kept = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = free.by_size.get_mut(&size).and_then(Vec::pop);
            if kept.is_some() {
                free.bytes -= size;
            }
            kept
        };
        let memory = kept.unwrap_or_else(|| vec![0; size + PAGE_BYTES]);
        let start = memory.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        FrameBuffer { memory, start, len: frame_bytes, size, pool: Arc::clone(self) }
    }

    fn give_back(&self, size: usize, memory: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if size <= KEPT_BYTES_MAX && free.bytes + size <= FREE_BYTES_MAX {
            free.bytes += size;
            free.by_size.entry(size).or_default().push(memory);
        }
    }
}

/// The memory of one large frame.
#[derive(Debug)]
struct FrameBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
    size: usize,
    pool: Arc<FramePool>,
}

impl FrameBuffer {
    fn room(&mut self, filled: usize) -> &mut [u8] {
        &mut self.memory[self.start + filled..self.start + self.len]
    }
}

impl AsRef<[u8]> for FrameBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.pool.give_back(self.size, std::mem::take(&mut self.memory));
    }
}

/// A large frame on its way in.
#[derive(Debug)]
struct Filling {
    buffer: FrameBuffer,
    filled: usize,
}

/// What one connection has received and not handed on.
#[derive(Debug)]
pub(super) struct Receiver {
    input: BytesMut,
    filling: Option<Filling>,
    pool: Arc<FramePool>,
}

impl Receiver {
    pub(super) fn new(pool: Arc<FramePool>) -> Self {
        Self { input: BytesMut::new(), filling: None, pool }
    }

    /// Reads once; 0 at the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut dyn Stream,
        limits: &FrameLimits,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room(limits);
        let Some(filling) = &mut self.filling else {
            let read = std::pin::pin!(stream.read_buf(&mut self.input));
            return read.poll(cx);
        };
        let mut room = ReadBuf::new(filling.buffer.room(filling.filled));
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        filling.filled += count;
        Poll::Ready(Ok(count))
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// As [`next_frame`].
    pub(super) fn next_frame(&mut self, limits: &FrameLimits) -> Result<Option<Bytes>, FrameError> {
        match self.filling.take() {
            None => next_frame(&mut self.input, limits),
            Some(filling) if filling.filled == filling.buffer.len => {
                Ok(Some(Bytes::from_owner(filling.buffer)))
            }
            unfinished => {
                self.filling = unfinished;
                Ok(None)
            }
        }
    }

    /// The bytes of the frame that is no frame.
    pub(super) fn first_bytes(&self) -> &[u8] {
        &self.input[..self.input.len().min(16)]
    }

    /// Room for what the frame under way still needs.
    fn make_room(&mut self, limits: &FrameLimits) {
        if self.filling.is_some() {
            return;
        }
        let wanted = bytes_wanted(&self.input, limits).unwrap_or(0).max(1);
        if self.input.len() >= LENGTH_BYTES && self.input.len() + wanted >= LARGE_BYTES {
            let arrived = self.input.split_off(LENGTH_BYTES);
            self.input.clear();
            let mut buffer = self.pool.take(arrived.len() + wanted);
            buffer.room(0)[..arrived.len()].copy_from_slice(&arrived);
            self.filling = Some(Filling { buffer, filled: arrived.len() });
            return;
        }
        let spare = self.input.capacity() - self.input.len();
        if spare < wanted {
            let mut larger = BytesMut::with_capacity(self.input.len() + wanted.max(READ_BYTES));
            larger.extend_from_slice(&self.input);
            self.input = larger;
        }
    }
}

#[cfg(test)]
mod tests;
