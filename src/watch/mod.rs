//! A sweep as it goes, on a terminal.
//!
//! Reading, numbers and drawing are apart: [`Reader`] looks into the folder of results, [`Screen`] is what there is to say of what it found,
//! [`draw`] puts that on a frame. Nothing here writes, asks the processes that run trials, or has a terminal of its own.

mod chart;
mod dash;
mod draw;
mod ink;
mod reader;
mod screen;
mod table;
mod view;

#[cfg(test)]
mod tests;

pub use chart::Curve;
pub use draw::{draw, notice};
pub use reader::{Found, Reader};
pub use screen::{Line, Row, Screen};
pub use view::View;
