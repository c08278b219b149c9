/** Passkeys: a button asks the authenticator, puts its answer into the form, and sends the form. */
function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function readable(options) {
  const named = (each) => ({ ...each, id: bytes(each.id) });
  const made = { ...options, challenge: bytes(options.challenge) };
  if (options.user) made.user = named(options.user);
  if (options.excludeCredentials) made.excludeCredentials = options.excludeCredentials.map(named);
  if (options.allowCredentials) made.allowCredentials = options.allowCredentials.map(named);
  return made;
}

function answer(credential) {
  const given = credential.response;
  const response = { clientDataJSON: text(given.clientDataJSON) };
  if (given.attestationObject) {
    response.attestationObject = text(given.attestationObject);
    response.transports = given.getTransports?.() ?? [];
  } else {
    response.authenticatorData = text(given.authenticatorData);
    response.signature = text(given.signature);
    if (given.userHandle) response.userHandle = text(given.userHandle);
  }
  const { id, rawId, type } = credential;
  return JSON.stringify({ id, rawId: text(rawId), type, response, clientExtensionResults: {} });
}

async function asked(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const answered = await fetch(form.dataset.optionsFrom, { method: "POST" });
  if (!answered.ok) throw new Error("The options could not be read.");
  const { challenge_id: challenge, options } = await answered.json();
  form.elements.challenge.value = challenge;
  return options;
}

async function go(form) {
  const publicKey = readable(await asked(form));
  const credentials = navigator.credentials;
  const made = form.dataset.passkey === "create" ? credentials.create({ publicKey }) : credentials.get({ publicKey });
  const field = form.querySelector("[data-passkey-answer]") ?? form.elements.credential;
  field.value = answer(await made);
  form.submit();
}

function watch(form) {
  const button = form.querySelector("[data-passkey-go]");
  const problem = form.querySelector("[data-passkey-problem]");
  button.addEventListener("click", async () => {
    if (!form.reportValidity()) return;
    button.disabled = true;
    problem.hidden = true;
    try {
      await go(form);
    } catch (error) {
      problem.textContent = error.name === "InvalidStateError"
        ? "This authenticator has a passkey for you already."
        : "The passkey was not used. Try again.";
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}

export function watchPasskeys() {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (window.PublicKeyCredential) watch(form);
    else form.hidden = true;
  }
}
