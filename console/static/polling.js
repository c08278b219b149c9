const TROUBLE = "#trouble"; // where a page says that a part of it broke

/** When an answer does not come, the indicator says so: an old number must not look live. */
function silent() {
  const indicator = document.getElementById("live");
  if (!indicator) return;
  indicator.dataset.stale = "yes";
  indicator.title = "The console does not answer; numbers are those of the last answer.";
}

/** Live parts ask every few seconds, but not while nobody looks, and never under a reader's selection. `data-poll` names
 *  the parts that an answer changes where that is not the element alone. */
export function watchPolling() {
  document.addEventListener("htmx:sendError", silent);
  document.addEventListener("htmx:responseError", silent);
  document.addEventListener("htmx:beforeSwap", (event) => {
    const told = event.detail.xhr.getResponseHeader("HX-Retarget") === TROUBLE;
    if (told) event.detail.shouldSwap = true; // an error is not swapped otherwise
    else if (event.detail.shouldSwap) document.querySelector(TROUBLE)?.replaceChildren();
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
