//! One file over HTTP: what came already is gone on with, a connection that is cut is made again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Write)?;
    runtime.block_on(async {
        let client = client(url).build().map_err(|error| Failure::Http(text(&error)))?;
        let mut failed = 0;
        loop {
            let before = size(path)?;
            let message = match attempt(&client, url, path, most, on_bytes).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Final(failure)) => return Err(failure),
                Err(Attempt::Cut(message)) => message,
            };
            failed = if size(path)? > before { 0 } else { failed + 1 };
            if failed == ATTEMPTS {
                return Err(Failure::Http(message));
            }
            tokio::time::sleep(PAUSE * (1 << failed)).await;
        }
    })
}

/// A `.gz` is to come as it is, whatever other crates switch on. No proxy leads to this machine's own servers.
fn client(url: &str) -> ClientBuilder {
    let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let client = Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).user_agent(agent).no_gzip();
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    match host.as_deref() {
        Some("127.0.0.1" | "localhost" | "[::1]") => client.no_proxy(),
        _ => client,
    }
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

async fn attempt(
    client: &Client,
    url: &str,
    path: &Path,
    most: u64,
    on_bytes: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Attempt> {
    let cut = |error: reqwest::Error| Attempt::Cut(text(&error));
    let have = size(path).map_err(Attempt::Final)?;
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = request.send().await.map_err(|error| match error.is_builder() {
        true => Attempt::Final(Failure::Http(text(&error))),
        false => cut(error),
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
    let total = response.content_length().map(|rest| start + rest);
    let mut done = start;
    while let Some(bytes) = response.chunk().await.map_err(cut)? {
        done += bytes.len() as u64;
        if done > most {
            return Err(Attempt::Final(Failure::TooLong { most }));
        }
        file.write_all(&bytes)?;
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
fn range(response: &Response) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) =
        response.headers().get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-').and_then(|(start, _)| start.parse().ok()), total.parse().ok()))
}

/// The error with its causes: reqwest's own words end where it gets interesting.
fn text(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
