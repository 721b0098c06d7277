// SPDX-License-Identifier: LGPL-2.1-or-later
/** Unit tests run in parallel; host and browser tests are slow and run one file at a time (see the Makefile). */
const common = {
    transform: { "\\.tsx?$": "<rootDir>/test/esbuild-transform.cjs" },
    extensionsToTreatAsEsm: [".ts", ".tsx"],
    modulePathIgnorePatterns: ["<rootDir>/output/"],
    moduleNameMapper: {
        "\\.css$": "<rootDir>/test/empty.cjs",
        "^@patternfly/react-icons/dist/.*/icons/": "<rootDir>/test/icon.cjs",
    },
};

const slow = { ...common, setupFilesAfterEnv: ["<rootDir>/test/lab/setup.ts"] };

export default {
    projects: [
        { ...common, displayName: "unit", testMatch: ["<rootDir>/test/unit/**/*.test.{ts,tsx}"] },
        { ...slow, displayName: "host", testMatch: ["<rootDir>/test/host/**/*.test.ts"] },
        { ...slow, displayName: "browser", testMatch: ["<rootDir>/test/browser/**/*.test.ts"] },
    ],
};
