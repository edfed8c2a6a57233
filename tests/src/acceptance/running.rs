//! A running `kferry sync` whose events are read.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kferry;
use super::pair::{Pair, task_name};

/// Asks again and again, for this many seconds at most, until the answer is yes.
pub(super) fn eventually(seconds: u64, mut ask: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if ask() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A child that does not outlive a test that fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Has ended, as a rule.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sync at work.
pub(super) struct Sync {
    process: Process,
    lines: Arc<Mutex<Vec<Value>>>,
    reader: JoinHandle<()>,
}

impl Sync {
    /// Of everything, groups included.
    pub(super) fn start(source: &str, target: &str, state: &Path, more: &[&str]) -> Self {
        let offsets = ["--sync", "metadata_data_offsets"];
        Self::spawn(source, target, state, &[&offsets, more].concat())
    }

    /// Of a pair's one topic: the task that [`Pair::run`] has for it.
    pub(super) fn of(pair: &Pair, topic: &str, state: &Path, more: &[&str]) -> Self {
        let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
        let name = task_name(topic);
        let scope = ["--topics", topic, "--name", &name];
        Self::spawn(&source, &target, state, &[&scope, more].concat())
    }

    fn spawn(source: &str, target: &str, state: &Path, more: &[&str]) -> Self {
        let state = state.to_str().unwrap();
        let mut arguments = vec!["sync", "--source", source, "--target", target, "--state", state];
        arguments.extend(["--output", "json"]);
        arguments.extend(more);
        let mut process = kferry(&arguments).stderr(Stdio::inherit()).spawn().unwrap();
        let output = process.stdout.take().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                eprintln!("kferry: {line}");
                sink.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process: Process(process), lines, reader }
    }

    /// Waits until a line says so.
    #[track_caller]
    pub(super) fn says(&self, wanted: impl Fn(&Value) -> bool) {
        let is_said = || self.lines.lock().unwrap().iter().any(&wanted);
        assert!(eventually(60, is_said), "kferry does not say it");
    }

    /// Waits until an event says so; the first that does.
    #[track_caller]
    pub(super) fn event(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        let mut is_said = || {
            let lines = self.lines.lock().unwrap();
            found = lines.iter().find(|line| line["event"] == name && wanted(line)).cloned();
            found.is_some()
        };
        assert!(eventually(60, &mut is_said), "kferry tells no such {name}");
        found.unwrap()
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
        self.reader.join().unwrap();
    }

    /// Waits for its end; what it said.
    #[track_caller]
    pub(super) fn finish(mut self) -> Vec<Value> {
        let status = self.process.0.wait().unwrap();
        self.reader.join().unwrap();
        assert!(status.success(), "{status}");
        let lines = self.lines.lock().unwrap();
        lines.clone()
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub(super) fn stop(self) -> Vec<Value> {
        self.interrupt();
        self.finish()
    }

    /// The same, whatever it ends with: stopped partitions are no success.
    #[track_caller]
    pub(super) fn stop_any(mut self) -> Vec<Value> {
        self.interrupt();
        self.process.0.wait().unwrap();
        self.reader.join().unwrap();
        let lines = self.lines.lock().unwrap();
        lines.clone()
    }

    fn interrupt(&self) {
        let id = self.process.0.id().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
    }
}
