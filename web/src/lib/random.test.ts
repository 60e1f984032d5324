import { expect, test } from "vitest";
import { Random } from "./random";

// Printed by Python: r = random.Random(seed); r.random(), r.random()
test.each([
  [0n, [0.8444218515250481, 0.7579544029403025]],
  [7n, [0.32383276483316237, 0.15084917392450192]],
  [4294967295n, [0.6353574441341173, 0.20319993954407756]],
  [9223372036854775813n, [0.3442386103531446, 0.4613981665936734]],
  [-7n, [0.32383276483316237, 0.15084917392450192]],
] as [bigint, number[]][])("seed %s gives Python's numbers", (seed, numbers) => {
  const random = new Random(seed);
  expect([random.random(), random.random()]).toEqual(numbers);
});

test("the state is refilled after 624 words", () => {
  const random = new Random(1);
  let last = 0;
  for (let n = 0; n < 700; n++) last = random.random();
  expect(last).toBe(0.24309173409213014);
});
