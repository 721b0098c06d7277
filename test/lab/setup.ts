// SPDX-License-Identifier: LGPL-2.1-or-later
// For tests on hosts: time enough to boot one, and to make its tree when it is missing.
import { jest } from "@jest/globals";

jest.setTimeout(180_000);
