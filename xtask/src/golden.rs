//! `cargo xtask golden`: recaptures the frames that real clients and brokers exchange.
//!
//! Kafka's own Java client of each release works through a recording relay, which the broker advertises as its address. Of every API
//! and version the largest exchange that is still small is kept, since it says most.

use crate::output::line;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use xtask::kafka::{KafkaCluster, Options, Release, class_path, compile};
use xtask::workspace::{jdk_tool, root};

/// A request and its answer, both without the length field.
type Exchange = (Vec<u8>, Vec<u8>);

/// By API key and version.
type Exchanges = BTreeMap<(i16, i16), Exchange>;

const FRAME_BYTES_MAX: usize = 3000;
const RELAYED_BYTES_MAX: usize = 64 << 20;

/// What the Java client does while it is recorded: as many APIs as it has words for.
const SCRIPT: &str = "\
create topic=golden partitions=3 config.retention.ms=-1
produce topic=golden count=12 value_bytes=20
produce topic=golden count=6 value_bytes=20 codec=gzip txn=golden-a end=commit
produce topic=golden count=6 value_bytes=20 txn=golden-b end=abort
configs topic=golden
alter topic=golden config.segment.bytes=1048576
offsets topic=golden
dump topic=golden isolation=read_committed
dump topic=golden isolation=read_uncommitted
commit group=golden topic=golden offsets=0:1,2:2 metadata=note
committed group=golden topic=golden
join group=golden-members topic=golden
groups
grow topic=golden partitions=4
delete-records topic=golden partition=0 offset=1
delete topic=golden
";

pub(crate) fn run(releases: &[Release]) -> Result<()> {
    let all = Release::ALL.into_iter().filter(|release| *release >= Release::V0_11_0_3).collect();
    let releases = if releases.is_empty() { all } else { releases.to_vec() };
    let directory = root().join("crates/kafka-wire/testdata/golden");
    fs::create_dir_all(&directory)?;
    for release in releases {
        let exchanges =
            capture(release).with_context(|| format!("capturing from Kafka {release}"))?;
        let path = directory.join(format!("{release}.txt"));
        fs::write(&path, render(release, &exchanges))?;
        line(format_args!("{}: {} exchanges", path.display(), exchanges.len()));
    }
    Ok(())
}

fn render(release: Release, exchanges: &Exchanges) -> String {
    let mut text = format!(
        "# Exchanges of Kafka {release}'s Java client with a Kafka {release} broker; recaptured by `cargo xtask golden {release}`.\n\
         # direction, API key, API version, header and body in hexadecimal (without the length field).\n"
    );
    for ((key, version), (request, response)) in exchanges {
        let _ = writeln!(text, "request {key} {version} {}", hex(request));
        let _ = writeln!(text, "response {key} {version} {}", hex(response));
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn capture(release: Release) -> Result<Exchanges> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let recorder = Arc::new(Recorder::default());
    let accepting = Arc::clone(&recorder);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            accepting.serve(client);
        }
    });
    let options = Options::default().advertise(0, &address.to_string());
    let cluster = KafkaCluster::start(release, options)?;
    let broker: u16 = cluster.bootstrap().rsplit(':').next().context("no port")?.parse()?;
    recorder.broker.get_or_init(|| broker);

    let classes = compile(release, &root().join("tests/java/Oracle.java"))?;
    let mut java = Command::new(jdk_tool("java"))
        .args(["-XX:+UseSerialGC", "-Xmx512m", "-cp"])
        .arg(format!("{}:{}", classes.display(), class_path(release)?))
        .args(["Oracle", &format!("bootstrap.servers={address}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting java (a JDK is needed)")?;
    java.stdin.take().context("no stdin")?.write_all(SCRIPT.as_bytes())?;
    let output = java.wait_with_output()?;
    for (verb, error) in failures(&String::from_utf8_lossy(&output.stdout)) {
        // Some verbs are newer than the oldest client, and a cluster without ACLs refuses them: answers as good as any.
        line(format_args!("{release}: {verb}: {error}"));
    }
    let exchanges = recorder.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if exchanges.len() < 10 {
        bail!("only {} exchanges were recorded", exchanges.len());
    }
    Ok(exchanges)
}

/// Verbs of the script that ended in an error, with it.
fn failures(output: &str) -> Vec<(String, String)> {
    let ends = output.lines().filter(|line| *line == "ok" || line.starts_with("error "));
    let verbs = SCRIPT.lines().map(|line| line.split(' ').next().unwrap_or(""));
    let pairs = verbs.zip(ends).filter(|(_, end)| *end != "ok");
    pairs.map(|(verb, end)| (verb.to_owned(), end.to_owned())).collect()
}

#[derive(Debug, Default)]
struct Recorder {
    broker: OnceLock<u16>,
    exchanges: Mutex<Exchanges>,
}

impl Recorder {
    fn serve(self: &Arc<Self>, client: TcpStream) {
        let Some(&port) = self.broker.get() else { return };
        let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        let (Ok(client_too), Ok(broker_too)) = (client.try_clone(), broker.try_clone()) else {
            return;
        };
        let asked = Arc::clone(&waiting);
        thread::spawn(move || {
            let _ = relay(client, broker, |request| {
                if let Some(id) = field(request, 4) {
                    asked
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(id, request.to_vec());
                }
            });
        });
        let recorder = Arc::clone(self);
        thread::spawn(move || {
            let _ = relay(broker_too, client_too, |response| {
                let id = field::<4>(response, 0);
                let asked = id.and_then(|id| {
                    waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
                });
                if let Some(request) = asked {
                    recorder.keep(request, response.to_vec());
                }
            });
        });
    }

    fn keep(&self, request: Vec<u8>, response: Vec<u8>) {
        if request.len().max(response.len()) > FRAME_BYTES_MAX {
            return;
        }
        let (Some(key), Some(version)) = (field(&request, 0), field(&request, 2)) else { return };
        let id = (i16::from_be_bytes(key), i16::from_be_bytes(version));
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            exchanges.get(&id).map_or(0, |(request, response)| request.len() + response.len());
        if request.len() + response.len() > known {
            exchanges.insert(id, (request, response));
        }
    }
}

/// Passes frames on until either side closes, showing each to `see` first.
fn relay(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let mut pass = || -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            let bytes = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if bytes > RELAYED_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut frame = vec![0; bytes];
            from.read_exact(&mut frame)?;
            see(&frame);
            to.write_all(&length)?;
            to.write_all(&frame)?;
        }
    };
    let result = pass();
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    result
}

fn field<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..).and_then(<[u8]>::first_chunk::<N>).copied()
}
