/** Text that was typed into a form with `data-draft` comes back when the form is shown again: after a refresh, after a
 *  decision of somebody else, and after signing in again. The attribute names the item and the form. The text is kept
 *  in this tab only, under the person who typed it; no other form keeps anything. A field with `data-over` has a text already,
 *  which the draft replaces: its form's `data-draft` names that text too. */
import { setButtons } from "./guard.js";

const PREFIX = "draft/";
const SENT = "draft-sent/";
const FORM = "form[data-draft]";
const FIELDS = ":is(textarea, input[type=text])[name]";

const tabs = new BroadcastChannel("drafts");
const person = (element) => element.closest("[data-viewer]")?.dataset.viewer ?? "";
// by attribute: a field of the form may be named "action"
const target = (form) => new URL(form.getAttribute("action") ?? "", location.href).pathname;
const keyOf = (field) => `${person(field)}/${field.form.dataset.draft}/${field.name}`;
const keeps = (field) => field.matches(`${FORM} ${FIELDS}`) && person(field) !== "";

function all(prefix) {
  return Object.keys(sessionStorage).filter((key) => key.startsWith(prefix));
}

/** Forgets every text, but those of one person if `except` names one. */
function forget(except = "") {
  for (const prefix of [PREFIX, SENT]) {
    for (const key of all(prefix)) {
      if (!except || !key.startsWith(`${prefix}${except}/`)) sessionStorage.removeItem(key);
    }
  }
}

function save(field) {
  if (field.value) sessionStorage.setItem(PREFIX + keyOf(field), field.value);
  else sessionStorage.removeItem(PREFIX + keyOf(field));
}

function fill(field, text) {
  const note = document.createElement("p");
  Object.assign(note, { id: `${field.id}-before`, className: "small muted", textContent: "Your text from before." });
  field.value = text;
  field.dataset.restored = "";
  field.setAttribute("aria-describedby", note.id);
  field.after(note);
  setButtons(field.form);
}

/** The person has come to the text. */
function read(field) {
  if (!("restored" in field.dataset)) return;
  delete field.dataset.restored;
  setButtons(field.form);
}

/** The text is a new one now. */
function edited(field) {
  if (field.getAttribute("aria-describedby") !== `${field.id}-before`) return;
  document.getElementById(`${field.id}-before`)?.remove();
  field.removeAttribute("aria-describedby");
}

function restore() {
  const here = person(document.body);
  if (!here) return;
  // somebody else has signed in in another tab: a part of this page is theirs
  if ([...document.querySelectorAll("[data-viewer]")].some((each) => each.dataset.viewer !== here)) {
    location.reload();
    return;
  }
  for (const field of document.querySelectorAll(`${FORM} ${FIELDS}`)) {
    const free = !field.value || "over" in field.dataset;
    const text = !free ? "" : sessionStorage.getItem(PREFIX + keyOf(field));
    if (text && text.trim() !== field.value.trim()) fill(field, text);
  }
}

/** The notice of a form that was taken: its text is needed no more. */
function forgetSent() {
  if (document.querySelector(".flash[data-taken]") === null) return;
  for (const key of all(SENT)) {
    sessionStorage.removeItem(PREFIX + key.slice(SENT.length));
    sessionStorage.removeItem(key);
  }
}

export function watchDrafts() {
  document.addEventListener("focusin", (event) => {
    if (keeps(event.target)) read(event.target);
  });
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!keeps(field)) return;
    save(field);
    read(field);
    edited(field);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (target(form) === "/sign-out") {
      forget();
      tabs.postMessage("forget");
      return;
    }
    // the page that asks for a proof sends the same form on
    if (form.getAttribute("method") !== "post" || form.matches(".prove")) return;
    for (const key of all(SENT)) sessionStorage.removeItem(key);
    for (const field of form.querySelectorAll(FIELDS)) {
      if (keeps(field)) sessionStorage.setItem(SENT + keyOf(field), "yes");
    }
  });
  tabs.addEventListener("message", () => forget());
  document.addEventListener("htmx:after:swap", restore);
  const here = person(document.body);
  if (here) {
    forget(here);
    forgetSent();
  }
  restore();
}
