// What is chosen in the walk: a source, an attention, a head, a cell, a step.
import type { AttentionInfo, Edits, TraceHeader } from "../../lib/api";
import type { Source } from "../../lib/source";
import { STEPS, type Step } from "./steps";

export class WalkState {
  readonly base: Source;
  source: Source = $state.raw() as Source;
  scale = $state(true);
  mask = $state(true);
  path = $state("");
  head = $state(0);
  /** The position that is followed: the query of self-attention. */
  position = $state(0);
  key = $state(0);
  /** Column of the step `output` and of `fused`. */
  column = $state(0);
  step: Step = $state("products");
  busy = $state(false);
  error = $state("");

  constructor(base: Source) {
    this.base = base;
    this.source = base;
    const { attentions, tokens } = base.header;
    this.path = (attentions.find((each) => each.kind === "attn") ?? attentions[0])?.path ?? "";
    this.position = tokens.length - 1;
    this.key = Math.max(0, tokens.length - 2);
  }

  get header(): TraceHeader {
    return this.base.header;
  }

  get attention(): AttentionInfo {
    return this.header.attentions.find((each) => each.path === this.path) as AttentionInfo;
  }

  /** Labels of the queries and keys of the chosen attention. */
  get labels(): { queries: string[]; keys: string[] } {
    return labelsOf(this.header, this.attention);
  }

  get query(): number {
    return Math.min(this.position, this.labels.queries.length - 1);
  }

  choose(path: string, head: number): void {
    [this.path, this.head] = [path, head];
    this.key = Math.min(this.key, this.labels.keys.length - 1);
  }

  move(by: number): void {
    const to = STEPS.indexOf(this.step) + by;
    this.step = STEPS[Math.max(0, Math.min(STEPS.length - 1, to))] as Step;
  }

  /** Run the model again with the switches; the server computes it. */
  async edit(): Promise<void> {
    const edits: Edits = { ...(this.scale ? {} : { scale: false }), ...(this.mask ? {} : { mask: false }) };
    this.busy = true;
    try {
      this.source = Object.keys(edits).length && this.base.trace ? await this.base.trace(edits) : this.base;
      this.error = "";
    } catch (problem) {
      this.error = (problem as Error).message;
    } finally {
      this.busy = false;
    }
  }
}

export function labelsOf(header: TraceHeader, attention: AttentionInfo): { queries: string[]; keys: string[] } {
  const tokens = header.tokens.map((each) => each.shown);
  const source = header.source.map((each) => each.shown);
  if (attention.kind === "encoder" && header.source.length) return { queries: source, keys: source };
  return { queries: tokens, keys: attention.kind === "cross" ? source : tokens };
}
