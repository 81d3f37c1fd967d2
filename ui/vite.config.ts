import { defineConfig } from "vitest/config";

/** Where `antiphon serve` listens while the page is worked on with `npm run dev`. */
const server = "http://127.0.0.1:4000";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/antiphon/web/static",
    emptyOutDir: true,
    // Swagger UI comes in one piece, for whoever opens /docs.
    chunkSizeWarningLimit: 1600,
    rolldownOptions: { input: ["index.html", "docs/index.html"] },
    // The content security policy forbids data: scripts and inline code; every asset is its own hashed file.
    assetsInlineLimit: 0,
    // The first browsers with light-dark(): without this it is rewritten into twice the style sheet.
    cssTarget: ["chrome123", "edge123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": server,
      "/socket": { target: server, ws: true },
    },
  },
  test: { environment: "jsdom", testTimeout: 30_000, include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"] },
});
