import { setButtons } from "./guard.js";

/** The work queue stays current without moving: rows change where they are, rows that are gone say so, and new ones
 *  wait behind a button. The open item, its form and the typed text are never replaced. */
const rows = (place) => [...(place?.querySelectorAll("tr[data-row]") ?? [])];
const link = (row) => row.querySelector("a[data-stamp]");
const boxes = () => [...document.querySelectorAll("#work-list input[form=pick]")];
const picked = new Set(); // the selected items: a selection outlives the opening of an item

/** The boxes of the rows that are here say what is selected. */
function showPicked() {
  for (const box of boxes()) box.checked = picked.has(box.value);
  const words = document.querySelector("[data-picked]");
  const count = boxes().filter((box) => box.checked).length;
  if (words) words.textContent = count ? `${count} selected:` : "Select rows, then";
}

function refresh(old, fresh) {
  if (link(old)?.dataset.stamp === link(fresh)?.dataset.stamp && !old.hasAttribute("data-gone")) return;
  const focused = old.contains(document.activeElement);
  const chosen = old.hasAttribute("data-selected");
  old.innerHTML = fresh.innerHTML;
  old.removeAttribute("data-gone");
  if (chosen) link(old)?.setAttribute("aria-current", "true");
  window.htmx.process(old);
  if (focused) link(old)?.focus({ preventScroll: true });
}

function leave(row, words) {
  if (row.hasAttribute("data-gone")) return;
  row.setAttribute("data-gone", "");
  picked.delete(row.querySelector("input[form=pick]")?.value);
  const cell = row.querySelector("td[data-due]");
  cell.innerHTML = `<span class="pill" data-tone="mute">${words}</span>`;
}

/** Takes over the rows that the poll brought. Rows after the page are only there to tell moved from gone; a row of a
 *  later page may have moved to an earlier one. */
function merge(template) {
  const list = document.getElementById("work-list");
  const fresh = new Map(rows(template.content).map((row) => [link(row).id, row]));
  template.remove();
  if (!list) return;
  const gone = list.dataset.later === "yes" ? "no longer here" : "no longer waiting";
  const here = rows(list);
  const known = new Set(here.map((row) => link(row)?.id));
  for (const row of here) {
    const now = fresh.get(link(row)?.id);
    if (now) refresh(row, now);
    else leave(row, gone);
  }
  const longest = Math.max(here.length, 60);
  const added = [...fresh.keys()].slice(0, longest).filter((id) => !known.has(id)).length;
  const news = document.getElementById("work-news");
  if (!news) return;
  news.hidden = added === 0;
  news.textContent = added ? `Show ${added} new` : "";
}

/** Where list and item are not side by side, the item that was opened comes into view, and has the focus that its row
 *  no longer can have. */
function reveal(panel) {
  const { top } = panel.getBoundingClientRect();
  if (top < 0 || top > window.innerHeight / 2) panel.scrollIntoView({ block: "start" });
  const row = document.activeElement;
  if (row === document.body || row.offsetParent === null) panel.querySelector("h2 a")?.focus({ preventScroll: true });
}

export function watchQueue() {
  document.addEventListener(
    "toggle",
    (event) => {
      if (event.target.matches("details[data-focus][open]")) event.target.querySelector("select")?.focus();
    },
    true,
  );
  document.addEventListener(
    "click",
    (event) => {
      const apart = event.ctrlKey || event.metaKey || event.shiftKey;
      if (apart && event.target.closest("a[hx-get]")) event.stopPropagation(); // htmx would stop the new tab
    },
    true,
  );
  for (const box of boxes()) if (box.checked) picked.add(box.value); // as the browser brought them back
  showPicked();
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.matches("input[form=pick]")) return;
    if (box.checked) picked.add(box.value);
    else picked.delete(box.value);
    showPicked();
  });
  const apart = window.matchMedia("(max-width: 1100px)");
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    const opened = ctx.target.id === "work" && document.querySelector("#work[data-open]") !== null;
    if (opened && apart.matches) reveal(document.getElementById("panel"));
    const template = document.getElementById("work-fresh");
    if (template) merge(template);
    showPicked();
    for (const form of document.querySelectorAll("#panel form[data-draft]")) setButtons(form);
  });
}
