import { expect, test } from "vitest";
import { attend } from "./attention";
import { audit } from "./audit";
import { tensor, type Tensor } from "./tensor";

const numbers = (shape: number[], start: number): Tensor => {
  const t = tensor(shape);
  t.data.forEach((_, at) => (t.data[at] = Math.sin(start + at)));
  return t;
};
const head = { q: numbers([3, 4], 0), k: numbers([3, 4], 1), v: numbers([3, 4], 2) };
const ON = { scale: true, mask: true };
const chain = attend(head, (i, j) => j > i, ON);
const recorded = { scores: chain.scores, masked: chain.masked, weights: chain.weights, output: chain.output };

test("rows of weights sum to 1 and hidden keys weigh 0", () => {
  for (const i of [0, 1, 2]) expect(chain.weights.data.subarray(3 * i, 3 * i + 3).reduce((a, b) => a + b)).toBeCloseTo(1, 6);
  expect(chain.weights.data[1]).toBe(0);
  expect([...chain.output.data.subarray(0, 4)]).toEqual([...head.v.data.subarray(0, 4)]);
});

test("a faithful record passes the audit", () => {
  expect(audit(head, recorded, ON).audit).toMatchObject({ passed: true, largest: 0 });
});

test.each(["scores", "masked", "weights", "output"] as const)("a changed number in %s fails it", (part) => {
  const data = recorded[part].data.slice();
  data[3] = (data[3] as number) + 1e-3;
  expect(audit(head, { ...recorded, [part]: { ...recorded[part], data } }, ON).audit.passed).toBe(false);
});

test("numbers that are no numbers fail it", () => {
  const data = recorded.weights.data.slice();
  data[3] = NaN;
  expect(audit(head, { ...recorded, weights: { ...recorded.weights, data } }, ON).audit.passed).toBe(false);
});
