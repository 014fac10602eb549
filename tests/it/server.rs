//! An HTTP server that misbehaves as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    /// The first byte of the range.
    pub range: Option<usize>,
}

pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// The first bytes of the ranges that were asked for so far, one a request.
    pub fn ranges(&self) -> Vec<Option<usize>> {
        self.requests.lock().unwrap().iter().map(|request| request.range).collect()
    }
}

/// Answers every request with the bytes that `answer` makes of it and its number, then closes the connection.
pub fn serve(answer: impl Fn(usize, &Request) -> Vec<u8> + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/sets/", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let heads: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let range = heads
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.trim_end_matches('-').parse().ok());
            let request = Request { path, range };
            seen.lock().unwrap().push(request.clone());
            let number = seen.lock().unwrap().len();
            // The client may have gone in the middle of an answer.
            let _ = stream.write_all(&answer(number, &request));
        }
    });
    Server { url, requests }
}

/// An answer that claims to be `length` bytes long.
pub fn answer(status: &str, heads: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{heads}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// What a well-behaved server answers.
pub fn good(content: &[u8], request: &Request) -> Vec<u8> {
    let all = content.len();
    match request.range {
        None => answer("200 OK", "", all, content),
        Some(start) if start >= all => {
            answer("416 Range Not Satisfiable", &format!("Content-Range: bytes */{all}\r\n"), 0, b"")
        }
        Some(start) => {
            let range = format!("Content-Range: bytes {start}-{}/{all}\r\n", all - 1);
            answer("206 Partial Content", &range, all - start, &content[start..])
        }
    }
}
