//! Where things are: the repository, the build directory, the tools of this machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's top directory.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The build directory: `CARGO_TARGET_DIR`, else `target` of the repository.
pub fn target_directory() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// Where Kafka's jars, certificates and the compiled oracle are kept between runs:
/// `KFERRY_KAFKA_CACHE`, else `target/kafka` of the repository (the same for every build directory).
pub fn kafka_cache() -> PathBuf {
    match env::var_os("KFERRY_KAFKA_CACHE") {
        Some(directory) => root().join(directory),
        None => root().join("target").join("kafka"),
    }
}

/// The `kferry` binary under test: `KFERRY_BIN` (`cargo xtask integration` sets it to the static binary), else where
/// `cargo xtask dist` puts it.
pub fn kferry_binary() -> PathBuf {
    match env::var_os("KFERRY_BIN") {
        Some(binary) => PathBuf::from(binary),
        None => target_directory().join("x86_64-unknown-linux-gnu").join("dist").join("kferry"),
    }
}

/// A `cargo` command in the repository, the same cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A tool of the JDK (`java`, `javac`, `keytool`): from `JAVA_HOME` where that is set, else from the path.
pub fn jdk_tool(name: &str) -> PathBuf {
    match env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin").join(name),
        None => PathBuf::from(name),
    }
}
