// The engine's way from logits to the next token: penalty, temperature, top-k, top-p, min-p, softmax, draw.
// Every step rounds to float32 where the engine does, so that the same number draws the same token.

import { argmax, max, softmax } from "./softmax";

export interface SamplingParams {
  /** Divides the logits; 0 always takes the most likely token. */
  temperature: number;
  topK: number | null;
  topP: number | null;
  minP: number | null;
  repetitionPenalty: number;
}

export const PLAIN: SamplingParams = { temperature: 1, topK: null, topP: null, minP: null, repetitionPenalty: 1 };

export type Filter = "temperature" | "top-k" | "top-p" | "min-p";

export interface Distribution {
  /** The logits after penalty and temperature, before the filters. */
  readonly tempered: Float32Array;
  /** The logits after the filters; −∞ for tokens that were dropped. */
  readonly filtered: Float32Array;
  readonly probabilities: Float32Array;
  /** The filter that dropped a token; undefined for tokens that stay. */
  readonly droppedBy: ReadonlyArray<Filter | undefined>;
}

export function distribution(logits: Float32Array, params: SamplingParams, past: readonly number[] = []): Distribution {
  const penalized = repetitionPenalty(logits, past, params.repetitionPenalty);
  const tempered = temperature(penalized, params.temperature);
  const droppedBy: Array<Filter | undefined> = new Array<undefined>(logits.length);
  let filtered = tempered;
  const apply = (name: Filter, next: Float32Array): void => {
    for (let id = 0; id < next.length; id++) if (next[id] === -Infinity && filtered[id] !== -Infinity) droppedBy[id] = name;
    filtered = next;
  };
  if (params.temperature === 0) tempered.forEach((each, id) => { if (each === -Infinity) droppedBy[id] = "temperature"; });
  if (params.topK !== null) apply("top-k", topK(filtered, params.topK));
  if (params.topP !== null) apply("top-p", topP(filtered, params.topP));
  if (params.minP !== null) apply("min-p", minP(filtered, params.minP));
  return { tempered, filtered, probabilities: softmax(filtered), droppedBy };
}

/** Make tokens of the text so far less likely (above 1) or more likely (below 1). */
export function repetitionPenalty(logits: Float32Array, past: readonly number[], penalty: number): Float32Array {
  const result = logits.slice();
  if (penalty === 1) return result;
  const rounded = Math.fround(penalty);
  for (const id of new Set(past)) {
    const each = logits[id] as number;
    result[id] = each > 0 ? each / rounded : each * rounded;
  }
  return result;
}

/** Subtract the maximum and divide by the temperature; 0 keeps the first maximum only. */
export function temperature(logits: Float32Array, t: number): Float32Array {
  if (t === 0) {
    const result = new Float32Array(logits.length).fill(-Infinity);
    result[argmax(logits)] = 0;
    return result;
  }
  const top = max(logits);
  const divisor = Math.fround(t);
  const result = new Float32Array(logits.length);
  for (let id = 0; id < result.length; id++) result[id] = Math.fround((logits[id] as number) - top) / divisor;
  return result;
}

/** Keep the k largest logits; ties go to lower ids. */
export function topK(logits: Float32Array, k: number): Float32Array {
  if (k >= logits.length) return logits;
  return keepLargest(logits, Float32Array.from(logits).sort(), k);
}

/** Keep the fewest tokens with together at least this probability; ties go to lower ids. */
export function topP(logits: Float32Array, p: number): Float32Array {
  if (p >= 1) return logits;
  const ascending = Float32Array.from(logits).sort();
  const ordered = softmax(ascending.slice().reverse());
  let sum = 0;
  let n = 0;
  while (n < ordered.length && (n === 0 || Math.fround(sum) < Math.fround(p))) sum += ordered[n++] as number;
  return keepLargest(logits, ascending, n);
}

/** Keep tokens with at least this share of the largest probability. */
export function minP(logits: Float32Array, share: number): Float32Array {
  if (share <= 0) return logits;
  const lowest = Math.fround(max(logits) + Math.fround(Math.log(share)));
  return logits.map((each) => (each < lowest ? -Infinity : each));
}

/** Cumulative probabilities in float64. */
export function cumulative(probabilities: Float32Array): Float64Array {
  const cdf = new Float64Array(probabilities.length);
  let sum = 0;
  for (let id = 0; id < cdf.length; id++) cdf[id] = sum += probabilities[id] as number;
  return cdf;
}

/** The first id with a cumulative probability above u, uniform in [0, 1). */
export function draw(cdf: Float64Array, u: number): number {
  const level = u * (cdf[cdf.length - 1] as number);
  let low = 0;
  let high = cdf.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cdf[middle] as number) > level) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The engine's next token: greedy at temperature 0, otherwise the draw with u. */
export function nextToken(probabilities: Float32Array, params: SamplingParams, u: number): number {
  return params.temperature === 0 ? argmax(probabilities) : draw(cumulative(probabilities), u);
}

/** Keep the n largest logits; of equal ones, those with lower ids. ascending: the same logits, sorted. */
function keepLargest(logits: Float32Array, ascending: Float32Array, n: number): Float32Array {
  const lowest = ascending[ascending.length - n] as number;
  let equal = n; // how many of the lowest are kept
  for (let at = ascending.length - 1; at >= 0 && (ascending[at] as number) > lowest; at--) equal--;
  const result = new Float32Array(logits.length).fill(-Infinity);
  for (let id = 0; id < result.length; id++) {
    const each = logits[id] as number;
    if (each > lowest || (each === lowest && equal-- > 0)) result[id] = each;
  }
  return result;
}
