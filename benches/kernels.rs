//! `cargo bench`: milliseconds and GFLOP/s of a convolution and its gradients by every engine, at the shapes of ResNet-18's layers
//! and ResNet-50's 1×1 convolutions.
//!
//! `cargo bench -- 512` shows the shapes with that in their name alone.

use std::time::Instant;

use nkfac_bench::kernel::conv::{forward, grad_input, grad_weight};
use nkfac_bench::kernel::{Conv, Engine, Geometry, gram};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Repetitions, of which the fastest counts: what else the machine does only ever adds.
const REPEATS: usize = 7;

fn main() {
    nkfac_bench::kernel::memory::keep_freed();
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    println!(
        "{:<24} {:<16} {:>16} {:>16} {:>16}",
        "convolution, batch 32", "engine", "forward", "grad-input", "grad-weight"
    );
    let shape = |inputs, outputs, size, kernel, stride| Geometry {
        batch: 32,
        height: size,
        width: size,
        inputs,
        outputs,
        kernel,
        stride,
        padding: kernel / 2,
    };
    let shapes = [
        shape(3, 64, 32, 3, 1),
        shape(64, 64, 32, 3, 1),
        shape(128, 128, 16, 3, 1),
        shape(256, 256, 8, 3, 1),
        shape(512, 512, 4, 3, 1),
        shape(64, 128, 32, 3, 2),
        shape(64, 128, 32, 1, 2),
        shape(256, 64, 32, 1, 1),
        shape(64, 256, 32, 1, 1),
        shape(512, 128, 16, 1, 1),
        shape(128, 512, 16, 1, 1),
        shape(1024, 256, 8, 1, 1),
        shape(256, 1024, 8, 1, 1),
        shape(2048, 512, 4, 1, 1),
        shape(512, 2048, 4, 1, 1),
    ];
    for g in shapes {
        let name = format!("{}→{} {}² k{} s{}", g.inputs, g.outputs, g.height, g.kernel, g.stride);
        if !name.contains(&filter) {
            continue;
        }
        let (x, weight) = (numbers(g.batch * g.image()), numbers(g.patch() * g.outputs));
        let dy = numbers(g.pixels() * g.outputs);
        let work = 2.0 * (g.pixels() * g.patch() * g.outputs) as f64;
        for engine in Engine::all().filter(|engine| engine.conv != Conv::Winograd) {
            let cells = [
                cell(work, || forward(engine, &g, &x, &weight, None)),
                cell(work, || grad_input(engine, &g, &dy, &weight)),
                cell(work, || grad_weight(engine, &g, &x, &dy)),
            ];
            let engine = format!("{} {}", engine.conv.name(), engine.simd.name());
            println!("{name:<24} {engine:<16} {:>16} {:>16} {:>16}", cells[0], cells[1], cells[2]);
        }
        let patches = g.patch() as f64;
        println!(
            "{name:<24} {:<16} {:>16}",
            "moments",
            cell(patches * patches * g.pixels() as f64, || gram::conv(Engine::AUTO, &g, &x, false))
        );
    }
}

/// Numbers without a pattern that a processor could use.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// The fastest of some calls.
fn cell<T>(work: f64, mut call: impl FnMut() -> T) -> String {
    let seconds = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(call());
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    format!("{:.2} ms {:>4.0} GF", seconds * 1e3, work / seconds / 1e9)
}
