//! Topics and groups, made and looked at.

use super::{NONE, Reader, Wire, Writer};
use anyhow::{Result, ensure};

const OFFSET_COMMIT: (i16, i16) = (8, 2);
const OFFSET_FETCH: (i16, i16) = (9, 1);
const FIND_COORDINATOR: (i16, i16) = (10, 0);
const CREATE_TOPICS: (i16, i16) = (19, 2);

const CREATE_TIMEOUT_MS: i32 = 25_000;
/// The group has no generation, its members no id, and its offsets live as long as the broker says.
const NO_GENERATION: i32 = -1;
const BROKER_RETENTION_MS: i64 = -1;

impl Wire {
    /// Creates topics of one replica.
    pub(in crate::bench) fn create_topics(
        &mut self,
        topics: &[String],
        partitions: u32,
    ) -> Result<()> {
        let mut body = Writer::default();
        body.i32(i32::try_from(topics.len())?);
        for topic in topics {
            body.string(topic)?.i32(i32::try_from(partitions)?).i16(1);
            body.i32(0).i32(0); // assignments, settings
        }
        body.i32(CREATE_TIMEOUT_MS).0.push(0); // not only validated
        let answer = self.call(CREATE_TOPICS, &body)?;
        let mut answer = Reader(&answer);
        answer.i32()?; // throttle
        for topic in topics.iter().take(usize::try_from(answer.i32()?)?) {
            answer.string()?;
            let code = answer.i16()?;
            ensure!(code == NONE, "CreateTopics of {topic}: error {code}");
            answer.string()?; // the message
        }
        Ok(())
    }

    /// Asks who coordinates a group: the first time, a broker makes its topic for offsets.
    pub(in crate::bench) fn find_coordinator(&mut self, group: &str) -> Result<()> {
        let mut body = Writer::default();
        body.string(group)?;
        self.call(FIND_COORDINATOR, &body).map(drop)
    }

    /// Commits `offset` in every partition of the topics.
    pub(in crate::bench) fn commit(
        &mut self,
        group: &str,
        topics: &[String],
        partitions: u32,
        offset: i64,
    ) -> Result<()> {
        let mut body = Writer::default();
        body.string(group)?.i32(NO_GENERATION).string("")?.i64(BROKER_RETENTION_MS);
        body.i32(i32::try_from(topics.len())?);
        for topic in topics {
            body.string(topic)?.i32(i32::try_from(partitions)?);
            for partition in 0..partitions {
                body.i32(i32::try_from(partition)?).i64(offset).string("")?;
            }
        }
        let answer = self.call(OFFSET_COMMIT, &body)?;
        let mut answer = Reader(&answer);
        for _ in 0..answer.i32()? {
            answer.string()?;
            for _ in 0..answer.i32()? {
                let (index, code) = (answer.i32()?, answer.i16()?);
                ensure!(code == NONE, "OffsetCommit of {group} at partition {index}: error {code}");
            }
        }
        Ok(())
    }

    /// In how many partitions of the topics the group has an offset.
    pub(in crate::bench) fn committed(
        &mut self,
        group: &str,
        topics: &[String],
        partitions: u32,
    ) -> Result<usize> {
        let mut body = Writer::default();
        body.string(group)?.i32(i32::try_from(topics.len())?);
        for topic in topics {
            body.string(topic)?.i32(i32::try_from(partitions)?);
            for partition in 0..partitions {
                body.i32(i32::try_from(partition)?);
            }
        }
        let answer = self.call(OFFSET_FETCH, &body)?;
        let mut answer = Reader(&answer);
        let mut count = 0;
        for _ in 0..answer.i32()? {
            answer.string()?;
            for _ in 0..answer.i32()? {
                answer.i32()?;
                let offset = answer.i64()?;
                answer.string()?; // the commit's text
                answer.i16()?;
                count += usize::from(offset >= 0);
            }
        }
        Ok(count)
    }
}
