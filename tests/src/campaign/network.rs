//! What networks do, at random, to the connections between kferry and the brokers.

use fastrand::Rng;
use std::time::Duration;

use super::bench::Bench;
use super::proxy::{Cut, Direction, Proxy};

fn milliseconds(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

/// One disturbance after the other until the faults are over.
pub(super) fn disturb(bench: &Bench, mut random: Rng) {
    while !bench.is_over() {
        let pause = milliseconds(&mut random, 1000..8000);
        bench.pause(pause);
        let end = &bench.ends[random.usize(0..bench.ends.len())];
        let broker = random.usize(0..end.proxies.len());
        let what = disturb_once(&end.proxies[broker], &mut random);
        bench.note(what, &format!("{} broker {}", end.name, broker + 1));
    }
}

fn disturb_once(proxy: &Proxy, random: &mut Rng) -> &'static str {
    let cut = if random.bool() { Cut::Fin } else { Cut::Reset };
    let direction = Direction::ALL[random.usize(0..2)];
    match random.u32(0..7) {
        0 => {
            proxy.cut(cut);
            if cut == Cut::Fin { "proxy: cut, FIN" } else { "proxy: cut, RST" }
        }
        1 | 2 => {
            // Small numbers hit the frame's length and header, large ones its batches.
            let bytes = if random.bool() { random.u64(1..200) } else { random.u64(1..30_000) };
            proxy.cut_after(direction, bytes, cut);
            "proxy: cut inside a frame"
        }
        3 => {
            let time = milliseconds(random, 100..2500);
            for direction in Direction::ALL {
                proxy.stall(direction, time);
            }
            "proxy: stall, both directions"
        }
        4 => {
            // One in eight lasts longer than a client waits for an answer.
            let time = if random.u32(0..8) == 0 { 12_000..16_000 } else { 100..2500 };
            proxy.stall(direction, milliseconds(random, time));
            "proxy: stall, one direction"
        }
        5 => {
            proxy.delay(direction, milliseconds(random, 1..100), milliseconds(random, 500..4000));
            "proxy: delay"
        }
        _ => {
            proxy.swallow();
            "proxy: silent connections, new ones pass"
        }
    }
}
