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
  if (n * 8 < values.length) return largestFew(values, n);
  const ids = Array.from({ length: values.length }, (_, id) => id);
  return ids.sort((a, b) => compare(values[b] as number, values[a] as number) || a - b).slice(0, n);
}

/** The same in one pass, which keeps the n largest so far: 20 times faster for 8 of 50,257. */
function largestFew(values: ArrayLike<number>, n: number): number[] {
  const ids: number[] = [];
  let lowest = -Infinity;
  for (let id = 0; id < values.length; id++) {
    const each = values[id] as number;
    if (ids.length === n && each <= lowest) continue;
    let place = ids.length;
    while (place > 0 && each > (values[ids[place - 1] as number] as number)) place--;
    ids.splice(place, 0, id);
    ids.length = Math.min(ids.length, n);
    lowest = values[ids[ids.length - 1] as number] as number;
  }
  return ids;
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a - b; // −∞ − −∞ is not a number
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
