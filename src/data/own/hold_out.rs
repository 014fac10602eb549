//! Test images taken out of data that have none apart.

use sha2::{Digest, Sha256};

/// Indices of those to train and to test on, both in their old order: of every class the `share` whose names have the least SHA-256, to the
/// nearest whole number, though at least one for each part if there are two. The order of names, other classes and seeds have no part in it,
/// so that a new image moves few others.
pub fn hold_out(labels: &[u16], share: f64, name: impl Fn(usize) -> Vec<u8>) -> (Vec<usize>, Vec<usize>) {
    let mut classes = vec![Vec::new(); labels.iter().max().map_or(0, |&label| usize::from(label) + 1)];
    for (i, &label) in labels.iter().enumerate() {
        classes[usize::from(label)].push((Sha256::digest(name(i)), i));
    }
    let mut is_test = vec![false; labels.len()];
    for mut class in classes {
        class.sort_unstable();
        let most = class.len().saturating_sub(1);
        let count = ((class.len() as f64 * share).round() as usize).clamp(1.min(most), most);
        for (_, i) in &class[..count] {
            is_test[*i] = true;
        }
    }
    (0..labels.len()).partition(|&i| !is_test[i])
}

#[cfg(test)]
mod tests {
    use super::hold_out;
    use proptest::prelude::*;

    fn named(labels: &[u16], share: f64) -> (Vec<usize>, Vec<usize>) {
        hold_out(labels, share, |i| format!("image {i}").into_bytes())
    }

    #[test]
    fn one_image_is_trained_on_and_two_are_one_each() {
        assert_eq!(named(&[0], 0.9), (vec![0], vec![]));
        let (train, test) = named(&[0, 0], 0.01);
        assert_eq!((train.len(), test.len()), (1, 1));
        assert_eq!(named(&[], 0.5), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn every_class_gives_its_share(labels in prop::collection::vec(0u16..4, 0..80), share in 0.01f64..0.99) {
            let (train, test) = named(&labels, share);
            let mut all = [train, test.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            for class in 0..4 {
                let count = labels.iter().filter(|&&label| label == class).count();
                let taken = test.iter().filter(|&&i| labels[i] == class).count();
                prop_assert!((taken as f64 - count as f64 * share).abs() <= 1.0);
                prop_assert_eq!(count > 1, taken > 0);
                prop_assert!(count == 0 || taken < count);
            }
        }

        #[test]
        fn an_image_more_of_a_class_moves_one_other_at_most(count in 2usize..60, share in 0.05f64..0.95) {
            let (_, before) = named(&vec![0; count], share);
            let (_, after) = named(&vec![0; count + 1], share);
            prop_assert!(before.iter().filter(|i| !after.contains(i)).count() <= 1);
        }
    }
}
