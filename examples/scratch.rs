use candle_core::{DType, Device, Tensor};
use nkfac_bench::clock::*; use nkfac_bench::nn::*; use nkfac_bench::optim::*; use nkfac_bench::nn::zoo::*;
use std::sync::Arc;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let width: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let batch: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let m: ModelConfig = serde_json::from_value(serde_json::json!({"resnet18": {"width": width}})).unwrap();
    let dev = Device::Cpu;
    let net = m.build(Shape{channels:3,height:32,width:32,classes:10}, 1, DType::F32, &dev).unwrap();
    let x = Tensor::randn(0f32,1.,(batch,32,32,3),&dev).unwrap();
    let y = Tensor::zeros(batch, DType::U32, &dev).unwrap();
    let clock = Arc::new(Clock::new(&dev));
    let _r = clock.start();
    let cfg: OptimizerConfig = serde_json::from_value(serde_json::json!({"precondition": {"kfac": {"factor_every":2,"inverse_every":2,"moments":{"scale":"frobenius","decay":0.95,"start":"zero"},"damping":{"relative":{"factor":0.01,"floor":1e-4}},"inverter":{"newton":{"exact_until":0}},"rescale":"gradient-norm"}},"update":{"sgd":{"momentum":0.9}}})).unwrap();
    let cfg = if std::env::args().nth(3).is_some() {cfg} else {OptimizerConfig{precondition:None, update: Update::Sgd{momentum:0.9,nesterov:false,weight_decay:5e-4,decay_from:0}}};
    let mut opt = Optimizer::new(&cfg, &net.params);
    let mut prev=[0.0;9];
    for i in 0..5 {
        let pass = Pass::Training{tap:opt.listens(i).map(|t| t.0), clock: clock.clone()};
        let loss = { let _p = clock.phase(Phase::Forward); cross_entropy(&net.forward(&x,&pass).unwrap(), &y, 0.0).unwrap() };
        let g = { let _p = clock.phase(Phase::Backward); net.params.gradients(&loss.backward().unwrap()).unwrap() };
        opt.step(g, &Step{index:i, lr:0.01, params:&net.params, clock:&clock}).unwrap();
        let s = clock.seconds();
        let d: Vec<String> = (0..9).map(|k| format!("{}={:.3}", Phase::ALL[k].name(), s[k]-prev[k])).collect();
        println!("{}", d.join(" ")); prev=s;
    }
}
