/** The buttons of a form wait until the person has seen what they send. A text that came back switches them off, and the
 *  second click of a double click never decides the item that has just opened under the pointer. */
const WAIT = 800;
const FORMS = "form[data-draft]";
const shown = new WeakMap(); // a form, and when it was first here
const touched = new WeakSet(); // forms in which the person has been in a field

/** An item that somebody else has decided, changed or claimed cannot be decided with this form either. */
export function setButtons(form) {
  const unread = form.querySelector("[data-restored]") !== null;
  const closed = form.closest("#panel") !== null && document.querySelector("#item-news[data-closed]") !== null;
  for (const button of form.querySelectorAll("button:not([data-macro])")) button.disabled = unread || closed;
}

function note() {
  for (const form of document.querySelectorAll(FORMS)) {
    if (shown.has(form)) continue;
    shown.set(form, performance.now());
    if (form.contains(document.activeElement)) touched.add(form);
  }
}

function touch(event) {
  const field = event.target;
  if (field.matches("textarea, input") && field.form?.matches(FORMS)) touched.add(field.form);
}

export function watchGuard() {
  document.addEventListener("focusin", touch);
  document.addEventListener("input", touch);
  document.addEventListener(
    "click",
    (event) => {
      const form = event.target.closest(`${FORMS} button[name=decision]`)?.form;
      if (!form || touched.has(form)) return;
      if (performance.now() - (shown.get(form) ?? Infinity) >= WAIT) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  document.addEventListener("htmx:after:swap", note);
  note();
}
