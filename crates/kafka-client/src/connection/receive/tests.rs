use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

const LIMITS: FrameLimits = FrameLimits { frame_bytes_max: 64 << 20 };

fn frame(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|index| seed.wrapping_add(u8::try_from(index % 251).unwrap())).collect()
}

/// Sends the frames through a pipe of `pipe_bytes`, and gives those that come out.
async fn through(pool: &Arc<FramePool>, frames: &[Vec<u8>], pipe_bytes: usize) -> Vec<Bytes> {
    let (mut near, mut far) = tokio::io::duplex(pipe_bytes);
    let wire: Vec<u8> = frames
        .iter()
        .flat_map(|frame| {
            [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame[..]].concat()
        })
        .collect();
    let writer = tokio::spawn(async move { far.write_all(&wire).await.unwrap() });
    let mut receiver = Receiver::new(Arc::clone(pool));
    let mut found = Vec::new();
    let read =
        |receiver: &mut Receiver, cx: &mut Context<'_>, near: &mut tokio::io::DuplexStream| {
            receiver.poll_read(near, &LIMITS, cx)
        };
    loop {
        let count = std::future::poll_fn(|cx| read(&mut receiver, cx, &mut near)).await.unwrap();
        while let Some(frame) = receiver.next_frame(&LIMITS).unwrap() {
            found.push(frame);
        }
        if count == 0 {
            break;
        }
    }
    writer.await.unwrap();
    found
}

#[tokio::test]
async fn large_frames_begin_at_a_page_and_their_memory_is_used_again() {
    let pool = Arc::<FramePool>::default();
    let frames = [frame(LARGE_BYTES, 1), frame(10, 2), frame(300_000, 3), frame(300_001, 4)];
    let found = through(&pool, &frames, 10_000).await;
    assert_eq!(found, frames);
    for large in [&found[0], &found[2], &found[3]] {
        assert_eq!(large.as_ptr().align_offset(PAGE_BYTES), 0);
    }
    let free = || pool.free.lock().unwrap().bytes;
    let kept = found[2].slice(5..6);
    assert_eq!(free(), 0);
    drop(found);
    assert_eq!(free(), LARGE_BYTES + (512 << 10), "a slice keeps its frame");
    drop(kept);
    assert_eq!(free(), LARGE_BYTES + (1 << 20));
    let again = through(&pool, &[frame(400_000, 7)], 1 << 20).await;
    assert_eq!(again, [frame(400_000, 7)]);
    assert_eq!(free(), LARGE_BYTES + (512 << 10));
}

#[test]
fn what_is_kept_is_bounded() {
    let pool = Arc::<FramePool>::default();
    let taken: Vec<FrameBuffer> = (0..10).map(|_| pool.take(4 << 20)).collect();
    drop(pool.take(KEPT_BYTES_MAX + 1));
    assert_eq!(pool.free.lock().unwrap().bytes, 0);
    drop(taken);
    assert_eq!(pool.free.lock().unwrap().bytes, FREE_BYTES_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Frames come out as they went in, however the bytes arrive.
    #[test]
    fn cuts_do_not_matter(
        sizes in prop::collection::vec(prop_oneof![0_usize..20, LARGE_BYTES - 9..LARGE_BYTES + 9], 0..5),
        pipe_bytes in 1_usize..9_000,
    ) {
        let frames: Vec<Vec<u8>> = sizes.iter().map(|size| frame(*size, 9)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pool = Arc::default();
        prop_assert_eq!(runtime.block_on(through(&pool, &frames, pipe_bytes.max(7))), frames);
    }
}
