// Every call of the server, and the types of its answers. README.md describes them.

import { language } from "./i18n";

export interface RunRow {
  id: string;
  name: string;
  task: string;
  family: string;
  model: string;
  status: string;
  state: string;
  steps: number;
  minutes: number | null;
  progress: number | null;
  loss: number | null;
  unit: string;
  exact: number | null;
  baseline: string;
  baseline_loss: number | null;
  baseline_exact: number | null;
  health: string;
  can_trace: boolean;
  takes: string[];
}

export interface Baseline {
  name: string;
  kind: string;
  loss: number;
}

/** Something that the doctor finds worth a look. */
export interface RunFinding {
  mark: string;
  outcome: string;
  title: string;
  text: string;
}

export interface RunDetails extends RunRow {
  settings: [string, string, string][];
  ladder: Baseline[];
  curve: { training: [number, number][]; held_out: [number, number][] };
  /** Progress, final loss, low and high of each forecast. */
  forecast: [number, number, number, number][];
  findings: RunFinding[];
  samples: { step: number; text: string }[];
  steps_saved: number[];
  /** The model among its baselines, best first; null before the end. */
  verdict: { sentence: string; head: string[]; rows: string[][]; model: number | null } | null;
  prompt: string;
  /** Questions about the image that is shown without another one. */
  questions: string[];
}

export interface TokenLabel {
  id: number;
  text: string;
  shown: string;
  bytes: string;
}

export interface TensorInfo {
  name: string;
  shape: number[];
  dtype: "float32";
  offset: number;
  bytes: number;
  per_head: boolean;
}

export interface AttentionInfo {
  path: string;
  kind: "attn" | "cross" | "encoder";
  layer: number;
  heads: number;
  kv_heads: number;
  d_head: number;
  causal: boolean;
}

/** A state of another text, and the position here that it is put into. */
export interface Patch {
  text: string;
  state: string;
  source: number;
  position: number;
}

export interface Edits {
  ablate?: [number | string, number][];
  mlps?: (number | string)[];
  scale?: boolean;
  mask?: boolean;
  patches?: Patch[];
  /** Positions, and the ids that stand there instead. */
  tokens?: [number, number][];
}

/** The most probable token of each state, at some positions. */
export interface Lens {
  states: string[];
  tokens: string[][];
  probabilities: number[][];
}

/** What one head attends to: shares of its attention, null where it has no such key. */
export interface HeadRow {
  attention: string;
  head: number;
  role: "itself" | "previous" | "next" | "first" | "copy" | "induction" | "place" | "mixed";
  /** Number of positions with weight. */
  spread: number;
  strongest: number;
  /** The key with the largest mean weight, and that weight. */
  place: number;
  place_share: number;
  itself: number | null;
  previous: number | null;
  next: number | null;
  first: number | null;
  copy: number | null;
  induction: number | null;
  n_copy: number;
  n_induction: number;
}

export interface TraceHeader {
  id: string;
  run: string;
  task: string;
  family: string;
  layers: number;
  heads: number;
  kv_heads: number;
  width: number;
  d_head: number;
  vocab: number;
  block_size: number;
  positions: string;
  norm: string;
  preset: string;
  tokens: TokenLabel[];
  next_tokens: (TokenLabel | null)[];
  source: TokenLabel[];
  n_prompt: number;
  image: { name: string; channels: number; size: number; patch: number } | null;
  attentions: AttentionInfo[];
  blocks: { path: string; kind: "decoder" | "encoder"; layer: number }[];
  /** null for a model without one, and for a large one: then `Source.lens` reads it for some positions. */
  logit_lens: Lens | null;
  lens_states: string[];
  predictions: [string, number][][];
  tensors: TensorInfo[];
  edits: Edits;
  /** Offline only; the server computes them when asked. */
  head_rows?: HeadRow[];
  /** Snapshots of the run; absent offline. */
  n_snapshots?: number;
}

export interface TraceRequest {
  text: string;
  target?: string;
  hide?: string;
  /** A picture file, base64. */
  image?: string;
  step?: number;
  snapshot?: number;
  edits?: Edits;
}

export interface NextRequest {
  ids: number[];
  n_prompt?: number;
  seed: number;
  temperature: number;
  top_k?: number | null;
  top_p?: number | null;
  min_p?: number | null;
  repetition_penalty?: number;
  text?: string;
  image?: string;
  step?: number;
  snapshot?: number;
}

export interface SampleRequest {
  ids: number[];
  n: number;
  seed: number;
  temperature: number;
  text?: string;
  image?: string;
  snapshot?: number;
}

export interface Snapshots {
  /** Held-out loss, null where none was measured at the step. */
  snapshots: { step: number; loss: number | null }[];
  curve: { training: [number, number][]; held_out: [number, number][] };
  unit: string;
}

/** Where each frequent token's embedding lies at each snapshot, on axes that are the same at all steps. */
export interface Embeddings {
  steps: number[];
  ids: number[];
  tokens: string[];
  /** (steps, tokens, 2) */
  points: [number, number][][];
  /** Share of the variance along each axis. */
  shares: [number, number];
  n_vocab: number;
}

export interface Next {
  logits: Float32Array;
  u: number;
  k: number;
  token: number;
  greedy: number;
  probability: number;
  n_past: number;
}

export interface TrainRequest {
  name: string;
  text: string;
  minutes: number;
  size: string;
  settings: Record<string, string>;
}

export interface Setting {
  name: string;
  default: string;
  choices: string[];
}

export interface TrainingState {
  running: boolean;
  code: number | null;
  output: string;
}

/** A step of the learning path. */
export interface LearningStep {
  name: string;
  kind: "chapter" | "practice";
  title: string;
  torch: string;
  seconds: number;
  after: string[];
  extra: string | null;
  extra_is_missing: boolean;
  done: boolean;
  run: { id: string; name: string } | null;
  /** Commands of a practice step. */
  train: string;
  use: string;
  view: string;
  at: string;
  view_run: string | null;
}

export interface LearningPath {
  steps: LearningStep[];
  done: number;
  next: string | null;
  /** Why the progress could not be kept; empty if it was. */
  note: string;
}

export interface ChapterTable {
  title: string;
  columns: string[];
  rows: string[];
  values: string[][];
  shares: number[][] | null;
}

export interface ChapterFinding {
  name: string;
  observed: string;
  expected: string;
  outcome: "ok" | "warn" | "fail" | "unclear";
  mark: string;
  advice: string;
}

/** A chapter measured on a run: every figure as `glassgpt explain` prints it. */
export interface Chapter {
  name: string;
  title: string;
  body: ({ text: string } | ChapterTable)[];
  findings: ChapterFinding[];
  cells: ({ text: string } | { code: string; output: string })[];
  exercises: { question: string; start: string; is_number: boolean }[];
  module: string;
  shown_run: { id: string; name: string } | null;
  view: string;
  at: string;
  view_run: string | null;
  command: string;
  notebook: string;
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

async function call(path: string, body?: unknown): Promise<Response> {
  const spoken = { "Accept-Language": language() };
  const init: RequestInit =
    body === undefined
      ? { headers: spoken }
      : { method: "POST", headers: { ...spoken, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { credentials: "same-origin", ...init });
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try {
    message = (JSON.parse(text) as { error?: string }).error ?? text;
  } catch {
    // not JSON: the text itself
  }
  throw new ApiError(message, response.status);
}

async function json<T>(path: string, body?: unknown): Promise<T> {
  return (await (await call(path, body)).json()) as T;
}

const run = (id: string): string => `/api/runs/${encodeURIComponent(id)}`;
const chapter = (name: string): string => `/api/chapters/${encodeURIComponent(name)}`;

export const api = {
  runs: (): Promise<{ folder: string; runs: RunRow[] }> => json("/api/runs"),
  run: (id: string): Promise<RunDetails> => json(run(id)),
  events: (id: string): EventSource => new EventSource(`${run(id)}/events`),
  vocabulary: async (id: string): Promise<string[]> =>
    (await json<{ labels: string[] }>(`${run(id)}/vocabulary`)).labels,
  trace: (id: string, request: TraceRequest): Promise<TraceHeader> => json(`${run(id)}/trace`, request),
  snapshots: (id: string): Promise<Snapshots> => json(`${run(id)}/snapshots`),
  examine: (id: string): Promise<{ sentence: string; findings: RunFinding[] }> => json(`${run(id)}/examine`, {}),
  /** Address of the report of one run, or of several side by side. */
  report: (ids: readonly string[], language: string): string => `/api/report?${new URLSearchParams([...ids.map((id) => ["run", id]), ["language", language]])}`,
  embeddings: (id: string): Promise<Embeddings> => json(`${run(id)}/embeddings`),
  sample: async (id: string, request: SampleRequest): Promise<string> =>
    (await json<{ text: string }>(`${run(id)}/sample`, request)).text,
  tensor: async (trace: string, name: string, head?: number): Promise<Float32Array> => {
    const query = head === undefined ? "" : `?head=${head}`;
    const response = await call(`/api/traces/${encodeURIComponent(trace)}/${encodeURIComponent(name)}${query}`);
    return new Float32Array(await response.arrayBuffer());
  },
  rows: async (trace: string, names: string[], row: number): Promise<Float32Array> => {
    const query = new URLSearchParams(names.map((name) => ["name", name]));
    return new Float32Array(await (await call(`/api/rows/${encodeURIComponent(trace)}/${row}?${query}`)).arrayBuffer());
  },
  lens: async (trace: string, start: number, stop: number): Promise<Lens | null> =>
    (await json<{ lens: Lens | null }>(`/api/lenses/${encodeURIComponent(trace)}?start=${start}&stop=${stop}`)).lens,
  heads: async (trace: string): Promise<HeadRow[]> => (await json<{ heads: HeadRow[] }>(`/api/heads/${encodeURIComponent(trace)}`)).heads,
  labels: async (id: string, ids: number[]): Promise<string[]> =>
    (await json<{ labels: string[] }>(`${run(id)}/labels`, { ids })).labels,
  settings: async (): Promise<Setting[]> => (await json<{ settings: Setting[] }>("/api/settings")).settings,
  plan: async (request: TrainRequest): Promise<string> => (await json<{ plan: string }>("/api/plan", request)).plan,
  train: async (request: TrainRequest): Promise<string> => (await json<{ id: string }>("/api/trainings", request)).id,
  training: (id: string): Promise<TrainingState> => json(`/api/trainings/${encodeURIComponent(id)}`),
  stop: (id: string): Promise<unknown> => json(`${run(id)}/stop`, {}),
  resume: (id: string, minutes: number): Promise<{ id: string }> => json(`${run(id)}/resume`, { minutes }),
  path: (language: string): Promise<LearningPath> => json(`/api/chapters?language=${language}`),
  chapter: (name: string, request: { run?: string; language: string }): Promise<Chapter> => json(chapter(name), request),
  notebook: async (name: string, request: { run?: string; language: string }): Promise<string> =>
    JSON.stringify(await json(`${chapter(name)}/notebook`, request), null, 1),
  answer: (name: string, request: { exercise: number; answer: string; language: string }): Promise<{ right: boolean; message: string }> =>
    json(`${chapter(name)}/answer`, request),
  next: async (id: string, request: NextRequest): Promise<Next> => {
    const answer = await json<Omit<Next, "logits"> & { logits: string }>(`${run(id)}/next`, request);
    return { ...answer, logits: new Float32Array(bytesOf(answer.logits).buffer) };
  },
};

export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
