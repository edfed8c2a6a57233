//! A typed request and its typed answer.

use std::{future::Future, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};

use kafka_wire::{
    message::{decode_response, encode_request},
    messages::ApiKey,
    protocol,
};

use super::BrokerConnection;
use crate::ClientError;

/// How one call differs from the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// How long to wait for the answer; without it the client's `request_timeout`.
    pub timeout: Option<Duration>,
    /// Highest version to use.
    pub version_max: Option<i16>,
}

impl BrokerConnection {
    /// [`Self::call`] with another time-out or version.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_with<R: protocol::Request>(
        &self,
        request: R,
        options: CallOptions,
    ) -> impl Future<Output = Result<R::Response, ClientError>> + Send + 'static + use<R> {
        let sent = self.send(&request, options);
        async move {
            let (version, api, connection, frame) = sent?;
            let frame = frame.await?;
            let (_, response) = decode_response::<R>(version, frame)
                .map_err(|error| connection.bad_message(api, version, error))?;
            Ok(response)
        }
    }

    fn send<R: protocol::Request>(
        &self,
        request: &R,
        options: CallOptions,
    ) -> Result<
        (
            i16,
            ApiKey,
            Self,
            impl Future<Output = Result<Bytes, ClientError>> + Send + 'static + use<R>,
        ),
        ClientError,
    > {
        let api = api_of::<R>()?;
        let version = self.version_for::<R>(options.version_max)?;
        let correlation_id = self.next_correlation_id();
        let frame = encode_request(correlation_id, &self.shared.client_id, version, request)
            .map_err(|error| self.bad_message(api, version, error))?;
        let timeout = options.timeout.unwrap_or(self.shared.limits.request_timeout);
        Ok((
            version,
            api,
            self.clone(),
            self.submit(api, version, correlation_id, vec![frame], timeout),
        ))
    }

    pub(super) fn bad_message(
        &self,
        api: ApiKey,
        version: i16,
        error: impl ToString,
    ) -> ClientError {
        ClientError::Message {
            address: self.shared.address.clone(),
            api,
            version,
            message: error.to_string(),
        }
    }
}

pub(super) fn api_of<R: protocol::Request>() -> Result<ApiKey, ClientError> {
    ApiKey::try_from(R::KEY)
        .map_err(|()| ClientError::InvalidArgument(format!("unknown API key {}", R::KEY)))
}

impl BrokerConnection {
    /// Sends a body that we encoded ourselves, in a version with headers of the old form (request v1, response v0).
    /// Gives the answer's body.
    pub(crate) fn call_raw(
        &self,
        api: ApiKey,
        version: i16,
        body: Bytes,
    ) -> impl Future<Output = Result<Bytes, ClientError>> + Send + 'static + use<> {
        let correlation_id = self.next_correlation_id();
        let client_id = self.shared.client_id.as_bytes();
        let client_id = &client_id[..client_id.len().min(usize::from(u8::MAX))];
        let mut frame = BytesMut::with_capacity(14 + client_id.len() + body.len());
        let length = 10 + client_id.len() + body.len();
        frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        frame.put_i16(api as i16);
        frame.put_i16(version);
        frame.put_i32(correlation_id);
        frame.put_u16(u16::try_from(client_id.len()).unwrap_or(0));
        frame.put_slice(client_id);
        frame.put_slice(&body);
        let timeout = self.shared.limits.request_timeout;
        let answer = self.submit(api, version, correlation_id, vec![frame.freeze()], timeout);
        // The machine has matched the four bytes of the correlation id.
        async move { answer.await.map(|frame| frame.slice(frame.len().min(4)..)) }
    }
}
