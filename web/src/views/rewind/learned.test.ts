import { expect, test } from "vitest";
import { learnedAt } from "./learned";

const points = (...ps: number[]) => ps.map((p, n) => ({ step: 2 ** n, p }));

test("the first step from which on half of the last probability is kept", () => {
  expect(learnedAt(points(0.01, 0.02, 0.5, 0.9, 0.8))).toBe(4);
  expect(learnedAt(points(0.01, 0.7, 0.1, 0.9, 0.8))).toBe(8); // what was lost again does not count
  expect(learnedAt(points(0.5, 0.5))).toBe(1);
  expect(learnedAt([])).toBe(0);
});
