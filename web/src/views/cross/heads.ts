// Heads of cross-attention, and the tokens that they write.
import type { TraceHeader } from "../../lib/api";
import type { Source } from "../../lib/source";
import { loss } from "../../lib/softmax";
import { row, type Tensor } from "../../lib/tensor";

export interface CrossHead {
  readonly path: string;
  readonly layer: number;
  readonly head: number;
  /** (T, S) */
  readonly weights: Tensor;
}

export interface Written {
  /** The position that predicts the token. */
  readonly at: number;
  readonly id: number;
  readonly shown: string;
}

/** Tokens of the answer, each with the position whose query reads the source for it. */
export function writtenBy({ next_tokens, n_prompt }: TraceHeader): Written[] {
  return next_tokens.flatMap((token, at) => (token && at >= n_prompt - 1 ? [{ at, id: token.id, shown: token.shown }] : []));
}

export async function crossHeads(source: Source): Promise<CrossHead[]> {
  const layers = source.header.attentions.filter((each) => each.kind === "cross");
  const loaded = layers.map(async ({ path, layer, heads }) =>
    Promise.all(Array.from({ length: heads }, async (_, head) => ({ path, layer, head, weights: await source.head(`${path}.weights`, head) }))),
  );
  return (await Promise.all(loaded)).flat();
}

/** Mean loss of the written tokens whose ids are known, in nats. */
export async function lossOf(source: Source, written: readonly Written[]): Promise<number> {
  const logits = await source.tensor("logits");
  const known = written.filter(({ id }) => id >= 0);
  return known.reduce((sum, { at, id }) => sum + loss(row(logits, at), id), 0) / known.length;
}
