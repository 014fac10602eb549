//! Where a trial starts.

use candle_core::Device;

use super::{Config, Error, shape};
use crate::nn::{Net, weights};
use crate::optim;

/// The net that a trial begins with, and what is worth saying of its first weights.
///
/// # Errors
/// Its weights cannot be had, or the optimizer's groups are not for it.
pub fn start(config: &Config, device: &Device) -> Result<(Net, Vec<String>), Error> {
    let (shape, dtype) = (shape(&config.data), config.dtype.candle());
    let net = config.model.build_for(shape, config.seed, dtype, device, config.engine)?;
    let remarks = match &config.init_from {
        Some(path) => weights::load(&net.params, path)?.remarks(path),
        None => Vec::new(),
    };
    match optim::empty_group(&config.optimizer.groups, &net.params) {
        Some(group) => Err(Error::Group { group, model: config.model.name() }),
        None => Ok((net, remarks)),
    }
}
