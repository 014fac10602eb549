//! Results that are written once, without being zeroed before.

use std::mem::MaybeUninit;

/// A vector of `count` numbers that `write` puts there.
///
/// # Safety
/// `write` initialises every element of its slice.
#[allow(unsafe_code)]
pub unsafe fn filled<T: Copy>(count: usize, write: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut values = Vec::with_capacity(count);
    write(&mut values.spare_capacity_mut()[..count]);
    // SAFETY: the capacity is there, and the caller promised that all of it was written.
    unsafe { values.set_len(count) };
    values
}

/// Copies `values` to where nothing is yet.
pub fn put<T: Copy>(to: &mut [MaybeUninit<T>], values: &[T]) {
    for (to, &value) in to.iter_mut().zip(values) {
        to.write(value);
    }
}
