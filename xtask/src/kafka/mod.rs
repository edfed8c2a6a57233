//! Real Kafka clusters on this machine, without containers: a JDK and Maven are all they need.
//!
//! From a test:
//!
//! ```no_run
//! use xtask::kafka::{KafkaCluster, Options, Release};
//!
//! # fn main() -> anyhow::Result<()> {
//! let source = KafkaCluster::start(Release::V4_2_0, Options::default())?;
//! let target = KafkaCluster::start(Release::V4_1_1, Options::new(3, "mtls+acl".parse()?))?;
//! println!("{} {}", source.bootstrap(), target.bootstrap());
//! target.broker(1).kill()?; // kill -9; indices count from 0, broker ids from 1
//! target.broker(1).restart()?;
//! # Ok(())
//! # }
//! ```
//!
//! From a shell: `cargo xtask kafka start --release 4.2.0 --brokers 3 --flavour sasl` prints the addresses, users and
//! files, and runs until Ctrl-C; `cargo xtask kafka fetch 4.2.0 2.8.2` only brings the jars.
//!
//! Every cluster has a plaintext listener with full rights for tools ([`KafkaCluster::internal_bootstrap`]); the
//! flavour says what the other listener asks of a client ([`KafkaCluster::bootstrap`]). Several clusters and several test
//! processes live side by side. A cluster ends when its value is dropped, and also when the owning process is killed.

mod certificates;
mod cluster;
mod flavour;
mod jars;
mod ports;
mod probe;
mod process;
mod properties;
mod release;

pub use certificates::Certificates;
pub use cluster::{KafkaCluster, Options, RunningBroker};
pub use flavour::{Flavour, Security, USERS, UnknownFlavour, User};
pub use jars::{class_path, compile, fetch, fetch_mirror_maker};
pub use release::{Release, UnknownRelease};
