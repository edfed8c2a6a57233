//! DescribeConfigs version 0, which only 0.11 brokers need and `kafka-protocol` does not know.
//!
//! Request: array of (type i8, name string, nullable array of key strings). Answer: throttle i32, array of
//! (error i16, message nullable string, type i8, name string, array of (name string, value nullable
//! string, read-only bool, is-default bool, is-sensitive bool)).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Peer, Reply, configs};
use crate::topic_config::Source;

/// Larger requests are nonsense.
const RESOURCES_MAX: usize = 100_000;

struct Asked {
    kind: i8,
    name: String,
    keys: Option<Vec<String>>,
}

pub(super) fn handle(peer: &Peer, correlation: i32, frame: Bytes) -> Reply {
    let Some(asked) = parse(frame) else { return Reply::Close };
    let mut out = BytesMut::new();
    out.put_i32(0);
    out.put_i32(correlation);
    out.put_i32(0);
    out.put_i32(i32::try_from(asked.len()).unwrap_or(i32::MAX));
    for asked in &asked {
        put_result(&mut out, peer, asked);
    }
    let length = i32::try_from(out.len() - 4).unwrap_or(i32::MAX);
    out[..4].copy_from_slice(&length.to_be_bytes());
    Reply::Chunks(vec![out.freeze()])
}

fn put_result(out: &mut BytesMut, peer: &Peer, asked: &Asked) {
    let found = configs::described(peer, asked.kind, &asked.name);
    let (code, message) = match &found {
        Ok(_) => (0, None),
        Err((code, message)) => (code.0, Some(message.as_str())),
    };
    out.put_i16(code);
    put_string(out, message);
    out.put_i8(asked.kind);
    put_string(out, Some(&asked.name));
    let wanted =
        |name: &str| asked.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key == name));
    let entries: Vec<_> =
        found.unwrap_or_default().into_iter().filter(|entry| wanted(entry.name)).collect();
    out.put_i32(i32::try_from(entries.len()).unwrap_or(i32::MAX));
    for entry in entries {
        put_string(out, Some(entry.name));
        put_string(out, Some(&entry.value));
        out.put_u8(0);
        out.put_u8(u8::from(entry.source != Source::DynamicTopic));
        out.put_u8(0);
    }
}

fn put_string(out: &mut BytesMut, value: Option<&str>) {
    let Some(value) = value else { return out.put_i16(-1) };
    out.put_i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
    out.put_slice(value.as_bytes());
}

/// The request after its header (key, version, correlation, nullable client id).
fn parse(mut frame: Bytes) -> Option<Vec<Asked>> {
    frame.try_get_u64().ok()?;
    string(&mut frame)?;
    let count = array(&mut frame)??;
    let mut asked = Vec::new();
    for _ in 0..count {
        let kind = frame.try_get_i8().ok()?;
        let name = string(&mut frame)??;
        let keys = match array(&mut frame)? {
            None => None,
            Some(count) => {
                Some((0..count).map(|_| string(&mut frame)?).collect::<Option<Vec<_>>>()?)
            }
        };
        asked.push(Asked { kind, name, keys });
    }
    Some(asked)
}

/// Count of an array; the inner `None` is null.
fn array(frame: &mut Bytes) -> Option<Option<usize>> {
    let count = frame.try_get_i32().ok()?;
    if count < 0 {
        return Some(None);
    }
    usize::try_from(count).ok().filter(|count| *count <= RESOURCES_MAX).map(Some)
}

/// A nullable string; the inner `None` is null.
fn string(frame: &mut Bytes) -> Option<Option<String>> {
    let length = frame.try_get_i16().ok()?;
    let Ok(length) = usize::try_from(length) else { return Some(None) };
    if frame.len() < length {
        return None;
    }
    String::from_utf8(frame.split_to(length).into()).ok().map(Some)
}
