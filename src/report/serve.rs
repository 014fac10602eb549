//! The report as a page on this machine that keeps up with its folder.
//!
//! A page for one person: requests are answered one after the other, and what was made is kept until a result comes, goes or changes. Besides
//! the report there is `/version`, which the page asks every few seconds.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Cursor};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response};

use super::{Report, Scales};
use crate::figure::{Data, escape};
use crate::record::{self, Names, Skipped, Stamp};

/// What is served.
pub struct Asked {
    pub folder: PathBuf,
    /// The trials that are asked for; `None` for all.
    pub names: Option<Names>,
    /// See [`Data::again`].
    pub again: Option<[String; 2]>,
    /// Where the tuning trials behind them lie, and which these are.
    pub tuning: Option<(PathBuf, Names)>,
}

/// Serves the report of one folder.
pub struct Server {
    asked: Asked,
    http: tiny_http::Server,
    address: SocketAddr,
    page: Option<Page>,
}

/// What was made of the folder.
struct Page {
    version: String,
    html: String,
    /// 200, or 503 where there is no report yet.
    status: u16,
}

/// How long a wish to stop may wait.
const PATIENCE: Duration = Duration::from_millis(200);

impl Server {
    /// Takes an address; port 0 stands for one that is free.
    ///
    /// # Errors
    /// The address is taken, not of this machine or not allowed.
    pub fn bind(asked: Asked, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let http = tiny_http::Server::from_listener(listener, None).map_err(io::Error::other)?;
        Ok(Self { asked, http, address, page: None })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is true. Files that hold no results are told to `skipped` whenever the report is made.
    ///
    /// # Errors
    /// No connection can be taken any more.
    pub fn run(&mut self, stop: &AtomicBool, skipped: &mut dyn FnMut(&Skipped)) -> io::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            if let Some(request) = self.http.recv_timeout(PATIENCE)? {
                let response = self.answer(&request, skipped);
                // Aside, because who asked may be slow to listen, or gone.
                std::thread::spawn(move || request.respond(response));
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: &Request, skipped: &mut dyn FnMut(&Skipped)) -> Response<Cursor<Vec<u8>>> {
        if self.address.ip().is_loopback() && !is_asked_locally(request) {
            return answer(403, PLAIN, "this report is for the machine that it is on\n");
        }
        if !matches!(request.method(), Method::Get | Method::Head) {
            return answer(405, PLAIN, "there is nothing to do but to read\n");
        }
        match request.url().split('?').next() {
            Some("/") => {
                let page = self.page(skipped);
                answer(page.status, HTML, &page.html)
            }
            Some("/version") => answer(200, PLAIN, &version(&self.asked.folder)),
            _ => answer(404, PLAIN, "there is nothing but `/`\n"),
        }
    }

    /// The page of the folder as it is now.
    fn page(&mut self, skipped: &mut dyn FnMut(&Skipped)) -> &Page {
        // Taken before the files are read: one that comes meanwhile makes the page load again.
        let version = version(&self.asked.folder);
        let known = self.page.take().filter(|page| page.version == version);
        self.page.insert(known.unwrap_or_else(|| Page::new(&self.asked, version, skipped)))
    }
}

impl Page {
    fn new(asked: &Asked, version: String, skipped: &mut dyn FnMut(&Skipped)) -> Self {
        let (html, status) = match asked.report(skipped) {
            Ok(html) => (html, 200),
            Err(message) => {
                let head = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>nkfac-bench</title>\n</head>";
                (
                    format!(
                        "{head}\n<body>\n<pre>{}</pre>\n</body>\n</html>\n",
                        message.lines().map(escape).collect::<Vec<_>>().join("\n")
                    ),
                    503,
                )
            }
        };
        Self { html: reloading(&html, &version), version, status }
    }
}

impl Asked {
    fn report(&self, skipped: &mut dyn FnMut(&Skipped)) -> Result<String, String> {
        let mut data = read(&self.folder, self.names.as_ref(), skipped)?;
        data.again.clone_from(&self.again);
        if let Some((folder, names)) = &self.tuning {
            data.tuning = Some(Box::new(read(folder, Some(names), skipped)?));
        }
        Report::new(&data, Scales::Same).map(|report| report.html()).map_err(|error| error.to_string())
    }
}

fn read(folder: &Path, names: Option<&Names>, skipped: &mut dyn FnMut(&Skipped)) -> Result<Data, String> {
    let mut results = record::read(folder).map_err(|error| error.to_string())?;
    results.skipped.iter().for_each(skipped);
    if let Some(names) = names {
        results = results.named(names).map_err(|error| error.to_string())?;
    }
    Data::new(results).map_err(|error| error.to_string())
}

/// The page with the script that loads it again when the folder's version is another.
fn reloading(html: &str, version: &str) -> String {
    let (page, end) = html.rsplit_once("</body>").unwrap_or((html, ""));
    let script = include_str!("reload.js");
    format!("{page}<script data-version=\"{version}\">\n{script}</script>\n</body>{end}")
}

/// Another text for other files: their names, sizes and times.
fn version(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    for path in record::files(folder).unwrap_or_default() {
        (Stamp::of(&path).ok(), path).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Whether the request names this machine as its host. A page elsewhere may have its own name answered with 127.0.0.1 by a name server, to
/// read what is served here (DNS rebinding); its requests have that name in them.
fn is_asked_locally(request: &Request) -> bool {
    request.headers().iter().find(|header| header.field.equiv("Host")).is_some_and(|host| is_local(host.value.as_str()))
}

/// `localhost`, or an address of the loopback, with or without a port.
fn is_local(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return ip.is_loopback();
    }
    host.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case("localhost"))
}

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Nothing is kept by the browser, and the page may load nothing from elsewhere. It comes in one piece.
fn answer(status: u16, kind: &str, text: &str) -> Response<Cursor<Vec<u8>>> {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    let heads = [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
    ];
    let heads = heads.iter().filter_map(|(name, value)| Header::from_bytes(name.as_bytes(), value.as_bytes()).ok());
    let answer = Response::from_string(text).with_status_code(status).with_chunked_threshold(usize::MAX);
    heads.fold(answer, Response::with_header)
}

#[cfg(test)]
mod tests {
    use super::{is_local, reloading};

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:8000", "127.8.8.8", "[::1]", "[::1]:8000"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1:8000", "[2001:db8::1]:80"]
        {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn the_script_goes_to_the_end_of_the_page() {
        let page = reloading("<body>\n<p>&lt;/body&gt;</p>\n</body>\n</html>\n", "12");
        assert!(page.contains("<p>&lt;/body&gt;</p>\n<script data-version=\"12\">"), "{page}");
        assert!(page.ends_with("</script>\n</body>\n</html>\n"), "{page}");
    }
}
