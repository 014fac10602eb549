use super::chart::Curve;

/// What the person in front of it chose to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    pub curve: Curve,
    /// The trial in the first row of the table.
    pub top: usize,
}

impl View {
    /// Moves the table by so many rows, downwards if there are more than 0.
    pub fn scroll(&mut self, rows: isize) {
        self.top = self.top.saturating_add_signed(rows);
    }
}
