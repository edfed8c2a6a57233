//! Schema registries: where the schemas of a rule come from at run time (ADR 0020).
//!
//! `client` speaks the REST interface that Confluent's, Karapace's and Apicurio's registries share, `http` carries its requests.
//! [`Registries`] knows what one task's rule needs of the registries of its two ends, and what they said. Who holds records back meanwhile
//! is the worker's business.

mod book;
mod client;
mod error;
mod http;
mod needs;
mod resolve;
mod subject;
mod url;

pub(crate) use self::{
    book::Known,
    error::{Away, Unresolved},
};
pub use self::{
    book::Registries,
    client::RegistryClient,
    error::RegistryError,
    http::{Login, RegistryConfig},
    needs::Needs,
    url::RegistryUrl,
};

#[cfg(test)]
mod tests;
