// The steps of one head, and the formula of each of their cells, with its numbers.
import { audit, type Audit } from "../../lib/audit";
import type { Chain, Head, Switches } from "../../lib/attention";
import { digits } from "../../lib/labels";
import { max } from "../../lib/softmax";
import { columns, matrixShape, row, value, type Tensor } from "../../lib/tensor";
import type { Source } from "../../lib/source";
import type { AttentionInfo } from "../../lib/api";

export const STEPS = ["fused", "products", "scores", "masked", "weights", "output"] as const;
export type Step = (typeof STEPS)[number];

/** One head: what PyTorch recorded, and the same computed again. */
export interface Walked {
  readonly head: Head;
  /** PyTorch's numbers; `products` is computed here from its q and k. */
  readonly shown: Record<Exclude<Step, "fused">, Tensor>;
  readonly chain: Chain;
  readonly audit: Audit;
}

/** What q, k and v of a head are made from. */
export interface Fused {
  /** (T, C), or null where the trace does not hold it. */
  readonly x: Tensor | null;
  /** What makes v of this head: the rows of the fused matrix, (D, C), and its biases, (D,). */
  readonly part: { readonly weights: Tensor; readonly bias: Float32Array | null } | null;
  /** True if a norm or a rotation follows the product for q and k. */
  readonly rotated: boolean;
}

export async function loadHead(source: Source, attention: AttentionInfo, h: number, switches: Switches): Promise<Walked> {
  const { path } = attention;
  const of = (name: string, at = h): Promise<Tensor> => source.head(`${path}.${name}`, at);
  const kv = kvOf(attention, h);
  const [q, k, v, scores, masked, weights, output] = await Promise.all([
    of("q"), of("k", kv), of("v", kv), of("scores"), of("masked_scores"), of("weights"), of("heads"),
  ]);
  const head = { q, k, v };
  const { chain, audit: found } = audit(head, { scores, masked, weights, output }, switches);
  return { head, shown: { products: chain.products, scores, masked, weights, output }, chain, audit: found };
}

function kvOf({ heads, kv_heads }: AttentionInfo, h: number): number {
  return Math.floor((h * kv_heads) / heads);
}

/** The matrix is large, so it comes when its step is shown. */
export async function loadFused(source: Source, attention: AttentionInfo, h: number, q: Tensor): Promise<Fused> {
  const { path, heads, kv_heads } = attention;
  const has = (name: string): boolean => source.header.tensors.some((each) => each.name === name);
  const x = has(`${path}.x`) ? await source.tensor(`${path}.x`) : null;
  const matrix = has(`weights.${path}.qkv`) ? await source.tensor(`weights.${path}.qkv`) : null;
  const biases = has(`weights.${path}.qkv_bias`) ? await source.tensor(`weights.${path}.qkv_bias`) : null;
  const part = (first: number): Fused["part"] => {
    const [start, stop] = [first * attention.d_head, (first + 1) * attention.d_head];
    return matrix && { weights: rowsOf(matrix, start, stop), bias: biases ? biases.data.subarray(start, stop) : null };
  };
  const rotated = x !== null && attention.kind !== "cross" && !makes(part(h), x, q);
  return { x, part: attention.kind === "cross" ? null : part(heads + kv_heads + kvOf(attention, h)), rotated };
}

/** True if the product of x with a part of the fused matrix is the recorded tensor. */
function makes(part: Fused["part"], x: Tensor, recorded: Tensor): boolean {
  if (!part) return true;
  const last = matrixShape(x)[0] - 1;
  return row(recorded, last).every((each, d) => {
    const terms = productTerms(row(x, last), row(part.weights, d));
    return Math.abs(total(terms) + (part.bias?.[d] ?? 0) - each) < 1e-3 * Math.max(1, Math.abs(each));
  });
}

function rowsOf(t: Tensor, start: number, stop: number): Tensor {
  const width = matrixShape(t)[1];
  return { shape: [stop - start, width], data: t.data.subarray(start * width, stop * width) };
}

export interface Term {
  readonly left: number;
  readonly right: number;
}

/** A sum of products, its largest terms first; the rest is added up. */
export function sumText(terms: readonly Term[], most: number, more: (n: number, sum: string) => string): string {
  const order = [...terms].sort((a, b) => Math.abs(b.left * b.right) - Math.abs(a.left * a.right));
  const shown = order.slice(0, most).map(({ left, right }) => `${digits(left, 3)} × ${inBrackets(right)}`);
  const rest = order.slice(most);
  if (rest.length) shown.push(more(rest.length, inBrackets(total(rest))));
  return shown.join(" + ");
}

function inBrackets(x: number): string {
  const text = digits(x, 3);
  return text.startsWith("−") ? `(${text})` : text;
}

function total(terms: readonly Term[]): number {
  return terms.reduce((sum, { left, right }) => sum + left * right, 0);
}

export function productTerms(a: Float32Array, b: Float32Array): Term[] {
  return Array.from(a, (left, d) => ({ left, right: b[d] as number }));
}

export interface Cell {
  readonly i: number;
  readonly j: number;
}

/** Formula and result of one cell: exactly its inputs, with numbers. */
export function formula(walked: Walked, fused: Fused | null, step: Step, { i, j }: Cell, switches: Switches, more: (n: number, sum: string) => string, most = 4): { text: string; result: number } {
  const { head, shown } = walked;
  const D = matrixShape(head.q)[1];
  switch (step) {
    case "fused": {
      const result = value(head.v, i, j);
      if (!fused?.x || !fused.part) return { text: "", result };
      const bias = fused.part.bias ? ` + ${inBrackets(fused.part.bias[j] as number)}` : "";
      return { text: sumText(productTerms(row(fused.x, i), row(fused.part.weights, j)), most, more) + bias, result };
    }
    case "products":
      return { text: sumText(productTerms(row(head.q, i), row(head.k, j)), most, more), result: value(shown.products, i, j) };
    case "scores": {
      const product = digits(value(shown.products, i, j), 3);
      return { text: switches.scale ? `${product} ÷ √${D} = ${product} ÷ ${digits(Math.sqrt(D), 3)}` : product, result: value(shown.scores, i, j) };
    }
    case "masked": {
      const result = value(shown.masked, i, j);
      const score = digits(value(shown.scores, i, j), 3);
      return { text: result === -Infinity ? `${score} → −∞` : score, result };
    }
    case "weights": {
      const scores = row(shown.masked, i);
      const top = max(scores);
      const sum = scores.reduce((total, each) => total + Math.exp(each - top), 0);
      const each = `e^(${digits(scores[j] as number, 3)} − ${inBrackets(top)})`;
      return { text: `${each} ÷ Σ = ${digits(Math.exp((scores[j] as number) - top), 3)} ÷ ${digits(sum, 3)}`, result: value(shown.weights, i, j) };
    }
    case "output": {
      const terms = productTerms(row(shown.weights, i), columns(head.v, j, j + 1).data);
      return { text: sumText(terms.filter(({ left }) => left !== 0), most, more), result: value(shown.output, i, j) };
    }
  }
}
