//! A small HTTP answerer for one page. Whoever connects gets one answer and no more: few connections at a time, a short
//! question, little time, and nothing that is sent is believed.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

use super::Metrics;
use crate::failure::Failure;

/// Connections that are answered at a time; further ones wait.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a question: its line and its headers.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// How long a client may take to ask, and how long to take the answer.
const ASK_TIME_MAX: Duration = Duration::from_secs(5);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// A pause when the system has no connection to give.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answerer that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    task: JoinHandle<()>,
    pub(crate) address: std::net::SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on `address`, HOST:PORT.
///
/// # Errors
/// A [`Failure`] with what the system says.
pub(super) async fn serve(address: &str, metrics: Arc<Metrics>) -> Result<Served, Failure> {
    let failed = |error: &io::Error| {
        Failure::failed(format!("--metrics {address}"))
            .because(error)
            .cure("give an address of this machine and a port that is free, such as 127.0.0.1:9404")
    };
    let listener = TcpListener::bind(address).await.map_err(|error| failed(&error))?;
    let bound = listener.local_addr().map_err(|error| failed(&error))?;
    Ok(Served { task: tokio::spawn(accept(listener, metrics)), address: bound })
}

async fn accept(listener: TcpListener, metrics: Arc<Metrics>) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            let _turn = turn;
            // A client that goes away needs no answer.
            let _ = answer(stream, &metrics).await;
        });
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let Ok(head) = timeout(ASK_TIME_MAX, head(&mut stream)).await else { return Ok(()) };
    let (status, kind, body) = match head? {
        Some(head) => respond(&head, metrics),
        None => {
            ("431 Request Header Fields Too Large", TEXT, "the question is too long\n".to_owned())
        }
    };
    let is_head = body.is_empty();
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    );
    if !is_head {
        answer.push_str(&body);
    }
    let send = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What is still on its way here would turn the close into a reset before the answer is read.
        let mut rest = [0; 1024];
        let mut left = HEAD_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        io::Result::Ok(())
    };
    timeout(ANSWER_TIME_MAX, send).await.unwrap_or(Ok(()))
}

/// The question up to the empty line; nothing when it is too long.
async fn head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    let mut bytes = [0; 1024];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&bytes[..count]);
        if head.windows(4).any(|window| window == b"\r\n\r\n")
            || head.windows(2).any(|window| window == b"\n\n")
        {
            return Ok(Some(head));
        }
        if head.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
    }
}

fn respond(head: &[u8], metrics: &Metrics) -> (&'static str, &'static str, String) {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(words.next(), Some(version) if version.starts_with("HTTP/1.")) {
        return ("400 Bad Request", TEXT, "this is no HTTP/1 question\n".to_owned());
    }
    if method != "GET" {
        return ("405 Method Not Allowed", TEXT, "only GET is answered\n".to_owned());
    }
    match target.split('?').next() {
        Some("/metrics") => ("200 OK", EXPOSITION, metrics.render()),
        Some("/") => ("200 OK", TEXT, "kferry: see /metrics\n".to_owned()),
        _ => ("404 Not Found", TEXT, "only /metrics is here\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn ask(address: std::net::SocketAddr, question: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A long question may be cut off by the answer.
        let _ = stream.write_all(question).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn questions_are_answered_and_nonsense_is_refused() {
        let served = serve("127.0.0.1:0", Arc::default()).await.unwrap();
        let check = async |question: &[u8], status: &str| {
            let answer = ask(served.address, question).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
        };
        check(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200").await;
        check(b"GET /metrics?name=x HTTP/1.0\r\n\r\n", "200").await;
        check(b"GET / HTTP/1.1\n\n", "200").await;
        check(b"GET /etc/passwd HTTP/1.1\r\n\r\n", "404").await;
        check(b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405").await;
        check(b"\xff\xfe\x00 hello\r\n\r\n", "400").await;
        check(b"\r\n\r\n", "400").await;
        let long = [b"GET /metrics HTTP/1.1\r\nA: ".to_vec(), vec![b'x'; 9000]].concat();
        check(&long, "431").await;
    }

    #[tokio::test]
    async fn clients_that_say_nothing_hold_nobody_up() {
        let served = serve("127.0.0.1:0", Arc::default()).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(served.address).await.unwrap());
        }
        let start = Instant::now();
        let answer = ask(served.address, b"GET /metrics HTTP/1.1\r\n\r\n").await;
        assert!(answer.contains("kferry_build_info"), "{answer}");
        assert!(start.elapsed() < ASK_TIME_MAX * 2, "{:?}", start.elapsed());
        drop(silent);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_told_with_a_cure() {
        let served = serve("127.0.0.1:0", Arc::default()).await.unwrap();
        let error = serve(&served.address.to_string(), Arc::default()).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("--metrics 127.0.0.1") && error.contains("cure:"), "{error}");
    }
}
