//! `cargo xtask kafka`: brokers for use by hand.

use crate::output::line;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::thread;
use std::time::{Duration, Instant};
use xtask::kafka::{Flavour, KafkaCluster, Options, Release, USERS, fetch};

/// What to do with Kafka.
#[derive(Debug, Subcommand)]
pub(crate) enum KafkaVerb {
    /// Bring the jars of releases into the cache (all known ones when none is named).
    Fetch {
        /// Releases, such as 4.2.0.
        releases: Vec<Release>,
    },
    /// Start a cluster, print where it is, and run until Ctrl-C.
    Start(StartArguments),
}

/// The cluster to start.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// The release: 4.2.0 4.1.1 3.9.1 2.8.2 1.1.1 0.11.0.3 0.10.2.2.
    #[arg(long, default_value = "4.2.0")]
    release: Release,
    /// How many brokers.
    #[arg(long, default_value_t = 1)]
    brokers: usize,
    /// What clients must do: plain, sasl, tls, mtls, sasl-tls, each with or without +acl; acl is sasl+acl.
    #[arg(long, default_value = "plain")]
    flavour: Flavour,
    /// A broker property, NAME=VALUE; may be repeated.
    #[arg(long = "property", value_parser = parse_property)]
    properties: Vec<(String, String)>,
    /// Keep the data directory at the end.
    #[arg(long)]
    keep: bool,
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("want NAME=VALUE".to_owned()),
    }
}

pub(crate) fn run(verb: KafkaVerb) -> Result<()> {
    match verb {
        KafkaVerb::Fetch { releases } => {
            let releases = if releases.is_empty() { Release::ALL.to_vec() } else { releases };
            for release in releases {
                line(format_args!("{release} {}", fetch(release)?.display()));
            }
            Ok(())
        }
        KafkaVerb::Start(arguments) => start(arguments),
    }
}

fn start(arguments: StartArguments) -> Result<()> {
    let mut options = Options::new(arguments.brokers, arguments.flavour);
    options.properties = arguments.properties;
    options.keep = arguments.keep;
    let begin = Instant::now();
    let cluster = KafkaCluster::start(arguments.release, options)?;
    line(format_args!("bootstrap {}", cluster.bootstrap()));
    line(format_args!("internal {}", cluster.internal_bootstrap()));
    line(format_args!("directory {}", cluster.directory().display()));
    if let Some(certificates) = cluster.certificates() {
        line(format_args!("ca {}", certificates.ca().display()));
        line(format_args!("other-ca {}", certificates.other_ca().display()));
        for name in ["kferry", "limited"] {
            let certificate = certificates.client_certificate(name);
            line(format_args!(
                "client {name} {} {}",
                certificate.display(),
                certificates.client_key(name).display()
            ));
        }
    }
    if arguments.flavour.security.is_sasl() {
        for user in USERS {
            line(format_args!("user {} {}", user.name, user.password));
        }
    }
    line(format_args!("ready after {:.1} s; Ctrl-C ends it", begin.elapsed().as_secs_f64()));
    loop {
        thread::sleep(Duration::from_secs(1));
        for index in 0..cluster.broker_count() {
            let broker = cluster.broker(index);
            if !broker.is_running()? {
                bail!(
                    "broker {} has ended; its log is in {}",
                    broker.id(),
                    cluster.directory().display()
                );
            }
        }
    }
}
