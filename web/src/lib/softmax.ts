// Softmax in float32, as PyTorch computes it on a CPU, up to the last bits.

/** Probabilities of logits; −∞ has probability 0. */
export function softmax(logits: Float32Array): Float32Array {
  const largest = max(logits);
  const result = new Float32Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const e = Math.fround(Math.exp(Math.fround((logits[i] as number) - largest)));
    result[i] = e;
    sum += e;
  }
  for (let i = 0; i < result.length; i++) result[i] = (result[i] as number) / sum;
  return result;
}

export function max(values: Float32Array): number {
  let largest = -Infinity;
  for (const each of values) if (each > largest) largest = each;
  return largest;
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/** Ids of the n largest values, the largest first; ties go to lower ids. */
export function largest(values: ArrayLike<number>, n: number): number[] {
  const ids = Array.from({ length: values.length }, (_, id) => id);
  ids.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
  return ids.slice(0, n);
}

/** −ln p of one id, in nats. */
export function loss(logits: Float32Array, id: number): number {
  const top = max(logits);
  let sum = 0;
  for (const each of logits) sum += Math.exp(each - top);
  return Math.log(sum) + top - (logits[id] as number);
}

/** Kullback–Leibler divergence of q from p, Σ p ln(p / q), in nats. */
export function divergence(p: Float32Array, q: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const share = p[i] as number;
    if (share > 0) sum += share * Math.log(share / (q[i] as number));
  }
  return sum;
}
