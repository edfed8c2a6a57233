//! Bytes in: small answers share a small buffer, each large frame gets a page-aligned one that is used again.
//!
//! The kernel copies slower to a place that begins a few bytes into a page, as every large `malloc` does, and a fresh buffer per frame
//! costs a page fault for each 4 KiB. So large frames live in buffers that are read into from a page's beginning on, and which the
//! client's [`FramePool`] uses again when the last slice of the frame is gone.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

/// Bytes kept in buffers that nobody uses, once small frames come again.
const FREE_BYTES_MAX: usize = 16 << 20;

/// Bytes kept in buffers of other sizes when a new one is made.
const UNFIT_BYTES_MAX: usize = 4 << 20;

/// The buffers of one client's large frames.
#[derive(Debug, Default)]
pub(crate) struct FramePool {
    buffers: Mutex<Vec<PooledBuffer>>,
}

/// What keeps the memory of a frame that was handed on: the empty rest behind it. Once all slices of the frame are gone, the memory can be
/// claimed through it. (A frame that owned its memory would allocate its owner each time.)
#[derive(Debug)]
struct PooledBuffer {
    rest: BytesMut,
    /// Of the whole memory.
    bytes: usize,
}

impl PooledBuffer {
    /// Claims the memory, if nobody has a slice of it.
    fn reclaim(&mut self) -> bool {
        self.rest.try_reclaim(self.bytes)
    }
}

impl FramePool {
    /// Empty memory for `bytes` that begins at a page. Little more than twice as large at most, so that what is held is what is accounted for.
    fn take(&self, bytes: usize) -> PooledBuffer {
        let mut taken = self.kept(bytes + PAGE_BYTES).unwrap_or_else(|| {
            let bytes = bytes.next_multiple_of(SIZE_STEP_BYTES) + PAGE_BYTES;
            PooledBuffer { rest: BytesMut::with_capacity(bytes), bytes }
        });
        let start = taken.rest.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        taken.rest.put_bytes(0, start);
        taken.rest.advance(start);
        taken
    }

    /// The one used last, which may still be in the processor's cache, is looked at first.
    fn kept(&self, bytes: usize) -> Option<PooledBuffer> {
        let fits = bytes..2 * bytes + SIZE_STEP_BYTES;
        let mut buffers = self.buffers();
        let fitting = |buffer: &mut PooledBuffer| fits.contains(&buffer.bytes) && buffer.reclaim();
        if let Some(index) = buffers.iter_mut().rposition(fitting) {
            return Some(buffers.remove(index));
        }
        // Sizes change with what there is to fetch: memory of all former sizes would come on top of what is under way.
        let mut unfit = 0;
        buffers.retain_mut(|buffer| {
            unfit += if buffer.reclaim() { buffer.bytes } else { 0 };
            unfit <= UNFIT_BYTES_MAX || !buffer.reclaim()
        });
        None
    }

    /// Takes the rest behind a frame.
    fn put(&self, buffer: PooledBuffer) {
        if buffer.bytes <= KEPT_BYTES_MAX {
            self.buffers().push(buffer);
        }
    }

    /// Gives up memory that nobody uses, beyond what is kept. True when what is left in use cannot exceed that any more.
    fn trim(&self) -> bool {
        let mut buffers = self.buffers();
        let mut bytes: usize = buffers.iter().map(|buffer| buffer.bytes).sum();
        if bytes <= FREE_BYTES_MAX {
            return true;
        }
        // Those of the most frames ago first.
        buffers.retain_mut(|buffer| {
            let goes = bytes > FREE_BYTES_MAX && buffer.reclaim();
            bytes -= if goes { buffer.bytes } else { 0 };
            !goes
        });
        bytes <= FREE_BYTES_MAX
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<PooledBuffer>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A large frame on its way in.
#[derive(Debug)]
struct Filling {
    /// Up to a page that is not used, then as much of the frame as has arrived.
    buffer: PooledBuffer,
    start: usize,
    missing: usize,
}

impl Filling {
    /// Begins a frame of `frame_bytes` with what has `arrived`. What is read behind that begins at a page.
    fn new(pool: &FramePool, arrived: &[u8], frame_bytes: usize) -> Self {
        let start = arrived.len().next_multiple_of(PAGE_BYTES) - arrived.len();
        let mut buffer = pool.take(start + frame_bytes);
        buffer.rest.put_bytes(0, start);
        buffer.rest.put_slice(arrived);
        Self { buffer, start, missing: frame_bytes - arrived.len() }
    }

    /// The whole frame; its memory goes to the pool.
    fn finish(self, pool: &FramePool) -> Bytes {
        let Self { mut buffer, start, .. } = self;
        let mut frame = buffer.rest.split().freeze();
        pool.put(buffer);
        frame.advance(start);
        frame
    }
}

/// What one connection has received and not handed on.
#[derive(Debug)]
pub(super) struct Receiver {
    input: BytesMut,
    filling: Option<Filling>,
    pool: Arc<FramePool>,
    /// Memory of former frames may lie idle.
    is_trimming: bool,
}

impl Receiver {
    pub(super) fn new(pool: Arc<FramePool>) -> Self {
        Self { input: BytesMut::new(), filling: None, pool, is_trimming: true }
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
        let mut room = (&mut filling.buffer.rest).limit(filling.missing);
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
            None => {
                let frame = next_frame(&mut self.input, limits)?;
                if frame.is_some() && self.is_trimming {
                    // A small one: the flood is over, for now.
                    self.is_trimming = !self.pool.trim();
                }
                Ok(frame)
            }
            Some(filling) if filling.missing == 0 => {
                self.is_trimming = true;
                Ok(Some(filling.finish(&self.pool)))
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
            let arrived = &self.input[LENGTH_BYTES..];
            self.filling = Some(Filling::new(&self.pool, arrived, arrived.len() + wanted));
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
