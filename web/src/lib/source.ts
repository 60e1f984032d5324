// The tensors of one trace: from the server, or from the blob of a notebook or an offline file.
import { api, bytesOf, type Edits, type Next, type NextRequest, type TraceHeader, type TraceRequest } from "./api";

export interface Tensor {
  name: string;
  shape: number[];
  data: Float32Array;
}

export interface Source {
  header: TraceHeader;
  tensor(name: string): Promise<Tensor>;
  head(name: string, head: number): Promise<Tensor>;
  trace?(edits: Edits): Promise<Source>;
  next?(request: NextRequest): Promise<Next>;
  vocabulary(): Promise<string[]>;
}

/** What anywidget passes to `render`; the page passes an adapter with the same method. */
export interface Model {
  get(name: string): unknown;
}

/** The source of a widget model: the page's own, or one over `header` and `blob`. */
export function sourceOf(model: Model): Source {
  return (model.get("source") as Source | undefined) ?? blobSource(model);
}

/** A model for `render` in the page. */
export function adapter(source: Source): Model {
  return { get: (name) => (name === "source" ? source : undefined) };
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
  return {
    header,
    tensor,
    head: (name, index) => head(`${name}#${index}`),
    trace: (edits) => openTrace(run, { ...request, ...answerOf(header), edits }),
    next: (each) => api.next(run, { text: request.text, ...(request.image ? { image: request.image } : {}), ...each }),
    vocabulary: () => vocabularies(run),
  };
}

/** The answer that a translation or caption has, so that an edited model is asked about the same tokens. */
function answerOf({ attentions, next_tokens, n_prompt }: TraceHeader): { target?: string } {
  if (!attentions.some((each) => each.kind === "cross")) return {};
  const hex = next_tokens.slice(Math.max(n_prompt - 1, 0)).map((each) => each?.bytes ?? "").join("");
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return bytes.length ? { target: new TextDecoder().decode(bytes) } : {};
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
  return {
    header,
    tensor,
    head: async (name, index) => headOf(await tensor(name), index),
    vocabulary: async () => (model.get("vocabulary") as string[] | undefined) ?? [],
  };
}
