/** The total of the chosen rows of a form, in whole minor units: no rounding. */
function shown(minor, digits) {
  const text = String(minor).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ",");
  return digits ? `${whole}.${text.slice(-digits)}` : whole;
}

function refresh(form) {
  const sums = new Map();
  for (const box of form.querySelectorAll("input[data-minor]:checked")) {
    const { currency, minor, digits } = box.dataset;
    const before = sums.get(currency) ?? { minor: 0n, digits: Number(digits) };
    sums.set(currency, { ...before, minor: before.minor + BigInt(minor) });
  }
  const words = [...sums].map(([currency, sum]) => `${shown(sum.minor, sum.digits)} ${currency}`);
  form.querySelector("[data-sum]").textContent = words.join(" and ") || "nothing is chosen";
}

export function watchSums() {
  for (const form of document.querySelectorAll("form[data-sums]")) {
    refresh(form);
    form.addEventListener("change", () => refresh(form));
  }
}
