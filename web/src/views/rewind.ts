import { mount, unmount } from "svelte";
import { sourceOf } from "../lib/source";
import type { View } from "../lib/view";
import Rewind from "./rewind/Rewind.svelte";
import "./rewind/texts";

/** The same prompt at each step of the training that kept its weights. */
export const rewind: View = {
  id: "rewind",
  title: "view.rewind",
  fits: (header) => header.n_snapshots !== undefined,
  render({ model, el }) {
    const app = mount(Rewind, { target: el, props: { source: sourceOf(model) } });
    return () => void unmount(app);
  },
};
