/** Keys of the console; `?` lists them. Nothing that approves, rejects or pays has a key. */
const typing = (element) => element.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
const OFF = "propos-keys-off";
const PLACES = { q: "/queue", a: "/accounts", p: "/payouts", t: "/tickets", r: "/risk", f: "/" }; // after g
const WAIT = 1000;
let cursor = "";
let went = 0; // when g was pressed

function rows() {
  const list = document.querySelector("[data-keys]");
  return list ? [...list.querySelectorAll("tr[data-row]")] : [];
}

const link = (row) => row?.querySelector("a");
const named = (row) => link(row)?.id || link(row)?.getAttribute("href") || "";

function point(row) {
  for (const each of rows()) each.classList.toggle("cursor", each === row);
  cursor = named(row);
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("cursor"));
  const start = at < 0 ? all.findIndex((row) => row.hasAttribute("data-selected")) : at;
  const next = all[Math.min(all.length - 1, Math.max(0, start + step))];
  point(next);
  next.scrollIntoView({ block: "nearest" });
  link(next)?.focus({ preventScroll: true });
}

/** Opens a row; the row that is open already leads into its form. */
function open(row) {
  const field = document.querySelector("#panel form.decide textarea");
  if (row?.hasAttribute("data-selected") && field) field.focus();
  else link(row)?.click();
}

function back() {
  const row = document.querySelector("tr[data-selected]") ?? document.querySelector("tr.cursor");
  if (row) link(row)?.focus({ preventScroll: true });
  else document.activeElement?.blur();
}

/** The row under the cursor keeps it when the list is drawn again. */
function settle() {
  const row = rows().find((each) => cursor && named(each) === cursor);
  if (row) row.classList.add("cursor");
}

/** The open row takes the focus that nothing has. */
function arrive() {
  if (document.activeElement === document.body) {
    link(document.querySelector("[data-keys] tr[data-selected]"))?.focus({ preventScroll: true });
  }
}

/** Selects a row for what is done with several, or no longer. `to`: selects it in any case. */
function pick(row, to) {
  const box = row?.querySelector("input[form=pick]");
  if (box && box.checked !== to) box.click();
}

/** Moves, and selects both rows. */
function extend(step) {
  pick(rows().find((row) => row.classList.contains("cursor")), true);
  move(step);
  pick(document.querySelector("tr.cursor"), true);
}

function tab(step) {
  const all = [...document.querySelectorAll("main .tabs a")];
  const at = all.findIndex((each) => each.hasAttribute("aria-current"));
  all[at + step]?.click();
}

function act(key) {
  const target = document.querySelector(`[data-key="${key}"]`);
  if (!target) return false;
  if (target.matches("select")) target.focus();
  else target.click();
  return true;
}

function letter(event) {
  const key = event.key;
  if (went && event.timeStamp - went < WAIT && PLACES[key]) {
    went = 0;
    document.querySelector(`.rail nav a[href="${PLACES[key]}"]`)?.click();
    return true;
  }
  went = key === "g" ? event.timeStamp : 0;
  if (key === "j") move(1);
  else if (key === "k") move(-1);
  else if (key === "J") extend(1);
  else if (key === "K") extend(-1);
  else if (key === "x") pick(document.querySelector("tr.cursor") ?? document.querySelector("tr[data-selected]"));
  else if (key === "o") open(document.querySelector("tr.cursor") ?? document.querySelector("tr[data-selected]"));
  else if (key === "[") tab(-1);
  else if (key === "]") tab(1);
  else if (key === "?") document.getElementById("keys")?.showModal();
  else return act(key);
  return true;
}

export function watchKeys() {
  const off = document.querySelector("[data-keys-off]");
  if (off) off.checked = localStorage.getItem(OFF) === "yes";
  off?.addEventListener("change", () => localStorage.setItem(OFF, off.checked ? "yes" : "no"));
  document.addEventListener("keydown", (event) => {
    const search = document.getElementById("search");
    if (event.isComposing) return;
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      search?.focus();
      search?.select();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (event.target === search) search.blur();
      else back();
      return;
    }
    if (typing(event.target) || event.metaKey || event.ctrlKey || event.altKey || event.getModifierState("AltGraph")) {
      return;
    }
    if (event.key === "Enter") {
      const row = event.target.closest("tr[data-row]");
      const chosen = row?.hasAttribute("data-selected") && document.querySelector("#panel form.decide textarea");
      if (event.target !== document.body && !chosen) return;
      event.preventDefault();
      open(row ?? document.querySelector("tr.cursor"));
      return;
    }
    if (localStorage.getItem(OFF) === "yes" && event.key !== "?") return;
    if (event.key === "/") {
      event.preventDefault();
      search?.focus();
    } else if (letter(event)) event.preventDefault();
  });
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    settle();
    if (["work", "work-list"].includes(ctx.target.id)) arrive(); // what a person asked for, never the poll
  });
  settle();
  arrive();
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row]");
    if (!row || event.target.closest("a, button, input, select, label")) return;
    if (String(getSelection()) === "") link(row)?.click();
  });
}
