// Geometry of the learning curve.

export interface Range {
  low: number;
  high: number;
  last: number;
}

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

type Point = readonly [number, number];

/** Range of the losses and steps. The first, steep part of training may leave the frame. */
export function limits(training: Point[], heldOut: Point[], levels: number[]): Range {
  const values = [...training, ...heldOut].map((point) => point[1]);
  const low = Math.min(...values, ...levels);
  const late = training.slice(Math.floor(training.length / 50)).map((point) => point[1]);
  const top = Math.max(...late, ...heldOut.map((point) => point[1]));
  const near = levels.filter((level) => level <= top * 1.15);
  const high = Math.max(top, ...near);
  const margin = (high - low || 1) * 0.06;
  return { low: Math.max(0, low - margin), high: high + margin, last: Math.max(1, ...[...training, ...heldOut].map((p) => p[0])) };
}

export function place([x, y]: Point, range: Range, box: Box): [number, number] {
  const share = (y - range.low) / (range.high - range.low);
  return [
    box.left + (x / range.last) * (box.right - box.left),
    box.bottom - Math.min(1, share) * (box.bottom - box.top),
  ];
}

/** Path through the points; at most about 800 of them, evenly chosen. */
export function path(points: Point[], at: (point: Point) => Point): string {
  const every = Math.max(1, Math.floor(points.length / 800));
  const kept = points.filter((_, i) => i % every === 0 || i === points.length - 1);
  return kept.map((point, i) => `${i ? "L" : "M"}${at(point).map((v) => v.toFixed(1)).join(",")}`).join("");
}

/** Round numbers between two values: 0, 200, 400 … */
export function steps(low: number, high: number, n: number): number[] {
  const rough = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
  const first = Math.ceil(low / size);
  return Array.from({ length: Math.floor(high / size) - first + 1 }, (_, i) => (first + i) * size);
}
