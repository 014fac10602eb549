//! Stratified choices: the same share of every class, by seeds that belong to the data and not to a trial.

use super::{DataConfig, Error, Images};
use crate::random::Random;

/// The training set that `config` asks for, and the validation set taken out of it.
pub fn training(images: Images, config: &DataConfig) -> Result<(Images, Option<Images>), Error> {
    if config.validation == 0 && config.train_limit.is_none() {
        return Ok((images, None));
    }
    if config.validation >= images.len() {
        return Err(Error::NoneLeft { wanted: config.validation, available: images.len() });
    }
    let (held_out, rest) = stratified(&images, config.validation, "validation");
    let validation = (config.validation > 0).then(|| images.select(&held_out));
    let rest = images.select(&rest);
    match config.train_limit {
        Some(wanted) if wanted > rest.len() => Err(Error::TooFew { key: "train_limit", wanted, available: rest.len() }),
        Some(wanted) => Ok((rest.select(&stratified(&rest, wanted, "train-limit").0), validation)),
        None => Ok((rest, validation)),
    }
}

/// Indices of `wanted` images and of all others, both in their old order. Each class gets its share, rounded so that the sum is
/// right; the largest remainders are rounded up.
pub fn stratified(images: &Images, wanted: usize, purpose: &str) -> (Vec<usize>, Vec<usize>) {
    let mut classes = vec![Vec::new(); images.shape.classes];
    for (i, &label) in images.labels.iter().enumerate() {
        classes[usize::from(label)].push(i);
    }
    let total = images.len().max(1);
    let mut shares: Vec<usize> = classes.iter().map(|class| class.len() * wanted / total).collect();
    let mut by_remainder: Vec<usize> = (0..classes.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(classes[class].len() * wanted % total));
    let missing = wanted - shares.iter().sum::<usize>();
    for &class in &by_remainder[..missing] {
        shares[class] += 1;
    }
    let mut chosen = vec![false; images.len()];
    for (class, (mut indices, share)) in classes.into_iter().zip(shares).enumerate() {
        Random::new(0, &format!("split/{purpose}/{class}")).shuffle(&mut indices);
        indices.truncate(share);
        for i in indices {
            chosen[i] = true;
        }
    }
    (0..images.len()).partition(|&i| chosen[i])
}

#[cfg(test)]
mod tests {
    use super::{stratified, training};
    use crate::data::{DataConfig, Kind};
    use proptest::prelude::*;

    fn config(validation: usize, train_limit: Option<usize>) -> DataConfig {
        DataConfig { train_limit, validation, ..DataConfig::all(Kind::Digits) }
    }

    fn digits() -> crate::data::Images {
        crate::data::digits::read().unwrap().0
    }

    #[test]
    fn digits_fall_into_1437_and_360() {
        let (train, test) = crate::data::digits::read().unwrap();
        assert_eq!((train.len(), test.len()), (1437, 360));
        for class in 0..10 {
            let of_test = test.labels.iter().filter(|&&label| label == class).count();
            assert!((35..=37).contains(&of_test), "{of_test} of class {class}");
        }
    }

    #[test]
    fn limits_and_validation_sets_do_not_overlap() {
        let (train, validation) = training(digits(), &config(100, Some(500))).unwrap();
        assert_eq!((train.len(), validation.as_ref().unwrap().len()), (500, 100));
        let message = training(digits(), &config(1000, Some(500))).unwrap_err().to_string();
        assert_eq!(message, "`data.train_limit` = 500, but only 437 images are left to choose from");
        let message = training(digits(), &config(1437, None)).unwrap_err().to_string();
        assert_eq!(message, "`data.validation` = 1437 leaves none of 1437 images to train on");
        assert_eq!(training(digits(), &config(1436, None)).unwrap().0.len(), 1);
    }

    proptest! {
        #[test]
        fn a_choice_has_its_size_and_every_class_its_share(wanted in 0usize..1437) {
            let images = digits();
            let (chosen, rest) = stratified(&images, wanted, "test");
            prop_assert_eq!((chosen.len(), rest.len()), (wanted, 1437 - wanted));
            for class in 0..10 {
                let count = |of: &[usize]| of.iter().filter(|&&i| images.labels[i] == class).count() as f64;
                let all: Vec<usize> = (0..images.len()).collect();
                prop_assert!((count(&chosen) - count(&all) * wanted as f64 / 1437.0).abs() <= 1.0);
            }
        }
    }
}
