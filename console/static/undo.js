/** A notice can be taken back for some seconds: it says how many are left, and the button goes when none are. */
export function watchUndo() {
  const form = document.querySelector("form[data-seconds]");
  if (!form) return;
  const ends = performance.now() + Number(form.dataset.seconds) * 1000;
  const timer = setInterval(() => {
    const left = Math.ceil((ends - performance.now()) / 1000);
    if (left > 0) form.querySelector("[data-left]").textContent = `${left} s left`;
    else {
      clearInterval(timer);
      form.remove();
    }
  }, 1000);
}
