import { expect, test } from "vitest";
import { largest } from "./softmax";

/** All ids, the largest value first; ties keep their order. */
function sorted(values: readonly number[]): number[] {
  return [...values.keys()].sort((a, b) => (values[b] === values[a] ? 0 : (values[b] as number) - (values[a] as number)));
}

test("a few of many are those that a sort finds", () => {
  const values = Array.from({ length: 997 }, (_, id) => (id * 7919) % 101);
  values[500] = -Infinity;
  for (const n of [1, 8, 124]) expect(largest(values, n)).toEqual(sorted(values).slice(0, n));
});

test("ties go to lower ids, and hidden values are found where there is nothing else", () => {
  expect(largest(Array(20).fill(3), 2)).toEqual([0, 1]);
  expect(largest([...Array(20).fill(-Infinity), 1], 2)).toEqual([20, 0]);
});
