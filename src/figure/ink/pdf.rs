//! A canvas as PDF for a paper: lines stay lines and text stays text, in a subset of the font that the file carries.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::Face;

use super::canvas::{Anchor, Canvas, Mark};
use super::font::{FILE, MIDDLE};
use super::style::{Color, PAPER, Theme};

/// The whole document: one page as large as the canvas. The same canvas gives the same bytes.
pub fn pdf(canvas: &Canvas, theme: Theme) -> anyhow::Result<Vec<u8>> {
    let [catalog, pages, page, contents, faint, solid] = [1, 2, 3, 4, 5, 6].map(Ref::new);
    let mut glyphs = Glyphs::new()?;
    let drawn = drawn(canvas, theme, &mut glyphs);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut of_page = pdf.page(page);
    of_page.parent(pages).media_box(Rect::new(0.0, 0.0, canvas.width as f32, canvas.height as f32)).contents(contents);
    let mut resources = of_page.resources();
    resources.fonts().pair(FONT, FONT_AT);
    resources.ext_g_states().pair(FAINT, faint).pair(SOLID, solid);
    resources.finish();
    of_page.finish();
    pdf.ext_graphics(faint).non_stroking_alpha(PAPER.faint().alpha as f32);
    pdf.ext_graphics(solid).non_stroking_alpha(1.0);
    pdf.stream(contents, &deflated(&drawn)?).filter(Filter::FlateDecode);
    glyphs.write(&mut pdf)?;
    Ok(pdf.finish())
}

const FONT: Name<'_> = Name(b"F");
const FAINT: Name<'_> = Name(b"Faint");
const SOLID: Name<'_> = Name(b"Solid");
/// The objects of the font.
const FONT_AT: Ref = Ref::new(7);
const CID_AT: Ref = Ref::new(8);
const DESCRIPTOR_AT: Ref = Ref::new(9);
const CMAP_AT: Ref = Ref::new(10);
const DATA_AT: Ref = Ref::new(11);

/// The operators that draw the page, whose y runs upwards.
fn drawn(canvas: &Canvas, theme: Theme, glyphs: &mut Glyphs) -> Vec<u8> {
    let mut content = Content::new();
    let up = |y: f64| (canvas.height - y) as f32;
    let rgb = |color: Color| theme.color(color).rgb.map(|part| f32::from(part) / 255.0);
    let [red, green, blue] = rgb(PAPER);
    content.set_fill_rgb(red, green, blue).rect(0.0, 0.0, canvas.width as f32, canvas.height as f32).fill_nonzero();
    content.set_line_join(LineJoinStyle::RoundJoin);
    for mark in &canvas.marks {
        match mark {
            Mark::Hover { .. } => {}
            Mark::Line { points, color, width, dash } => {
                let [red, green, blue] = rgb(*color);
                content.set_stroke_rgb(red, green, blue).set_line_width(*width as f32);
                content.set_dash_pattern(dash.iter().map(|length| *length as f32), 0.0);
                path(&mut content, points, up);
                content.stroke();
            }
            Mark::Area { points, color } => {
                let [red, green, blue] = rgb(*color);
                content.set_parameters(if color.alpha < 1.0 { FAINT } else { SOLID }).set_fill_rgb(red, green, blue);
                path(&mut content, points, up);
                content.close_path().fill_nonzero();
            }
            Mark::Text { at: (x, y), text, size, color, anchor, turned } => {
                let [red, green, blue] = rgb(*color);
                let (bytes, ems) = glyphs.encode(text);
                let back = match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => ems * size / 2.0,
                    Anchor::End => ems * size,
                };
                let below = MIDDLE * size;
                let matrix = match turned {
                    true => [0.0, 1.0, -1.0, 0.0, (x + below) as f32, up(y + back)],
                    false => [1.0, 0.0, 0.0, 1.0, (x - back) as f32, up(y + below)],
                };
                content.set_parameters(SOLID).set_fill_rgb(red, green, blue).begin_text();
                content.set_font(FONT, *size as f32).set_text_matrix(matrix).show(Str(&bytes)).end_text();
            }
        }
    }
    content.finish().into_vec()
}

fn path(content: &mut Content, points: &[(f64, f64)], up: impl Fn(f64) -> f32) {
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 {
            content.move_to(x as f32, up(y))
        } else {
            content.line_to(x as f32, up(y))
        };
    }
}

/// The glyphs that a page uses.
struct Glyphs {
    face: Face<'static>,
    remapper: GlyphRemapper,
    /// What each glyph of the subset stands for, and its width in ems.
    used: BTreeMap<u16, (char, f64)>,
}

impl Glyphs {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { face: Face::parse(FILE, 0)?, remapper: GlyphRemapper::new(), used: BTreeMap::new() })
    }

    /// A text in the subset's glyphs, two bytes each, and its width in ems. What the font does not have is its empty box.
    fn encode(&mut self, text: &str) -> (Vec<u8>, f64) {
        let (mut bytes, mut width) = (Vec::new(), 0.0);
        for c in text.chars() {
            let glyph = self.face.glyph_index(c).unwrap_or_default();
            let advance = self.face.glyph_hor_advance(glyph).unwrap_or_default();
            let ems = f64::from(advance) / f64::from(self.face.units_per_em());
            let place = self.remapper.remap(glyph.0);
            self.used.entry(place).or_insert((c, ems));
            bytes.extend(place.to_be_bytes());
            width += ems;
        }
        (bytes, width)
    }

    /// Writes the font's objects (ISO 32000-1, 9.7: a composite font whose codes are glyphs).
    fn write(&self, pdf: &mut Pdf) -> anyhow::Result<()> {
        const NAME: Name<'_> = Name(b"NKFACB+DejaVuSans");
        const INFO: SystemInfo<'_> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
        let data = deflated(&subsetter::subset(FILE, 0, &self.remapper)?)?;
        pdf.stream(DATA_AT, &data).filter(Filter::FlateDecode);
        let mut font = pdf.type0_font(FONT_AT);
        font.base_font(NAME).encoding_predefined(Name(b"Identity-H")).descendant_font(CID_AT).to_unicode(CMAP_AT);
        font.finish();
        let mut cid = pdf.cid_font(CID_AT);
        cid.subtype(CidFontType::Type2).base_font(NAME).system_info(INFO).font_descriptor(DESCRIPTOR_AT);
        cid.cid_to_gid_map_predefined(Name(b"Identity"));
        let mut widths = cid.widths();
        for (&place, (_, ems)) in &self.used {
            widths.consecutive(place, [1000.0 * *ems as f32]);
        }
        widths.finish();
        cid.finish();
        let units = |length: i16| 1000.0 * f32::from(length) / f32::from(self.face.units_per_em());
        let bounds = self.face.global_bounding_box();
        let [left, bottom, right, top] = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(units);
        let mut descriptor = pdf.font_descriptor(DESCRIPTOR_AT);
        descriptor.name(NAME).flags(FontFlags::SYMBOLIC).bbox(Rect::new(left, bottom, right, top)).italic_angle(0.0);
        descriptor.ascent(units(self.face.ascender())).descent(units(self.face.descender()));
        descriptor.cap_height(units(self.face.capital_height().unwrap_or_default())).stem_v(80.0).font_file2(DATA_AT);
        descriptor.finish();
        let mut cmap = UnicodeCmap::new(Name(b"Custom"), INFO);
        for (&place, &(c, _)) in &self.used {
            cmap.pair(place, c);
        }
        pdf.cmap(CMAP_AT, &cmap.finish());
        Ok(())
    }
}

fn deflated(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{Anchor, Canvas};
    use super::{Theme, pdf};

    #[test]
    fn a_page_carries_no_more_of_the_font_than_it_uses() {
        let mut canvas = Canvas::new(100.0, 50.0);
        canvas.text((50.0, 25.0), "sgd, lr = 10⁻⁴, 漢", Anchor::Middle);
        canvas.turned_text((10.0, 25.0), "accuracy (%)");
        let written = pdf(&canvas, Theme::Light).unwrap();
        assert!(written.starts_with(b"%PDF-") && (2_000..30_000).contains(&written.len()), "{}", written.len());
        assert_eq!(written, pdf(&canvas, Theme::Light).unwrap(), "the same bytes");
        assert_ne!(written, pdf(&canvas, Theme::Dark).unwrap(), "control");
    }
}
