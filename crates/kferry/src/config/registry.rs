//! Schema registries as they stand in a task file.

use replicate::registry::{Login, RegistryClient, RegistryConfig, RegistryUrl};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    connection::{PasswordSource, TlsSection, secret, tls},
    place::Place,
};
use crate::failure::Failure;

/// The schema registries of both ends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Registries")]
pub(super) struct RegistriesSection {
    /// The registry that has the schemas of what is read.
    #[schemars(with = "Option<RegistrySection>")]
    source: Option<Spanned<RegistrySection>>,
    /// The registry that has, or gets, the schemas of what is written.
    #[schemars(with = "Option<RegistrySection>")]
    target: Option<Spanned<RegistrySection>>,
}

/// A schema registry, and how it is reached.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Registry")]
struct RegistrySection {
    /// Where it is: `http://HOST[:PORT][/PATH]`, or `https`.
    #[schemars(with = "String")]
    url: Spanned<String>,
    /// How its certificate is verified, and our own; the system's authorities without it.
    tls: Option<TlsSection>,
    /// The user's name; needs `password`.
    #[schemars(with = "Option<String>")]
    username: Option<Spanned<String>>,
    /// Where the password is found, `{env: VARIABLE}` or `{file: PATH}`; never the password itself. A file is read anew for each request.
    #[schemars(with = "Option<PasswordSource>")]
    password: Option<Spanned<PasswordSource>>,
    /// Where a bearer token is found, likewise, in place of user and password.
    #[schemars(with = "Option<PasswordSource>")]
    token: Option<Spanned<PasswordSource>>,
}

/// The clients of the registries of source and target.
///
/// # Errors
/// A usage [`Failure`] with file, line, column and the line itself.
pub(super) fn build(
    place: &Place<'_>,
    section: &RegistriesSection,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<[Option<RegistryClient>; 2], Failure> {
    let client = |section: &Option<Spanned<RegistrySection>>| {
        section.as_ref().map(|section| client(place, &section.value, env)).transpose()
    };
    Ok([client(&section.source)?, client(&section.target)?])
}

fn client(
    place: &Place<'_>,
    section: &RegistrySection,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<RegistryClient, Failure> {
    let url = section.url.value.parse::<RegistryUrl>().map_err(|cause| {
        place.failure(section.url.referenced, &format!("url: {cause}")).cure(
            "write http://HOST:PORT or https://HOST:PORT, with a path where the registry has one; user and password stand beside it",
        )
    })?;
    let mut config = RegistryConfig::new(url);
    if let Some(section) = &section.tls {
        config.tls = tls(place, section)?;
    }
    let mut read = |source: &Spanned<PasswordSource>| {
        if let PasswordSource::File(path) = &source.value {
            config.secret_file = Some(place.resolve(path));
        }
        secret(place, source, env)
    };
    let wrong = |at, message: &str, cure: &str| Err(place.failure(at, message).cure(cure));
    config.login = match (&section.username, &section.password, &section.token) {
        (None, None, None) => None,
        (None, None, Some(token)) => Some(Login::Bearer(read(token)?)),
        (_, _, Some(token)) => {
            return wrong(
                token.referenced,
                "token: a token stands in place of user and password",
                "leave out either token, or username and password",
            );
        }
        (Some(username), Some(_), None) if username.value.contains(':') => {
            return wrong(username.referenced, "username: it has a colon", "correct the name");
        }
        (Some(username), Some(password), None) => {
            Some(Login::Basic { username: username.value.clone(), password: read(password)? })
        }
        (Some(username), None, None) => {
            return wrong(username.referenced, "username needs password", "add password");
        }
        (None, Some(password), None) => {
            return wrong(password.referenced, "password needs username", "add username");
        }
    };
    RegistryClient::new(config).map_err(|error| {
        let cure = error.cure().unwrap_or_else(|| "correct tls".to_owned());
        place.failure(section.url.referenced, &error.to_string()).cure(cure)
    })
}
