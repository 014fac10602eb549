//! Signals that ask a run to save and stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// True from the first signal on that asks to stop. A second SIGINT or SIGTERM ends the process at once.
pub fn stop() -> io::Result<Arc<AtomicBool>> {
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, and raises it.
        flag::register_conditional_shutdown(signal, 128 + signal, asked.clone())?;
        flag::register(signal, asked.clone())?;
        flag::register(signal, stop.clone())?;
    }
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
