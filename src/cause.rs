//! candle's errors as text. Where RUST_BACKTRACE is set, candle keeps a backtrace in most of its errors and prints it behind the message;
//! nobody who mistypes a file's name wants to read it, so every message of ours goes through here, and has none.

use std::error::Error;

use candle_core::Error as Candle;

use crate::text::Shown;

/// The error in one line, and its hint if it has one.
#[must_use]
pub fn message(error: &Candle) -> String {
    match error {
        Candle::WithBacktrace { inner, .. } => message(inner),
        Candle::WithPath { inner, path } => format!("`{}`: {}", path.shown(), message(inner)),
        Candle::Context { inner, context } => format!("{context}: {}", message(inner)),
        Candle::WrappedContext { wrapped, context } => format!("{context}: {}", text(wrapped.as_ref())),
        Candle::Cuda(error) => in_words(error.to_string()),
        other => other.to_string(),
    }
}

/// What CUDA answers where a user can do something about it: its name for that, what it means, and what may help.
const ANSWERS: [(&str, &str); 8] = [
    ("CUDA_ERROR_NO_DEVICE", "this machine has no GPU that CUDA can use"),
    ("CUDA_ERROR_INVALID_DEVICE", "there is no GPU of this number\nhint: nvidia-smi -L lists them"),
    ("CUDA_ERROR_STUB_LIBRARY", "libcuda.so.1 is a stub for building, not NVIDIA's driver"),
    ("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", TOO_OLD),
    ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", TOO_OLD),
    ("CUDA_ERROR_OUT_OF_MEMORY", TOO_LARGE),
    ("CUBLAS_STATUS_ALLOC_FAILED", TOO_LARGE),
    ("CUSOLVER_STATUS_ALLOC_FAILED", TOO_LARGE),
];
const TOO_OLD: &str = "NVIDIA's driver is older than the CUDA toolkit that this program was built with\nhint: nvidia-smi says which CUDA the driver knows";
const TOO_LARGE: &str =
    "the GPU's memory does not suffice\nhint: a smaller `batch` needs less, and so does a larger `accumulate`";

fn in_words(said: String) -> String {
    let Some((name, words)) = ANSWERS.iter().find(|(name, _)| said.contains(name)) else { return said };
    let (meaning, hint) = words.split_once('\n').unwrap_or((words, ""));
    format!("{meaning} ({name})\n{hint}").trim_end().to_owned()
}

/// The error and its causes, less those that an error around them has told already.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = text(error);
    let mut next = below(error);
    while let Some(cause) = next {
        let more = text(cause);
        if !told.contains(&more) {
            told = format!("{told}: {more}");
        }
        next = below(cause);
    }
    told
}

fn text(error: &(dyn Error + 'static)) -> String {
    error.downcast_ref::<Candle>().map_or_else(|| error.to_string(), message)
}

/// What caused it. candle hides that behind a backtrace.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<Candle>() {
        Some(Candle::WithBacktrace { inner, .. }) => below(inner.as_ref()),
        _ => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;
    use std::io;

    use super::*;

    /// The error as candle makes it where RUST_BACKTRACE is set.
    fn traced(inner: Candle) -> Candle {
        Candle::WithBacktrace { inner: Box::new(inner), backtrace: Box::new(Backtrace::force_capture()) }
    }

    fn missing() -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, "no such file")
    }

    #[test]
    fn a_backtrace_is_in_no_message_wherever_candle_put_it() {
        let plain: [fn() -> Candle; 4] = [
            || Candle::Msg("`x` is broken\nhint: get it again".into()),
            || missing().into(),
            || Candle::Wrapped(Box::new(missing())),
            || Candle::Cuda(Box::new(missing())),
        ];
        for plain in plain {
            let expected = plain().to_string();
            assert_ne!(traced(plain()).to_string(), expected, "candle prints it itself");
            assert_eq!(message(&traced(plain())), expected);
            assert_eq!(message(&traced(traced(plain()))), expected);
            assert_eq!(message(&traced(plain()).with_path("f")), format!("`f`: {expected}"));
            assert_eq!(message(&traced(traced(plain()).context("c"))), format!("c: {expected}"));
            let wrapped = Candle::WrappedContext { wrapped: Box::new(traced(plain())), context: "c".into() };
            assert_eq!(message(&traced(wrapped)), format!("c: {expected}"));
        }
    }

    #[test]
    fn what_cuda_answers_is_put_in_words_where_a_user_can_do_something_about_it() {
        let of = |said: &'static str| message(&traced(Candle::Cuda(Box::new(io::Error::other(said)))));
        let said = of("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        let expected = "the GPU's memory does not suffice (CUDA_ERROR_OUT_OF_MEMORY)\nhint: a smaller `batch` needs less, and so does a larger `accumulate`";
        assert_eq!(said, expected);
        let said = of("DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")");
        assert_eq!(said, "this machine has no GPU that CUDA can use (CUDA_ERROR_NO_DEVICE)");
        assert_eq!(of("DriverError(CUDA_ERROR_ASSERT)"), "DriverError(CUDA_ERROR_ASSERT)");
    }

    #[test]
    fn a_chain_of_causes_is_the_same_with_and_without_backtraces() {
        #[derive(Debug, thiserror::Error)]
        #[error("no device")]
        struct Outer(#[source] Candle);
        #[derive(Debug, thiserror::Error)]
        #[error("no driver")]
        struct Driver(#[source] io::Error);
        let cuda = || Candle::Cuda(Box::new(Driver(missing())));
        for error in [cuda(), traced(cuda()), traced(traced(cuda()))] {
            assert_eq!(chain(&Outer(error)), "no device: no driver: no such file");
        }
    }
}
