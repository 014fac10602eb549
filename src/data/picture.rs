//! Image files: decoded, then a window of them brought to the size that a net takes.

use std::io::Cursor;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, RgbImage, io::Limits};

use super::Shape;
use crate::random::Random;

/// Pixels of the largest image that is decoded; ImageNet's largest has 61 million. A header may claim 4 billion.
const MOST_PIXELS: u64 = 100_000_000;

/// Decodes a JPEG file, or a PNG file, of which ImageNet has one under a JPEG's name. Grey and CMYK become RGB.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => pixels(JpegDecoder::new(Cursor::new(bytes)).map_err(|error| reason(&error))?),
        Ok(ImageFormat::Png) => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(8 * MOST_PIXELS);
            pixels(PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(|error| reason(&error))?)
        }
        Ok(other) => Err(format!("it is {other:?}, neither JPEG nor PNG")),
        Err(_) if bytes.is_empty() => Err("it is empty".into()),
        Err(_) => Err("it is neither JPEG nor PNG".into()),
    }
}

fn pixels<'a>(decoder: impl ImageDecoder<'a>) -> Result<RgbImage, String> {
    let (width, height) = decoder.dimensions();
    let count = u64::from(width) * u64::from(height);
    if count == 0 || count > MOST_PIXELS {
        return Err(format!("it claims {width}×{height} pixels (must be at most {MOST_PIXELS})"));
    }
    Ok(DynamicImage::from_decoder(decoder).map_err(|error| reason(&error))?.into_rgb8())
}

/// Why an image cannot be decoded. Readers say that a buffer cannot be filled, whose nobody knows.
fn reason(error: &image::ImageError) -> String {
    let text = error.to_string();
    if text.contains("failed to fill whole buffer") { "it is cut short".to_owned() } else { text }
}

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// Share of the area that a random window has, and its width by its height (Szegedy et al. 2015, as torchvision has it).
const AREA: (f64, f64) = (0.08, 1.0);
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
const TRIES: usize = 10;

impl Window {
    /// The whole image.
    pub const fn all((width, height): (u32, u32)) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// A window of random area, ratio and place: torchvision's `RandomResizedCrop` with its defaults. If ten draws do not fit, the
    /// largest window in the middle whose ratio is allowed.
    pub fn random((width, height): (u32, u32), random: &mut Random) -> Self {
        let (w, h) = (f64::from(width), f64::from(height));
        let between = |(low, high): (f64, f64), random: &mut Random| low + (high - low) * random.uniform();
        for _ in 0..TRIES {
            let area = w * h * between(AREA, random);
            let ratio = between((RATIO.0.ln(), RATIO.1.ln()), random).exp();
            let size = ((area * ratio).sqrt().round() as u32, (area / ratio).sqrt().round() as u32);
            if (1..=width).contains(&size.0) && (1..=height).contains(&size.1) {
                let mut place = |room: u32| random.below(room as usize + 1) as u32;
                return Self { x: place(width - size.0), y: place(height - size.1), width: size.0, height: size.1 };
            }
        }
        let at_least_one = |edge: f64, most: u32| (edge.round() as u32).clamp(1, most);
        Self::middle((width, height), (at_least_one(h * RATIO.1, width), at_least_one(w / RATIO.0, height)))
    }

    /// The square in the middle whose edge is `share` of the shorter edge.
    ///
    /// Deviation: torchvision first resizes the whole image, rounds, and then crops; here the window is cut first, which differs by
    /// rounding and at the border.
    pub fn centre((width, height): (u32, u32), share: f64) -> Self {
        let shorter = width.min(height);
        let edge = ((f64::from(shorter) * share).round() as u32).clamp(1, shorter);
        Self::middle((width, height), (edge, edge))
    }

    const fn middle((width, height): (u32, u32), size: (u32, u32)) -> Self {
        Self { x: (width - size.0) / 2, y: (height - size.1) / 2, width: size.0, height: size.1 }
    }
}

/// `window` of `picture` as bytes of `shape`, `H×W×3`: bilinear, and where it shrinks averaged over as many pixels (antialiased), like
/// Pillow and torchvision.
pub fn resize(picture: &RgbImage, window: Window, shape: Shape) -> Vec<u8> {
    let part = imageops::crop_imm(picture, window.x, window.y, window.width, window.height);
    imageops::resize(&*part, shape.width as u32, shape.height as u32, FilterType::Triangle).into_raw()
}

#[cfg(test)]
pub mod tests {
    use super::{MOST_PIXELS, Window, decode, resize};
    use crate::data::Shape;
    use crate::random::Random;
    use allocation_counter::measure;
    use image::codecs::jpeg::JpegEncoder;
    use image::{ImageEncoder, RgbImage};
    use proptest::prelude::*;

    /// A JPEG of `width×height` in one colour.
    pub fn jpeg(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        encode(&RgbImage::from_pixel(width, height, image::Rgb(colour)))
    }

    /// A JPEG whose red grows to the right and whose green grows downwards.
    pub fn jpeg_ramp(width: u32, height: u32) -> Vec<u8> {
        encode(&ramp(width, height))
    }

    fn encode(picture: &RgbImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.write_image(picture, picture.width(), picture.height(), image::ColorType::Rgb8).unwrap();
        bytes
    }

    /// Red grows to the right, green downwards.
    fn ramp(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([(255 * x / width) as u8, (255 * y / height) as u8, 7]))
    }

    const SHAPE: Shape = Shape { channels: 3, height: 4, width: 4, classes: 1 };

    #[test]
    fn a_file_comes_back_nearly_as_it_was() {
        let (before, after) = (ramp(40, 24), decode(&encode(&ramp(40, 24))).unwrap());
        assert_eq!(after.dimensions(), (40, 24));
        let most = before.as_raw().iter().zip(after.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most < Some(12), "{most:?}");
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(before.as_raw(), 40, 24, image::ColorType::Rgb8).unwrap();
        assert_eq!(decode(&png).unwrap(), before);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let good = jpeg(16, 16, [1, 2, 3]);
        assert_eq!(decode(&[]).unwrap_err(), "it is empty");
        assert_eq!(decode(b"<html>").unwrap_err(), "it is neither JPEG nor PNG");
        assert_eq!(decode(&good[..good.len() / 2]).unwrap_err(), "it is cut short");
        // The frame header holds the height at its fourth byte, the width at its sixth.
        let frame = good.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let mut huge = good.clone();
        huge[frame + 5..frame + 9].fill(0xff);
        assert_eq!(decode(&huge).unwrap_err(), "it claims 65535×65535 pixels (must be at most 100000000)");
    }

    #[test]
    fn every_form_of_jpeg_and_png_becomes_rgb() {
        let read = |name: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/own/odd").join(name);
            decode(&std::fs::read(path).unwrap())
        };
        let (colour, grey) = ([200, 60, 40], [103; 3]);
        let files = [
            ("progressive.jpg", colour),
            ("cmyk.jpg", colour),
            ("palette.png", colour),
            ("alpha.png", colour),
            ("grey.jpg", grey),
            ("grey-16.png", grey),
            ("grey-alpha.png", grey),
        ];
        for (name, expected) in files {
            let picture = read(name).unwrap();
            let pixel = picture.get_pixel(8, 6).0;
            let most = pixel.iter().zip(expected).map(|(found, expected): (&u8, u8)| found.abs_diff(expected)).max();
            assert!(picture.dimensions() == (16, 12) && most <= Some(3), "{name}: {pixel:?}");
        }
        assert_eq!(read("other.webp").unwrap_err(), "it is WebP, neither JPEG nor PNG");
    }

    #[test]
    fn an_edge_that_shrinks_is_averaged() {
        // Columns of 0 and 240 in turn: a nearest or plain bilinear sample would see one of them.
        let stripes = RgbImage::from_fn(32, 32, |x, _| image::Rgb([if x % 2 == 0 { 0 } else { 240 }; 3]));
        let whole = Window { x: 0, y: 0, width: 32, height: 32 };
        assert!(resize(&stripes, whole, SHAPE).iter().all(|level| (110..=130).contains(level)));
        let same = Window { width: 4, height: 4, ..whole };
        assert_eq!(resize(&stripes, same, SHAPE)[..6], [0, 0, 0, 240, 240, 240], "what has the size already is kept");
    }

    #[test]
    fn the_middle_of_the_shorter_edge_is_seen_in_a_test() {
        assert_eq!(Window::centre((500, 400), 0.875), Window { x: 75, y: 25, width: 350, height: 350 });
        assert_eq!(Window::centre((64, 64), 1.0), Window { x: 0, y: 0, width: 64, height: 64 });
        assert_eq!(Window::centre((1, 9), 0.1), Window { x: 0, y: 4, width: 1, height: 1 });
    }

    proptest! {
        #[test]
        fn random_windows_lie_inside(width in 1u32..700, height in 1u32..700, seed: u64) {
            let window = Window::random((width, height), &mut Random::new(seed, "window"));
            prop_assert!(window.width > 0 && window.x + window.width <= width);
            prop_assert!(window.height > 0 && window.y + window.height <= height);
        }
    }

    #[test]
    fn random_windows_have_the_areas_and_ratios_they_should() {
        let mut random = Random::new(1, "window");
        let windows: Vec<Window> = (0..4000).map(|_| Window::random((400, 400), &mut random)).collect();
        let areas = windows.iter().map(|window| f64::from(window.width * window.height) / 160_000.0);
        // Of 0.08 to 1 the mean is 0.54; large windows fit less often.
        let mean = areas.clone().sum::<f64>() / 4000.0;
        assert!((0.47..0.54).contains(&mean) && areas.clone().all(|area| area > 0.075), "{mean}");
        let wide = windows.iter().filter(|window| window.width > window.height).count();
        assert!((1800..2200).contains(&wide), "{wide}");
        let long = Window::random((1000, 10), &mut random);
        assert!(long.height == 10 && long.width <= 14, "{long:?}");
    }

    #[test]
    fn no_mutation_raises_a_panic_or_an_allocation_beyond_the_largest_image() {
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(ramp(24, 16).as_raw(), 24, 16, image::ColorType::Rgb8).unwrap();
        let files = [jpeg_ramp(24, 16), png, jpeg(8, 8, [200, 10, 60])];
        let mut random = Random::new(1, "mutations");
        let mut most = 0;
        // 10,000 of each.
        for i in 0..30_000 {
            let mut file = files[i % 3].clone();
            for _ in 0..=random.below(3) {
                let at = random.below(file.len());
                file[at] = random.below(256) as u8;
            }
            file.truncate(file.len() - if i % 5 == 0 { random.below(file.len()) } else { 0 });
            most = most.max(measure(|| drop(decode(&file))).bytes_max);
        }
        // Three colours, and as many coefficients of two bytes in a progressive file.
        assert!(most < 16 * MOST_PIXELS, "{most} bytes");
    }
}
