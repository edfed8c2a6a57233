//! A typed request and its typed answer.

use std::{future::Future, time::Duration};

use bytes::Bytes;

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
                .map_err(|error| connection.shared.bad_message(api, version, error))?;
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
        let (version, correlation_id, frame) = self.encode(request, options)?;
        let timeout = options.timeout.unwrap_or(self.shared.limits.request_timeout);
        Ok((
            version,
            api,
            self.clone(),
            self.submit(api, version, correlation_id, vec![frame], timeout),
        ))
    }

    /// The version and the correlation id that a request is sent with, and its frame.
    pub(super) fn encode<R: protocol::Request>(
        &self,
        request: &R,
        options: CallOptions,
    ) -> Result<(i16, i32, Bytes), ClientError> {
        let version = self.version_for::<R>(options.version_max)?;
        let correlation_id = self.next_correlation_id();
        let frame = encode_request(correlation_id, &self.shared.client_id, version, request)
            .map_err(|error| match api_of::<R>() {
                Ok(api) => self.shared.bad_message(api, version, error),
                Err(unknown) => unknown,
            })?;
        Ok((version, correlation_id, frame))
    }
}

pub(super) fn api_of<R: protocol::Request>() -> Result<ApiKey, ClientError> {
    ApiKey::try_from(R::KEY)
        .map_err(|()| ClientError::InvalidArgument(format!("unknown API key {}", R::KEY)))
}
