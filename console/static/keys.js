/** ⌘K or / searches; j, k and Enter walk the page's main list. Nothing that moves money has a key. */
const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

function rows() {
  const list = document.querySelector("[data-keys]");
  return list ? [...list.querySelectorAll("tr[data-row]")] : [];
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("cursor"));
  const start = at < 0 ? all.findIndex((row) => row.hasAttribute("data-selected")) : at;
  const next = all[Math.min(all.length - 1, Math.max(0, start + step))];
  for (const row of all) row.classList.toggle("cursor", row === next);
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a")?.focus({ preventScroll: true });
}

function open(row) {
  row?.querySelector("a")?.click();
}

export function watchKeys() {
  document.addEventListener("keydown", (event) => {
    const search = document.getElementById("search");
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      search?.focus();
      search?.select();
      return;
    }
    if (event.key === "Escape" && event.target === search) search.blur();
    if (typing(event.target) || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      search?.focus();
    } else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "Enter" && event.target === document.body) open(document.querySelector("tr.cursor"));
  });
  // The list and its item are replaced together: who came by a link that is gone goes on from the selected row.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "work" || document.activeElement !== document.body) return;
    document.querySelector("tr[data-selected] a")?.focus({ preventScroll: true });
  });
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row]");
    if (!row || event.target.closest("a, button, input, select, label")) return;
    if (String(getSelection()) === "") open(row);
  });
}
