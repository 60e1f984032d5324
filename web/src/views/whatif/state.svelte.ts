// What is changed in the model or its text, and what PyTorch makes of it.
import type { Edits, Patch } from "../../lib/api";
import { labelsChanged, type Target, targetsOf } from "./targets";
import type { Source, Tensor } from "../../lib/source";

export interface Numbers {
  /** Loss of each target, as trained and changed, in nats. */
  readonly was: number[];
  readonly is: number[];
  readonly targets: Target[];
}

export class WhatIfState {
  heads: [string, number][] = $state([]);
  mlps: string[] = $state([]);
  scale = $state(true);
  mask = $state(true);
  patches: Patch[] = $state([]);
  tokens: [number, number][] = $state([]);
  source: Source = $state.raw() as Source;
  busy = $state(false);
  error = $state("");
  position = $state(0);
  private runs = 0;

  constructor(readonly base: Source) {
    this.source = base;
    this.position = base.header.tokens.length - 1;
  }

  get edited(): boolean {
    return this.source !== this.base;
  }

  isOff(path: string, head: number): boolean {
    return this.heads.some(([each, h]) => each === path && h === head);
  }

  toggleHead(path: string, head: number): void {
    this.heads = this.isOff(path, head) ? this.heads.filter(([each, h]) => each !== path || h !== head) : [...this.heads, [path, head]];
    void this.apply();
  }

  toggleMlp(path: string): void {
    this.mlps = this.mlps.includes(path) ? this.mlps.filter((each) => each !== path) : [...this.mlps, path];
    void this.apply();
  }

  toggleScale(): void {
    this.scale = !this.scale;
    void this.apply();
  }

  toggleMask(): void {
    this.mask = !this.mask;
    void this.apply();
  }

  /** Put a state of another text in; one that was put into the same place goes. */
  patch(patch: Patch): void {
    this.patches = [...this.patches.filter((each) => each.state !== patch.state || each.position !== patch.position), patch];
    void this.apply();
  }

  unpatch(patch: Patch): void {
    this.patches = this.patches.filter((each) => each !== patch);
    void this.apply();
  }

  /** Write another token at a position; the one of the text takes the change back. */
  write(position: number, id: number): void {
    const others = this.tokens.filter(([at]) => at !== position);
    this.tokens = this.base.header.tokens[position]?.id === id ? others : [...others, [position, id]];
    void this.apply();
  }

  reset(): void {
    [this.heads, this.mlps, this.patches, this.tokens, this.scale, this.mask] = [[], [], [], [], true, true];
    void this.apply();
  }

  private get edits(): Edits {
    const { heads, mlps, patches, tokens, scale, mask } = this;
    return {
      ...(heads.length && { ablate: heads.map(([path, head]): [string, number] => [path, head]) }),
      ...(mlps.length && { mlps: [...mlps] }),
      ...(!scale && { scale }),
      ...(!mask && { mask }),
      ...(patches.length && { patches: patches.map((each) => ({ ...each })) }),
      ...(tokens.length && { tokens: tokens.map(([at, id]): [number, number] => [at, id]) }),
    };
  }

  private async apply(): Promise<void> {
    const run = ++this.runs;
    const edits = this.edits;
    this.busy = true;
    try {
      const next = Object.keys(edits).length && this.base.trace ? await this.base.trace(edits) : this.base;
      if (run === this.runs) [this.source, this.error] = [next, ""];
    } catch (problem) {
      if (run === this.runs) this.error = (problem as Error).message;
    } finally {
      if (run === this.runs) this.busy = false;
    }
  }

  /** The losses that PyTorch computed, at the targets of the text as it was. */
  async numbers(base: Source, source: Source): Promise<Numbers> {
    const targets = labelsChanged(targetsOf(base.header), source.header);
    const of = async (each: Source): Promise<number[]> => {
      const losses: Tensor = await each.tensor("loss");
      return targets.map(({ at }) => losses.data[at] as number);
    };
    const [was, is] = targets.length ? await Promise.all([of(base), of(source)]) : [[], []];
    return { was, is, targets };
  }
}
