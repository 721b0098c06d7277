// SPDX-License-Identifier: LGPL-2.1-or-later
// Stands in for every icon in unit tests: their packages are CommonJS, whose default jest's modules do not unwrap.
const Icon = () => null;
module.exports = Icon;
module.exports.default = Icon;
