// The colors of the moment: those of the page or notebook around us, or of the system where it says nothing.
import { DARK, LIGHT, type Theme } from "./colors";

class ThemeState {
  private dark = $state(isDark());

  constructor() {
    const update = (): void => void (this.dark = isDark());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
    const observer = new MutationObserver(update);
    for (const each of [document.documentElement, document.body]) observer.observe(each, { attributes: true });
  }

  get current(): Theme {
    return this.dark ? DARK : LIGHT;
  }

  /** Keep an element's CSS in these colors. Returns the way to stop. */
  dress(element: HTMLElement): () => void {
    return $effect.root(() => {
      $effect(() => void (element.dataset["scheme"] = this.dark ? "dark" : "light"));
    });
  }
}

function isDark(): boolean {
  const said = themeAround();
  return said ? /dark|high-contrast$/.test(said) : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** What the page says of itself: JupyterLab, Visual Studio Code, marimo and others, Colab. */
function themeAround(): string | null {
  const { documentElement: html, body } = document;
  const { jpThemeLight, vscodeThemeKind, theme } = body.dataset;
  if (jpThemeLight) return jpThemeLight === "true" ? "light" : "dark";
  return vscodeThemeKind ?? html.dataset["theme"] ?? theme ?? html.getAttribute("theme");
}

export const theme = new ThemeState();
