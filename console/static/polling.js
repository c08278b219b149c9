const TROUBLE = "#trouble"; // where a page says that a part of it broke
const failed = new Map(); // what a request was to fill, or ASKED -> whether it is live
const ASKED = ""; // what a person asked for
let before = null; // of the indicator that says it
let leaves = false; // the sign-in page is on its way: what asks now would call it again, from the beginning

const live = (ctx) => ctx.sourceElement.hasAttribute("data-poll");
const part = (ctx) => (live(ctx) ? ctx.request.headers["HX-Target"] : ASKED); // as tag#id
const told = (ctx) => ctx.hx?.retarget === TROUBLE;

/** When an answer does not come, the indicator says so until that part answers: an old number must not look live. */
function show() {
  for (const place of failed.keys()) if (place !== ASKED && !document.querySelector(place)) failed.delete(place);
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

function say(words) {
  const notice = document.createElement("div");
  Object.assign(notice, { className: "flash", textContent: words }).dataset.tone = "bad";
  document.querySelector(TROUBLE)?.replaceChildren(notice);
}

function fails({ detail: { ctx } }) {
  if (!ctx || ctx.hx?.redirect) return; // the browser leaves this page
  failed.set(part(ctx), live(ctx));
  if (!live(ctx) && !told(ctx)) say("The console did not answer. Try again.");
}

/** The blank lines of an answer would stay beside the part, more with each poll. */
function trim({ fragment, swapSpec }) {
  if (swapSpec.style !== "outerHTML") return;
  for (const node of [...fragment.childNodes]) if (node.nodeType === Node.TEXT_NODE && !node.data.trim()) node.remove();
}

/** Only an answer for a part may replace it. htmx would put in whatever came, an error page or a sign-in page of a proxy
 *  as well. */
function watchAnswers() {
  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx, tasks } = event.detail;
    const { redirected, url } = ctx.response.raw;
    tasks.forEach(trim);
    if (!redirected && (ctx.response.status < 400 || told(ctx))) return;
    event.preventDefault();
    if (redirected) location.href = url;
    else if ("HX-History-Restore-Request" in ctx.request.headers) location.reload(); // the address has changed already
  });
  document.addEventListener("htmx:before:history:restore", (event) => {
    if (!document.querySelector("[hx-history-elt]")) event.preventDefault(); // its addresses differ after the # only
  });
}

/** Live parts ask every few seconds, but not while nobody looks, and never under a reader's selection. `data-poll` names
 *  the parts that an answer changes where that is not the element alone. */
export function watchPolling() {
  watchAnswers();
  document.addEventListener("htmx:error", fails);
  document.addEventListener("htmx:response:error", fails);
  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    if (ctx.response.status < 400) failed.delete(part(ctx)); // an answer without news as well
    if (ctx.response.status === 401 && ctx.hx.redirect) leaves = true;
  });
  document.addEventListener("htmx:finally:request", show);
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    if (live(ctx)) ctx.request.headers["X-Poll"] = "1"; // nobody is known to be here
  });
  document.addEventListener("htmx:before:request", (event) => {
    const element = event.detail.ctx.sourceElement;
    if (!element.hasAttribute("data-poll")) return;
    const selection = getSelection();
    const named = element.dataset.poll.split(" ").map((id) => document.getElementById(id));
    const areas = [element, ...named].filter(Boolean);
    const reading = !selection.isCollapsed && areas.some((area) => area.contains(selection.anchorNode));
    // one that waited for a slow answer, which replaced its element, asks no more
    if (leaves || document.hidden || reading || !element.isConnected) event.preventDefault();
  });
}
