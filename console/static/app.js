import { watchAnswers } from "./answers.js";
import { watchCopies } from "./copy.js";
import { watchDeadlines } from "./deadlines.js";
import { watchDrafts } from "./drafts.js";
import { watchGuard } from "./guard.js";
import { watchKeys } from "./keys.js";
import { watchPasskeys } from "./passkeys.js";
import { watchPolling } from "./polling.js";
import { watchQueue } from "./queue.js";
import { watchSums } from "./sums.js";
import { watchTheme } from "./theme.js";
import { watchUndo } from "./undo.js";

watchAnswers();
watchCopies();
watchDeadlines();
watchDrafts();
watchGuard();
watchKeys();
watchPasskeys();
watchPolling();
watchQueue();
watchSums();
watchTheme();
watchUndo();

// On a narrow screen the rail is one line that scrolls: the page that is open must be in view.
const shown = document.querySelector(".rail nav [aria-current]");
if (shown) {
  const rail = shown.closest(".rail");
  rail.scrollLeft += shown.getBoundingClientRect().left - rail.getBoundingClientRect().left - rail.clientWidth / 3;
}

// A page that the browser kept in memory shows old facts, with buttons for them.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const plots = document.querySelectorAll("[data-plot]");
if (plots.length) {
  const { drawPlot } = await import("./plots.js");
  plots.forEach(drawPlot);
}

const holder = document.querySelector("[data-curve]");
if (holder) {
  const { drawEquity } = await import("./equity.js");
  drawEquity(holder);
}
