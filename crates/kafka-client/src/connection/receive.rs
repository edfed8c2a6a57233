//! Bytes in: small answers share a small buffer, each large frame gets a page-aligned one that is used again.
//!
//! The kernel copies slower to a place that begins a few bytes into a page, as every large `malloc` does, and a fresh buffer per frame
//! costs a page fault for each 4 KiB. So large frames live in buffers that are read into from a page's beginning on, and which go back
//! to the client's [`FramePool`] when the last slice of the frame is gone.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_wire::frame::{FrameError, FrameLimits, LENGTH_BYTES, bytes_wanted, next_frame};
use tokio::io::AsyncReadExt as _;

use crate::connect::Stream;

/// What is read while the size of the next frame is unknown; this much of a large frame is copied once.
const READ_BYTES: usize = 4096;

/// Frames from this size on get a buffer of their own.
const LARGE_BYTES: usize = 128 << 10;

/// Where the first large read into a frame begins.
const PAGE_BYTES: usize = 4096;

/// New buffers have room for a multiple of this, so that frames of about one size can share them.
const SIZE_STEP_BYTES: usize = 64 << 10;

/// Larger buffers are not kept: a frame of that size is rare.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Bytes kept in buffers that nobody uses now.
const FREE_BYTES_MAX: usize = 16 << 20;

/// The buffers of one client that wait for their next frame.
#[derive(Debug, Default)]
pub(crate) struct FramePool {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Empty, each begins at a page; the one used last, which may still be in the processor's cache, at the end.
    buffers: Vec<BytesMut>,
    bytes: usize,
}

impl FramePool {
    /// An empty buffer for `bytes`. Little more than twice as large at most, so that what is held is what is accounted for.
    fn take(&self, bytes: usize) -> BytesMut {
        self.kept(bytes).unwrap_or_else(|| {
            let mut fresh =
                BytesMut::with_capacity(bytes.next_multiple_of(SIZE_STEP_BYTES) + PAGE_BYTES);
            let start = fresh.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
            fresh.put_bytes(0, start);
            fresh.advance(start);
            fresh
        })
    }

    fn kept(&self, bytes: usize) -> Option<BytesMut> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = bytes..2 * bytes + SIZE_STEP_BYTES;
        let index = free.buffers.iter().rposition(|buffer| fits.contains(&buffer.capacity()))?;
        let buffer = free.buffers.remove(index);
        free.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        let bytes = buffer.capacity();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= KEPT_BYTES_MAX && free.bytes + bytes <= FREE_BYTES_MAX {
            free.bytes += bytes;
            free.buffers.push(buffer);
        }
    }
}

/// The memory of one large frame.
#[derive(Debug)]
struct FrameBuffer {
    /// Up to a page that is not used, then as much of the frame as has arrived.
    memory: BytesMut,
    start: usize,
    pool: Arc<FramePool>,
}

impl FrameBuffer {
    /// A buffer for a frame of `frame_bytes` that begins with `arrived`. What is read behind that begins at a page.
    fn new(pool: &Arc<FramePool>, arrived: &[u8], frame_bytes: usize) -> Self {
        let start = arrived.len().next_multiple_of(PAGE_BYTES) - arrived.len();
        let mut memory = pool.take(start + frame_bytes);
        memory.put_bytes(0, start);
        memory.put_slice(arrived);
        Self { memory, start, pool: Arc::clone(pool) }
    }
}

impl AsRef<[u8]> for FrameBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..]
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.memory));
    }
}

/// A large frame on its way in.
#[derive(Debug)]
struct Filling {
    buffer: FrameBuffer,
    missing: usize,
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
        let mut room = (&mut filling.buffer.memory).limit(filling.missing);
        let count = ready!(std::pin::pin!(stream.read_buf(&mut room)).poll(cx))?;
        filling.missing -= count;
        Poll::Ready(Ok(count))
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// As [`next_frame`].
    pub(super) fn next_frame(&mut self, limits: &FrameLimits) -> Result<Option<Bytes>, FrameError> {
        match self.filling.take() {
            None => next_frame(&mut self.input, limits),
            Some(filling) if filling.missing == 0 => Ok(Some(Bytes::from_owner(filling.buffer))),
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
            let arrived = &self.input[LENGTH_BYTES..];
            let buffer = FrameBuffer::new(&self.pool, arrived, arrived.len() + wanted);
            self.filling = Some(Filling { buffer, missing: wanted });
            self.input.clear();
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
