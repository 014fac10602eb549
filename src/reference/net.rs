//! The net of a trace, and how it is spelt here.

use serde::Deserialize;
use serde_json::json;

use super::{Error, trace::Trace};
use crate::catalog;
use crate::nn::zoo::{self, Images, Input, ModelConfig, Shape};

/// A net, in the reference's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    name: String,
    width: Option<usize>,
    hidden: Option<Vec<usize>>,
    patch: Option<usize>,
    layers: Option<usize>,
    heads: Option<usize>,
    classes: Option<usize>,
    /// Channels, height, width.
    input: Option<[usize; 3]>,
    vocabulary: Option<usize>,
    context: Option<usize>,
}

impl Model {
    /// The same net in our words.
    pub fn config(&self, trace: &Trace) -> Result<(ModelConfig, Shape), Error> {
        let name = self.name.as_str();
        if !zoo::CATALOG.iter().any(|entry| entry.name == name) {
            let hint = catalog::nearest(name, zoo::CATALOG.iter().map(|entry| entry.name));
            let hint = hint.map(|hint| format!(" (nearest: `{hint}`)")).unwrap_or_default();
            return Err(trace.error(format!("unknown model `{name}`{hint}")));
        }
        let mut fields = serde_json::Map::new();
        let numbers = [("width", self.width), ("patch", self.patch), ("layers", self.layers), ("heads", self.heads)];
        fields.extend(numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), json!(number?)))));
        fields.extend(self.hidden.as_ref().map(|hidden| ("hidden".to_owned(), json!(hidden))));
        let config: ModelConfig = serde_json::from_value(json!({ name: fields }))
            .map_err(|error| trace.error(format!("model `{name}`: {error}")))?;
        let shape = self.shape(trace)?;
        config.check(shape).map_err(|message| trace.error(format!("model `{name}`: {message}")))?;
        Ok((config, shape))
    }

    /// What the net takes and gives.
    ///
    /// Memory follows what is in the trace and no number that it claims: inputs are as large as recorded, and no layer is wider than those
    /// of published nets.
    fn shape(&self, trace: &Trace) -> Result<Shape, Error> {
        let recorded = trace.find("x").or_else(|| trace.find("x/0")).map_or(&[][..], |x| x.dims());
        let shape = match *self {
            Self { input: Some(input @ [channels, height, width]), classes: Some(classes), .. } => {
                if recorded.get(1..) != Some(&input) {
                    return Err(trace.error(format!("`spec`: there are no images of {input:?}")));
                }
                Images { channels, height, width, classes }.into()
            }
            Self { vocabulary: Some(vocabulary), context: Some(context), .. } => {
                if !matches!(recorded, &[_, length] if length <= context) {
                    return Err(trace.error(format!("`spec`: there are no texts of up to {context} tokens")));
                }
                Shape { input: Input::Tokens { vocabulary, context }, outputs: vocabulary }
            }
            _ => {
                let either = "`input` and `classes`, or `vocabulary` and `context`";
                return Err(trace.error(format!("`spec`: a model has {either}")));
            }
        };
        let layers = self.hidden.iter().flatten().copied().chain([shape.outputs]).chain(self.width).chain(self.context);
        if let Some(size) = layers.max().filter(|&size| size > WIDEST) {
            return Err(trace.error(format!("`spec`: a layer of {size} (must be at most {WIDEST})")));
        }
        Ok(shape)
    }
}

/// Outputs of the widest layer that a trace may ask for.
const WIDEST: usize = 1024;
