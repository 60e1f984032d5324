// The uniform numbers of Python's random.Random(seed), which the engine draws its tokens with.
// Source: Matsumoto and Nishimura 1998 (MT19937), seeded by init_by_array as in CPython.

const N = 624;
const M = 397;

export class Random {
  private readonly state = new Uint32Array(N);
  private index = N;

  constructor(seed: number | bigint) {
    this.seedByArray(words(seed));
  }

  /** The next number in [0, 1), of 53 bits. */
  random(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  private seedByArray(key: number[]): void {
    const s = this.state;
    s[0] = 19650218;
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, this.mixed(i - 1)) + i;
    let [i, j] = [1, 0];
    const wrap = (): void => {
      if (++i >= N) {
        s[0] = s[N - 1] as number;
        i = 1;
      }
    };
    for (let k = Math.max(N, key.length); k > 0; k--) {
      s[i] = ((s[i] as number) ^ Math.imul(this.mixed(i - 1), 1664525)) + (key[j] as number) + j;
      j = (j + 1) % key.length;
      wrap();
    }
    for (let k = N - 1; k > 0; k--) {
      s[i] = ((s[i] as number) ^ Math.imul(this.mixed(i - 1), 1566083941)) - i;
      wrap();
    }
    s[0] = 0x80000000;
  }

  private mixed(i: number): number {
    const word = this.state[i] as number;
    return word ^ (word >>> 30);
  }

  private next(): number {
    if (this.index >= N) this.refill();
    let y = this.state[this.index++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private refill(): void {
    const s = this.state;
    for (let k = 0; k < N; k++) {
      const y = ((s[k] as number) & 0x80000000) | ((s[(k + 1) % N] as number) & 0x7fffffff);
      s[k] = (s[(k + M) % N] as number) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.index = 0;
  }
}

/** The 32-bit words of a seed without its sign, the lowest first. */
function words(seed: number | bigint): number[] {
  let rest = BigInt(seed);
  if (rest < 0n) rest = -rest;
  const result = [Number(rest & 0xffffffffn)];
  for (rest >>= 32n; rest > 0n; rest >>= 32n) result.push(Number(rest & 0xffffffffn));
  return result;
}
