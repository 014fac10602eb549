//! What of a file goes where in a net.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Result, Tensor};

use super::error::{Error, Misfit};
use crate::param::{Param, Params};

/// A classifier that is for another number of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anew {
    /// Its tensors.
    pub names: Vec<String>,
    /// Classes in the file.
    pub theirs: usize,
    /// Classes in the net.
    pub ours: usize,
}

/// Parameters with the values that they are to have, and the classifier if it stays as it is.
pub type Fit<'a> = (Vec<(&'a Param, Tensor)>, Option<Anew>);

/// Fits all tensors of a file to a net, or says all that does not fit.
pub fn fit<'a>(
    params: &'a Params,
    tensors: &BTreeMap<String, Tensor>,
    path: &Path,
) -> std::result::Result<Fit<'a>, Error> {
    let anew = anew(params, tensors)?;
    let (mut misfit, mut fitting) = (Misfit::default(), Vec::new());
    let quoted = |name: &str| format!("`{name}`");
    let is_ours = |name: &str| params.all().any(|param| param.name == name);
    misfit.extra.extend(tensors.keys().filter(|name| !is_ours(name)).map(|name| quoted(name)));
    for param in params.all().filter(|param| anew.as_ref().is_none_or(|anew| !anew.names.contains(&param.name))) {
        let ours = shape(param)?;
        match tensors.get(&param.name) {
            None => misfit.missing.push(quoted(&param.name)),
            Some(theirs) if theirs.dims() == ours => fitting.push((param, convert(param, theirs)?)),
            Some(theirs) => {
                misfit.shapes.push(format!("`{}` is {:?}, not {ours:?}", param.name, theirs.dims()));
            }
        }
    }
    if !misfit.is_empty() {
        return Err(Error::Misfit { path: path.to_owned(), misfit });
    }
    let bad = |(param, value): &(&Param, Tensor)| not_finite(&param.name, value).transpose();
    let tensors = fitting.iter().filter_map(bad).collect::<Result<Vec<_>>>()?;
    if !tensors.is_empty() {
        return Err(Error::NotFinite { path: path.to_owned(), tensors });
    }
    Ok((fitting, anew))
}

/// The classifier, the last block, if weight and bias in the file are for one other number of classes.
fn anew(params: &Params, tensors: &BTreeMap<String, Tensor>) -> Result<Option<Anew>> {
    let Some(block) = params.blocks.last() else { return Ok(None) };
    let (mut names, mut theirs) = (Vec::new(), Vec::new());
    for param in [Some(block.weight), block.bias].into_iter().flatten().map(|id| &params.params[id]) {
        let ours = shape(param)?;
        match tensors.get(&param.name).map(Tensor::dims) {
            Some([classes, rest @ ..]) if *rest == ours[1..] => theirs.push(*classes),
            _ => return Ok(None),
        }
        names.push(param.name.clone());
    }
    let ours = block.outputs;
    let other = theirs.first().copied().filter(|&first| first != ours && theirs.iter().all(|&all| all == first));
    Ok(other.map(|theirs| Anew { names, theirs, ours }))
}

/// In PyTorch's layout.
fn shape(param: &Param) -> Result<Vec<usize>> {
    Ok(param.layout.to_torch(&param.var.as_detached_tensor())?.dims().to_vec())
}

/// In our layout, type and place.
fn convert(param: &Param, theirs: &Tensor) -> Result<Tensor> {
    param.layout.from_torch(theirs)?.to_dtype(param.var.dtype())?.to_device(param.var.device())
}

/// How many of a tensor's values are NaN or infinite, in words.
fn not_finite(name: &str, value: &Tensor) -> Result<Option<String>> {
    let values = value.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    Ok((bad > 0).then(|| format!("{bad} of {} in `{name}`", values.len())))
}
