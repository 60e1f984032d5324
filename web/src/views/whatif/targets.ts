// The tokens whose loss is known.
import type { TraceHeader } from "../../lib/api";

export interface Target {
  /** The position that predicts the token. */
  readonly at: number;
  readonly shown: string;
}

export function targetsOf(header: TraceHeader): Target[] {
  return header.next_tokens.flatMap((token, at) => (token && token.id >= 0 ? [{ at, shown: token.shown }] : []));
}

/** The same targets, with both labels where a token was changed. */
export function labelsChanged(targets: readonly Target[], changed: TraceHeader): Target[] {
  return targets.map(({ at, shown }) => {
    const now = changed.next_tokens[at]?.shown ?? shown;
    return { at, shown: now === shown ? shown : `${shown} → ${now}` };
  });
}
