import { expect, test } from "vitest";
import { cumulative, distribution, draw, nextToken, PLAIN, repetitionPenalty, topK, topP } from "./sampling";

const LOGITS = Float32Array.of(1, 3, 2, 3, -Infinity);
const kept = (filtered: Float32Array): number[] => [...filtered.keys()].filter((id) => filtered[id] !== -Infinity);

test("ties go to lower ids", () => {
  expect(kept(topK(LOGITS, 1))).toEqual([1]);
  expect(kept(topP(LOGITS, 0.3))).toEqual([1]);
  expect(kept(topP(LOGITS, 0.5))).toEqual([1, 3]);
});

test("every dropped token names its filter", () => {
  const found = distribution(LOGITS, { ...PLAIN, topK: 3, minP: 0.5 });
  expect(found.droppedBy).toEqual(["top-k", undefined, "min-p", undefined, undefined]);
  expect(found.probabilities[1]).toBeCloseTo(0.5, 7);
});

test("temperature 0 takes the first maximum, whatever the number", () => {
  const greedy = { ...PLAIN, temperature: 0 };
  expect(nextToken(distribution(LOGITS, greedy).probabilities, greedy, 0.999)).toBe(1);
});

test("the penalty divides positive logits and multiplies negative ones", () => {
  expect([...repetitionPenalty(Float32Array.of(2, -2, 2), [0, 1, 1], 2)]).toEqual([1, -4, 2]);
});

test("the draw is the first id above the number, never one of probability 0", () => {
  const cdf = cumulative(Float32Array.of(0, 0.25, 0, 0.75));
  expect([0, 0.2499, 0.25, 0.9999].map((u) => draw(cdf, u))).toEqual([1, 1, 3, 3]);
});
