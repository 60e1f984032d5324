// When something was learned, from its probability at each kept step.

export interface Point {
  readonly step: number;
  readonly p: number;
}

/** The first step from which on the probability is never below half of the last one. */
export function learnedAt(points: readonly Point[]): number {
  const bar = (points[points.length - 1]?.p ?? 0) / 2;
  let at = points.length - 1;
  while (at > 0 && (points[at - 1] as Point).p >= bar) at--;
  return points[at]?.step ?? 0;
}
