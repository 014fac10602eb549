//! Signals that ask a run to save and stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

/// Who sends the same signal within this time sends it once: `timeout` to its child and to the child's group, a hurried hand twice.
const ONE: Duration = Duration::from_millis(100);

/// True from the first signal on that asks to stop. A second SIGINT or SIGTERM ends the process at once.
pub fn stop() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let asked = stop.clone();
    thread::spawn(move || {
        let mut first = None;
        for signal in signals.forever() {
            asked.store(true, Ordering::Relaxed);
            if first.get_or_insert_with(Instant::now).elapsed() > ONE {
                exit(128 + signal);
            }
        }
    });
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGUSR1};
        flag::register(SIGUSR1, stop.clone())?;
        // A terminal that closes sends several: from the shell, from the system, for its session and its foreground.
        if !hang_ups_are_ignored() {
            flag::register(SIGHUP, stop.clone())?;
        }
    }
    Ok(stop)
}

/// Whether this process was started by `nohup` or the like, which must not be undone. A process may ask itself in C alone; a shell that
/// it starts inherits the answer.
#[cfg(unix)]
fn hang_ups_are_ignored() -> bool {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "kill -HUP $$"]).status().is_ok_and(|status| status.success())
}
