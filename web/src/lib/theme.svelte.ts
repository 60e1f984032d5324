// The colors of the moment: those of the page, or of the system where the page chooses none.
import { DARK, LIGHT, type Theme } from "./colors";

class ThemeState {
  private dark = $state(isDark());

  constructor() {
    const update = (): void => void (this.dark = isDark());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
    new MutationObserver(update).observe(document.documentElement, { attributeFilter: ["data-theme", "class"] });
  }

  get current(): Theme {
    return this.dark ? DARK : LIGHT;
  }
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export const theme = new ThemeState();
