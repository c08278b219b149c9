/** Deadlines are told relative to market time, which the live indicator brings every two seconds. */
const MINUTE = 60_000;

function words(ms) {
  const left = Math.abs(ms);
  const days = Math.floor(left / (1440 * MINUTE));
  const hours = Math.floor((left % (1440 * MINUTE)) / (60 * MINUTE));
  const minutes = Math.floor((left % (60 * MINUTE)) / MINUTE);
  const size = days > 0 ? `${days} d ${hours} h` : hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min`;
  return ms < 0 ? `${size} late` : `in ${size}`;
}

function tone(ms) {
  if (ms < 0) return "bad";
  return ms < 120 * MINUTE ? "warn" : "";
}

function refresh() {
  const clock = document.querySelector("#live time");
  if (!clock) return;
  const now = Date.parse(clock.dateTime);
  for (const element of document.querySelectorAll("time[data-deadline]")) {
    const left = Date.parse(element.dateTime) - now;
    element.textContent = words(left);
    element.closest(".pill")?.setAttribute("data-tone", tone(left));
  }
}

export function watchDeadlines() {
  refresh();
  document.addEventListener("htmx:after:swap", refresh);
}
