// SPDX-License-Identifier: LGPL-2.1-or-later
// Jest reads TypeScript through the bundler that also builds the page.
const { transformSync } = require("esbuild");

module.exports = {
    process(source, path) {
        const { code, map } = transformSync(source, {
            loader: path.endsWith("x") ? "tsx" : "ts", format: "esm", target: "node20", jsx: "automatic", sourcemap: true, sourcefile: path,
        });
        return { code, map };
    },
};
