// The most probable next tokens of a model, next to those of a changed one.
import { largest, softmax } from "../../lib/softmax";
import type { Source } from "../../lib/source";

export interface Item {
  id: number;
  label: string;
  values: number[];
  mark?: boolean;
}

/** Bars of the most probable tokens before a change, and after it where there was one. */
export async function nextBars(source: Source, before: Float32Array, after: Float32Array | null): Promise<Item[]> {
  const p = softmax(before);
  const q = after && softmax(after);
  const ids = q ? [...new Set([...largest(p, 6), ...largest(q, 6)])] : largest(p, 8);
  const labels = await source.labels(ids);
  return ids.map((id, n) => ({ id, label: labels[n] ?? "", values: q ? [p[id] as number, q[id] as number] : [p[id] as number] }));
}
