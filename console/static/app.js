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

// A page that the browser kept in memory shows old facts, with buttons for them.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const holder = document.querySelector("[data-curve]");
if (holder) {
  const { drawEquity } = await import("./equity.js");
  drawEquity(holder);
}
