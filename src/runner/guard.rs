//! Whether a trial had the machine to itself. Times that were disturbed are recorded as such, and said to be.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::record::{Metric, Row, Scope};

/// What is looked at before a trial and after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    neighbours: usize,
    times: Option<Times>,
    others: Option<f64>,
    throttled: Option<f64>,
}

/// Seconds of all threads of this process.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// On a processor.
    ran: f64,
    /// Ready to run, with no processor to run on.
    waited: f64,
}

impl Guard {
    /// The machine as it is now.
    pub fn new() -> Self {
        Self { neighbours: neighbours(), times: times(), others: others(), throttled: throttled() }
    }

    /// What has happened since, as rows at the end of a trial, behind `last`. What the system does not tell is left out.
    pub fn rows(&self, last: &Row) -> Vec<Row> {
        let now = Self::new();
        let times = self.times.zip(now.times);
        let values = [
            (Metric::Neighbours, Some(self.neighbours.max(now.neighbours) as f64)),
            (Metric::CpuSeconds, times.map(|(then, now)| now.ran - then.ran)),
            (Metric::WaitSeconds, times.map(|(then, now)| now.waited - then.waited)),
            (Metric::OthersSeconds, self.others.zip(now.others).map(|(then, now)| now - then)),
            (Metric::ThrottledSeconds, self.throttled.zip(now.throttled).map(|(then, now)| now - then)),
        ];
        let row = |(metric, value): (Metric, Option<f64>)| {
            Some(Row { scope: Scope::Train, metric, value: value?.max(0.0), ..last.clone() })
        };
        values.into_iter().filter_map(row).collect()
    }
}

/// Those of all threads that live. One that ends meanwhile is left out.
fn times() -> Option<Times> {
    let tasks = fs::read_dir("/proc/self/task").ok()?.flatten();
    tasks
        .filter_map(|task| Times::of(&task.path()))
        .reduce(|all, one| Times { ran: all.ran + one.ran, waited: all.waited + one.waited })
}

impl Times {
    /// Linux: `schedstat` has nanoseconds on a processor and in its queue, a thread each (Documentation/scheduler/sched-stats.rst).
    fn of(task: &Path) -> Option<Self> {
        let text = fs::read_to_string(task.join("schedstat")).ok()?;
        let mut seconds = text.split_whitespace().map_while(|number| Some(number.parse::<f64>().ok()? * 1e-9));
        Some(Self { ran: seconds.next()?, waited: seconds.next()? })
    }
}

/// What USER_HZ is on Linux: ticks a second.
const TICKS: f64 = 100.0;

/// Linux: seconds that all processors were busy, less those of this process, of threads that have ended too (proc(5)). Time that a
/// hypervisor gave to others is among them.
fn others() -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let all: Vec<f64> =
        machine.lines().next()?.split_whitespace().skip(1).map_while(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: f64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&place| all.get(place)).sum();
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything; utime and stime are the fields 14 and 15.
    let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
    let [user, system] = [11, 12].map(|place| fields.get(place).and_then(|ticks| ticks.parse::<f64>().ok()));
    Some((busy - user? - system?) / TICKS)
}

/// Linux on Intel's processors: milliseconds in which the package was too hot for its clock.
fn throttled() -> Option<f64> {
    let file = "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_total_time_ms";
    fs::read_to_string(file).ok()?.trim().parse::<f64>().ok().map(|milliseconds| milliseconds * 1e-3)
}

/// Other processes of this program on this machine that run a trial.
fn neighbours() -> usize {
    count_trials(Path::new("/proc"), std::process::id())
}

/// How many processes but `own` run a trial, of those in a folder like `/proc`, whose `self` and `thread-self` are `own` once more.
fn count_trials(folder: &Path, own: u32) -> usize {
    let runs = |process: &Path| {
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        let mut words = command.split(|&byte| byte == 0);
        let is_ours = words.next().is_some_and(|program| program.ends_with(env!("CARGO_PKG_NAME").as_bytes()));
        is_ours && words.next() == Some(b"run") && words.any(|word| word == b"--only" || word == b"--in-process")
    };
    let is_other =
        |name: &OsStr| name.to_str().and_then(|name| name.parse::<u32>().ok()).is_some_and(|process| process != own);
    let processes = fs::read_dir(folder).into_iter().flatten().flatten();
    processes.filter(|process| is_other(&process.file_name()) && runs(&process.path())).count()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;
    use std::sync::Barrier;
    use std::time::Instant;

    use super::{Times, count_trials, others, times};

    /// Other tests start and end threads of their own meanwhile: each thread looks at itself.
    #[test]
    fn threads_that_outnumber_the_processors_wait_for_them() {
        if times().is_none() {
            return;
        }
        let count = 4 * std::thread::available_parallelism().map_or(1, usize::from);
        let spun = Barrier::new(count);
        let spin = || {
            let begun = Instant::now();
            while begun.elapsed().as_millis() < 300 {
                std::hint::spin_loop();
            }
            let own = Times::of(Path::new("/proc/thread-self")).unwrap();
            spun.wait();
            let all = times().unwrap();
            spun.wait();
            (own, all)
        };
        let seen: Vec<(Times, Times)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(spin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (ran, waited) = seen.iter().fold((0.0, 0.0), |sum, (own, _)| (sum.0 + own.ran, sum.1 + own.waited));
        assert!(ran > 0.1 && waited > ran, "ran {ran} s, waited {waited} s");
        for (_, all) in seen {
            assert!(all.ran >= ran && all.waited >= waited, "{all:?} of all threads, {ran} s and {waited} s of these");
        }
    }

    #[test]
    fn others_ran_no_longer_than_all_processors_can() {
        let Some(before) = others() else { return };
        let begun = Instant::now();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let (others, wall) = (others().unwrap() - before, begun.elapsed().as_secs_f64());
        let most = wall * 1.2 * std::thread::available_parallelism().map_or(1, usize::from) as f64;
        assert!((-0.1..most).contains(&others), "others ran {others} s in {wall} s");
    }

    #[test]
    fn a_trial_is_no_neighbour_of_itself() {
        let folder = tempfile::tempdir().unwrap();
        let trial = "/bin/nkfac-bench\0run\0x.toml\0--only\0ab\0";
        let processes = [
            ("7", trial),
            ("self", trial),
            ("thread-self", trial),
            ("8", trial),
            ("9", "/bin/nkfac-bench\0run\0x.toml\0"),
            ("10", "/bin/nkfac-bench\0watch\0--only\0"),
            ("11", "/bin/other\0run\0--only\0"),
        ];
        for (name, command) in processes {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("cmdline"), command).unwrap();
        }
        assert_eq!([7, 8, 1].map(|own| count_trials(folder.path(), own)), [1, 1, 2]);
    }
}
