//! Texts as whole numbers, cut into windows of as many tokens as a net sees, each token's target being the one behind it.
//!
//! Tiny Shakespeare (Karpathy 2015; the plays are in the public domain) is in the binary. As nanoGPT has it, the first nine tenths are to train
//! on and the rest to test on; in training windows start anywhere, in evaluation one follows the other.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use candle_core::{Device, Tensor};
use flate2::read::GzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::random::Random;

const SHAKESPEARE: &[u8] = include_bytes!("shakespeare.txt.gz");

/// What a text is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// The characters that there are in it.
    #[default]
    Chars,
    /// Bytes, 256 of them.
    Bytes,
}

/// How a text is cut.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub tokens: Tokens,
    pub context: usize,
    /// Share to test on, the end.
    pub test: f64,
}

impl Default for Cut {
    fn default() -> Self {
        Self { tokens: Tokens::Chars, context: 64, test: 0.1 }
    }
}

/// One part of a text.
#[derive(Debug, Clone)]
pub struct Text {
    tokens: Vec<u16>,
    /// Tokens of a window.
    context: usize,
}

/// Both parts of a text, and what its tokens are.
pub struct Parts {
    pub train: Text,
    pub test: Text,
    /// The characters, or the numbers of the bytes, in the order of the tokens.
    pub names: Vec<String>,
}

impl Text {
    /// Windows that do not overlap.
    #[must_use]
    pub fn len(&self) -> usize {
        windows(self.tokens.len(), self.context)
    }

    /// Whether there is no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where window `i` of those that do not overlap starts.
    pub(super) const fn start(&self, i: usize) -> usize {
        i * self.context
    }

    /// Where any window may start.
    pub(super) fn anywhere(&self, random: &mut Random) -> usize {
        random.below(self.tokens.len() - self.context)
    }

    /// The windows that start there, and the same one token on: `N×T` each.
    pub(super) fn batch(&self, starts: &[usize]) -> candle_core::Result<[Tensor; 2]> {
        let at = |shift: usize| {
            let tokens = starts.iter().flat_map(|start| &self.tokens[start + shift..start + shift + self.context]);
            let tokens: Vec<u32> = tokens.map(|&token| u32::from(token)).collect();
            Tensor::from_vec(tokens, (starts.len(), self.context), &Device::Cpu)
        };
        Ok([at(0)?, at(1)?])
    }

    /// `count` windows from window `first` on.
    fn narrow(&self, first: usize, count: usize) -> Self {
        let (from, to) = (first * self.context, (first + count) * self.context + 1);
        Self { tokens: self.tokens[from..to].to_vec(), context: self.context }
    }

    /// The training part, of at most `limit` windows, and the validation part of `wanted` behind it: none of them is in both.
    pub(super) fn split(self, wanted: usize, limit: Option<usize>) -> Result<(Self, Option<Self>), Error> {
        let all = self.len();
        if wanted >= all {
            return Err(Error::NoneLeft { wanted, available: all });
        }
        let left = all - wanted;
        let validation = (wanted > 0).then(|| self.narrow(left, wanted));
        match limit {
            Some(wanted) if wanted > left => Err(Error::TooFew { key: "train_limit", wanted, available: left }),
            Some(wanted) => Ok((self.narrow(0, wanted), validation)),
            None if wanted > 0 => Ok((self.narrow(0, left), validation)),
            None => Ok((self, validation)),
        }
    }
}

/// Windows of `context` tokens in so many, one token being left behind the last.
pub const fn windows(tokens: usize, context: usize) -> usize {
    tokens.saturating_sub(1) / context
}

/// Tiny Shakespeare.
pub fn shakespeare(cut: Cut) -> Result<Parts, Error> {
    let mut text = Vec::new();
    let name = Path::new("shakespeare");
    GzDecoder::new(SHAKESPEARE).read_to_end(&mut text).map_err(Error::io(name))?;
    parts(&text, name, cut)
}

/// The text in a file.
pub fn own(path: &Path, cut: Cut) -> Result<Parts, Error> {
    parts(&std::fs::read(path).map_err(Error::io(path))?, path, cut)
}

fn parts(text: &[u8], path: &Path, cut: Cut) -> Result<Parts, Error> {
    let (tokens, names) = match cut.tokens {
        Tokens::Bytes => {
            (text.iter().map(|&byte| u16::from(byte)).collect(), (0..256).map(|i| i.to_string()).collect())
        }
        Tokens::Chars => characters(text, path)?,
    };
    let context = cut.context;
    let first = ((1.0 - cut.test) * tokens.len() as f64) as usize;
    let (train, test) = tokens.split_at(first);
    for (part, tokens) in [("train", train), ("test", test)] {
        if tokens.len() <= context {
            let message = format!("has {} tokens to {part} on, which make no window of {context}", tokens.len());
            return Err(Error::own(path, message, "a smaller `context`, or a longer text"));
        }
    }
    let [train, test] = [train, test].map(|tokens| Text { tokens: tokens.to_vec(), context });
    Ok(Parts { train, test, names })
}

/// The characters of a text by their places in the order of Unicode.
fn characters(text: &[u8], path: &Path) -> Result<(Vec<u16>, Vec<String>), Error> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let message = format!("is no text in UTF-8: it breaks at byte {}", error.valid_up_to());
        Error::own(path, message, "tokens = \"bytes\" takes any file")
    })?;
    let mut places: BTreeMap<char, u16> = text.chars().map(|c| (c, 0)).collect();
    for (place, known) in places.values_mut().enumerate() {
        *known = u16::try_from(place)
            .map_err(|_| Error::own(path, "has more than 65,536 different characters", "tokens = \"bytes\" has 256"))?;
    }
    let tokens = text.chars().filter_map(|c| places.get(&c).copied()).collect();
    Ok((tokens, places.into_keys().map(String::from).collect()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use super::{Cut, Parts, SHAKESPEARE, Tokens, parts, shakespeare};
    use crate::data::{DataConfig, Kind, digest};
    use crate::random::Random;

    fn cut(context: usize) -> Cut {
        Cut { context, ..Cut::default() }
    }

    #[test]
    fn shakespeare_is_karpathys_and_split_as_nanogpt_does() {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(SHAKESPEARE).read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), 1_115_394);
        let sum = digest::sha256(text.as_slice()).unwrap();
        assert_eq!(sum, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed");
        let config = DataConfig::all(Kind::Shakespeare);
        let Parts { train, test, names } = shakespeare(Cut::default()).unwrap();
        assert_eq!((train.tokens.len(), test.tokens.len(), names.len()), (1_003_854, 111_540, 65));
        assert_eq!((train.len(), config.available()), (config.available(), 15_685));
        assert_eq!(
            (train.tokens.len(), test.tokens.len()),
            (Kind::Shakespeare.train_len(), Kind::Shakespeare.test_len())
        );
        let words: String = train.tokens[..13].iter().map(|&token| names[usize::from(token)].as_str()).collect();
        assert_eq!(words, "First Citizen");
    }

    #[test]
    fn targets_are_one_token_on_and_windows_stay_in_their_part() {
        let quarter = Cut { test: 0.25, ..cut(4) };
        let Parts { train, test, names } = parts(b"abcdefghijklmnopqrst", Path::new("x"), quarter).unwrap();
        assert_eq!((train.len(), test.len(), names.len()), (3, 1, 20));
        let [x, y] = train.batch(&[train.start(2), 0]).unwrap().map(|tokens| tokens.to_vec2::<u32>().unwrap());
        assert_eq!((x, y), (vec![vec![8, 9, 10, 11], vec![0, 1, 2, 3]], vec![vec![9, 10, 11, 12], vec![1, 2, 3, 4]]));
        let mut random = Random::new(1, "test");
        let starts: Vec<usize> = (0..200).map(|_| train.anywhere(&mut random)).collect();
        assert_eq!((starts.iter().min(), starts.iter().max()), (Some(&0), Some(&10)));
        let (left, held_out) = train.split(1, Some(1)).unwrap();
        assert_eq!((left.tokens, held_out.unwrap().tokens), ((0..5).collect(), (8..13).collect()));
    }

    #[test]
    fn what_is_no_text_or_too_short_is_one_message() {
        let message = |text: &[u8], cut: Cut| parts(text, Path::new("x"), cut).err().unwrap().to_string();
        assert_eq!(
            message(b"ab\xff", cut(1)),
            "`x` is no text in UTF-8: it breaks at byte 2\nhint: tokens = \"bytes\" takes any file"
        );
        let bytes = Cut { tokens: Tokens::Bytes, test: 0.5, ..cut(1) };
        assert_eq!(parts(b"ab\xff\x00", Path::new("x"), bytes).unwrap().names.len(), 256);
        assert_eq!(
            message(b"abcdefgh", cut(7)),
            "`x` has 7 tokens to train on, which make no window of 7\nhint: a smaller `context`, or a longer text"
        );
    }
}
