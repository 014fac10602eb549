//! The served report, asked over plain sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use super::faults::signal;
use super::program::{Alive, command, run};
use super::report::sample;
use super::sweep::{SMALL, folder};

/// A server at work.
struct Served {
    process: Alive,
    /// `127.0.0.1:40123`.
    address: String,
}

fn serve(folder: &Path, address: &str) -> Served {
    serve_of(folder, &["report", ".", "--serve", address])
}

fn serve_of(folder: &Path, args: &[&str]) -> Served {
    let mut command = command(folder, args);
    let mut process = Alive(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    Served { process, address }
}

impl Served {
    /// What comes back for these bytes; nothing if the connection is closed instead.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // The server may have closed it in the middle of what it does not understand.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> String {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
    }

    fn get(&self, path: &str) -> String {
        self.ask("GET", path, &self.address)
    }

    /// What it had said on standard error when Ctrl-C ended it.
    fn interrupt(mut self) -> String {
        signal(self.process.0.id(), "INT");
        assert_eq!(self.process.0.wait().unwrap().code(), Some(0));
        let mut said = String::new();
        self.process.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    fn version(&self) -> String {
        let answer = self.get("/version");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer.rsplit_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

#[test]
fn a_served_report_keeps_up_with_its_folder() {
    let (folder, shown) = (sample(), tempfile::tempdir().unwrap());
    let mut results: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    results.sort();
    let served = serve(shown.path(), "0");
    assert!(served.address.starts_with("127.0.0.1:"), "{}", served.address);
    let empty = served.get("/");
    assert!(empty.starts_with("HTTP/1.1 503 ") && empty.contains("no results in `.`"), "{empty}");
    let mut versions = vec![served.version()];
    for (count, path) in results.iter().enumerate().take(2) {
        std::fs::copy(path, shown.path().join(path.file_name().unwrap())).unwrap();
        versions.push(served.version());
        assert_eq!(served.version(), versions[count + 1], "nothing has changed since");
        let page = served.get("/?again");
        assert!(page.starts_with("HTTP/1.1 200 "), "{}", &page[..200]);
        assert!(page.contains(&format!("{} finished, 0 diverged", count + 1)), "the trials are told");
        assert!(page.contains(&format!("<script data-version=\"{}\">", versions[count + 1])));
    }
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 3);
    // What is written to a file asks nobody for anything.
    run(shown.path(), &["report", "."]);
    let file = std::fs::read_to_string(shown.path().join("_figures/report.html")).unwrap();
    assert!(!file.contains("fetch(") && served.get("/").contains("fetch("));
}

#[test]
fn a_served_report_of_a_file_says_how_to_run_that_file_again() {
    let folder = folder(&SMALL.replace("name = \"small\"", "name = \"small\"\ntarget = 0.5"));
    std::fs::create_dir(folder.path().join("my files")).unwrap();
    std::fs::rename(folder.path().join("x.toml"), folder.path().join("my files/x.toml")).unwrap();
    let asked = ["my files/x.toml", "--set", "batch=32", "--seeds", "1"];
    assert_eq!(run(folder.path(), &[&["run"][..], &asked].concat()).code, 0);
    let served = serve_of(folder.path(), &[&["report"][..], &asked, &["--serve", "0"]].concat());
    let page = served.get("/");
    let again = "&#39;my files/x.toml&#39; --set batch=32 --seeds 1";
    let again = if page.contains(again) { again.to_owned() } else { again.replace("&#39;", "'") };
    assert!(page.contains(&format!("nkfac-bench run {again} --device cpu --threads ")), "{page}");
    assert!(page.contains(&format!("nkfac-bench report {again}")), "{page}");
}

#[test]
fn what_is_no_request_for_it_gets_no_report() {
    let folder = sample();
    let served = serve(folder.path(), "127.0.0.1:0");
    let port = served.address.rsplit_once(':').unwrap().1.to_owned();
    let status = |answer: String| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    for (answer, expected) in [
        (served.send(b"garbage\r\n\r\n"), "400"),
        (served.send(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"), "400"),
        (served.send(b"\xff\xfe\r\n\r\n"), ""),
        (served.send(b""), ""),
        (served.send(&[b'x'; 100_000]), ""),
        (served.get("/../../etc/passwd"), "404"),
        (served.get("/report.html"), "404"),
        (served.ask("POST", "/", &served.address), "405"),
        (served.ask("GET", "/", "evil.example"), "403"),
        (served.ask("GET", "/version", &format!("evil.example:{port}")), "403"),
        (served.send(b"GET / HTTP/1.0\r\n\r\n"), "403"),
        (served.ask("GET", "/", &format!("localhost:{port}")), "200"),
    ] {
        assert_eq!(status(answer), expected);
    }
    let head = served.ask("HEAD", "/", &served.address);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n") && !head.contains("<html"), "{head}");
}

#[test]
fn a_server_ends_when_asked_to_and_says_when_it_cannot_begin() {
    let folder = sample();
    let served = serve(folder.path(), "0");
    let taken = run(folder.path(), &["report", ".", "--serve", &served.address]);
    assert_eq!((taken.code, taken.out.as_str()), (1, ""));
    assert!(taken.err.starts_with(&format!("error: cannot serve at {}: ", served.address)), "{}", taken.err);
    assert!(taken.err.contains("\nhint: `--serve 127.0.0.1:"), "{}", taken.err);
    assert_eq!(served.interrupt(), "", "nobody else can read it");
    let said = serve(folder.path(), "0.0.0.0:0").interrupt();
    assert!(said.starts_with("warning: whoever reaches 0.0.0.0:"), "{said}");

    let missing = run(folder.path(), &["report", "nowhere", "--serve"]);
    assert!(missing.code == 1 && missing.err.contains("there is no `nowhere`\nhint: "), "{}", missing.err);
    assert_eq!(run(folder.path(), &["report", ".", "--serve", "--out", "x.html"]).code, 2);
    let wrong = run(folder.path(), &["report", "--serve", "."]);
    assert!(wrong.code == 2 && wrong.err.contains("the folder goes before `--serve`"), "{}", wrong.err);
}
