import { expect, test } from "vitest";
import { overhang } from "./layout";

test("labels of the last columns may reach beyond them", () => {
  expect(overhang(["a", "b"], 40)).toBe(0);
  expect(overhang(["a", "wonderful"], 40)).toBeGreaterThan(15);
  expect(overhang(["wonderful", "a", "b", "c"], 40)).toBe(0);
});
