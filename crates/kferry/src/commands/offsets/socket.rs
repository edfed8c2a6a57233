//! The way to the state of a running sync: its file is locked, so the sync answers on a Unix socket beside it.
//!
//! One question and one answer per connection, each a line of JSON. Only the user who runs the sync (and root) is heard:
//! the socket has mode 0600, and the peer's user is looked at as well, since a mode is set only after the socket is there.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use replicate::{
    journal::Journal,
    offsets::{Place, Question, find},
    verify::books,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

/// The socket in the state directory.
const SOCKET_FILE: &str = "offsets.sock";

/// What the system takes as the path of a socket (`sun_path`, with its closing zero).
const PATH_BYTES_MAX: usize = 107;

/// Bytes of a question, and of an answer.
const QUESTION_BYTES_MAX: u64 = 4 << 10;
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Connections that are served at a time; further ones wait.
const CONNECTIONS_MAX: usize = 8;

/// How long either side may take over a line.
const LINE_TIMEOUT: Duration = Duration::from_secs(5);

/// What it can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Ask {
    /// By `kferry offsets`.
    Place(Question),
    /// By `kferry verify`.
    Books(books::Question),
}

/// What the sync says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To [`Ask::Place`].
    Places(Vec<Place>),
    /// To [`Ask::Books`].
    Books(books::Answer),
    /// There is no answer, and why.
    Error(String),
}

/// A socket that is served until this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

/// A path to the socket of `state` that is short enough for the system, and the directory that must stay open for it.
fn short_path(state: &Path) -> io::Result<(PathBuf, Option<fs::File>)> {
    let path = state.join(SOCKET_FILE);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((path, None));
    }
    // Linux names an open directory in a few bytes, however long its path is.
    let directory = fs::File::open(state)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
    let path = Path::new("/proc/self/fd").join(number.to_string()).join(SOCKET_FILE);
    Ok((path, Some(directory)))
}

/// Answers questions about `journal` on a socket in `state`. The caller holds the state: a socket that is there already was
/// left by a process that died.
///
/// # Errors
/// What the system says; the sync can do without.
pub(crate) fn serve(state: &Path, journal: Arc<dyn Journal>) -> io::Result<Served> {
    let path = state.join(SOCKET_FILE);
    match fs::symlink_metadata(&path) {
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let (short, _directory) = short_path(state)?;
    let listener = UnixListener::bind(short)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let owner = fs::metadata(&path)?.uid();
    let task = tokio::spawn(accept(listener, owner, journal));
    Ok(Served { path, task })
}

async fn accept(listener: UnixListener, owner: u32, journal: Arc<dyn Journal>) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say: it may pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let is_heard = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
        if is_heard {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let _turn = turn;
                // A peer that goes away or says nothing needs no answer.
                let _ = timeout(LINE_TIMEOUT, answer(stream, journal.as_ref())).await;
            });
        }
    }
}

async fn answer(stream: UnixStream, journal: &dyn Journal) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut stream).take(QUESTION_BYTES_MAX).read_until(b'\n', &mut line).await?;
    let answer = match serde_json::from_slice::<Ask>(&line) {
        Ok(Ask::Books(question)) => match books::answer(journal, question).await {
            Ok(answer) => Answer::Books(answer),
            Err(error) => Answer::Error(error.to_string()),
        },
        Ok(Ask::Place(question)) => match find(journal, &question).await {
            Ok(places) => Answer::Places(places),
            Err(error) => Answer::Error(error.to_string()),
        },
        Err(error) => Answer::Error(format!("the question is none: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    stream.get_mut().write_all(&text).await?;
    stream.get_mut().shutdown().await
}

/// Whether a sync answers on `state`.
pub(crate) async fn is_served(state: &Path) -> bool {
    let Ok((path, _directory)) = short_path(state) else { return false };
    timeout(LINE_TIMEOUT, UnixStream::connect(path)).await.is_ok_and(|connected| connected.is_ok())
}

/// Asks the sync that holds `state`.
///
/// # Errors
/// What the system says, or that the answer is none.
pub(crate) async fn ask(state: &Path, question: &Ask) -> io::Result<Answer> {
    let conversation = async {
        let (path, _directory) = short_path(state)?;
        let mut stream = BufReader::new(UnixStream::connect(path).await?);
        let mut text = serde_json::to_vec(question)?;
        text.push(b'\n');
        stream.get_mut().write_all(&text).await?;
        let mut line = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line).await?;
        Ok(serde_json::from_slice(&line)?)
    };
    timeout(LINE_TIMEOUT, conversation)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, Write as _};

    use replicate::journal::MemoryJournal;

    use super::*;

    fn question() -> Question {
        serde_json::from_str(
            r#"{"from":"source","at":{"topic":"orders","partition":0,"offset":1}}"#,
        )
        .unwrap()
    }

    async fn check(state: &Path) {
        let served = serve(state, Arc::new(MemoryJournal::new())).unwrap();
        let path = state.join(SOCKET_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let Answer::Error(text) = ask(state, &Ask::Place(question())).await.unwrap() else {
            panic!()
        };
        assert!(text.contains("no source topic orders"), "{text}");
        drop(served);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_a_dead_process_left_is_replaced() {
        let state = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(state.path().join(SOCKET_FILE)).unwrap());
        let error = ask(state.path(), &Ask::Place(question())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        check(state.path()).await;
    }

    #[tokio::test]
    async fn a_long_path_is_no_obstacle() {
        let state = tempfile::tempdir().unwrap();
        let long = state.path().join("x".repeat(120)).join("y".repeat(120));
        fs::create_dir_all(&long).unwrap();
        check(&long).await;
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_endless_lines_are_cut() {
        let state = tempfile::tempdir().unwrap();
        let _served = serve(state.path(), Arc::new(MemoryJournal::new())).unwrap();
        let path = state.path().join(SOCKET_FILE);
        for bytes in [b"hello\n".to_vec(), vec![b'x'; 1 << 16]] {
            let path = path.clone();
            let line = tokio::task::spawn_blocking(move || {
                let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
                // The rest of an endless line meets a closed socket.
                let _ = stream.write_all(&bytes);
                let mut line = String::new();
                let _ = io::BufReader::new(stream).read_line(&mut line);
                line
            });
            let line = line.await.unwrap();
            assert!(line.is_empty() || line.contains("the question is none"), "{line}");
        }
        ask(state.path(), &Ask::Place(question())).await.unwrap();
    }
}
