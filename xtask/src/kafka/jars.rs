//! Fetching a release's jars by Maven into the cache, once.

use super::Release;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the release's jars, fetched first if need be.
///
/// The directory appears under its name only when it is whole, so an aborted fetch is repeated; a lock file lets
/// parallel callers wait for the first.
///
/// # Errors
/// When Maven is missing or fails, or the cache cannot be written.
pub fn fetch(release: Release) -> Result<PathBuf> {
    fetch_as(release.number(), &release.coordinates())
        .with_context(|| format!("fetching the jars of Kafka {release}"))
}

/// The same for the jars that run `MirrorMaker` 2 of a release with log4j 2.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_mirror_maker(release: Release) -> Result<PathBuf> {
    let coordinates = [
        format!("org.apache.kafka:connect-mirror:{release}"),
        format!("org.apache.kafka:connect-runtime:{release}"),
        "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3".to_owned(),
        "org.apache.logging.log4j:log4j-core:2.24.3".to_owned(),
    ];
    fetch_as(&format!("mirror-maker-{release}"), &coordinates)
        .with_context(|| format!("fetching the jars of MirrorMaker {release}"))
}

fn fetch_as(name: &str, coordinates: &[String]) -> Result<PathBuf> {
    let jars = workspace::kafka_cache().join(name);
    if jars.is_dir() {
        return Ok(jars);
    }
    let _lock = lock(name)?;
    if !jars.is_dir() {
        let unfinished = jars.with_file_name(format!("{name}.unfinished"));
        copy_dependencies(coordinates, &unfinished)?;
        fs::rename(&unfinished, &jars)?;
    }
    Ok(jars)
}

/// The class path of the release, jars fetched first if need be.
///
/// # Errors
/// As [`fetch`].
pub fn class_path(release: Release) -> Result<String> {
    let jars = fetch(release)?;
    // The star is expanded by Java.
    Ok(jars.join("*").display().to_string())
}

/// The directory of the class files of a Java source and what it uses from the same directory, compiled against the jars
/// of `release` unless that was done before with the same texts.
///
/// # Errors
/// As [`fetch`], and when `javac` refuses the source.
pub fn compile(release: Release, source: &Path) -> Result<PathBuf> {
    let directory = source.parent().context("a source without a directory")?;
    let hasher =
        hash_sources(directory).with_context(|| format!("reading {}", directory.display()))?;
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-{release}-{:016x}", hasher.finish());
    let classes = workspace::kafka_cache().join(&name);
    if classes.is_dir() {
        return Ok(classes);
    }
    let class_path = class_path(release)?;
    let _lock = lock(&format!("{stem}-{release}"))?;
    if !classes.is_dir() {
        let unfinished = classes.with_file_name(format!("{name}.unfinished"));
        fs::create_dir_all(&unfinished)?;
        let mut command = Command::new(workspace::jdk_tool("javac"));
        command.args([
            "-nowarn",
            "-Xlint:none",
            "-encoding",
            "UTF-8",
            "-cp",
            &class_path,
            "-sourcepath",
        ]);
        command.arg(directory).arg("-d").arg(&unfinished).arg(source);
        let output = command.output().context("running javac (a JDK is needed)")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("javac refuses {} with the jars of Kafka {release}:\n{errors}", source.display());
        }
        fs::rename(&unfinished, &classes)?;
    }
    Ok(classes)
}

fn hash_sources(directory: &Path) -> Result<DefaultHasher> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "java") {
            sources.push(path);
        }
    }
    sources.sort();
    let mut hasher = DefaultHasher::new();
    for source in sources {
        fs::read(source)?.hash(&mut hasher);
    }
    Ok(hasher)
}

/// Holds the cache's lock called `name` until the file is dropped.
pub(super) fn lock(name: &str) -> Result<File> {
    let cache = workspace::kafka_cache();
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let path = cache.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}

fn copy_dependencies(coordinates: &[String], directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    let pom = directory.join("pom.xml");
    fs::write(&pom, pom_text(coordinates)?)?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", directory.display()))
        .output()
        .context("running mvn (Maven is needed to fetch Kafka)")?;
    if !output.status.success() {
        bail!(
            "mvn ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn pom_text(coordinates: &[String]) -> Result<String> {
    let mut text = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>kferry</groupId><artifactId>kafka-jars</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>\n",
    );
    for coordinates in coordinates {
        let mut parts = coordinates.split(':');
        let (Some(group), Some(artifact), Some(version)) =
            (parts.next(), parts.next(), parts.next())
        else {
            bail!("malformed Maven coordinates {coordinates}");
        };
        writeln!(
            text,
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )?;
    }
    text.push_str("</dependencies></project>\n");
    Ok(text)
}
