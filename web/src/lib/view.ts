import type { TraceHeader } from "./api";
import type { Model } from "./source";

/** A view of one trace: an ES module with anywidget's `render`. */
export interface View {
  /** Name in the page's address. */
  id: string;
  /** Key of its title in i18n.ts. */
  title: string;
  /** True if the trace has what the view shows. */
  fits(header: TraceHeader): boolean;
  /** Draw into an element; returns the function that cleans up. */
  render(where: { model: Model; el: HTMLElement }): void | (() => void);
}
