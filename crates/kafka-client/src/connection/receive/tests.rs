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

/// Bytes in buffers that nobody uses.
fn free_bytes(pool: &FramePool) -> usize {
    let mut buffers = pool.buffers();
    buffers.iter_mut().filter_map(|buffer| buffer.reclaim().then_some(buffer.bytes)).sum()
}

#[tokio::test]
async fn large_frames_begin_at_a_page_and_their_memory_is_used_again() {
    let pool = Arc::<FramePool>::default();
    let frames = [frame(LARGE_BYTES, 1), frame(10, 2), frame(300_000, 3), frame(300_001, 4)];
    let found = through(&pool, &frames, 10_000).await;
    assert_eq!(found, frames);
    let kept = found[2].slice(5..6);
    assert_eq!(free_bytes(&pool), 0);
    drop(found);
    let without_one = free_bytes(&pool);
    drop(kept);
    let all = free_bytes(&pool);
    assert!(all - without_one > 300_000, "a slice keeps its frame");
    assert!(all < 2 * (LARGE_BYTES + 600_000));
    let again = through(&pool, &[frame(250_000, 7)], 1 << 20).await;
    assert_eq!(again, [frame(250_000, 7)]);
    assert!(free_bytes(&pool) < all, "its memory is not new");
    drop(again);
    assert_eq!(free_bytes(&pool), all);
}

/// What came with the length is copied to where the rest, which the kernel writes, begins at a page.
#[test]
fn the_rest_of_a_frame_begins_at_a_page() {
    let pool = FramePool::default();
    for arrived in [0, 1, 4092, 4096, 5000, 1, 0] {
        let arrived = vec![7; arrived];
        let mut filling = Filling::new(&pool, &arrived, 300_000);
        let rest = filling.buffer.rest.chunk_mut().as_mut_ptr();
        assert_eq!(rest.align_offset(PAGE_BYTES), 0, "{}", arrived.len());
        filling.buffer.rest.put_bytes(9, filling.missing);
        let frame = filling.finish(&pool);
        assert_eq!(frame, [arrived.clone(), vec![9; 300_000 - arrived.len()]].concat());
        assert_eq!(pool.buffers().len(), 1, "the memory is the same each time");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let pool = FramePool::default();
    let filled = |bytes| {
        let mut filling = Filling::new(&pool, &[], bytes);
        filling.buffer.rest.put_bytes(0, bytes);
        filling.finish(&pool)
    };
    let taken: Vec<Bytes> = (0..10).map(|_| filled(4 << 20)).collect();
    drop(filled(KEPT_BYTES_MAX + 1));
    assert!(!pool.trim(), "all of it is in use");
    assert_eq!(pool.buffers().len(), 10);
    assert_eq!(free_bytes(&pool), 0);
    drop(taken);
    assert!(pool.trim());
    let free = free_bytes(&pool);
    assert!(free > FREE_BYTES_MAX / 2 && free <= FREE_BYTES_MAX, "{free}");
    let large = pool.buffers()[0].bytes;
    drop(filled(1 << 20));
    let new = pool.buffers().last().unwrap().bytes;
    let fits = 1 << 20..(1 << 20) + 2 * SIZE_STEP_BYTES;
    assert!(fits.contains(&new), "a frame takes what it needs: {new}");
    let unfit = free_bytes(&pool) - new;
    assert!(unfit <= UNFIT_BYTES_MAX.max(large), "those of another size make room: {unfit}");
}

/// After a flood the first small frame gives memory back.
#[tokio::test]
async fn idle_memory_is_given_back() {
    let pool = Arc::<FramePool>::default();
    let frames = vec![frame(6 << 20, 1); 5];
    drop(through(&pool, &frames, 1 << 20).await);
    assert!(free_bytes(&pool) > FREE_BYTES_MAX);
    drop(through(&pool, &[frame(10, 1)], 1 << 20).await);
    assert!(free_bytes(&pool) <= FREE_BYTES_MAX);
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
