//! A private CA with a broker certificate and client certificates, made by the JDK's keytool alone.

use super::jars;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of the test CA. Made once per cache and shared by all clusters.
#[derive(Clone, Debug)]
pub struct Certificates {
    directory: PathBuf,
}

/// Aliases of the certificates with a key, their distinguished names, their extensions.
const SUBJECTS: [(&str, &str, &str); 3] = [
    ("broker", "CN=broker", "SAN=dns:localhost,ip:127.0.0.1"),
    ("kferry", "CN=kferry", "EKU=clientAuth"),
    ("limited", "CN=limited", "EKU=clientAuth"),
];

impl Certificates {
    /// Password of every store here.
    pub const PASSWORD: &str = "kferry-test";

    /// The CA that signed the brokers' certificate (names: `localhost` and `127.0.0.1`) and the clients', PEM.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A CA that has signed nothing here, PEM.
    pub fn other_ca(&self) -> PathBuf {
        self.directory.join("other-ca.pem")
    }

    /// Certificate chain of the client `name` (`kferry` or `limited`), PEM; the CN is the name.
    pub fn client_certificate(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.pem"))
    }

    /// Private key of the client `name`, PKCS#8 PEM, not encrypted.
    pub fn client_key(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.key"))
    }

    /// PKCS#12 key store of the brokers.
    pub fn broker_store(&self) -> PathBuf {
        self.directory.join("broker.p12")
    }

    /// PKCS#12 trust store with the CA.
    pub fn trust_store(&self) -> PathBuf {
        self.directory.join("trust.p12")
    }

    /// The cached files, made first if need be.
    pub(super) fn obtain() -> Result<Self> {
        // The number grows when the content changes.
        let directory = workspace::kafka_cache().join("certificates-1");
        if !directory.is_dir() {
            let _lock = jars::lock("certificates")?;
            if !directory.is_dir() {
                let unfinished = directory.with_extension("unfinished");
                make(&unfinished).context("making certificates")?;
                fs::rename(&unfinished, &directory)?;
            }
        }
        Ok(Self { directory })
    }
}

fn make(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    for (ca, name) in [("ca", "CN=kferry test CA"), ("other-ca", "CN=some other CA")] {
        generate(directory, ca, name, &["-ext", "bc:c", "-ext", "KeyUsage=keyCertSign,cRLSign"])?;
        let pem = format!("{ca}.pem");
        store(directory, ca, &["-exportcert", "-rfc", "-alias", ca, "-file", &pem])?;
    }
    store(directory, "trust", &["-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem"])?;
    for (alias, name, extension) in SUBJECTS {
        generate(directory, alias, name, &[])?;
        let request = format!("{alias}.csr");
        let signed = format!("{alias}.signed");
        store(directory, alias, &["-certreq", "-alias", alias, "-file", &request])?;
        store(
            directory,
            "ca",
            &[
                "-gencert",
                "-rfc",
                "-alias",
                "ca",
                "-validity",
                "3650",
                "-ext",
                extension,
                "-infile",
                &request,
                "-outfile",
                &signed,
            ],
        )?;
        // gencert writes the chain; the store wants it in one reply.
        store(directory, alias, &["-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem"])?;
        store(directory, alias, &["-importcert", "-noprompt", "-alias", alias, "-file", &signed])?;
        fs::copy(directory.join(&signed), directory.join(format!("{alias}.pem")))?;
    }
    export_keys(directory)
}

fn generate(directory: &Path, alias: &str, name: &str, extra: &[&str]) -> Result<()> {
    let mut arguments = vec![
        "-genkeypair",
        "-alias",
        alias,
        "-keyalg",
        "RSA",
        "-keysize",
        "2048",
        "-dname",
        name,
        "-validity",
        "3650",
    ];
    arguments.extend(extra);
    store(directory, alias, &arguments)
}

/// Runs keytool on the store `STORE.p12`.
fn store(directory: &Path, store: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(workspace::jdk_tool("keytool"));
    command.current_dir(directory).args(arguments);
    command.args(["-storetype", "PKCS12", "-storepass", Certificates::PASSWORD]);
    command.arg("-keystore").arg(format!("{store}.p12"));
    run(command)
}

fn export_keys(directory: &Path) -> Result<()> {
    let source = directory.join("ExportKey.java");
    fs::write(&source, include_str!("ExportKey.java"))?;
    let mut command = Command::new(workspace::jdk_tool("java"));
    command.current_dir(directory).arg(&source).arg(Certificates::PASSWORD);
    for (alias, ..) in SUBJECTS {
        command.arg(format!("{alias}.p12")).arg(alias).arg(format!("{alias}.key"));
    }
    run(command)
}

fn run(mut command: Command) -> Result<()> {
    let output =
        command.output().with_context(|| format!("running {command:?} (a JDK is needed)"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("{command:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&text));
    }
    Ok(())
}
