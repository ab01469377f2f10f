// What `make lint-js` looks at: all JavaScript of ours. ebll/site/vendor is of others.
import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import globals from "globals";

const browser = ["ebll/*/front/**/*.js", "ebll/web/*.js"], node = ["tests/*.mjs", "*.mjs"];

export default defineConfig([
  { ignores: ["ebll/site/vendor/", "site/", "handout/", "figures/", ".venv*/"] },
  {
    files: [...browser, ...node],
    extends: [js.configs.recommended],
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-var": "error",
      "no-unused-vars": ["error", { ignoreRestSiblings: true }],
    },
  },
  { files: browser, languageOptions: { globals: globals.browser } },
  { // from scripts of the page before them
    files: ["ebll/site/front/*.js"],
    languageOptions: { globals: { MiniSearch: "readonly", SEARCH: "readonly", Reveal: "readonly" } },
  },
  { files: node, languageOptions: { globals: globals.node } },
]);
