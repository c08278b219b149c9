/** Text that was typed into a form comes back when the page is shown again: after a refresh, after a decision of
 *  somebody else, and after signing in again. It is kept in this tab only, under the person who typed it. */
const PREFIX = "draft/";
const SENT = "draft-sent/";
const FIELDS = "textarea[name], input[type=text][name]";

const person = () => document.body.dataset.viewer ?? "";
// by attribute: a field of the form may be named "action"
const target = (form) => new URL(form.getAttribute("action") ?? "", location.href).pathname;
const kept = (form) => form.getAttribute("method") === "post" && !form.classList.contains("prove");
const nameOf = (field) => `${PREFIX}${person()}/${target(field.form)}/${field.name}`;

function save(field) {
  if (field.value) sessionStorage.setItem(nameOf(field), field.value);
  else sessionStorage.removeItem(nameOf(field));
}

function restore() {
  if (!person()) return;
  for (const field of document.querySelectorAll(FIELDS)) {
    if (!field.form || !kept(field.form) || field.value) continue;
    const text = sessionStorage.getItem(nameOf(field));
    if (text) field.value = text;
  }
}

function all(prefix) {
  return Object.keys(sessionStorage).filter((key) => key.startsWith(prefix));
}

/** The notice of a form that was taken: its text is needed no more. */
function forgetSent() {
  const taken = document.querySelector('p.flash[role="status"]') !== null;
  for (const key of all(SENT)) {
    if (taken) sessionStorage.removeItem(PREFIX + key.slice(SENT.length));
    if (taken) sessionStorage.removeItem(key);
  }
}

export function watchDrafts() {
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (person() && field.matches(FIELDS) && field.form && kept(field.form)) save(field);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (target(form) === "/sign-out") {
      for (const key of [...all(PREFIX), ...all(SENT)]) sessionStorage.removeItem(key);
      return;
    }
    if (!person() || !kept(form)) return;
    for (const key of all(SENT)) sessionStorage.removeItem(key);
    for (const field of form.querySelectorAll(FIELDS)) {
      sessionStorage.setItem(SENT + nameOf(field).slice(PREFIX.length), "yes");
    }
  });
  document.addEventListener("htmx:afterSettle", restore);
  if (person()) forgetSent();
  restore();
}
