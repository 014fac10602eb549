//! One file over HTTP: a partial download is resumed, a dropped connection retried.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Attempts in a row that bring nothing new.
const ATTEMPTS: u32 = 4;
/// Before the second attempt; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(30);
/// Between two pieces of a file.
const SILENCE: Duration = Duration::from_secs(60);

/// What can go wrong for good.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Http(String),
    #[error("it sends more than {most} bytes")]
    TooLong { most: u64 },
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
}

/// Downloads `url` to `path`, appending to what is there; `on_bytes` hears how many of how many bytes there are.
///
/// The file may still be wrong: servers lie, and its beginning may be of another version. A checksum has to tell.
pub fn download(url: &str, path: &Path, most: u64, on_bytes: &mut dyn FnMut(u64, Option<u64>)) -> Result<(), Failure> {
    let agent = agent(url);
    let mut failed = 0;
    loop {
        let before = size(path)?;
        let message = match attempt(&agent, url, path, most, on_bytes) {
            Ok(()) => return Ok(()),
            Err(Attempt::Final(failure)) => return Err(failure),
            Err(Attempt::Cut(message)) => message,
        };
        failed = if size(path)? > before { 0 } else { failed + 1 };
        if failed == ATTEMPTS {
            return Err(Failure::Http(message));
        }
        thread::sleep(PAUSE * (1 << failed));
    }
}

/// A `.gz` is to come as it is. No proxy leads to this machine's own servers.
fn agent(url: &str) -> Agent {
    let config = Agent::config_builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("")
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE))
        .http_status_as_error(false)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build());
    let host = url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned));
    let config = match host.as_deref() {
        Some("127.0.0.1" | "localhost" | "[::1]") => config.proxy(None),
        _ => config,
    };
    config.build().new_agent()
}

/// Why one attempt ended.
enum Attempt {
    /// Another may do better.
    Cut(String),
    Final(Failure),
}

impl From<io::Error> for Attempt {
    fn from(error: io::Error) -> Self {
        Self::Final(Failure::Write(error))
    }
}

fn attempt(
    agent: &Agent,
    url: &str,
    path: &Path,
    most: u64,
    on_bytes: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Attempt> {
    let have = size(path).map_err(Attempt::Final)?;
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => Attempt::Final(Failure::Http(text(&error))),
        error => Attempt::Cut(text(&error)),
    })?;
    let start = match response.status() {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT if range(&response).map(|(start, _)| start) == Some(Some(have)) => have,
        StatusCode::RANGE_NOT_SATISFIABLE if range(&response) == Some((None, Some(have))) => return Ok(()),
        // What is there does not fit what the server has: once more from the beginning.
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
            File::create(path)?;
            return Err(Attempt::Cut("it answers with another range than asked for".into()));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(Attempt::Cut(format!("it answers {status}")));
        }
        status => return Err(Attempt::Final(Failure::Http(format!("it answers {status}")))),
    };
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    file.set_len(start)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(start))?;
    let total = header(&response, CONTENT_LENGTH).and_then(|rest| rest.parse::<u64>().ok()).map(|rest| start + rest);
    let mut done = start;
    let mut body = response.body_mut().as_reader();
    let mut piece = vec![0; 1 << 16];
    loop {
        let bytes = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => &piece[..length],
            Err(error) => return Err(Attempt::Cut(text(&error))),
        };
        done += bytes.len() as u64;
        if done > most {
            return Err(Attempt::Final(Failure::TooLong { most }));
        }
        file.write_all(bytes)?;
        on_bytes(done, total);
    }
    file.sync_all()?;
    Ok(())
}

fn size(path: &Path) -> Result<u64, Failure> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Failure::Write(error)),
    }
}

/// First byte and length of the whole by `bytes 100-199/200` or `bytes */200`.
fn range(response: &Response<Body>) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = header(response, CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-').and_then(|(start, _)| start.parse().ok()), total.parse().ok()))
}

fn header(response: &Response<Body>, name: ureq::http::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The error with its causes: the outermost words end where it gets interesting.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
