// One attention head, step by step, from its queries, keys and values.

import { softmax } from "./softmax";
import { matrixShape, row, tensor, value, type Tensor } from "./tensor";

export interface Head {
  /** (T, D) */
  readonly q: Tensor;
  /** (S, D) */
  readonly k: Tensor;
  /** (S, D) */
  readonly v: Tensor;
}

export interface Chain {
  /** q · k, (T, S) */
  readonly products: Tensor;
  /** q · k / √D, (T, S) */
  readonly scores: Tensor;
  /** −∞ where a query may not look, (T, S) */
  readonly masked: Tensor;
  /** Each row sums to 1, (T, S) */
  readonly weights: Tensor;
  /** Weighted sums of values, (T, D) */
  readonly output: Tensor;
}

export interface Switches {
  readonly scale: boolean;
  readonly mask: boolean;
}

/** Compute all steps of a head. `hidden(i, j)` tells where query i may not look at key j. */
export function attend(head: Head, hidden: (i: number, j: number) => boolean, switches: Switches): Chain {
  const D = matrixShape(head.q)[1];
  const products = multiplyTransposed(head.q, head.k);
  const factor = switches.scale ? D ** -0.5 : 1;
  const scores = map(products, (each) => each * factor);
  const masked = map(scores, (each, i, j) => (switches.mask && hidden(i, j) ? -Infinity : each));
  const weights = softmaxRows(masked);
  return { products, scores, masked, weights, output: multiply(weights, head.v) };
}

/** a @ bᵀ: (T, D), (S, D) -> (T, S). */
export function multiplyTransposed(a: Tensor, b: Tensor): Tensor {
  const [T, D] = matrixShape(a);
  const [S] = matrixShape(b);
  const result = tensor([T, S]);
  const [x, y, out] = [a.data, b.data, result.data];
  for (let i = 0; i < T; i++)
    for (let j = 0; j < S; j++) {
      let sum = 0;
      for (let d = 0, p = i * D, q = j * D; d < D; d++) sum += (x[p++] as number) * (y[q++] as number);
      out[i * S + j] = sum;
    }
  return result;
}

/** a @ b: (T, S), (S, D) -> (T, D). */
export function multiply(a: Tensor, b: Tensor): Tensor {
  const [T, S] = matrixShape(a);
  const [, D] = matrixShape(b);
  const result = tensor([T, D]);
  const sums = new Float64Array(D);
  for (let i = 0; i < T; i++) {
    sums.fill(0);
    for (let j = 0; j < S; j++) {
      const weight = value(a, i, j);
      if (weight !== 0) for (let d = 0, q = j * D; d < D; d++) sums[d] = (sums[d] as number) + weight * (b.data[q++] as number);
    }
    result.data.set(sums, i * D);
  }
  return result;
}

export function softmaxRows(t: Tensor): Tensor {
  const [T, S] = matrixShape(t);
  const result = tensor([T, S]);
  for (let i = 0; i < T; i++) result.data.set(softmax(row(t, i)), i * S);
  return result;
}

function map(t: Tensor, change: (each: number, i: number, j: number) => number): Tensor {
  const [T, S] = matrixShape(t);
  const result = tensor([T, S]);
  for (let i = 0; i < T; i++) for (let j = 0; j < S; j++) result.data[i * S + j] = change(value(t, i, j), i, j);
  return result;
}
