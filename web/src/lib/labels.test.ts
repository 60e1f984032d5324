import { expect, test } from "vitest";
import { csvOf } from "./csv";
import { digits, parsed, visible } from "./labels";

test("characters that cannot be seen get a sign", () => {
  expect(["", "\n", " the", "a  b", "New York", "\u202e"].map(visible)).toEqual(["∅", "⏎", "␣the", "a␣␣b", "New York", "\\u{202e}"]);
});

test("a number that is shown can be read back", () => {
  expect([1.005, -0.0001, -2.5, -Infinity].map((x) => digits(x))).toEqual(["1.00", "0.00", "−2.50", "−∞"]);
  expect(["−2.50", "−∞"].map(parsed)).toEqual([-2.5, -Infinity]);
});

test("CSV quotes labels and disarms formulas", () => {
  expect(csvOf(['a"b', "=1+1"], ["x,y", "-1"], (i, j) => i + j / 2)).toBe(',"x,y",-1\n"a""b",0,0.5\n\'=1+1,1,1.5\n');
});
