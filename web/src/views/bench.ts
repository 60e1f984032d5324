import { mount, unmount } from "svelte";
import { sourceOf } from "../lib/source";
import type { View } from "../lib/view";
import Bench from "./bench/Bench.svelte";
import "./bench/texts";

const WRITERS = new Set(["gpt", "bigram", "seq2seq", "captioner"]);

/** From logits to the next token, and the tree of what could have been drawn. */
export const bench: View = {
  id: "bench",
  title: "view.bench",
  fits: (header) => WRITERS.has(header.family) && header.tensors.some((each) => each.name === "logits"),
  render({ model, el }) {
    const app = mount(Bench, { target: el, props: { source: sourceOf(model) } });
    return () => void unmount(app);
  },
};
