//! As much of HTTP/1.1 as a well-behaved client needs: one request, one answer, close.

use kafka_client::Stream;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

/// The largest request.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// As it came, escapes and all.
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Value,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn of(body: &Value) -> Self {
        Self { status: 200, body: body.to_string() }
    }

    pub(super) fn error(status: u16, code: u32, message: &str) -> Self {
        let body = serde_json::json!({ "error_code": code, "message": message });
        Self { status, body: body.to_string() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { status, body } = self;
        let head = format!(
            "HTTP/1.1 {status} As it is\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\nLocation: http://elsewhere\r\nConnection: close\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// Reads a request; `None` when there is none.
pub(super) async fn read(stream: &mut impl Stream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_bytes = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
        if !bytes[0].is_ascii_uppercase() {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_bytes].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (mut authorization, mut body_bytes) = (None, 0);
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_owned()),
            "content-length" => body_bytes = value.parse().ok()?,
            _ => {}
        }
    }
    while bytes.len() < head_bytes + body_bytes {
        more(stream, &mut bytes).await?;
    }
    let body = serde_json::from_slice(&bytes[head_bytes..]).unwrap_or_default();
    Some(Request { method, path, authorization, body })
}

async fn more(stream: &mut impl Stream, bytes: &mut Vec<u8>) -> Option<()> {
    let count = stream.read_buf(bytes).await.ok()?;
    (count > 0 && bytes.len() <= REQUEST_BYTES_MAX).then_some(())
}
