// SPDX-License-Identifier: LGPL-2.1-or-later
import jsxA11y from "eslint-plugin-jsx-a11y";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

/** Imports go one way: pages → ui, actions, host → model. */
const mayNotImport = (...layers) => ({
    "no-restricted-imports": ["error", {
        patterns: [{ group: layers.map(layer => `**/${layer}/**`), message: "Imports go one way: pages → ui, actions, host → model." }],
    }],
});

export default tseslint.config(
    { ignores: ["dist/", "output/", "node_modules/", "tmp/"] },
    ...tseslint.configs.strict,
    jsxA11y.flatConfigs.recommended,
    reactHooks.configs.flat["recommended-latest"] ?? reactHooks.configs["recommended-latest"],
    {
        rules: {
            "@typescript-eslint/no-non-null-assertion": "error",
            "@typescript-eslint/no-explicit-any": "error",
            "eqeqeq": "error",
            "max-len": ["error", { code: 140, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true }],
        },
    },
    { files: ["src/model/**"], rules: mayNotImport("actions", "host", "ui", "pages") },
    { files: ["src/actions/**"], rules: mayNotImport("host", "ui", "pages") },
    { files: ["src/host/**"], rules: mayNotImport("actions", "ui", "pages") },
    { files: ["src/ui/**"], rules: mayNotImport("actions", "host", "pages") },
    { files: ["**/*.cjs"], rules: { "@typescript-eslint/no-require-imports": "off", "no-undef": "off" } },
);
