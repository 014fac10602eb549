//! Rows of a table, chosen by tokens, with a learned position added to each.

use candle_core::{D, Result, Tensor};

use super::{Operation, Value, apply};

/// `table[token] + positions[place]` for `tokens`, `N×T` whole numbers below the rows of `table`, V×C: `N×T×C`.
///
/// # Errors
/// T is more than the rows of `positions`, or a token is no row of `table`.
pub fn embedding(tokens: &Tensor, table: &Tensor, positions: &Tensor) -> Result<Tensor> {
    let (length, context) = (tokens.dim(1)?, positions.dim(0)?);
    if length > context {
        candle_core::bail!("{length} tokens (must be at most {context})")
    }
    apply(Embedding { tokens: tokens.contiguous()? }, &[table, positions])
}

struct Embedding {
    tokens: Tensor,
}

impl Operation for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        let (table, positions) = (&args[0], &args[1]);
        let (batch, length) = self.tokens.dims2()?;
        let rows = table.index_select(&self.tokens.flatten_all()?, 0)?.reshape((batch, length, ()))?;
        Ok(Value::Tensor(rows.broadcast_add(&positions.narrow(0, 0, length)?)?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (table, positions) = (args[0], args[1]);
        let of_table = || {
            let rows = grad.reshape(((), grad.dim(D::Minus1)?))?;
            table.zeros_like()?.index_add(&self.tokens.flatten_all()?, &rows, 0)
        };
        let of_positions = || {
            let unused = positions.dim(0)? - self.tokens.dim(1)?;
            grad.sum(0)?.pad_with_zeros(0, 0, unused)
        };
        Ok(vec![table.track_op().then(of_table).transpose()?, positions.track_op().then(of_positions).transpose()?])
    }
}

#[cfg(test)]
mod tests {
    use super::embedding;
    use crate::nn::op::check::{self, random};
    use candle_core::{Device, Result, Tensor};

    #[test]
    fn gradients_are_those_of_finite_differences_and_unused_rows_have_none() -> Result<()> {
        let tokens = Tensor::new(&[[3u32, 0, 3], [1, 3, 0]], &Device::Cpu)?;
        check::gradients(&[random(&[5, 4], 1), random(&[6, 4], 2)], |args| embedding(&tokens, &args[0], &args[1]));
        let table = candle_core::Var::from_tensor(&random(&[5, 4], 1))?;
        let grads = embedding(&tokens, &table, &random(&[6, 4], 2))?.sum_all()?.backward()?;
        let rows = grads.get(&table).map(|grad| grad.sum(1)?.to_vec1::<f64>()).transpose()?;
        assert_eq!(rows, Some(vec![8.0, 4.0, 0.0, 12.0, 0.0]));
        Ok(())
    }

    #[test]
    fn tokens_and_places_beyond_the_tables_are_errors() {
        let (table, positions) = (random(&[5, 4], 1), random(&[2, 4], 2));
        let of = |tokens: &[[u32; 2]; 1]| embedding(&Tensor::new(tokens, &Device::Cpu).unwrap(), &table, &positions);
        assert!(of(&[[4, 0]]).is_ok());
        assert!(of(&[[5, 0]]).is_err());
        let long = Tensor::new(&[[0u32, 1, 2]], &Device::Cpu).unwrap();
        let message = embedding(&long, &table, &positions).unwrap_err().to_string();
        assert!(message.starts_with("3 tokens (must be at most 2)"), "{message}");
    }
}
