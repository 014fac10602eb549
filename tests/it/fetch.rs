//! Data sets are fetched whole or not at all, whatever a server does.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nkfac_bench::data::fetch::{Outcome, Progress, fetch_source};
use nkfac_bench::data::{Archive, Error, Source, Sum};
use sha2::{Digest, Sha256};

use super::program::run;
use super::server::{Server, answer, good, serve};

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i % 251) as u8).collect()
}

fn sum(bytes: &[u8]) -> Sum {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Sum::Sha256(hex.leak())
}

/// A set of one file that needs no unpacking.
fn source(bytes: &[u8]) -> Source {
    let archives = vec![Archive { name: "set.bin", bytes: bytes.len() as u64, sum: sum(bytes) }];
    Source {
        licence: "none",
        url: "http://127.0.0.1:1",
        archives: archives.leak(),
        folder: "set",
        other_folder: None,
        files: &[("set.bin", None)],
    }
}

/// Fetches the content from `from` into `folder`.
fn fetch(folder: &Path, from: &str) -> Result<Outcome, Error> {
    fetch_source("set", &source(&content()), Some(from), folder, &mut |_| {})
}

/// Fetches from `server` and compares; the ranges that were asked for.
fn fetched(folder: &Path, server: &Server) -> Vec<Option<usize>> {
    assert_eq!(fetch(folder, &server.url).unwrap(), Outcome::Fetched);
    assert!(fs::read(folder.join("set/set.bin")).unwrap() == content());
    let left: Vec<_> = fs::read_dir(folder.join(".fetch")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["set.lock"], "nothing is left but the lock");
    server.ranges()
}

#[test]
fn a_set_is_fetched_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, request| good(&content(), request));
    assert_eq!(fetched(folder.path(), &server), [None]);
    // As if the first had been killed before it had cleared up.
    let left = folder.path().join(".fetch/set");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("set.bin"), b"x").unwrap();
    assert_eq!(fetch(folder.path(), &server.url).unwrap(), Outcome::Found);
    assert!(server.ranges().len() == 1 && !left.exists());
}

#[test]
fn a_connection_that_is_cut_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|number, request| {
        let mut whole = good(&content(), request);
        if number < 4 {
            whole.truncate(50_000);
        }
        whole
    });
    let ranges = fetched(folder.path(), &server);
    assert_eq!(ranges.len(), 4);
    assert!(ranges.windows(2).all(|pair| pair[0] < pair[1]), "{ranges:?}");
}

#[test]
fn what_came_in_an_earlier_attempt_is_gone_on_with() {
    let begin = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".fetch/set")).unwrap();
        fs::write(folder.path().join(".fetch/set/set.bin.part"), bytes).unwrap();
        folder
    };
    let well = || serve(|_, request| good(&content(), request));
    assert_eq!(fetched(begin(&content()[..77_000]).path(), &well()), [Some(77_000)]);
    assert_eq!(fetched(begin(&content()).path(), &well()), [Some(200_000)], "it was there as a whole");
    assert_eq!(fetched(begin(&[0; 77_000]).path(), &well()), [Some(77_000), None], "it was of something else");
    assert_eq!(fetched(begin(&[0; 300_000]).path(), &well()), [Some(300_000), None], "it was too long");
}

#[test]
fn a_server_without_ranges_is_asked_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|number, _| {
        let mut whole = answer("200 OK", "", 200_000, &content());
        whole.truncate(if number == 1 { 90_000 } else { whole.len() });
        whole
    });
    assert_eq!(fetched(folder.path(), &server).len(), 2);
}

#[test]
fn a_range_that_was_not_asked_for_is_not_appended() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|number, request| match number {
        1 => good(&content(), request)[..90_000].to_vec(),
        2 => answer("206 Partial Content", "Content-Range: bytes 5-199999/200000\r\n", 199_995, &content()[5..]),
        _ => good(&content(), request),
    });
    assert_eq!(fetched(folder.path(), &server)[2], None);
}

#[test]
fn redirects_and_passing_errors_are_followed_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|number, request| match number {
        1 => answer("503 Service Unavailable", "", 0, b""),
        _ if request.path == "/sets/set.bin" => answer("302 Found", "Location: /elsewhere/x\r\n", 0, b""),
        _ => good(&content(), request),
    });
    assert_eq!(fetched(folder.path(), &server).len(), 3);
}

/// The message of a fetch that fails, which leaves no set behind.
fn message(server: &Server) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(folder.path(), &server.url).unwrap_err().to_string();
    assert!(!folder.path().join("set").exists());
    error
}

#[test]
fn what_is_not_the_published_file_is_refused() {
    let mut wrong = content();
    wrong[100_000] ^= 1;
    let server = serve(move |_, request| good(&wrong, request));
    let error = message(&server);
    assert!(error.starts_with("`set.bin` from `http://127.0.0.1:") && error.contains("is not the published file"));
    let short = serve(|_, request| good(&content()[..150_000], request));
    assert!(message(&short).contains("is not the published file"));
    let empty = serve(|_, _| answer("200 OK", "", 0, b""));
    assert!(message(&empty).contains("is not the published file"));
}

#[test]
fn a_server_that_never_gives_all_is_given_up() {
    let server = serve(|_, request| match request.range {
        None => answer("200 OK", "", 300_000, &content()),
        Some(_) => b"HTTP/1.1 ".to_vec(),
    });
    let error = message(&server);
    assert!(
        error.starts_with("cannot get `http://127.0.0.1:") && error.contains("what came so far is kept"),
        "{error}"
    );
    assert_eq!(server.ranges().len(), 5);
}

#[test]
fn a_server_that_sends_without_end_is_stopped() {
    let server = serve(|_, _| {
        let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        [head, vec![7; 4_000_000]].concat()
    });
    assert!(message(&server).contains("it sends more than 1448576 bytes"));
}

#[test]
fn what_is_not_there_is_not_asked_for_again() {
    let server = serve(|_, _| answer("404 Not Found", "", 3, b"no\n"));
    let error = message(&server);
    assert!(error.contains("set.bin`: it answers 404 Not Found"), "{error}");
    assert_eq!(server.ranges().len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(folder.path(), "/nowhere").unwrap_err().to_string();
    assert!(error.starts_with("cannot read `/nowhere/set.bin`"), "{error}");
}

#[test]
fn a_mirror_may_pack_anew() {
    let pack = |level| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&content()).unwrap();
        encoder.finish().unwrap()
    };
    let (official, mirrored) = (pack(9), pack(1));
    assert_ne!(official, mirrored);
    let archives = vec![Archive { name: "x.gz", bytes: official.len() as u64, sum: sum(&official) }];
    let files = vec![("x", Some(sum(&content())))];
    let source = Source { archives: archives.leak(), files: files.leak(), ..source(&content()) };
    for (bytes, published) in [(&official[..], true), (&mirrored, true), (&content(), false)] {
        let (from, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("x.gz"), bytes).unwrap();
        let outcome = fetch_source("set", &source, from.path().to_str(), folder.path(), &mut |_| {});
        assert_eq!(outcome.is_ok(), published, "{outcome:?}");
    }
}

#[test]
fn sets_that_name_their_files_alike_are_kept_apart() {
    let set = |content: &[u8], folder: &'static str| {
        let archives = ["a", "b"].map(|name| Archive { name, bytes: 3, sum: sum(content) });
        Source { archives: archives.to_vec().leak(), files: &[("a", None), ("b", None)], folder, ..source(content) }
    };
    let (from, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fetch = |name: &str, content: &[u8], files: &[&str], place| {
        for file in ["a", "b"] {
            let _ = fs::remove_file(from.path().join(file));
        }
        files.iter().for_each(|file| fs::write(from.path().join(file), content).unwrap());
        fetch_source(name, &set(content, place), from.path().to_str(), folder.path(), &mut |_| {})
    };
    // The first stops between its files.
    assert!(fetch("one", b"one", &["a"], "1").is_err());
    assert_eq!(fetch("two", b"two", &["a", "b"], "2").unwrap(), Outcome::Fetched);
    assert_eq!(fetch("one", b"one", &["b"], "1").unwrap(), Outcome::Fetched);
    for (place, content) in [("1", b"one"), ("2", b"two")] {
        for file in ["a", "b"] {
            assert_eq!(fs::read(folder.path().join(place).join(file)).unwrap(), content);
        }
    }
}

#[test]
fn an_archive_is_unpacked_and_must_hold_the_set() {
    let pack = |name: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(encoder);
        builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
        builder.into_inner().unwrap().finish().unwrap()
    };
    for (name, whole) in [("set/set.bin", true), ("set/other.bin", false)] {
        let bytes = pack(name);
        let archives = vec![Archive { name: "set.tgz", bytes: bytes.len() as u64, sum: sum(&bytes) }];
        let source = Source { archives: archives.leak(), ..source(&[]) };
        let (from, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("set.tgz"), bytes).unwrap();
        let outcome = fetch_source("set", &source, from.path().to_str(), folder.path(), &mut |_| {});
        if whole {
            assert_eq!(outcome.unwrap(), Outcome::Fetched);
            assert_eq!(fs::read(folder.path().join("set/set.bin")).unwrap(), b"abc");
        } else {
            assert!(outcome.unwrap_err().to_string().contains("`set/set.bin` was not in the archive"));
            assert!(!folder.path().join("set").exists());
        }
    }
}

#[test]
fn a_folder_that_lacks_files_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/mine"), b"mine").unwrap();
    let error = fetch(folder.path(), "/nowhere").unwrap_err().to_string();
    assert!(error.contains("set` is there, but `set.bin` is not in it\nhint: move it away"), "{error}");
    assert!(folder.path().join("set/mine").exists());
}

#[test]
fn two_fetches_of_one_set_are_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".fetch")).unwrap();
    let other = File::create(folder.path().join(".fetch/set.lock")).unwrap();
    other.lock().unwrap();
    let server = serve(|_, request| good(&content(), request));
    let (sender, waiting) = channel();
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| {
            let mut on_progress = |progress: Progress<'_>| {
                if progress == Progress::Waiting {
                    sender.send(()).unwrap();
                }
            };
            fetch_source("set", &source(&content()), Some(&server.url), folder.path(), &mut on_progress)
        });
        waiting.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(server.ranges().is_empty());
        // The other one finishes.
        fs::create_dir(folder.path().join("set")).unwrap();
        fs::write(folder.path().join("set/set.bin"), content()).unwrap();
        drop(other);
        assert_eq!(fetching.join().unwrap().unwrap(), Outcome::Found);
    });
    assert!(server.ranges().is_empty());
}

#[test]
fn a_lock_dies_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, asked) = channel();
    let server = serve(move |_, _| {
        sender.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(3600));
        Vec::new()
    });
    let args = ["data", "fetch", "mnist", "--from", &server.url, "--into", "."];
    let mut owner = Command::new(env!("CARGO_BIN_EXE_nkfac-bench"))
        .args(args)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    asked.recv_timeout(Duration::from_secs(60)).unwrap();
    let lock = File::open(folder.path().join(".fetch/mnist.lock")).unwrap();
    assert!(lock.try_lock().is_err(), "it is held");
    owner.kill().unwrap();
    owner.wait().unwrap();
    lock.try_lock().unwrap();
}

#[test]
fn the_program_says_what_it_can_not_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let error = |args: &[&str]| run(folder.path(), &[&["data", "fetch"], args].concat()).err;
    let by_hand = error(&["imagenet"]);
    assert!(by_hand.starts_with("error: ImageNet cannot be fetched by a program") && by_hand.contains("148 GB"));
    assert_eq!(error(&["digits"]), "error: `digits` needs no files: there is nothing to fetch\n");
    assert!(error(&["cifar"]).contains("cifar10"));
    let wrong = serve(|_, _| answer("200 OK", "", 5, b"wrong"));
    let message = error(&["svhn", "--from", &wrong.url, "--into", "data"]);
    assert!(message.contains("`train_32x32.mat` from") && message.contains("md5 e26dedcc434d2e4c54c9b2d4a06d8373"));
}
