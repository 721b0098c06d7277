// SPDX-License-Identifier: LGPL-2.1-or-later
import "@patternfly/patternfly/patternfly-base.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App, openHost } from "./app.tsx";
import { ErrorBoundary } from "./ui/error-boundary.tsx";
import "./ui/page.css";
import { followShell } from "./ui/theme.ts";

followShell();
const page = document.getElementById("page");
if (page)
    createRoot(page).render(<StrictMode><ErrorBoundary><App host={openHost()} /></ErrorBoundary></StrictMode>);
