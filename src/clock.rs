//! An honest clock: seconds of training by phase, which add up to the wall.
//!
//! Phases nest: entering one pauses the phase around it, so that the statistics taken inside a backward pass are counted as
//! [`Phase::Moments`] and not twice. The device is waited for at every change of phase. What happens between `start` and
//! `stop` but in no phase is [`Phase::Other`]; what happens outside of them (evaluation, records, drawing) is not counted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use candle_core::Device;

/// A part of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Data,
    Forward,
    Backward,
    Moments,
    Damping,
    Inversion,
    Preconditioning,
    Update,
    Other,
}

impl Phase {
    /// Every phase, in the order of a step.
    pub const ALL: [Self; 9] = [
        Self::Data,
        Self::Forward,
        Self::Backward,
        Self::Moments,
        Self::Damping,
        Self::Inversion,
        Self::Preconditioning,
        Self::Update,
        Self::Other,
    ];
}

/// Seconds by phase, in the order of [`Phase::ALL`].
pub type Seconds = [f64; Phase::ALL.len()];

/// The clock of one trial.
#[derive(Debug)]
pub struct Clock {
    device: Device,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The phases entered and not left yet, the innermost last; empty while the clock stands.
    open: Vec<(Option<Phase>, Instant)>,
    seconds: Seconds,
}

impl State {
    /// Counts the time since the last change towards the innermost phase.
    fn settle(&mut self) {
        let now = Instant::now();
        if let Some((phase, since)) = self.open.last_mut() {
            if let Some(phase) = phase {
                self.seconds[*phase as usize] += now.duration_since(*since).as_secs_f64();
            }
            *since = now;
        }
    }
}

impl Clock {
    /// A clock that stands at zero and waits for `device` at its edges.
    #[must_use]
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), state: Mutex::default() }
    }

    /// A clock that stands at `seconds`, to go on from a checkpoint.
    #[must_use]
    pub fn at(device: &Device, seconds: Seconds) -> Self {
        Self { device: device.clone(), state: Mutex::new(State { open: Vec::new(), seconds }) }
    }

    /// Runs until the returned guard is dropped; time in no other phase counts as [`Phase::Other`].
    pub fn start(&self) -> Running<'_> {
        self.enter(Some(Phase::Other))
    }

    /// Counts time towards `phase` until the returned guard is dropped. Does nothing while the clock stands, so that code
    /// measured in training may also run in evaluation.
    pub fn phase(&self, phase: Phase) -> Option<Running<'_>> {
        let stands = self.lock().open.is_empty();
        (!stands).then(|| self.enter(Some(phase)))
    }

    /// Counts no time until the returned guard is dropped: for what is measured in the middle of a step but is no part of it.
    pub fn pause(&self) -> Running<'_> {
        self.enter(None)
    }

    /// Seconds so far, by phase.
    pub fn seconds(&self) -> Seconds {
        let mut state = self.lock();
        state.settle();
        state.seconds
    }

    /// Training seconds so far, all phases together.
    pub fn total(&self) -> f64 {
        self.seconds().iter().sum()
    }

    fn enter(&self, phase: Option<Phase>) -> Running<'_> {
        self.wait_for_device();
        let mut state = self.lock();
        state.settle();
        state.open.push((phase, Instant::now()));
        Running { clock: self }
    }

    /// A device that cannot be waited for fails at the next operation, with its own message.
    fn wait_for_device(&self) {
        if !self.device.is_cpu() {
            let _ = self.device.synchronize();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A phase, or the clock itself, running until this is dropped.
#[must_use = "time is counted only while this lives"]
#[derive(Debug)]
pub struct Running<'a> {
    clock: &'a Clock,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.clock.wait_for_device();
        let mut state = self.clock.lock();
        state.settle();
        state.open.pop();
        let now = Instant::now();
        if let Some((_, since)) = state.open.last_mut() {
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use candle_core::Device;

    use super::{Clock, Phase};

    #[test]
    fn nested_phases_add_up_to_the_wall() {
        let clock = Clock::new(&Device::Cpu);
        assert!(clock.phase(Phase::Data).is_none(), "a standing clock counts nothing");
        let wall = Instant::now();
        {
            let _running = clock.start();
            let _backward = clock.phase(Phase::Backward);
            std::thread::sleep(Duration::from_millis(20));
            {
                let _moments = clock.phase(Phase::Moments);
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        let wall = wall.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_millis(20));
        let seconds = clock.seconds();
        let (moments, backward) = (seconds[Phase::Moments as usize], seconds[Phase::Backward as usize]);
        // However long a busy machine sleeps.
        assert!(moments >= 0.03 && backward >= 0.02, "{seconds:?}");
        assert!(backward <= wall - 0.03, "the nested phase is counted twice: {seconds:?} of {wall}");
        assert!(clock.total() <= wall, "{} of {wall}", clock.total());
    }

    #[test]
    fn a_pause_is_not_counted() {
        let clock = Clock::new(&Device::Cpu);
        let wall = Instant::now();
        {
            let _running = clock.start();
            let _inversion = clock.phase(Phase::Inversion);
            let _pause = clock.pause();
            std::thread::sleep(Duration::from_millis(30));
        }
        assert!(clock.total() + 0.03 <= wall.elapsed().as_secs_f64(), "{}", clock.total());
    }
}
