//! Sets of image files, a folder a class: ImageNet (Russakovsky et al. 2015), Imagenette (Howard 2019), Tiny ImageNet (Stanford
//! CS231n). Labels are the places of the classes in the order of their names, as in torchvision.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use super::files::{Files, MOST_BYTES, Seen};
use super::{Error, Images, Kind, Pixels, Targets};
use crate::text::Shown;

/// Training and test images from `folder` or from a folder in it that is named as the archive's. No image is opened.
pub fn read(kind: Kind, folder: &Path) -> Result<(Images, Images), Error> {
    let root = kind.place(folder);
    for part in ["train", "val"] {
        if !root.join(part).is_dir() {
            return Err(Error::Missing { set: kind.name(), folder: root, file: part });
        }
    }
    let classes = classes(kind, &root.join("train"))?;
    let train = by_class(&root, "train", &classes, (kind == Kind::TinyImagenet).then_some("images"))?;
    let test = if kind == Kind::TinyImagenet {
        annotated(kind, &root, &classes)?
    } else {
        by_class(&root, "val", &classes, None)?
    };
    // Tiny ImageNet has the size that nets take. For the others the shorter edge is 8/7 of what is seen: 256 to 224.
    let share = if kind == Kind::TinyImagenet { 1.0 } else { 0.875 };
    let images = |(names, labels)| Images {
        pixels: Pixels::Files(Files::new(root.clone(), names, Seen::Square(share))),
        labels,
        shape: kind.shape(),
        targets: Targets::Classes,
        normalisation: kind.normalisation(),
    };
    Ok((images(train), images(test)))
}

type Listing = (Vec<Box<Path>>, Vec<u16>);

/// The names of the folders in `train`.
fn classes(kind: Kind, train: &Path) -> Result<Vec<OsString>, Error> {
    let names = names(train)?.into_iter().filter(|name| train.join(name).is_dir());
    let classes: Vec<OsString> = names.collect();
    let expected = kind.shape().classes;
    if classes.len() != expected {
        let mut message = format!("{} folders (must be {expected}, one a class)", classes.len());
        if classes.len() > expected {
            message += &too_many(&classes, &train.with_file_name("val"));
        }
        return Err(Error::broken(train, message));
    }
    Ok(classes)
}

/// Those folders that are no classes: not named as WordNet's synsets are, else not in `val`.
fn too_many(classes: &[OsString], val: &Path) -> String {
    let is_synset = |name: &OsString| match name.as_encoded_bytes() {
        [b'n', digits @ ..] => digits.len() == 8 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let mut foreign: Vec<&OsString> = classes.iter().filter(|name| !is_synset(name)).collect();
    if foreign.is_empty() {
        foreign = classes.iter().filter(|name| !val.join(name).exists()).collect();
    }
    let names: Vec<String> = foreign.iter().take(3).map(|name| format!("`{}`", name.shown())).collect();
    if names.is_empty() { String::new() } else { format!("; {} is none", names.join(", ")) }
}

/// `part/<class>/<inner>/*`.
fn by_class(root: &Path, part: &str, classes: &[OsString], inner: Option<&str>) -> Result<Listing, Error> {
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (label, class) in classes.iter().enumerate() {
        let mut folder = Path::new(part).join(class);
        folder.extend(inner);
        let path = root.join(&folder);
        let before = files.len();
        files.extend(names(&path)?.into_iter().filter(|name| is_image(name)).map(|name| folder.join(name).into()));
        if files.len() == before {
            return Err(Error::broken(&path, "there are no images in it"));
        }
        labels.resize(files.len(), label as u16);
    }
    Ok((files, labels))
}

/// `val/images/*` with the classes that `val/val_annotations.txt` gives: name, class and a box, separated by tabs.
fn annotated(kind: Kind, root: &Path, classes: &[OsString]) -> Result<Listing, Error> {
    let path = root.join("val/val_annotations.txt");
    let mut text = String::new();
    let file = File::open(&path).map_err(Error::io(&path))?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(Error::io(&path))?;
    annotations(&text, kind, classes).map_err(|message| Error::broken(&path, message))
}

/// Files and labels of the lines.
fn annotations(text: &str, kind: Kind, classes: &[OsString]) -> Result<Listing, String> {
    let (mut files, mut labels): (Vec<Box<Path>>, _) = (Vec::new(), Vec::new());
    for (line, text) in text.lines().enumerate() {
        let broken = |what: String| format!("line {}: {what}", line + 1);
        let mut fields = text.split('\t');
        let (Some(name), Some(class)) = (fields.next(), fields.next()) else {
            return Err(broken("must be a name and a class, separated by a tab".into()));
        };
        let mut parts = Path::new(name).components();
        let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
            return Err(broken(format!("`{name}` is no name of a file")));
        };
        let Ok(label) = classes.binary_search_by(|known| known.as_os_str().cmp(OsStr::new(class))) else {
            return Err(broken(format!("`{class}` is no class of {}", kind.name())));
        };
        files.push(Path::new("val/images").join(name).into());
        labels.push(label as u16);
    }
    Ok((files, labels))
}

/// What lies in `folder`, sorted, without what is hidden.
fn names(folder: &Path) -> Result<Vec<OsString>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let name = entry.map_err(Error::io(folder))?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_image(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["jpeg", "jpg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
pub mod tests {
    use super::{Files, Kind, annotations, read};
    use crate::data::picture::tests::jpeg;
    use crate::data::{Augment, Error, Images, Pixels};
    use crate::random::Random;
    use allocation_counter::measure;
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::fs;
    use std::path::{Component, Path};

    /// Imagenette with `each` images a class in each part; class and number decide the colour.
    pub fn imagenette(folder: &Path, each: usize) -> (Images, Images) {
        for part in ["train", "val"] {
            for class in 0..10u8 {
                let path = folder.join(part).join(format!("n{class:08}"));
                fs::create_dir_all(&path).unwrap();
                for i in 0..each {
                    let colour = [20 * class, 9 * i as u8, 128];
                    fs::write(path.join(format!("{i}.JPEG")), jpeg(20 + i as u32, 16, colour)).unwrap();
                }
            }
        }
        read(Kind::Imagenette, folder).unwrap()
    }

    fn files(images: &Images) -> &Files {
        match &images.pixels {
            Pixels::Files(files) => files,
            Pixels::Memory(_) | Pixels::Floats(_) => panic!("these are in memory"),
        }
    }

    fn pixels(images: &Images, i: usize, augment: &[Augment]) -> Result<Option<Vec<u8>>, Error> {
        files(images).read(i, images.shape, augment, &mut Random::new(1, "test"))
    }

    #[cfg(unix)]
    #[test]
    fn files_are_read_whose_names_are_no_text() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        imagenette(folder.path(), 1);
        let class = folder.path().join("train/n00000000");
        fs::rename(class.join("0.JPEG"), class.join(std::ffi::OsStr::from_bytes(b"\xff.JPEG"))).unwrap();
        fs::rename(&class, folder.path().join("train").join(std::ffi::OsStr::from_bytes(b"a\xff"))).unwrap();
        let validated = folder.path().join("val");
        fs::rename(validated.join("n00000000"), validated.join(std::ffi::OsStr::from_bytes(b"a\xff"))).unwrap();
        let (train, test) = read(Kind::Imagenette, folder.path()).unwrap();
        assert!(pixels(&train, 0, &[]).unwrap().is_some() && pixels(&test, 0, &[]).unwrap().is_some());
    }

    #[test]
    fn classes_are_numbered_by_name_and_images_have_the_size_of_the_set() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("train/.cache")).unwrap();
        let (train, test) = imagenette(folder.path(), 2);
        assert_eq!((train.len(), test.len()), (20, 20));
        assert_eq!(train.labels[..5], [0, 0, 1, 1, 2]);
        let image = pixels(&train, 7, &[Augment::ResizedCrop, Augment::Flip]).unwrap().unwrap();
        assert_eq!(image.len(), 128 * 128 * 3);
        assert!(image[0].abs_diff(60) < 3 && image[1].abs_diff(9) < 3, "{:?}", &image[..3]);
    }

    #[test]
    fn tiny_imagenet_has_a_folder_more_and_a_list_of_labels() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tiny-imagenet-200");
        for class in 0..200 {
            let path = root.join(format!("train/n{class:08}/images"));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("0.JPEG"), jpeg(64, 64, [class as u8; 3])).unwrap();
        }
        fs::create_dir_all(root.join("val/images")).unwrap();
        fs::write(root.join("val/images/val_0.JPEG"), jpeg(64, 64, [9; 3])).unwrap();
        let list = root.join("val/val_annotations.txt");
        let read = |text: &str| {
            fs::write(&list, text).unwrap();
            read(Kind::TinyImagenet, folder.path())
        };
        let (train, test) = read("val_0.JPEG\tn00000007\t0\t32\t44\t62\n").unwrap();
        assert_eq!((train.len(), test.labels.as_slice()), (200, [7].as_slice()));
        assert_eq!(pixels(&test, 0, &[]).unwrap().unwrap(), [9; 64 * 64 * 3]);
        let message = |text| read(text).unwrap_err().to_string();
        assert!(message("val_0.JPEG\tn00000200\t0\n").contains("line 1: `n00000200` is no class of tiny-imagenet\n"));
        assert!(message("val_0.JPEG n00000002").contains("separated by a tab"));
        assert!(message("../../x.JPEG\tn00000002\t0").contains("`../../x.JPEG` is no name of a file\n"));
        fs::remove_dir_all(root.join("train/n00000003")).unwrap();
        assert!(message("").contains("199 folders (must be 200, one a class)\n"));
    }

    #[test]
    fn a_broken_image_is_named_and_stops_unless_it_is_to_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut train, _) = imagenette(folder.path(), 1);
        let path = folder.path().join("train/n00000004/0.JPEG");
        fs::write(&path, b"").unwrap();
        let error = pixels(&train, 4, &[]).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("`{}` cannot be decoded: it is empty", path.display())),
            "{error}"
        );
        assert!(pixels(&train, 3, &[]).is_ok());
        if let Pixels::Files(files) = &mut train.pixels {
            files.skip_broken = true;
        }
        assert_eq!(pixels(&train, 4, &[]).unwrap(), None);
        assert_eq!(pixels(&train, 4, &[]).unwrap(), None);
        assert_eq!(files(&train).broken().iter().map(|broken| &broken.path).collect::<Vec<_>>(), [&path]);
        fs::remove_file(&path).unwrap();
        assert!(matches!(pixels(&train, 4, &[]), Err(Error::Io { .. })), "a file that has gone is no broken image");
    }

    #[test]
    fn folders_that_are_missing_or_empty_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(Kind::Imagenet, folder.path()).unwrap_err();
        assert!(matches!(error, Error::Missing { file: "train", .. }), "{error}");
        imagenette(folder.path(), 1);
        fs::remove_file(folder.path().join("val/n00000002/0.JPEG")).unwrap();
        let error = read(Kind::Imagenette, folder.path()).unwrap_err().to_string();
        assert!(error.contains("n00000002` is broken: there are no images in it\n"), "{error}");
        fs::remove_dir_all(folder.path().join("val/n00000002")).unwrap();
        let error = read(Kind::Imagenette, folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read") && error.contains("n00000002"), "{error}");
        fs::create_dir_all(folder.path().join("val/n00000002")).unwrap();
        for (eleventh, named) in [("lost+found", true), ("n00000010", true), ("n00000002", false)] {
            fs::create_dir_all(folder.path().join("train").join(eleventh)).unwrap();
            let error = read(Kind::Imagenette, folder.path()).unwrap_err().to_string();
            assert_eq!(
                error.contains(&format!("11 folders (must be 10, one a class); `{eleventh}` is none")),
                named,
                "{error}"
            );
            if named {
                fs::remove_dir(folder.path().join("train").join(eleventh)).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_mutated_list_raises_a_panic_or_leaves_the_folder(
            at: prop::sample::Index, length in 0usize..12, with in "[ -~\t\n]{0,12}|[./\\\\]{1,6}|n0000000[0-9]|\\PC{0,3}",
        ) {
            let classes = ["n00000001", "n00000002"].map(OsString::from);
            let mut text = "val_0.JPEG\tn00000001\t0\t32\t44\t62\nval_1.JPEG\tn00000002\t0\t0\t63\t63\n".to_owned();
            let start = at.index(text.len());
            text.replace_range(start..text.len().min(start + length), &with);
            let mut read = Err(String::new());
            let memory = measure(|| read = annotations(&text, Kind::TinyImagenet, &classes));
            prop_assert!(memory.bytes_max < 1 << 12, "{} bytes", memory.bytes_max);
            let (files, labels) = read.unwrap_or_default();
            prop_assert!(files.len() == labels.len() && labels.iter().all(|&label| label < 2));
            let inside = |file: &Path| {
                file.starts_with("val/images")
                    && file.components().count() == 3
                    && file.components().all(|part| matches!(part, Component::Normal(_)))
            };
            prop_assert!(files.iter().all(|file| inside(file)), "{files:?}");
        }
    }
}
