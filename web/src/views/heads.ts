import { mount, unmount } from "svelte";
import { goOf, sourceOf } from "../lib/source";
import type { View } from "../lib/view";
import "./heads/texts";
import Heads from "./heads/Heads.svelte";

/** A table of all heads: what each one attends to. */
export const heads: View = {
  id: "heads",
  title: "view.heads",
  fits: (header) => header.attentions.length > 0,
  render({ model, el }) {
    const app = mount(Heads, { target: el, props: { source: sourceOf(model), go: goOf(model) } });
    return () => void unmount(app);
  },
};
