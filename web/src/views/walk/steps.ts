// The steps of one head, and the formula of each of their cells, with its numbers.
import { audit, type Audit } from "../../lib/audit";
import type { Chain, Head } from "../../lib/attention";
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
  /** (T, C), or null where the trace does not hold it. */
  readonly x: Tensor | null;
  /** The rows of the fused matrix for v of this head, (D, C). */
  readonly weightsOfV: Tensor | null;
}

export async function loadHead(source: Source, attention: AttentionInfo, h: number, switches: { scale: boolean; mask: boolean }): Promise<Walked> {
  const { path, heads, kv_heads } = attention;
  const of = (name: string, at = h): Promise<Tensor> => source.head(`${path}.${name}`, at);
  const kv = Math.floor((h * kv_heads) / heads);
  const has = (name: string): boolean => source.header.tensors.some((each) => each.name === name);
  const [q, k, v, scores, masked, weights, output] = await Promise.all([
    of("q"), of("k", kv), of("v", kv), of("scores"), of("masked_scores"), of("weights"), of("heads"),
  ]);
  const head = { q, k, v };
  const { chain, audit: found } = audit(head, { scores, masked, weights, output }, switches);
  const x = has(`${path}.x`) ? await source.tensor(`${path}.x`) : null;
  const fused = has(`weights.${path}.qkv`) ? await source.tensor(`weights.${path}.qkv`) : null;
  const first = (heads + kv_heads + kv) * attention.d_head;
  const weightsOfV = fused && attention.kind !== "cross" ? rowsOf(fused, first, first + attention.d_head) : null;
  return { head, shown: { products: chain.products, scores, masked, weights, output }, chain, audit: found, x, weightsOfV };
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
  if (rest.length) shown.push(more(rest.length, inBrackets(rest.reduce((sum, { left, right }) => sum + left * right, 0))));
  return shown.join(" + ");
}

function inBrackets(x: number): string {
  const text = digits(x, 3);
  return text.startsWith("−") ? `(${text})` : text;
}

export function productTerms(a: Float32Array, b: Float32Array): Term[] {
  return Array.from(a, (left, d) => ({ left, right: b[d] as number }));
}

export interface Cell {
  readonly i: number;
  readonly j: number;
}

/** Formula and result of one cell: exactly its inputs, with numbers. */
export function formula(walked: Walked, step: Step, { i, j }: Cell, switches: { scale: boolean; mask: boolean }, more: (n: number, sum: string) => string, most = 4): { text: string; result: number } {
  const { head, shown } = walked;
  const D = matrixShape(head.q)[1];
  switch (step) {
    case "fused": {
      if (!walked.x || !walked.weightsOfV) return { text: "", result: value(head.v, i, j) };
      const terms = productTerms(row(walked.x, i), row(walked.weightsOfV, j));
      const product = terms.reduce((sum, { left, right }) => sum + left * right, 0);
      const bias = value(head.v, i, j) - product;
      const extra = Math.abs(bias) > 1e-4 ? ` + ${inBrackets(bias)}` : "";
      return { text: sumText(terms, most, more) + extra, result: value(head.v, i, j) };
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
