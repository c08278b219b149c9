const TROUBLE = "#trouble"; // where a page says that a part of it broke
const failed = new Map(); // id of what a request was to fill -> whether it is live
let before = null; // of the indicator that says it

/** When an answer does not come, the indicator says so until that part answers: an old number must not look live. */
function show() {
  for (const id of failed.keys()) if (!document.getElementById(id)) failed.delete(id);
  if (!failed.size) document.querySelector(TROUBLE)?.replaceChildren();
  const indicator = document.getElementById("live");
  if (!indicator) return;
  const silent = [...failed.values()].includes(true);
  if (silent && indicator.dataset.silent !== "yes") {
    before = { stale: indicator.dataset.stale, title: indicator.title, text: indicator.firstChild.data };
    Object.assign(indicator.dataset, { stale: "yes", silent: "yes" });
    indicator.title = "The console does not answer; numbers are those of the last answer.";
    indicator.firstChild.data = before.text.replace("live", "stale");
  } else if (!silent && indicator.dataset.silent === "yes") {
    delete indicator.dataset.silent;
    indicator.dataset.stale = before.stale;
    indicator.title = before.title;
    indicator.firstChild.data = before.text;
  }
}

function told(detail) {
  return detail.xhr.getResponseHeader("HX-Retarget") === TROUBLE;
}

function fails({ detail }) {
  const { elt, target } = detail.requestConfig;
  const live = elt.hasAttribute("data-poll");
  if (live || told(detail)) failed.set(target.id, live);
  show();
}

/** Live parts ask every few seconds, but not while nobody looks, and never under a reader's selection. `data-poll` names
 *  the parts that an answer changes where that is not the element alone. */
export function watchPolling() {
  document.addEventListener("htmx:sendError", fails);
  document.addEventListener("htmx:responseError", fails);
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (told(detail)) detail.shouldSwap = true; // an error is not swapped otherwise
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.successful) return; // nor is one that was called off
    failed.delete(detail.requestConfig.target.id); // an answer without news as well
    show();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (!element.hasAttribute("data-poll")) return;
    const selection = getSelection();
    const named = element.dataset.poll.split(" ").map((id) => document.getElementById(id));
    const areas = [element, ...named].filter(Boolean);
    const reading = !selection.isCollapsed && areas.some((area) => area.contains(selection.anchorNode));
    if (document.hidden || reading) event.preventDefault();
  });
}
