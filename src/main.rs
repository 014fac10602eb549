fn main() -> anyhow::Result<()> {
    for path in std::env::args().skip(1) {
        match nkfac_bench::reference::verify(std::path::Path::new(&path), candle_core::DType::F64, None) {
            Ok(v) => println!("{} {} {:?}", v.passes(), path, v.worst),
            Err(e) => println!("error {e}"),
        }
    }
    Ok(())
}
