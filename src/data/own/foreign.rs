//! Files that hold arrays and are not read.

/// What to do instead.
pub const SAVE: &str = "np.savez(\"mine.npz\", train_x=…, train_y=…, test_x=…, test_y=…) writes what is read";

/// What a file is that begins so, if it is neither `.npz` nor safetensors, and the way out.
pub fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    // safetensors begin with the length of their header, whose first byte may be that of a pickle.
    if let [_, _, _, _, 0, 0, 0, 0, b'{'] = start {
        return None;
    }
    let known: [(&[u8], _, _); 6] = [
        (b"\x93NUMPY", "holds one array only", SAVE),
        (b"\x80", "is a pickle, which could run code: none is read", "np.savez writes numbers alone"),
        (b"\x89HDF", "is an HDF5 file (or one of MATLAB 7.3)", "np.savez of what h5py reads of it"),
        (b"MATLAB", "is a file of MATLAB", "np.savez of what scipy.io.loadmat reads of it"),
        (b"PAR1", "is a Parquet file", "kind = \"parquet\" reads it"),
        (b"", "is empty", "`.npz` and safetensors are read"),
    ];
    known
        .into_iter()
        .find(|(magic, ..)| if magic.is_empty() { start.is_empty() } else { start.starts_with(magic) })
        .map(|(_, what, hint)| (what, hint))
}

#[cfg(test)]
mod tests {
    use super::foreign;

    #[test]
    fn safetensors_may_begin_like_a_pickle() {
        // A header of 128 bytes.
        assert_eq!(foreign(b"\x80\0\0\0\0\0\0\0{"), None);
        assert!(foreign(b"\x80\x04\x95\0\0\0\0\0\0").is_some());
    }
}
