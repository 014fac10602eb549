//! Work space that is kept between calls: a fresh buffer of some megabytes costs more in page faults than it is worth.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// A buffer that goes back when it is dropped. What it holds at first is left over from others.
pub struct Scratch {
    values: Vec<f32>,
    count: usize,
}

impl Scratch {
    /// Room for `count` numbers: the smallest spare buffer that is large enough, or else the largest one, grown.
    pub fn new(count: usize) -> Self {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        let best = (0..spare.len()).min_by_key(|&i| {
            let size = spare[i].len();
            if size >= count { (false, size) } else { (true, usize::MAX - size) }
        });
        let mut values = best.map_or_else(Vec::new, |i| spare.swap_remove(i));
        drop(spare);
        if values.len() < count {
            values.resize(count, 0.0);
        }
        Self { values, count }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.count]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.count]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.values));
    }
}
