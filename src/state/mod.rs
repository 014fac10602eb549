//! What something remembers from step to step, as named tensors, numbers and texts: the words of checkpoints.
//!
//! Whoever has a state gives all of it away and takes all of it back. Names are paths (`optimizer/0/velocity/3`), so that the state
//! of a part is put under a prefix of the whole's. What is taken back must be used up: a name that nobody asked for is an error, and so
//! is one that is missing.

mod file;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, bail};

pub use file::{Error, read, write};

/// Named tensors, numbers and texts.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub tensors: BTreeMap<String, Tensor>,
    pub numbers: BTreeMap<String, f64>,
    pub texts: BTreeMap<String, String>,
}

impl State {
    /// Nothing to remember.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a tensor, without the graph that it came from.
    pub fn put(&mut self, name: impl Into<String>, tensor: &Tensor) {
        self.tensors.insert(name.into(), tensor.detach());
    }

    /// Remembers tensors under `name/0`, `name/1`, ….
    pub fn put_all<'a>(&mut self, name: &str, tensors: impl IntoIterator<Item = &'a Tensor>) {
        for (i, tensor) in tensors.into_iter().enumerate() {
            self.put(format!("{name}/{i}"), tensor);
        }
    }

    /// Remembers a number, bit for bit; counters up to 2⁵³.
    pub fn put_number(&mut self, name: impl Into<String>, number: f64) {
        self.numbers.insert(name.into(), number);
    }

    /// Remembers a text.
    pub fn put_text(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.texts.insert(name.into(), text.into());
    }

    /// Remembers numbers as one tensor in float64.
    ///
    /// # Errors
    /// candle's.
    pub fn put_numbers(&mut self, name: &str, numbers: &[f64]) -> Result<()> {
        self.put(name, &Tensor::new(numbers, &Device::Cpu)?);
        Ok(())
    }

    /// Takes the tensor `name`, if there is one.
    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }

    /// Takes the tensors `name/0`, `name/1`, …: none, or one for each of `count`.
    ///
    /// # Errors
    /// There are some, but not `count`.
    pub fn take_all(&mut self, name: &str, count: usize) -> Result<Vec<Tensor>> {
        let tensors: Vec<Tensor> = (0..).map_while(|i| self.take(&format!("{name}/{i}"))).collect();
        match tensors.len() {
            found if found == 0 || found == count => Ok(tensors),
            found => bail!("there are {found} tensors `{name}` (must be {count})"),
        }
    }

    /// Takes the number `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn take_number(&mut self, name: &str) -> Result<f64> {
        match self.numbers.remove(name) {
            Some(number) => Ok(number),
            None => bail!("there is no number `{name}`"),
        }
    }

    /// Takes the counter `name`.
    ///
    /// # Errors
    /// There is none, or it is no whole number.
    pub fn take_count(&mut self, name: &str) -> Result<usize> {
        let number = self.take_number(name)?;
        if !(0.0..=9_007_199_254_740_992.0).contains(&number) || number.fract() != 0.0 {
            bail!("`{name}` is {number} (must be a counter)")
        }
        Ok(number as usize)
    }

    /// Takes numbers put by [`State::put_numbers`].
    ///
    /// # Errors
    /// There are none, or they are no vector in float64.
    pub fn take_numbers(&mut self, name: &str) -> Result<Vec<f64>> {
        match self.take(name) {
            Some(tensor) if tensor.dtype() == DType::F64 => tensor.to_vec1(),
            _ => bail!("there are no numbers `{name}`"),
        }
    }

    /// Takes the text `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn take_text(&mut self, name: &str) -> Result<String> {
        match self.texts.remove(name) {
            Some(text) => Ok(text),
            None => bail!("there is no text `{name}`"),
        }
    }

    /// Puts the state of a part under `prefix/`.
    pub fn put_part(&mut self, prefix: &str, part: Self) {
        let under = |name: String| format!("{prefix}/{name}");
        self.tensors.extend(part.tensors.into_iter().map(|(name, tensor)| (under(name), tensor)));
        self.numbers.extend(part.numbers.into_iter().map(|(name, number)| (under(name), number)));
        self.texts.extend(part.texts.into_iter().map(|(name, text)| (under(name), text)));
    }

    /// Takes the state of the part under `prefix/`.
    #[must_use]
    pub fn take_part(&mut self, prefix: &str) -> Self {
        Self {
            tensors: split(&mut self.tensors, prefix),
            numbers: split(&mut self.numbers, prefix),
            texts: split(&mut self.texts, prefix),
        }
    }

    /// Moves the tensors to `device`.
    ///
    /// # Errors
    /// candle's.
    pub fn to_device(&mut self, device: &Device) -> Result<()> {
        for tensor in self.tensors.values_mut() {
            *tensor = tensor.to_device(device)?;
        }
        Ok(())
    }

    /// That everything was taken.
    ///
    /// # Errors
    /// Something is left, which nobody knows.
    pub fn finish(self) -> Result<()> {
        let mut left = self.tensors.keys().chain(self.numbers.keys()).chain(self.texts.keys());
        match left.next() {
            None => Ok(()),
            Some(name) => bail!("nobody knows `{name}`"),
        }
    }
}

/// Takes the entries under `prefix/` out of `entries`, and the prefix off their names.
fn split<T>(entries: &mut BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
    let prefix = format!("{prefix}/");
    let (part, rest) = std::mem::take(entries).into_iter().partition(|(name, _)| name.starts_with(&prefix));
    *entries = rest;
    let part: BTreeMap<String, T> = part;
    part.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
}

/// Sets `var` to a tensor of the same shape and type.
///
/// # Errors
/// The shape or the type is another.
pub fn restore(var: &candle_core::Var, name: &str, tensor: &Tensor) -> Result<()> {
    if var.shape() != tensor.shape() || var.dtype() != tensor.dtype() {
        bail!("`{name}` is {:?} {:?} (must be {:?} {:?})", tensor.dtype(), tensor.dims(), var.dtype(), var.dims())
    }
    var.set(&tensor.to_device(var.device())?)
}

#[cfg(test)]
mod tests {
    use super::State;
    use candle_core::{Device, Tensor};

    #[test]
    fn parts_go_in_and_come_out_and_nothing_is_left_over() {
        let mut part = State::new();
        let tensor = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        part.put_all("velocity", [&tensor, &tensor]);
        part.put_number("count", 3.0);
        let mut whole = State::new();
        whole.put_part("0", part.clone());
        whole.put_part("00", part);
        let mut back = whole.take_part("0");
        assert_eq!(back.take_all("velocity", 2).unwrap().len(), 2);
        assert!(back.clone().finish().is_err(), "a number is left");
        assert_eq!(back.take_count("count").unwrap(), 3);
        back.finish().unwrap();
        let mut other = whole.take_part("00");
        assert!(other.take_all("velocity", 3).is_err(), "one is missing");
        whole.finish().unwrap();
    }
}
