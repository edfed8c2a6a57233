//! One request to a registry: HTTP/1.1 on a connection of its own, JSON both ways, everything bounded.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use kafka_client::{ConnectError, Connector, TcpConnector, TlsConfig, TlsConnector};
use kafka_wire::secret::Secret;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{error::RegistryError, url::RegistryUrl};

/// The largest answer.
pub(super) const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long one request may take, connection included.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// How often something that may pass is tried.
const TRIES_MAX: u32 = 3;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// The most of somebody's words that is told.
const WORDS_MAX: usize = 200;
/// No password or token is longer.
const SECRET_BYTES_MAX: u64 = 1 << 20;
/// What registries speak.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Who we are to a registry.
#[derive(Clone, Debug)]
pub enum Login {
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// Their password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// How a registry is reached.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Where it is.
    pub url: RegistryUrl,
    /// How its certificate is verified, and ours.
    pub tls: TlsConfig,
    /// Who we are; nobody in particular without it.
    pub login: Option<Login>,
    /// Where password or token are read anew for each request: tokens end.
    pub secret_file: Option<PathBuf>,
}

impl RegistryConfig {
    /// Nobody in particular, with the system's authorities.
    #[must_use]
    pub fn new(url: RegistryUrl) -> Self {
        Self { url, tls: TlsConfig::default(), login: None, secret_file: None }
    }
}

/// Sends requests to one registry.
#[derive(Clone)]
pub(super) struct Http {
    config: Arc<RegistryConfig>,
    connector: Arc<dyn Connector>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.config.url)
    }
}

impl Http {
    pub(super) fn new(config: RegistryConfig) -> Result<Self, ConnectError> {
        let connector: Arc<dyn Connector> = if config.url.is_tls {
            Arc::new(TlsConnector::new(&config.tls)?)
        } else {
            Arc::new(TcpConnector::new())
        };
        Ok(Self::with_connector(config, connector))
    }

    pub(super) fn with_connector(config: RegistryConfig, connector: Arc<dyn Connector>) -> Self {
        Self { config: Arc::new(config), connector }
    }

    pub(super) fn url(&self) -> &RegistryUrl {
        &self.config.url
    }

    /// The answer's JSON. What may pass is tried again a few times.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            let sent = self.exchange(method.clone(), path, body);
            let result = timeout(REQUEST_TIME_MAX, sent).await.unwrap_or_else(|_| {
                Err(RegistryError::TimedOut { url: self.place(path), after: REQUEST_TIME_MAX })
            });
            match result {
                Err(error) if error.is_passing() && tries < TRIES_MAX => {
                    tracing::debug!(%error, tries, "a registry is asked again");
                }
                result => return result,
            }
            sleep(pause).await;
            pause *= 2;
            tries += 1;
        }
    }

    fn place(&self, path: &str) -> String {
        format!("{}{path}", self.config.url)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        let request = self.request(method, path, body)?;
        let connected = self.connector.connect(&self.config.url.address).await;
        let stream = connected
            .map_err(|error| RegistryError::Connect { url: self.config.url.to_string(), error })?;
        let broken = |error: hyper::Error| self.broken(path, &error);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with this future.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        self.read(path, response).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, RegistryError> {
        let url = &self.config.url;
        let content = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", url.path))
            .header(header::HOST, url.host())
            .header(header::USER_AGENT, "kferry")
            .header(header::ACCEPT, format!("{CONTENT_TYPE}, application/json"))
            .header(header::CONNECTION, "close");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, CONTENT_TYPE);
        }
        if let Some(login) = self.authorization() {
            request = request.header(header::AUTHORIZATION, login);
        }
        request.body(Full::new(content.into())).map_err(|error| RegistryError::Broken {
            url: self.place(path),
            message: error.to_string(),
            is_foreign: true,
        })
    }

    /// Who we are, as of now. A file that cannot be read leaves the last secret in force: the registry judges it.
    fn authorization(&self) -> Option<HeaderValue> {
        let login = self.config.login.as_ref()?;
        let fresh = self.config.secret_file.as_deref().and_then(read_secret);
        let text = match login {
            Login::Basic { username, password } => {
                let password = fresh.as_ref().unwrap_or(password).expose();
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
            }
            Login::Bearer(token) => {
                format!("Bearer {}", fresh.as_ref().unwrap_or(token).expose().trim())
            }
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    async fn read(&self, path: &str, response: Response<Incoming>) -> Result<Value, RegistryError> {
        let status = response.status();
        let url = || self.place(path);
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            let location = clip(location);
            return Err(RegistryError::Redirected {
                url: url(),
                status: status.as_u16(),
                location,
            });
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => self.broken(path, &error),
            Err(_) => RegistryError::TooLarge { url: url(), bytes_max: ANSWER_BYTES_MAX },
        })?;
        let body = body.to_bytes();
        let found = serde_json::from_slice::<Value>(&body);
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return found.map_err(|error| RegistryError::Garbage {
                url: url(),
                message: format!("{error} in {:?}", clip(&String::from_utf8_lossy(&body))),
            });
        }
        let found = found.unwrap_or_default();
        let code = found["error_code"].as_i64();
        let message = found["message"].as_str().map(clip);
        Err(RegistryError::Refused { url: url(), status: status.as_u16(), code, message })
    }

    fn broken(&self, path: &str, error: &hyper::Error) -> RegistryError {
        let message = if error.is_parse() {
            format!("the answer is no HTTP: {error}")
        } else {
            format!("the connection broke: {error}")
        };
        RegistryError::Broken { url: self.place(path), message, is_foreign: error.is_parse() }
    }
}

fn read_secret(path: &Path) -> Option<Secret> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text));
    if let Err(error) = read {
        tracing::warn!(path = %path.display(), %error, "the registry's password file cannot be read anew");
        return None;
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| Secret::new(text.to_owned()))
}

/// The beginning of somebody's words, without what steers terminals.
fn clip(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(WORDS_MAX).collect()
}
