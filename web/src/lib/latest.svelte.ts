// The newest answer to a question that changes; the one before stays until it comes.

export interface Latest<T> {
  /** Null before the first answer. */
  readonly value: T | null;
  /** Why the last question has no answer; "" if it has one. */
  readonly error: string;
}

/** Ask again whenever what `ask` reads changes. Answers that come too late are dropped. */
export function latest<T>(ask: () => Promise<T>): Latest<T> {
  let value = $state.raw<T | null>(null);
  let error = $state("");
  $effect(() => {
    let wanted = true;
    ask().then(
      (answer) => wanted && ([value, error] = [answer, ""]),
      (problem: Error) => wanted && (error = problem.message),
    );
    return () => (wanted = false);
  });
  return {
    get value() {
      return value;
    },
    get error() {
      return error;
    },
  };
}
