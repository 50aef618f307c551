"use strict";

// The token stands in the fragment, which no browser sends anywhere; it leaves this page only in the body of a call.
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const german = navigator.language.toLowerCase().startsWith("de");
const main = document.querySelector("main");
const problem = document.getElementById("problem");
const done = document.getElementById("done");

const GERMAN = {
  "token.invalid": "Der Link ist nicht mehr gültig. Fordern Sie einen neuen an.",
  "token.missing": "Der Link ist unvollständig. Öffnen Sie ihn noch einmal aus der E-Mail.",
  "network": "Die Plattform ist nicht erreichbar. Versuchen Sie es später noch einmal.",
  "invalid": "Bitte prüfen Sie Ihre Angaben.",
  "length.min": "Die Angabe ist zu kurz.",
  "length.max": "Die Angabe ist zu lang.",
  "password.personal": "Ein Passwort darf nicht die eigene E-Mail-Adresse oder der eigene Name sein.",
  "login.failed": "Die E-Mail-Adresse oder das Passwort stimmt nicht.",
  "login.limited": "Es gab zu viele Anmeldeversuche. Versuchen Sie es später noch einmal.",
  "user.email_taken": "Diese E-Mail-Adresse verwendet schon jemand.",
  "invitation.account_exists": "Mit dieser E-Mail-Adresse gibt es schon ein Konto. Laden Sie die Seite neu.",
  "invitation.already_member": "Sie haben hier schon ein Konto. Melden Sie sich an.",
  "tenant.suspended": "Dieses Konto ist zurzeit gesperrt.",
};

class Problem extends Error {
  constructor(code, detail, errors = []) {
    super(said(code, detail));
    this.errors = errors;
  }
}

function said(code, detail) {
  return (german && GERMAN[code]) || detail;
}

async function call(path, body, accessToken) {
  const headers = { "Content-Type": "application/json" };
  if (accessToken) {
    headers.Authorization = `Bearer ${accessToken}`;
  }
  let answer;
  try {
    // Without cookies: the link speaks for itself, whoever is logged in to this browser.
    const request = { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" };
    answer = await fetch(`/api/v1/${path}`, request);
  } catch {
    throw new Problem("network", "The platform cannot be reached. Try again later.");
  }
  const text = await answer.text();
  let content = {};
  try {
    content = text ? JSON.parse(text) : {};
  } catch {
    throw new Problem("network", "The platform cannot be reached. Try again later.");
  }
  if (!answer.ok) {
    throw new Problem(content.code, content.detail || content.title || answer.statusText, content.errors);
  }
  return content;
}

function clear() {
  problem.hidden = true;
  problem.replaceChildren();
  for (const fault of document.querySelectorAll(".fault")) {
    fault.remove();
  }
  for (const input of document.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    const hint = input.dataset.hint;
    if (hint) {
      input.setAttribute("aria-describedby", hint);
    } else {
      input.removeAttribute("aria-describedby");
    }
  }
}

// Everything that is wrong at once: a summary that gets the focus, and a sentence at each field that it names.
function show(error, form) {
  const summary = document.createElement("p");
  summary.textContent = error.message;
  problem.append(summary);
  const list = document.createElement("ul");
  for (const { pointer, code, detail } of error.errors || []) {
    const item = document.createElement("li");
    const input = form && form.elements.namedItem(pointer.slice(1));
    if (input) {
      const fault = document.createElement("p");
      fault.className = "fault";
      fault.id = `${input.id}-fault`;
      fault.textContent = said(code, detail);
      input.after(fault);
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", [input.dataset.hint, fault.id].filter(Boolean).join(" "));
      const link = document.createElement("a");
      link.href = `#${input.id}`;
      link.textContent = `${input.labels[0].textContent}: ${said(code, detail)}`;
      link.addEventListener("click", (event) => {
        event.preventDefault();
        input.focus();
      });
      item.append(link);
    } else {
      item.textContent = said(code, detail);
    }
    list.append(item);
  }
  if (list.childElementCount) {
    problem.append(list);
  }
  problem.hidden = false;
  problem.focus();
}

function finish() {
  // What was used up need not stay in the history of the browser.
  history.replaceState(null, "", location.pathname);
  for (const part of document.querySelectorAll("form, .intro")) {
    part.hidden = true;
  }
  done.hidden = false;
  done.focus();
}

function onSubmit(form, work) {
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") {
      return;
    }
    clear();
    button.setAttribute("aria-disabled", "true");
    main.setAttribute("aria-busy", "true");
    try {
      await work(form.elements);
      finish();
    } catch (error) {
      show(error, form);
    } finally {
      button.removeAttribute("aria-disabled");
      main.removeAttribute("aria-busy");
    }
  });
  form.hidden = false;
}

function fill(values) {
  for (const element of document.querySelectorAll("[data-value]")) {
    element.textContent = values[element.dataset.value] || "";
  }
}

// These pages need no session: what a login gave is given back. What was done is done, even if that fails.
async function leave(session) {
  await call("auth/logout", { refresh_token: session.refresh_token }, session.access_token).catch(() => {});
}

const pages = {
  verify() {
    onSubmit(document.getElementById("verify"), () => call("auth/email/verify", { token }));
  },
  reset() {
    onSubmit(document.getElementById("reset"), (fields) =>
      call("auth/password/reset", { token, new_password: fields.new_password.value })
    );
  },
  async invitation() {
    const found = await call("invitations/lookup", { token });
    fill({ ...found, title: found.form_title || found.tenant_name });
    document.querySelector(".intro").hidden = false;
    if (!found.has_account) {
      const form = document.getElementById("accept");
      form.elements.namedItem("name").value = found.name;
      form.elements.namedItem("email").value = found.email;
      onSubmit(form, async (fields) => {
        const body = { token, name: fields.namedItem("name").value, password: fields.password.value };
        await leave(await call("invitations/accept", body));
      });
    } else if (found.form_title === null) {
      throw new Problem("invitation.already_member", "You have an account here already. Log in with it.");
    } else {
      const form = document.getElementById("join");
      form.elements.namedItem("email").value = found.email;
      onSubmit(form, async (fields) => {
        const credentials = { tenant: found.tenant_id, email: found.email, password: fields.password.value };
        const session = await call("auth/login", credentials);
        try {
          await call("invitations/join", { token }, session.access_token);
        } finally {
          await leave(session);
        }
      });
    }
  },
};

if (german) {
  document.documentElement.lang = "de";
  for (const element of document.querySelectorAll("[data-de]")) {
    element.textContent = element.dataset.de;
  }
  document.title = document.querySelector("h1").textContent;
}

for (const box of document.querySelectorAll("[data-shows]")) {
  box.addEventListener("change", () => {
    document.getElementById(box.dataset.shows).type = box.checked ? "text" : "password";
  });
}

(async () => {
  try {
    if (!token) {
      throw new Problem("token.missing", "The link is not complete. Open it again from the letter.");
    }
    await pages[document.body.dataset.page]();
  } catch (error) {
    show(error);
  }
})();
