//! Augmentation of training images, on bytes; that of image files begins with the window that is decoded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;
use crate::random::Random;

/// A random change of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Padded by 4 pixels of zeros on every side, then cropped to its size at random. The zeros are black before normalisation, as in
    /// torchvision.
    Crop,
    /// Mirrored left to right every other time.
    Flip,
    /// A window of random area and ratio, resized: torchvision's `RandomResizedCrop`. Of image files only, and before all else.
    ResizedCrop,
}

const PADDING: usize = 4;

/// What is wrong with a list of them for images that are files, or are not.
pub fn check(augment: &[Augment], files: bool) -> Result<(), &'static str> {
    match augment.iter().rposition(|&augment| augment == Augment::ResizedCrop) {
        Some(_) if !files => Err("`resized-crop` needs images that are larger than what a net takes: image files"),
        Some(place) if place > 0 => Err("`resized-crop` chooses what is decoded and must come first, and once"),
        _ => Ok(()),
    }
}

impl Augment {
    /// Changes `image`, `H×W×C`; `scratch` is as long.
    pub fn apply<T: Copy + Default>(self, image: &mut [T], scratch: &mut [T], shape: Shape, random: &mut Random) {
        match self {
            Self::Crop => {
                let (down, right) = (random.below(2 * PADDING + 1), random.below(2 * PADDING + 1));
                scratch.copy_from_slice(image);
                image.fill(T::default());
                shift(scratch, image, shape, down as isize - PADDING as isize, right as isize - PADDING as isize);
            }
            Self::Flip => {
                if random.below(2) == 1 {
                    for row in image.chunks_exact_mut(shape.width * shape.channels) {
                        mirror(row, shape.channels);
                    }
                }
            }
            // Done when the file was decoded.
            Self::ResizedCrop => {}
        }
    }
}

/// `to[y][x] = from[y + down][x + right]` where that is inside the image.
fn shift<T: Copy>(from: &[T], to: &mut [T], shape: Shape, down: isize, right: isize) {
    let (row, channels) = (shape.width * shape.channels, shape.channels);
    let inside = |offset: isize, size: usize| {
        let first = (-offset).max(0) as usize;
        let last = (size as isize - offset.max(0)).max(0) as usize;
        first..last.max(first)
    };
    let columns = inside(right, shape.width);
    if columns.is_empty() {
        return;
    }
    for y in inside(down, shape.height) {
        let source = (y as isize + down) as usize * row;
        let start = (columns.start as isize + right) as usize * channels;
        let length = columns.len() * channels;
        to[y * row + columns.start * channels..][..length].copy_from_slice(&from[source + start..][..length]);
    }
}

fn mirror<T>(row: &mut [T], channels: usize) {
    let width = row.len() / channels;
    for x in 0..width / 2 {
        for channel in 0..channels {
            row.swap(x * channels + channel, (width - 1 - x) * channels + channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Augment, check, mirror, shift};
    use crate::data::Shape;
    use crate::random::Random;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shift_is_a_crop_of_the_padded_image(
            height in 1usize..9, width in 1usize..9, down in -4isize..5, right in -4isize..5,
        ) {
            let shape = Shape { channels: 2, height, width, classes: 1 };
            let from: Vec<u8> = (1..=shape.bytes() as u32).map(|i| i as u8).collect();
            let mut to = vec![0; from.len()];
            shift(&from, &mut to, shape, down, right);
            for y in 0..height as isize {
                for x in 0..width as isize {
                    let (sy, sx) = (y + down, x + right);
                    let inside = (0..height as isize).contains(&sy) && (0..width as isize).contains(&sx);
                    let at = |y: isize, x: isize| ((y * width as isize + x) * 2) as usize;
                    let expected = if inside { from[at(sy, sx)] } else { 0 };
                    prop_assert_eq!(to[at(y, x)], expected);
                }
            }
        }
    }

    #[test]
    fn a_window_is_drawn_of_files_only_and_first() {
        use Augment::{Flip, ResizedCrop};
        assert!(check(&[ResizedCrop, Flip], true).is_ok() && check(&[Flip], false).is_ok());
        assert!(check(&[ResizedCrop], false).is_err());
        assert!(check(&[Flip, ResizedCrop], true).is_err() && check(&[ResizedCrop, ResizedCrop], true).is_err());
    }

    #[test]
    fn mirroring_keeps_channels_together() {
        let mut row = [1, 2, 3, 4, 5, 6];
        mirror(&mut row, 2);
        assert_eq!(row, [5, 6, 3, 4, 1, 2]);
    }

    #[test]
    fn about_half_of_all_images_are_flipped() {
        let shape = Shape { channels: 1, height: 1, width: 2, classes: 1 };
        let mut random = Random::new(1, "flip");
        let flipped = (0..1000).filter(|_| {
            let mut image = [0, 1];
            Augment::Flip.apply(&mut image, &mut [0, 0], shape, &mut random);
            image == [1, 0]
        });
        assert!((450..550).contains(&flipped.count()));
    }
}
