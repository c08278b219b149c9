/** The form works alone; with script the page does not reload. */
export function watchTheme() {
  const form = document.querySelector("[data-theme-form]");
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const choice = event.submitter.value;
    const body = new URLSearchParams(new FormData(form));
    body.set("theme", choice);
    await fetch(form.action, { method: "POST", body, redirect: "manual" });
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === choice));
    }
    document.dispatchEvent(new CustomEvent("propos:theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new CustomEvent("propos:theme")),
  );
}
