// The tensors of one trace: from the server, or from the blob of a notebook or an offline file.
import { api, bytesOf, type Edits, type Embeddings, type HeadRow, type Lens, type Next, type NextRequest, type Snapshots, type TraceHeader, type TraceRequest } from "./api";

export interface Tensor {
  name: string;
  shape: number[];
  data: Float32Array;
}

/** The same prompt at earlier steps of the training. */
export interface Rewind {
  snapshots(): Promise<Snapshots>;
  at(snapshot: number): Promise<Source>;
  embeddings(): Promise<Embeddings>;
  sample(snapshot: number, options: { seed: number; temperature: number; n: number }): Promise<string>;
}

export interface Source {
  header: TraceHeader;
  tensor(name: string): Promise<Tensor>;
  head(name: string, head: number): Promise<Tensor>;
  /** One row of a matrix; a large matrix stays with the server. */
  row(name: string, index: number): Promise<Float32Array>;
  /** The logit lens at positions start … stop − 1; null for a model without one. */
  lens(start: number, stop: number): Promise<Lens | null>;
  /** What each head attends to. */
  heads(): Promise<HeadRow[]>;
  trace?(edits: Edits): Promise<Source>;
  /** Another text with the same model, and the same answer where one is written. */
  other?(text: string): Promise<Source>;
  next?(request: NextRequest): Promise<Next>;
  vocabulary(): Promise<string[]>;
  /** The labels of some ids. */
  labels(ids: readonly number[]): Promise<string[]>;
  rewind?: Rewind; // absent offline
}

/** What anywidget passes to `render`; the page passes an adapter with the same method. */
export interface Model {
  get(name: string): unknown;
}

/** The source of a widget model: the page's own, or one over `header` and `blob`. */
export function sourceOf(model: Model): Source {
  return (model.get("source") as Source | undefined) ?? blobSource(model);
}

/** Go to another view of the same trace. at: where to begin in it; repeat: look at the text twice in a row. */
export type Go = (view: string, options: { at?: string; repeat?: boolean }) => void;

/** The way to other views; null where a view stands alone. */
export function goOf(model: Model): Go | null {
  return (model.get("go") as Go | undefined) ?? null;
}

/** A model for `render` in the page. at: where in the view to begin, such as a step of the walk. */
export function adapter(source: Source, at: string | null, go: Go): Model {
  const values: Record<string, unknown> = { source, at, go };
  return { get: (name) => values[name] };
}

function infoOf(header: TraceHeader, name: string): TraceHeader["tensors"][number] {
  const info = header.tensors.find((each) => each.name === name);
  if (!info) throw new Error(`${name}: not in this trace.`);
  return info;
}

function headOf(whole: Tensor, head: number): Tensor {
  const shape = whole.shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  return { name: whole.name, shape, data: whole.data.subarray(head * size, (head + 1) * size) };
}

/** Keep the promise of each key; forget one that failed. */
function memoised<T>(make: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const kept = new Map<string, Promise<T>>();
  return (key) => {
    const found = kept.get(key);
    if (found) return found;
    const made = make(key);
    kept.set(key, made);
    made.catch(() => kept.delete(key));
    return made;
  };
}

/** Bytes of a matrix up to which it is fetched whole, and ids of a vocabulary. */
const WHOLE = 1 << 18;
const FEW_LABELS = 8192;

function rowOf({ shape, data }: Tensor, index: number): Float32Array {
  const width = shape[1] ?? 1;
  return data.subarray(index * width, (index + 1) * width);
}

function partOf(lens: Lens, start: number, stop: number): Lens {
  return { states: lens.states, tokens: lens.tokens.map((row) => row.slice(start, stop)), probabilities: lens.probabilities.map((row) => row.slice(start, stop)) };
}

/** Rows by name and index: those that are asked for at once come in one answer. */
function rowsOf(header: TraceHeader): (name: string, index: number) => Promise<Float32Array> {
  const waiting = new Map<number, Set<string>>();
  const answers = new Map<number, Promise<Map<string, Float32Array>>>();
  async function fetched(index: number, names: Set<string>): Promise<Map<string, Float32Array>> {
    await Promise.resolve();
    waiting.delete(index);
    answers.delete(index);
    const data = await api.rows(header.id, [...names], index);
    let start = 0;
    return new Map([...names].map((name) => [name, data.subarray(start, (start += infoOf(header, name).shape[1] ?? 1))]));
  }
  return memoisedRows(async (name, index) => {
    const names = waiting.get(index) ?? new Set();
    waiting.set(index, names.add(name));
    const answer = answers.get(index) ?? fetched(index, names);
    answers.set(index, answer);
    return (await answer).get(name) as Float32Array;
  });
}

function memoisedRows(make: (name: string, index: number) => Promise<Float32Array>): (name: string, index: number) => Promise<Float32Array> {
  const kept = memoised((key) => {
    const [name = "", index = "0"] = key.split("#");
    return make(name, Number(index));
  });
  return (name, index) => kept(`${name}#${index}`);
}

/** Tensors that the server hands out on demand. */
export function serverSource(run: string, request: TraceRequest, header: TraceHeader): Source {
  const tensor = memoised(async (name) => ({
    name,
    shape: infoOf(header, name).shape,
    data: await api.tensor(header.id, name),
  }));
  const head = memoised(async (key) => {
    const [name = "", index = "0"] = key.split("#");
    const data = await api.tensor(header.id, name, Number(index));
    return { name, shape: infoOf(header, name).shape.slice(1), data };
  });
  const rows = rowsOf(header);
  const lenses = memoised((key) => {
    const [start = 0, stop = 0] = key.split("-").map(Number);
    return api.lens(header.id, start, stop);
  });
  const few = memoised((key) => api.labels(run, key.split(",").map(Number)));
  const { step, snapshot, ...prompt } = request;
  const weights = { ...(step === undefined ? {} : { step }), ...(snapshot === undefined ? {} : { snapshot }) };
  const given = { text: request.text, ...(request.image ? { image: request.image } : {}) };
  return {
    header,
    tensor,
    head: (name, index) => head(`${name}#${index}`),
    row: async (name, index) => (infoOf(header, name).bytes <= WHOLE ? rowOf(await tensor(name), index) : rows(name, index)),
    lens: async (start, stop) => (header.logit_lens ? partOf(header.logit_lens, start, stop) : header.lens_states.length ? lenses(`${start}-${stop}`) : null),
    heads: () => api.heads(header.id),
    other: (text) => openTrace(run, { ...prompt, ...weights, ...answerOf(header), text }),
    trace: (edits) => openTrace(run, { ...request, ...answerOf(header), edits }),
    next: (each) => api.next(run, { ...given, ...weights, ...each }),
    vocabulary: () => vocabularies(run),
    labels: async (ids) => {
      if (header.vocab > FEW_LABELS) return ids.length ? few(ids.join(",")) : [];
      return labelsOf(await vocabularies(run), ids);
    },
    rewind: {
      snapshots: () => api.snapshots(run),
      embeddings: () => api.embeddings(run),
      at: (step) => openTrace(run, { ...prompt, ...answerOf(header), snapshot: step }),
      sample: (step, options) => api.sample(run, { ...given, ids: promptIds(header), snapshot: step, ...options }),
    },
  };
}

/** The answer that a translation or caption has, so that an edited model is asked about the same tokens. */
function answerOf({ attentions, next_tokens, n_prompt }: TraceHeader): { target?: string } {
  if (!attentions.some((each) => each.kind === "cross")) return {};
  const hex = next_tokens.slice(Math.max(n_prompt - 1, 0)).map((each) => each?.bytes ?? "").join("");
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return bytes.length ? { target: new TextDecoder().decode(bytes) } : {};
}

/** Ids that a sample continues: without the answer of a translation or caption. */
function promptIds({ attentions, tokens, n_prompt }: TraceHeader): number[] {
  const answers = attentions.some((each) => each.kind === "cross");
  return (answers ? tokens.slice(0, n_prompt) : tokens).map((each) => each.id);
}

function labelsOf(vocabulary: readonly string[], ids: readonly number[]): string[] {
  return ids.map((id) => vocabulary[id] ?? `#${id}`);
}

const vocabularies = memoised((run) => api.vocabulary(run));

/** Trace a text with a run of the server. */
export async function openTrace(run: string, request: TraceRequest): Promise<Source> {
  return serverSource(run, request, await api.trace(run, request));
}

function blobSource(model: Model): Source {
  const header = model.get("header") as TraceHeader;
  const blob = model.get("blob") as DataView | string;
  const view = typeof blob === "string" ? new DataView(bytesOf(blob).buffer) : blob;
  const tensor = async (name: string): Promise<Tensor> => {
    const { shape, offset, bytes } = infoOf(header, name);
    const start = view.byteOffset + offset;
    return { name, shape, data: new Float32Array(view.buffer.slice(start, start + bytes) as ArrayBuffer) };
  };
  const vocabulary = (model.get("vocabulary") as string[] | undefined) ?? [];
  return {
    header,
    tensor,
    head: async (name, index) => headOf(await tensor(name), index),
    row: async (name, index) => rowOf(await tensor(name), index),
    lens: async (start, stop) => header.logit_lens && partOf(header.logit_lens, start, stop),
    heads: async () => header.head_rows ?? [],
    vocabulary: async () => vocabulary,
    labels: async (ids) => labelsOf(vocabulary, ids),
  };
}
