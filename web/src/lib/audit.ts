// The audit: compute a head again in the browser and compare it with PyTorch's numbers.

import { attend, type Chain, type Head, type Switches } from "./attention";
import { largestDifference, value, type Tensor } from "./tensor";

export const TOLERANCE = 1e-5;

/** What PyTorch recorded of one head. Scores and weights are (T, S), the output (T, D). */
export interface Recorded {
  readonly scores: Tensor;
  readonly masked: Tensor;
  readonly weights: Tensor;
  readonly output: Tensor;
}

export interface Audit {
  readonly differences: Readonly<Record<keyof Recorded, number>>;
  readonly largest: number;
  readonly passed: boolean;
}

export function audit(head: Head, recorded: Recorded, switches: Switches): { chain: Chain; audit: Audit } {
  const hidden = (i: number, j: number): boolean => value(recorded.masked, i, j) === -Infinity;
  const chain = attend(head, hidden, switches);
  const differences = {
    scores: relative(chain.scores, recorded.scores),
    masked: relative(chain.masked, recorded.masked),
    weights: largestDifference(chain.weights, recorded.weights),
    output: relative(chain.output, recorded.output),
  };
  const largest = Math.max(...Object.values(differences));
  return { chain, audit: { differences, largest, passed: largest <= TOLERANCE } };
}

/** Largest difference, in units of the largest finite number where that is above 1: float32 has 7 digits. */
function relative(a: Tensor, b: Tensor): number {
  let size = 1;
  for (const each of b.data) if (Number.isFinite(each) && Math.abs(each) > size) size = Math.abs(each);
  return largestDifference(a, b) / size;
}
