/** Live parts ask every two seconds, but not while nobody looks, and never under a reader's selection. */
export function watchPolling() {
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (!element.hasAttribute("data-poll")) return;
    const selection = getSelection();
    const reading = !selection.isCollapsed && element.contains(selection.anchorNode);
    if (document.hidden || reading) event.preventDefault();
  });
}
