//! Runs the binary with a deadline, and sandboxes beside it.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Nothing here takes longer unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Everything it wrote.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// The JSON objects on standard output; every line must be one.
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// Exit code and words, or a panic that shows all of it.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let all = self.all();
        for word in words {
            assert!(all.contains(word), "no {word:?} in {self:#?}");
        }
    }
}

/// The binary with nothing of our own environment that it would heed.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kferry"));
    command
        .args(args)
        .env_remove("KFERRY_LOG")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn kferry(args: &[&str]) -> Ran {
    run(command(args))
}

/// Runs it to its end.
pub(crate) fn run(mut command: Command) -> Ran {
    wait(command.spawn().unwrap())
}

/// Waits for a running one; kills it at the deadline.
pub(crate) fn wait(mut child: Child) -> Ran {
    let stdout = child.stdout.take().map(slurp);
    let stderr = child.stderr.take().map(slurp);
    let (sender, receiver) = mpsc::channel();
    let id = child.id();
    thread::spawn(move || sender.send(child.wait()));
    let Ok(status) = receiver.recv_timeout(DEADLINE) else {
        signal(id, "KILL");
        panic!("did not end: {:?} {:?}", stdout.map(joined), stderr.map(joined));
    };
    Ran {
        code: status.unwrap().code(),
        stdout: stdout.map(joined).unwrap_or_default(),
        stderr: stderr.map(joined).unwrap_or_default(),
    }
}

fn slurp<R: Read + Send + 'static>(mut stream: R) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(thread: thread::JoinHandle<String>) -> String {
    thread.join().unwrap()
}

/// Sends a signal to a process that we started.
pub(crate) fn signal(id: u32, name: &str) {
    assert!(
        Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap().success()
    );
}

/// A simulated cluster in a process of its own; ends with the value.
pub(crate) struct Sandbox {
    child: Child,
    pub(crate) bootstrap: String,
}

impl Sandbox {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child =
            command(&[&["sandbox"], args].concat()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("127.0.0.1:"), "{line}");
        Self { child, bootstrap: line.trim().to_owned() }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file in a directory.
pub(crate) fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
