//! The backward pass through a graph of our own operations.
//!
//! candle adds every gradient to a tensor of zeros first: three passes more over memory for each. Each of our
//! operations is therefore remembered by the tensor that it made, so that its gradients can be handed from one to the next as they
//! are. A graph with anything else in it goes candle's way, to the same end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId};

use super::Operation;
use super::relu::sum;

/// The operations of all graphs that are alive, by the tensors that they made.
static APPLIED: LazyLock<Mutex<HashMap<TensorId, Weak<Applied>>>> = LazyLock::new(Mutex::default);

/// An operation with what it was applied to.
pub struct Applied {
    operation: Box<dyn Operation>,
    args: Vec<Tensor>,
    /// The tensor that it made, once there is one.
    output: Mutex<Option<TensorId>>,
}

impl Applied {
    pub fn new(operation: Box<dyn Operation>, args: &[&Tensor]) -> Arc<Self> {
        Arc::new(Self { operation, args: args.iter().map(|&arg| arg.clone()).collect(), output: Mutex::default() })
    }

    /// From now on [`backward`] knows where `output` came from, as long as its graph lives.
    pub fn remember(self: &Arc<Self>, output: &Tensor) {
        *self.output.lock().unwrap_or_else(PoisonError::into_inner) = Some(output.id());
        applied().insert(output.id(), Arc::downgrade(self));
    }

    fn of(tensor: &Tensor) -> Option<Arc<Self>> {
        applied().get(&tensor.id())?.upgrade()
    }

    pub fn name(&self) -> &'static str {
        self.operation.name()
    }

    /// The gradient by each argument, detached.
    pub fn backward(&self, output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let grad = grad.detach().contiguous()?;
        let args: Vec<&Tensor> = self.args.iter().collect();
        let grads = self.operation.backward(&args, output, &grad)?;
        Ok(grads.into_iter().map(|grad| grad.map(|grad| grad.detach())).collect())
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        if let Some(output) = self.output.get_mut().unwrap_or_else(PoisonError::into_inner) {
            applied().remove(output);
        }
    }
}

fn applied() -> MutexGuard<'static, HashMap<TensorId, Weak<Applied>>> {
    APPLIED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `loss.backward()`, faster where every operation between `loss` and the variables is one of ours.
///
/// # Errors
/// Those of the operations.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    let Some(order) = order(loss) else { return loss.backward() };
    // candle has no empty store: the one of a constant holds nothing but the constant's own.
    let mut store = loss.detach().backward()?;
    let mut grads = HashMap::from([(loss.id(), loss.ones_like()?)]);
    for (output, applied) in order.into_iter().rev() {
        let Some(grad) = grads.remove(&output.id()) else { continue };
        for (arg, grad) in applied.args.iter().zip(applied.backward(&output, &grad)?) {
            let Some(grad) = grad else { continue };
            match grads.entry(arg.id()) {
                Entry::Vacant(entry) => drop(entry.insert(grad)),
                Entry::Occupied(mut entry) => {
                    let sum = sum(entry.get(), &grad)?;
                    entry.insert(sum);
                }
            }
            if arg.is_variable() {
                // A variable may be used again: what is in the map goes on growing, the store holds the latest.
                store.insert(arg, grads[&arg.id()].clone());
            }
        }
    }
    Ok(store)
}

/// Every tensor made between the variables and `loss`, arguments before results; `None` if one of them was not made by ours.
fn order(loss: &Tensor) -> Option<Vec<(Tensor, Arc<Applied>)>> {
    let mut order = Vec::new();
    let mut seen = std::collections::HashSet::from([loss.id()]);
    // A tensor with the number of its arguments that are done.
    let mut path = vec![(loss.clone(), Applied::of(loss)?, 0)];
    while let Some((_, applied, done)) = path.last_mut() {
        let Some(arg) = applied.args.get(*done).cloned() else {
            let (tensor, applied, _) = path.pop()?;
            order.push((tensor, applied));
            continue;
        };
        *done += 1;
        if arg.track_op() && !arg.is_variable() && seen.insert(arg.id()) {
            let applied = Applied::of(&arg)?;
            path.push((arg, applied, 0));
        }
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::{backward, order};
    use crate::clock::Clock;
    use crate::nn::op::{loss::cross_entropy, relu::relu};
    use crate::nn::zoo::{Images, ModelConfig, Wide};
    use crate::nn::{Init, Pass};
    use candle_core::{DType, Device, Result, Tensor, Var};
    use std::sync::Arc;

    #[test]
    fn nets_are_made_of_our_operations_alone_and_both_ways_agree() -> Result<()> {
        let wide = Wide { width: 2, init: Init::Torch };
        let shape = Images { channels: 3, height: 32, width: 32, classes: 5 };
        let models = [
            ModelConfig::Lenet { init: Init::Torch },
            ModelConfig::Resnet18(wide),
            ModelConfig::PreactResnet18(wide),
            ModelConfig::MobilenetV2(Wide { width: 32, ..wide }),
            ModelConfig::Vgg11(wide),
            ModelConfig::Densenet121(wide),
            ModelConfig::Googlenet(Wide { width: 32, ..wide }),
        ];
        for model in models {
            let net = model.build(shape, 1, DType::F64, &Device::Cpu)?;
            let images = Tensor::randn(0f64, 1.0, (2, 32, 32, 3), &Device::Cpu)?;
            let labels = Tensor::new(&[1u32, 4], &Device::Cpu)?;
            let pass = Pass::Training { tap: None, clock: Arc::new(Clock::new(&Device::Cpu)) };
            let loss = cross_entropy(&net.forward(&images, &pass)?, &labels, 0.0)?;
            assert!(order(&loss).is_some(), "{model:?}");
            let (ours, theirs) = (net.params.gradients(&backward(&loss)?)?, net.params.gradients(&loss.backward()?)?);
            for (param, (ours, theirs)) in net.params.params.iter().zip(ours.0.iter().zip(&theirs.0)) {
                let off = (ours - theirs)?.abs()?.max_all()?.to_scalar::<f64>()?;
                assert!(off < 1e-12, "{model:?}, {}: {off}", param.name);
                assert!(ours.sqr()?.sum_all()?.to_scalar::<f64>()? > 0.0, "{model:?}, {}", param.name);
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_used_twice_has_the_sum_of_its_gradients_and_stock_operations_go_candles_way() -> Result<()> {
        let x = Var::new(&[1f64, 2.0], &Device::Cpu)?;
        let (a, b) = (relu(&x)?, relu(&x)?);
        let twice = crate::nn::op::relu::add_relu(&a, &b)?;
        let ours = backward(&twice)?;
        assert!(order(&twice).is_some());
        assert_eq!(ours.get(&x).map(Tensor::to_vec1::<f64>).transpose()?, Some(vec![2.0, 2.0]));
        let stock = (relu(&x)? * 3.0)?.sum_all()?;
        assert!(order(&stock).is_none());
        assert_eq!(backward(&stock)?.get(&x).map(Tensor::to_vec1::<f64>).transpose()?, Some(vec![3.0, 3.0]));
        Ok(())
    }
}
