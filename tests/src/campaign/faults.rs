//! What dies and what is taken away: the process, brokers, leaders, rights, quotas, the disk. One thread each.

use anyhow::{Context, Result};
use fastrand::Rng;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::bench::{Bench, End};
use super::subject::{self, Subject};

/// How the report counts `kill -9` of kferry.
pub(super) const KILLED: &str = "kill -9 of kferry";
/// Not a fault: lives of kferry that were waited for until records arrived.
const COPYING: &str = "(records were seen to arrive before the kill)";
/// That many bytes in the target's logs, replicas and all, are records and not only the markers of fences.
const COPIED_BYTES: u64 = 200_000;
/// How the report counts `kill -9` of brokers.
pub(super) const BROKER_KILLED: &str = "kill -9 of a broker";

/// Killed even though it copies nothing yet: brokers may be in trouble for long.
const START_WITHIN: Duration = Duration::from_secs(15);

/// Runs kferry and kills it at random instants. Ends with the process gone.
pub(super) fn kill_the_process(
    bench: &Bench,
    subject: &mut Subject,
    mut random: Rng,
) -> Result<()> {
    while !bench.is_over() {
        let is_full = bench.disk_is_full.swap(false, Ordering::SeqCst);
        if is_full {
            subject.start_with_full_disk()?;
        } else {
            subject.start()?;
        }
        let ended = live(bench, subject, &mut random)?;
        if let Some(status) = ended {
            let what = if is_full {
                "full disk: kferry ended by itself"
            } else {
                "kferry ended by itself"
            };
            bench.note(what, &status.to_string());
            // It could not start, or not go on: the next attempt follows at an operator's pace.
            bench.pause(Duration::from_millis(300));
        } else if subject.kill()? {
            bench.note(if is_full { "full disk: kferry was killed" } else { KILLED }, "");
        }
    }
    subject.kill().map(drop)
}

/// One life of kferry, until it is time to kill it, or how it ended before.
///
/// Half of the lives end on the way to the first record or soon behind it, the others some time after records were seen to
/// arrive, however long the start took.
fn live(bench: &Bench, subject: &mut Subject, random: &mut Rng) -> Result<Option<ExitStatus>> {
    let begin = Instant::now();
    let had = bench.target_bytes();
    let is_early = random.bool();
    let life = Duration::from_millis(random.u64(if is_early { 50..2000 } else { 0..2500 }));
    let mut until = if is_early { Some(begin + life) } else { None };
    while until.is_none_or(|until| Instant::now() < until) {
        thread::sleep(Duration::from_millis(20));
        if let Some(status) = subject.ended()? {
            return Ok(Some(status));
        }
        if until.is_none() {
            let is_copying = bench.target_bytes() >= had + COPIED_BYTES;
            if is_copying {
                bench.note(COPYING, "");
            }
            if is_copying || bench.is_over() || begin.elapsed() > START_WITHIN {
                until = Some(Instant::now() + life);
            }
        }
    }
    Ok(None)
}

/// Kills, freezes and restarts brokers of one cluster and moves their leaders. One at a time: before the next fault all
/// replicas are in sync again, as acks=all with two of three needs it.
pub(super) fn trouble_brokers(bench: &Bench, end: &End, mut random: Rng) -> Result<()> {
    while !bench.is_over() {
        let lull = Duration::from_millis(random.u64(0..1500));
        bench.pause(lull);
        let index = random.usize(0..end.cluster.broker_count());
        let broker = end.cluster.broker(index);
        let name = format!("{} broker {}", end.name, broker.id());
        match random.u32(0..10) {
            0..=6 => {
                let time = Duration::from_millis(random.u64(200..5000));
                bench.note(BROKER_KILLED, &format!("{name}, down for {time:?}"));
                broker.kill()?;
                bench.pause(time);
                broker.restart().with_context(|| format!("restarting {name}"))?;
            }
            7 => {
                let time = Duration::from_millis(random.u64(300..5000));
                bench.note("broker frozen (SIGSTOP)", &format!("{name} for {time:?}"));
                broker.pause()?;
                bench.pause(time);
                broker.resume()?;
            }
            8 => {
                bench.note("preferred leaders elected", end.name);
                bench.insist("elect", &[("cluster", end.name)])?;
            }
            _ => {
                bench.note("leaders moved by reassignment", end.name);
                let seed = random.u32(..).to_string();
                bench.insist("move-leaders", &[("cluster", end.name), ("seed", &seed)])?;
            }
        }
        bench.wait_for_replicas(end)?;
        bench.tell(&format!("{} is whole", end.name));
        if random.bool() {
            bench.insist("elect", &[("cluster", end.name)])?;
        }
    }
    Ok(())
}

/// Quotas, rights, passwords, the disk: each in turn, given back before the next.
pub(super) fn change_rights(bench: &Bench, mut random: Rng) -> Result<()> {
    let mut kinds = [0, 1, 2, 3, 4, 5, 6, 7];
    random.shuffle(&mut kinds);
    for kind in kinds.into_iter().cycle() {
        let time = Duration::from_millis(random.u64(6000..16_000));
        bench.pause(time);
        if bench.is_over() {
            break;
        }
        let hold = Duration::from_millis(random.u64(500..4000));
        match kind {
            0 => limit(bench, "source", "consumer_byte_rate", hold)?,
            1 => limit(bench, "target", "producer_byte_rate", hold)?,
            2 => revoke(bench, "source", "TOPIC", "*", hold)?,
            3 => revoke(bench, "target", "TOPIC", "*", hold)?,
            4 => revoke(bench, "target", "TRANSACTIONAL_ID", "*", hold)?,
            5 => rotate(bench, "source", hold, &mut random)?,
            6 => rotate(bench, "target", hold, &mut random)?,
            _ => bench.disk_is_full.store(true, Ordering::SeqCst),
        }
    }
    Ok(())
}

fn limit(bench: &Bench, cluster: &str, name: &str, hold: Duration) -> Result<()> {
    bench.note("quota", &format!("{name} of {cluster} for {hold:?}"));
    let set = |bytes: &str| {
        bench.insist("quota", &[("cluster", cluster), ("name", name), ("bytes", bytes)])
    };
    set("20000")?;
    bench.pause(hold);
    set("0").map(drop)
}

fn revoke(bench: &Bench, cluster: &str, resource: &str, name: &str, hold: Duration) -> Result<()> {
    bench.note("rights revoked", &format!("{resource} of {cluster} for {hold:?}"));
    bench.right("revoke", cluster, resource, name)?;
    bench.pause(hold);
    bench.right("allow", cluster, resource, name)
}

/// The cluster has the new password at once; kferry's file gets it after a while.
fn rotate(bench: &Bench, cluster: &str, hold: Duration, random: &mut Rng) -> Result<()> {
    let password = format!("password-{}", random.u32(..));
    bench.note("password rotated", &format!("of {cluster}, told after {hold:?}"));
    let arguments = [("cluster", cluster), ("user", subject::USER), ("password", &*password)];
    bench.insist("password", &arguments)?;
    bench.pause(hold);
    subject::write_password(&bench.directory, cluster, &password)
}
