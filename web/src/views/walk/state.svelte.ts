// What is chosen in the walk: a source, an attention, a head, a cell, a step.
import type { AttentionInfo, Edits, TraceHeader } from "../../lib/api";
import type { Switches } from "../../lib/attention";
import type { Source } from "../../lib/source";
import { loadFused, loadHead, STEPS, type Fused, type Step, type Walked } from "./steps";

export class WalkState {
  readonly base: Source;
  source: Source = $state.raw() as Source;
  scale = $state(true);
  mask = $state(true);
  path = $state("");
  head = $state(0);
  /** The position that is followed: the query of self-attention. */
  position = $state(0);
  /** The position that the other parts of the page show: it follows when the choice rests. */
  rested = $state(0);
  key = $state(0);
  /** Column of the step `output` and of `fused`. */
  column = $state(0);
  step: Step = $state("products");
  /** The head that was asked for last; path and head follow when its tensors are there. */
  asked: { path: string; head: number } = $state({ path: "", head: 0 });
  /** The chosen head's tensors; null until they are there. */
  walked: Walked | null = $state.raw(null);
  /** What its q, k and v are made from; null until the step needs it. */
  fused: Fused | null = $state.raw(null);
  busy = $state(false);
  error = $state("");
  private loads = 0;

  constructor(base: Source) {
    this.base = base;
    this.source = base;
    const { attentions, tokens } = base.header;
    this.path = (attentions.find((each) => each.kind === "attn") ?? attentions[0])?.path ?? "";
    this.position = this.rested = tokens.length - 1;
    this.key = Math.max(0, tokens.length - 2);
    void this.show(base, this.path, 0);
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

  choose(path: string, head: number): Promise<void> {
    return this.show(this.source, path, head);
  }

  /** Load a head, then show it: nothing on the page mixes two heads. */
  private async show(source: Source, path: string, head: number): Promise<void> {
    const load = ++this.loads;
    this.asked = { path, head };
    const attention = this.header.attentions.find((each) => each.path === path) as AttentionInfo;
    try {
      const walked = await loadHead(source, attention, head, switchesOf(source));
      if (load !== this.loads) return;
      [this.source, this.path, this.head, this.walked, this.fused, this.error] = [source, path, head, walked, null, ""];
      this.key = Math.min(this.key, this.labels.keys.length - 1);
    } catch (problem) {
      if (load === this.loads) this.error = (problem as Error).message;
    }
  }

  /** Load what q, k and v are made from, if the step shows it. */
  async explain(): Promise<void> {
    const { walked, step, source, attention, head } = this;
    if (step !== "fused" || !walked || this.fused) return;
    try {
      const fused = await loadFused(source, attention, head, walked.head.q);
      if (this.walked === walked) this.fused = fused;
    } catch (problem) {
      this.error = (problem as Error).message;
    }
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
      const source = Object.keys(edits).length && this.base.trace ? await this.base.trace(edits) : this.base;
      await this.show(source, this.asked.path, this.asked.head);
    } catch (problem) {
      this.error = (problem as Error).message;
    } finally {
      this.busy = false;
    }
  }

  /** What is on in the model that is shown. */
  get switches(): Switches {
    return switchesOf(this.source);
  }
}

function switchesOf({ header: { edits } }: Source): Switches {
  return { scale: edits?.scale !== false, mask: edits?.mask !== false };
}

export function labelsOf(header: TraceHeader, attention: AttentionInfo): { queries: string[]; keys: string[] } {
  const tokens = header.tokens.map((each) => each.shown);
  const source = header.source.map((each) => each.shown);
  if (attention.kind === "encoder" && header.source.length) return { queries: source, keys: source };
  return { queries: tokens, keys: attention.kind === "cross" ? source : tokens };
}
