// The bench: settings, and a tree of texts that share their beginnings.
import { argmax } from "../../lib/softmax";
import { Random } from "../../lib/random";
import { cumulative, distribution, draw, PLAIN, type Distribution, type SamplingParams } from "../../lib/sampling";
import type { Source } from "../../lib/source";
import { row } from "../../lib/tensor";

export class Branch {
  children: Branch[] = $state([]);
  /** Logits of the next token; null until the server has answered. */
  logits: Float32Array | null = $state.raw(null);
  /** The token that the engine draws after this one, and the settings that it was asked with. */
  engine: { token: number; asked: string } | null = $state.raw(null);

  constructor(
    readonly id: number,
    readonly parent: Branch | null,
    readonly ids: readonly number[],
  ) {}

  get depth(): number {
    return this.parent ? this.parent.depth + 1 : 0;
  }
}

export class BenchState {
  params: SamplingParams = $state({ ...PLAIN });
  seed = $state(0);
  busy = $state(false);
  error = $state("");
  vocabulary: string[] = $state.raw([]);
  readonly root: Branch;
  current: Branch = $state() as Branch;

  readonly found: Distribution | null = $derived.by(() => {
    const { logits, ids } = this.current;
    return logits && distribution(logits, this.params, ids);
  });
  readonly cdf: Float64Array | null = $derived(this.found && cumulative(this.found.probabilities));
  readonly k: number = $derived(this.current.depth);
  /** The number that the engine draws with: the seed's number k. */
  readonly u: number = $derived.by(() => {
    const random = new Random(this.seed);
    for (let n = 0; n < this.k; n++) random.random();
    return random.random();
  });
  readonly drawn: number | null = $derived.by(() => {
    if (!this.found || !this.cdf) return null;
    return this.params.temperature === 0 ? argmax(this.found.probabilities) : draw(this.cdf, this.u);
  });
  readonly asked: string = $derived(JSON.stringify([this.params, this.seed]));

  constructor(readonly source: Source) {
    const { tokens, n_prompt } = source.header;
    const ids = tokens.map((each) => each.id).slice(0, Math.max(1, n_prompt));
    this.root = new Branch(-1, null, ids);
    this.current = this.root;
    void this.begin();
  }

  private async begin(): Promise<void> {
    try {
      this.vocabulary = await this.source.vocabulary();
      await this.load(this.root);
    } catch (problem) {
      this.error = (problem as Error).message;
    }
  }

  name(id: number): string {
    return this.vocabulary[id] ?? `#${id}`;
  }

  /** Get a branch's logits; with a server, also the token that the engine draws. */
  private async load(branch: Branch): Promise<void> {
    const { n_prompt } = this.source.header;
    if (!this.source.next) {
      const logits = await this.source.tensor("logits");
      branch.logits ??= row(logits, branch.ids.length - 1);
      return;
    }
    const asked = this.asked;
    const { temperature, topK, topP, minP, repetitionPenalty } = this.params;
    const next = await this.source.next({
      ids: [...branch.ids],
      n_prompt: Math.max(1, n_prompt),
      seed: this.seed,
      temperature,
      top_k: topK,
      top_p: topP,
      min_p: minP,
      repetition_penalty: repetitionPenalty,
    });
    branch.logits ??= next.logits;
    branch.engine = { token: next.token, asked };
  }

  /** Ask the engine again after the settings changed; the page has its own answer already. */
  async check(): Promise<void> {
    if (this.current.engine?.asked === this.asked || !this.source.next) return;
    await this.guarded(() => this.load(this.current));
  }

  /** Write a token: an existing branch, or a new one. */
  async write(id: number): Promise<void> {
    const known = this.current.children.find((each) => each.id === id);
    if (!known && !this.source.next) return;
    const next = known ?? new Branch(id, this.current, [...this.current.ids, id]);
    if (!known) {
      if (!(await this.guarded(() => this.load(next)))) return;
      this.current.children.push(next);
    }
    this.current = next;
  }

  async drawMany(n: number): Promise<void> {
    for (let i = 0; i < n && this.drawn !== null && !this.error; i++) await this.write(this.drawn);
  }

  private async guarded(work: () => Promise<void>): Promise<boolean> {
    this.busy = true;
    try {
      await work();
      this.error = "";
      return true;
    } catch (problem) {
      this.error = (problem as Error).message;
      return false;
    } finally {
      this.busy = false;
    }
  }
}
