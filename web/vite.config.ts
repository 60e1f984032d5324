import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// One module and one style sheet: the page, a notebook and an offline file load the same two files.
export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: process.env.GLASSGPT_LAB_OUT ?? "dist",
    emptyOutDir: true,
    lib: { entry: "src/main.ts", formats: ["es"], fileName: () => "lab.js", cssFileName: "lab" },
    cssCodeSplit: false,
    target: "es2022",
  },
});
