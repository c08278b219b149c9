/** A macro goes to where the cursor is. Ctrl or ⌘ and Enter send the form in focus. Without this script a macro goes to
 *  the end of the text, and the button sends. */
function insert(area, text) {
  const lead = area.selectionStart > 0 && !area.value.slice(0, area.selectionStart).endsWith("\n") ? "\n" : "";
  area.setRangeText(lead + text, area.selectionStart, area.selectionEnd, "end");
  area.focus();
}

async function fill(button) {
  const form = button.form;
  const status = form.querySelector("[data-macro-status]");
  const sent = new FormData(form);
  sent.set("macro", button.value);
  button.disabled = true;
  status.textContent = "";
  try {
    const answer = await fetch(button.formAction, {
      method: "POST",
      body: new URLSearchParams(sent),
      headers: { Accept: "application/json" },
    });
    const made = await answer.json();
    if (!answer.ok) {
      status.textContent = made.problem;
      return;
    }
    insert(form.querySelector("textarea"), made.text);
    const kept = document.createElement("input");
    Object.assign(kept, { type: "hidden", name: "fill", value: made.id });
    form.append(kept);
    status.textContent = `Inserted: ${button.textContent}.`;
  } catch {
    status.textContent = "The console did not answer. Try again.";
  } finally {
    button.disabled = false;
  }
}

export function watchAnswers() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-macro]");
    if (!button) return;
    event.preventDefault();
    fill(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey) || event.isComposing) return;
    const form = event.target.closest("form#reply");
    if (!form) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector("button[name=kind][value=public]"));
  });
}
