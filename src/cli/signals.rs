//! Signals that ask a run to save and stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// True from the first signal on that asks to stop. A second SIGINT or SIGTERM ends the process at once.
pub fn stop() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGUSR1};
        end_at_the_second(stop.clone())?;
        flag::register(SIGUSR1, stop.clone())?;
        // A terminal that closes sends several: from the shell, from the system, for its session and its foreground.
        if !hang_ups_are_ignored() {
            flag::register(SIGHUP, stop.clone())?;
        }
    }
    #[cfg(not(unix))]
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

/// Sets `stop` at the first SIGINT or SIGTERM. Who sends one twice at once sends it once: `timeout` to its child and to the child's group, a
/// hurried hand.
#[cfg(unix)]
fn end_at_the_second(stop: Arc<AtomicBool>) -> io::Result<()> {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    const AT_ONCE: Duration = Duration::from_millis(100);
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        let mut first = None;
        for signal in signals.forever() {
            stop.store(true, Ordering::Relaxed);
            if first.get_or_insert_with(Instant::now).elapsed() > AT_ONCE {
                signal_hook::low_level::exit(128 + signal);
            }
        }
    });
    Ok(())
}

/// Whether this process was started by `nohup` or the like, which must not be undone. A process may ask itself in C alone; a shell that
/// it starts inherits the answer.
#[cfg(unix)]
fn hang_ups_are_ignored() -> bool {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "kill -HUP $$"]).status().is_ok_and(|status| status.success())
}
