// Tensors as the server sends them: one block of float32 numbers and a shape.

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export function tensor(shape: readonly number[], data?: Float32Array): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  if (data && data.length !== size) throw new Error(`shape ${shape.join(" × ")} needs ${size} numbers, not ${data.length}`);
  return { shape, data: data ?? new Float32Array(size) };
}

/** Select one index of the first dimension, without a copy. */
export function at(t: Tensor, index: number): Tensor {
  const rest = t.shape.slice(1);
  const size = rest.reduce((product, n) => product * n, 1);
  if (!(index >= 0 && index < (t.shape[0] ?? 0))) throw new Error(`no index ${index} in shape ${t.shape.join(" × ")}`);
  return tensor(rest, t.data.subarray(index * size, (index + 1) * size));
}

/** Columns `start` to `stop` of a matrix, as a copy. */
export function columns(t: Tensor, start: number, stop: number): Tensor {
  const [rows, width] = matrixShape(t);
  const part = tensor([rows, stop - start]);
  for (let i = 0; i < rows; i++) part.data.set(t.data.subarray(i * width + start, i * width + stop), i * (stop - start));
  return part;
}

export function row(t: Tensor, index: number): Float32Array {
  return at(t, index).data;
}

export function matrixShape(t: Tensor): [number, number] {
  if (t.shape.length !== 2) throw new Error(`a matrix has 2 dimensions, not ${t.shape.length}`);
  return [t.shape[0] as number, t.shape[1] as number];
}

export function value(t: Tensor, i: number, j: number): number {
  return t.data[i * (t.shape[1] as number) + j] as number;
}

/** Largest difference of two tensors of one shape. Equal infinities differ by 0. */
export function largestDifference(a: Tensor, b: Tensor): number {
  if (a.shape.join() !== b.shape.join()) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) {
    const x = a.data[i] as number;
    const y = b.data[i] as number;
    if (Object.is(x, y) || x === y) continue;
    const difference = Math.abs(x - y);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}
