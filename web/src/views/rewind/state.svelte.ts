// The chosen step, and what the server says about the prompt at that step.
import type { AttentionInfo, Embeddings, Lens, Snapshots } from "../../lib/api";
import type { Rewind, Source, Tensor } from "../../lib/source";

export const SAMPLE = { n: 80, temperature: 0.8 };
/** Positions of the logit lens, at most: the last ones. */
export const MAX_LENS = 64;
const PAUSE_MS = 600;

export interface Head {
  readonly attention: AttentionInfo;
  readonly head: number;
}

interface Wanted {
  readonly step: number;
  readonly picked: number;
  readonly seed: number;
}

export interface Frame extends Wanted {
  readonly source: Source;
  readonly weights: Tensor | null;
  readonly lens: Lens | null;
  /** null while it is written, and for a model that does not write. */
  readonly sample: string | null;
}

export class RewindState {
  found = $state.raw<Snapshots | null>(null);
  frame = $state.raw<Frame | null>(null);
  map = $state.raw<Embeddings | null>(null);
  index = $state(0);
  picked = $state(0);
  seed = $state(0);
  playing = $state(false);
  error = $state("");
  readonly heads: Head[];
  readonly writes: boolean;
  #loading: Promise<void> | null = null;
  #closed = false;

  constructor(
    readonly source: Source,
    readonly rewind: Rewind,
  ) {
    const { attentions, family } = source.header;
    this.heads = attentions.flatMap((attention) => Array.from({ length: attention.heads }, (_, head) => ({ attention, head })));
    this.writes = ["gpt", "bigram", "seq2seq", "captioner"].includes(family);
  }

  get last(): number {
    return (this.found?.snapshots.length ?? 0) - 1;
  }

  async open(): Promise<void> {
    try {
      this.found = await this.rewind.snapshots();
      this.index = Math.max(0, this.last);
      await this.load();
      if (this.last >= 0) this.map = await this.rewind.embeddings();
    } catch (problem) {
      this.error = (problem as Error).message;
    }
  }

  close(): void {
    this.#closed = true;
    this.playing = false;
  }

  /** Read what is wanted now, one answer after the other: a slider moves faster than a model. */
  load(): Promise<void> {
    this.#loading ??= this.#readAll().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #readAll(): Promise<void> {
    try {
      for (let wanted = this.#wanted(); wanted && !this.#closed; wanted = this.#wanted()) await this.#read(wanted);
      this.error = "";
    } catch (problem) {
      this.error = (problem as Error).message;
      this.playing = false;
    }
  }

  /** What the page should show and does not; null if it shows it. */
  #wanted(): Wanted | null {
    const step = this.found?.snapshots[this.index]?.step;
    if (step === undefined) return null;
    const { picked, seed, frame } = this;
    const shown = frame && frame.step === step && frame.picked === picked && frame.seed === seed;
    return shown && (frame.sample !== null || !this.writes) ? null : { step, picked, seed };
  }

  async #read(wanted: Wanted): Promise<void> {
    const before = this.frame?.step === wanted.step ? this.frame : null;
    const source = before?.source ?? (await this.rewind.at(wanted.step));
    const head = this.heads[wanted.picked];
    const weights = head ? await source.head(`${head.attention.path}.weights`, head.head) : null;
    const n = source.header.tokens.length;
    const lens = before?.lens ?? (await source.lens(Math.max(0, n - MAX_LENS), n));
    const sample = before?.seed === wanted.seed ? before.sample : null;
    this.frame = { ...wanted, source, weights, lens, sample };
    const now = this.#wanted();
    if (sample !== null || !this.writes || now?.step !== wanted.step || now.seed !== wanted.seed) return;
    this.frame = { ...this.frame, sample: await this.rewind.sample(wanted.step, { seed: wanted.seed, ...SAMPLE }) };
  }

  async play(): Promise<void> {
    if (this.index === this.last) this.index = 0;
    this.playing = true;
    while (this.playing) {
      await this.load();
      await new Promise((done) => setTimeout(done, PAUSE_MS));
      if (!this.playing || this.index >= this.last) break;
      this.index += 1;
    }
    this.playing = false;
  }
}
