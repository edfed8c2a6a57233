//! The tools that copies are compared with, each made to copy one topic of the source cluster to the target.

mod benthos;
mod connect;
mod franz;
mod mirror_maker;

use super::kferry::{Route, sync_once};
use super::real::{Dataset, RealClusters};
use super::relay;
use super::samples::Sample;
use anyhow::{Context, Result};
use std::path::Path;

pub(super) use benthos::Benthos;
pub(super) use connect::{CONNECT_FIRST_OUTPUT, Connect};
pub(super) use franz::Franz;
pub(super) use mirror_maker::MirrorMaker;

/// A topic to copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) clusters: &'a RealClusters,
    pub(super) topic: &'a str,
    pub(super) data: Dataset,
    /// Bytes on the wire.
    pub(super) stored_bytes: u64,
}

/// Who copies.
#[derive(Debug)]
pub(super) enum Tool<'a> {
    /// Not Kafka at all: as many bytes from a socket to a socket.
    Relay,
    Kferry(&'a Path),
    Franz(Franz),
    MirrorMaker(MirrorMaker),
}

impl Tool<'_> {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Relay => "raw relay",
            Self::Kferry(_) => "kferry",
            Self::Franz(_) => "franz-go mirror",
            Self::MirrorMaker(_) => "MirrorMaker 2",
        }
    }

    /// Copies the topic once; bytes are those of the records, before compression.
    pub(super) fn copy(&self, job: &Job<'_>) -> Result<Sample> {
        let cost = match self {
            Self::Relay => {
                return Ok(Sample { cost: relay::run(job.stored_bytes)?, bytes: job.data.bytes });
            }
            Self::Kferry(binary) => {
                let clusters = job.clusters;
                let (source, target) = (clusters.source.bootstrap(), clusters.target.bootstrap());
                let route = Route { source: &source, target: &target, topics: job.topic };
                sync_once(binary, route)
                    .map(|copied| Sample { cost: copied.cost, bytes: job.data.bytes })
            }
            Self::Franz(franz) => franz.copy(job),
            Self::MirrorMaker(mirror_maker) => mirror_maker.copy(job),
        };
        let sample = cost.with_context(|| format!("{} on {}", self.name(), job.data.name()))?;
        job.clusters.forget(job.topic, job.data.partitions)?;
        Ok(sample)
    }
}
