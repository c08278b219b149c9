import { watchCopies } from "./copy.js";
import { watchDeadlines } from "./deadlines.js";
import { watchKeys } from "./keys.js";
import { watchPolling } from "./polling.js";
import { watchTheme } from "./theme.js";

watchCopies();
watchDeadlines();
watchKeys();
watchPolling();
watchTheme();

const holder = document.querySelector("[data-curve]");
if (holder) {
  const { drawEquity } = await import("./equity.js");
  drawEquity(holder);
}
