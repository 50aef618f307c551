// What the page does beyond its HTML, which works alone: the server's rules and words hold here too, asked for by
// every step; only what is visible, required and calculated is decided in the browser, by logic.js.

const form = document.getElementById("form");
const source = document.getElementById("data");
const data = source && JSON.parse(source.textContent);
const byId = (id) => document.getElementById(id);
const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const DRAFT_LIFE_MS = 30 * 24 * 3600 * 1000;
const DEADLINE_MS = 20000;
let path = [];
let decide = null;
let busy = false;

function say(name, values = {}) {
  return Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), data.texts[name]);
}

function announce(text) {
  byId("announce").textContent = text;
}

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

// --- Frames: tell the page around this one how high it is -----------------------------------------------------------

const host = new URLSearchParams(location.hash.slice(1)).get("parent");
const framed = window.parent !== window && Boolean(host);

function tell(type, more = {}) {
  if (framed) {
    window.parent.postMessage({ type: `formstream:${type}`, ...more }, host);
  }
}

function keepHost(address) {
  return framed && new URL(address, location.href).origin === location.origin ? address + location.hash : address;
}

// --- Answers: what the controls say, as logic.js takes it ------------------------------------------------------------

const NUMBER = /^[+-]?(\d+([.,]\d*)?|[.,]\d+)$/;
const THOUSANDS = /^[+-]?\d{1,3},\d{3}$/;

// The digits of each script follow one another from zero.
function digit(character) {
  const code = character.codePointAt(0);
  let zero = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) {
    zero -= 1;
  }
  return (code - zero) % 10;
}

// As the server reads numbers: digits of any script, either decimal sign, and no guess at what `1,234` is.
function number(text) {
  const plain = (text ?? "").trim().replace(/[\u066b\uff0e]/g, ".").replace(/[\u2212\ufe63\uff0d]/g, "-");
  const written = plain.replace(/\p{Nd}/gu, digit);
  return NUMBER.test(written) && !THOUSANDS.test(written) && written.length <= 40 ? Number(written.replace(",", ".")) : null;
}

const truth = (text) => ({ true: true, false: false })[text] ?? null;

function choice(values, name) {
  const chosen = values.get(name) || "";
  const other = (values.get(`${name}.other`) || "").trim();
  if (chosen && chosen !== "other") {
    return chosen;
  }
  return other ? { other } : null;
}

function choices(values, name) {
  const options = values.getAll(name).filter((value) => value && value !== "other");
  const other = (values.get(`${name}.other`) || "").trim();
  return other ? { options, other } : options;
}

function parts(values, name, read) {
  const found = {};
  for (const key of new Set(values.keys())) {
    if (key.startsWith(`${name}.`)) {
      const value = read(key);
      if (value !== null && value !== "" && value.length !== 0) {
        found[key.slice(name.length + 1)] = value;
      }
    }
  }
  return found;
}

function moment(values, name) {
  const at = new Date(`${values.get(name) || ""}${values.get(`${name}.offset`) || ""}`);
  return Number.isNaN(at.getTime()) ? null : `${at.toISOString().slice(0, 19)}Z`;
}

const READERS = {
  number: (v, n) => number(v.get(n)),
  yes_no: (v, n) => truth(v.get(n)),
  choice,
  multi_choice: choices,
  ranking: (v, n) => parts(v, n, (key) => number(v.get(key))),
  matrix: (v, n) => parts(v, n, (key) => v.get(key)),
  matrix_multi: (v, n) => parts(v, n, (key) => v.getAll(key).filter(Boolean)),
  datetime: moment,
  address: (v, n) => parts(v, n, (key) => v.get(key).trim()),
  location: (v, n) => parts(v, n, (key) => number(v.get(key))),
  file: (v, n) => v.getAll(n).filter(Boolean),
};
for (const [like, names] of Object.entries({
  number: ["integer", "currency", "rating", "scale", "nps"],
  yes_no: ["consent"],
  choice: ["dropdown"],
  file: ["image", "signature"],
})) {
  names.forEach((name) => (READERS[name] = READERS[like]));
}

function answersIn(scope, values, start) {
  const answers = {};
  for (const node of all(".q[data-type], input[data-type]", scope)) {
    const name = node.dataset.name || node.id.slice(2);
    const id = name.slice(start.length);
    if (!name.startsWith(start) || id.includes(".")) {
      continue;
    }
    let value;
    if (node.dataset.type === "group") {
      value = all(".item", node).map((item, index) => answersIn(item, values, `${name}.${index}.`));
    } else {
      const read = READERS[node.dataset.type] || ((v, n) => v.get(n));
      value = read(values, name);
    }
    const empty = value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
    if (!empty) {
      answers[id] = value;
    }
  }
  return answers;
}

// --- Logic ------------------------------------------------------------------------------------------------------------

function decided() {
  if (!decide) {
    return;
  }
  const found = decide(data.logic, answersIn(form, new FormData(form), ""), new Date());
  path = found.pages;
  for (const node of all("[data-type][id]", form)) {
    const name = node.id.slice(2).replaceAll(".", "/");
    node.hidden = !found.visible.has(name);
    const star = node.dataset.type !== "section" && node.dataset.type !== "statement" && node.querySelector(".star");
    if (star) {
      const required = found.required.has(name);
      star.hidden = !required;
      const control = node.matches("[role=radiogroup]") ? node : !node.matches("fieldset") && controlsOf(node)[0];
      if (control) {
        required ? control.setAttribute("aria-required", "true") : control.removeAttribute("aria-required");
      }
    }
    if (node.dataset.type === "calculated") {
      const value = found.values[name] ?? null;
      node.hidden ||= value === null;
      const text = typeof value === "number" ? value.toLocaleString(document.documentElement.lang) : value;
      node.querySelector("output").textContent = text;
    }
  }
  progress();
}

// --- Pages ------------------------------------------------------------------------------------------------------------

const current = () => form.elements._page.value;

// The pages that can be turned to: the path, and the page that is shown even when answers on it have just left it out.
function way() {
  const order = all("[data-page]", form).map((section) => section.dataset.page);
  return order.filter((page) => path.includes(page) || page === current());
}

function progress() {
  const pages = way();
  const place = pages.indexOf(current());
  const last = place === pages.length - 1;
  byId("next").hidden = last;
  byId("submit").hidden = !last;
  if (byId("captcha")) byId("captcha").hidden = !last;
  byId("back").hidden = place <= 0;
  const line = byId("progress");
  if (line) {
    line.textContent = say("page_of", { page: place + 1, pages: pages.length });
    const bar = line.nextElementSibling;
    bar.max = pages.length;
    bar.value = place + 1;
    line.parentElement.hidden = pages.length < 2 || !data.progress;
  }
}

// Milliseconds on each page while it could be seen. The server adds nothing to it once `_shown` is empty.
let since = null;

function clock() {
  const now = performance.now();
  if (since !== null) {
    const spent = JSON.parse(form.elements._timings.value || "{}");
    spent[current()] = Math.round((spent[current()] || 0) + now - since);
    form.elements._timings.value = JSON.stringify(spent);
  }
  since = document.hidden ? null : now;
}

function show(id, { remember = true } = {}) {
  clock();
  form.elements._page.value = id;
  for (const section of all("[data-page]", form)) {
    section.hidden = section.dataset.page !== id;
  }
  decided();
  progress();
  if (remember && !framed) {
    history.pushState({ page: id }, "");
  }
  const section = byId(`page-${id}`);
  const heading = section.querySelector("h2[tabindex]") || section;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  (byId("progress") || form).scrollIntoView({ block: "nearest" });
  window.scrollTo({ top: Math.max(0, form.offsetTop - 24) });
  announce(byId("progress")?.textContent || "");
  tell("page");
  save();
}

function turn(step) {
  const pages = way();
  const next = pages[pages.indexOf(current()) + step];
  if (next) {
    clearProblems();
    show(next);
  }
}

// --- Problems ---------------------------------------------------------------------------------------------------------

function controlsOf(question) {
  return all("input, select, textarea", question).filter((control) => control.closest(".q") === question);
}

function unmark(question) {
  const fault = byId(`e-${question.id.slice(2)}`);
  if (!fault) {
    return;
  }
  for (const node of [question, ...controlsOf(question)]) {
    node.removeAttribute("aria-invalid");
    const ids = (node.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && id !== fault.id);
    ids.length ? node.setAttribute("aria-describedby", ids.join(" ")) : node.removeAttribute("aria-describedby");
  }
  fault.remove();
}

function mark(problem) {
  const question = byId(`q-${problem.place}`);
  if (!question) {
    return;
  }
  const fault = make("p", { className: "fault", id: `e-${problem.place}` }, make("span", { className: "quiet" }, say("problem")), ` ${problem.text}`);
  const after = byId(`d-${problem.place}`) || question.querySelector(":scope > :is(legend, label, .choices)");
  after.after(fault);
  const group = question.matches("fieldset");
  const controls = controlsOf(question);
  const described = group ? question : controls[0];
  described?.setAttribute("aria-describedby", `${described.getAttribute("aria-describedby") || ""} ${fault.id}`.trim());
  const invalid = question.matches("[role=radiogroup]") ? [question] : controls.filter((control) => control.type !== "radio");
  invalid.forEach((node) => node.setAttribute("aria-invalid", "true"));
}

function clearProblems() {
  all(".fault", form).forEach((fault) => unmark(fault.closest(".q")));
  byId("problems").hidden = true;
}

function report(problems) {
  clearProblems();
  const page = problems.find((problem) => problem.page)?.page;
  if (page && page !== current() && path.includes(page)) {
    show(page);
  }
  problems.filter((problem) => problem.place).forEach(mark);
  const items = problems.map((problem) => {
    const link = problem.place && make("a", { href: `#f-${problem.place}` }, problem.title);
    return link ? make("li", {}, link, `: ${problem.text}`) : make("li", {}, problem.text);
  });
  const box = byId("problems");
  box.querySelector("ul").replaceChildren(...items);
  box.hidden = false;
  box.focus();
  box.scrollIntoView({ block: "nearest" });
  tell("page");
}

function follow(event) {
  const link = event.target.closest("a[href^='#f-']");
  const target = link && byId(decodeURIComponent(link.hash.slice(1)));
  if (target) {
    event.preventDefault();
    const page = target.closest("[data-page]")?.dataset.page;
    if (page && page !== current()) {
      show(page);
    }
    target.focus();
  }
}

// --- Sending ----------------------------------------------------------------------------------------------------------

function working(now) {
  busy = now;
  for (const button of [byId("next"), byId("submit")]) {
    now ? button.setAttribute("aria-disabled", "true") : button.removeAttribute("aria-disabled");
  }
  const submit = byId("submit");
  submit.dataset.text ||= submit.textContent;
  submit.textContent = now ? say("sending") : submit.dataset.text;
}

async function ask(step) {
  clock();
  const body = new URLSearchParams(new FormData(form));
  body.set("_go", step);
  const request = { method: "POST", body, headers: { Accept: "application/json" }, credentials: "omit" };
  const answer = await fetch(form.action, { ...request, signal: AbortSignal.timeout(DEADLINE_MS) });
  return { ...(await answer.json()), status: answer.status };
}

function leave(address) {
  forget();
  const target = new URL(address, location.href);
  if (framed && target.origin !== location.origin) {
    window.top.location.href = target.href;
  } else {
    location.assign(keepHost(target.href));
  }
}

async function forward() {
  const step = way().at(-1) === current() ? "submit" : "next";
  working(true);
  let answer = null;
  try {
    answer = await ask(step);
  } catch {
    // Without an answer a page may still be turned: everything is checked once more in the end.
  }
  if (step === "submit" && answer?.status === 200) {
    leave(answer.location);
    return;
  }
  working(false);
  if (step === "submit" && byId("captcha")) {
    // A token is good for one attempt.
    (window.turnstile ?? window.hcaptcha ?? window.grecaptcha)?.reset();
  }
  if (answer?.status === 422 && answer.problems) {
    if (answer.key && answer.key !== form.elements._key.value) {
      form.elements._key.value = answer.key;
      form.elements._resume.value = "";
    }
    report(answer.problems);
  } else if (step === "next") {
    turn(1);
  } else if (answer && answer.status < 500 && answer.status !== 429) {
    HTMLFormElement.prototype.submit.call(form); // the server's own page says why
  } else {
    report([{ place: "", title: "", text: say("not_sent"), page: "" }]);
  }
}

function submitted(event) {
  clock();
  const go = event.submitter?.value || "";
  if (/^(add|remove|language):/.test(go)) {
    return;
  }
  event.preventDefault();
  if (busy) {
    return;
  }
  const drawn = form.querySelector("[data-page]:not([hidden]) .sign .use:enabled");
  if (go === "back") {
    turn(-1);
  } else if (drawn) {
    drawn.focus(); // what is drawn is not sent yet
    announce(drawn.textContent);
  } else {
    forward();
  }
}

// --- Drafts -----------------------------------------------------------------------------------------------------------

const draftName = data && `formstream:${data.form}:${data.version}`;
// What a captcha adds to the form; no field is called so.
const CAPTCHA = /^[a-z-]+-response$/;
let saving = 0;
let touched = false;

function save() {
  if (!touched) {
    return;
  }
  clock();
  const kept = (name) => !name.startsWith("_") && !CAPTCHA.test(name);
  const entries = [...new FormData(form)].filter(([name, value]) => kept(name) && typeof value === "string");
  try {
    localStorage.setItem(draftName, JSON.stringify({ entries, page: current(), resume: form.elements._resume.value, timings: form.elements._timings.value, at: Date.now() }));
  } catch {
    // A browser that keeps nothing: the page works without drafts.
  }
}

function forget() {
  touched = false;
  clearTimeout(saving);
  try {
    localStorage.removeItem(draftName);
  } catch {
    // Nothing was kept.
  }
}

function kept() {
  try {
    const draft = JSON.parse(localStorage.getItem(draftName));
    return draft && Date.now() - draft.at < DRAFT_LIFE_MS && draft.entries.some(([, value]) => value) ? draft : null;
  } catch {
    return null;
  }
}

function restore(draft) {
  const values = new URLSearchParams(draft.entries);
  const asked = (name) => name && !name.startsWith("_") && !CAPTCHA.test(name);
  const controls = [...form.elements].filter((control) => asked(control.name) && control.localName !== "button");
  const names = new Set(controls.map((control) => control.name));
  if ([...values.keys()].some((name) => !names.has(name))) {
    // Items of a group, or files: the server builds the page that has them.
    post([...values, ["_page", draft.page], ["_key", form.elements._key.value], ["_resume", draft.resume], ["_timings", draft.timings || ""], ["_go", "show"]]);
    return false;
  }
  for (const control of controls) {
    const given = values.getAll(control.name);
    if (control.type === "radio" || control.type === "checkbox") {
      control.checked = given.includes(control.value);
    } else if (given.length) {
      control.value = given[0];
    }
  }
  form.elements._resume.value = draft.resume || "";
  form.elements._timings.value = draft.timings || "";
  touched = true;
  if (path.includes(draft.page) && draft.page !== current()) {
    show(draft.page);
  }
  offerStart();
  return true;
}

function offerStart() {
  const again = make("button", { type: "button", className: "quiet-button" }, say("start_again"));
  again.addEventListener("click", () => {
    forget();
    location.assign(keepHost(form.action));
  });
  byId("notice").replaceChildren(make("span", {}, say("restored")), again);
}

// --- Saving on the platform: a link that leads to the answers on any device --------------------------------------------

function post(entries) {
  const again = make("form", { method: "post", action: form.action, hidden: true });
  again.append(...entries.map(([name, value]) => make("input", { type: "hidden", name, value })));
  document.body.append(again);
  again.submit();
}

async function saveElsewhere() {
  const notice = byId("notice");
  let answer = null;
  try {
    answer = await ask("save");
  } catch {
    // Told below.
  }
  if (answer?.status !== 200) {
    notice.textContent = say("not_saved");
    return;
  }
  form.elements._resume.value = answer.resume;
  const link = new URL(`/f/${data.form}?lang=${document.documentElement.lang}`, location.href);
  // Behind the #, where no server and no log gets it.
  link.hash = new URLSearchParams({ resume: answer.resume });
  const until = new Date(answer.until).toLocaleDateString(document.documentElement.lang);
  const field = make("input", { id: "saved", readOnly: true, value: link.href, dir: "ltr" });
  const copy = make("button", { type: "button", className: "quiet-button" }, say("copy"));
  copy.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard?.writeText(link.href);
    announce(say("copied"));
  });
  notice.replaceChildren(make("label", { htmlFor: "saved" }, say("saved_link", { until })), field, copy);
  field.focus();
  field.select();
}

// --- Controls ---------------------------------------------------------------------------------------------------------

function count(control) {
  const line = byId(`c-${control.name}`);
  if (!line) {
    return;
  }
  const left = Number(control.dataset.most) - [...control.value].length;
  line.hidden = false;
  line.classList.toggle("over", left < 0);
  line.textContent = say(left < 0 ? "characters_over" : "characters_left", { count: Math.abs(left) });
  if (left <= 20 && document.activeElement === control) {
    announce(line.textContent);
  }
}

function offerOther(box) {
  const question = box.closest(".q");
  const text = box.querySelector("input");
  const chosen = question.querySelector(":is(input[value=other]:checked, option[value=other]:checked)");
  box.hidden = !chosen;
  text.disabled = !chosen;
}

// A moment that was saved, by the clock of this device.
function localMoment(question) {
  const [at, offset] = question.querySelectorAll("input, select");
  const moment = new Date(at.value + offset.value);
  if (at.value && !Number.isNaN(moment.getTime())) {
    const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
    at.value = local.toISOString().slice(0, at.value.length);
  }
}

function setOffset(question) {
  const [at, offset] = question.querySelectorAll("input, select");
  const moment = at.value ? new Date(at.value) : new Date();
  const minutes = -moment.getTimezoneOffset();
  const size = Math.abs(minutes);
  const text = `${minutes < 0 ? "-" : "+"}${String(Math.floor(size / 60)).padStart(2, "0")}:${String(size % 60).padStart(2, "0")}`;
  const value = minutes === 0 ? "Z" : text;
  if (![...offset.options].some((option) => option.value === value)) {
    offset.append(make("option", { value }, text));
  }
  offset.value = value;
}

function ranking(list) {
  const rows = all("li", list);
  const name = (row) => row.querySelector(".label").textContent;
  const rank = (row) => Number(row.querySelector("select").value) || 0;
  const draw = () => {
    const order = rows.slice().sort((a, b) => (rank(a) || 1e6) - (rank(b) || 1e6));
    const focused = document.activeElement;
    list.replaceChildren(...order);
    if (list.contains(focused)) {
      focused.focus();
    }
    order.forEach((row) => (row.querySelector(".badge").textContent = rank(row) || "–"));
    clear.hidden = !rows.some(rank);
  };
  const move = (row, step) => {
    const order = all("li", list);
    const from = order.indexOf(row);
    const to = Math.min(Math.max(from + step, 0), order.length - 1);
    order.splice(to, 0, ...order.splice(from, 1));
    order.forEach((each, index) => (each.querySelector("select").value = String(index + 1)));
    draw();
    announce(say("ranked", { option: name(row), rank: to + 1, count: order.length }));
    list.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const clear = make("button", { type: "button", className: "quiet-button" }, say("clear_ranks"));
  clear.addEventListener("click", () => {
    rows.forEach((row) => (row.querySelector("select").value = ""));
    draw();
    list.querySelector("button").focus();
    list.dispatchEvent(new Event("input", { bubbles: true }));
  });
  for (const row of rows) {
    row.prepend(make("span", { className: "badge", ariaHidden: "true" }));
    for (const [step, text, sign] of [[-1, "move_up", "↑"], [1, "move_down", "↓"]]) {
      const button = make("button", { type: "button", ariaLabel: say(text, { option: name(row) }) }, sign);
      // What summaries of problems lead to is the first thing to press.
      button.addEventListener("click", () => move(row, step));
      row.append(button);
    }
    row.querySelector("select").hidden = true;
    const label = row.querySelector("label");
    label.replaceWith(make("span", { className: "label" }, row.querySelector("label .label").textContent));
  }
  list.after(clear);
  const first = rows[0].querySelector("select");
  const id = first.id;
  first.removeAttribute("id");
  rows[0].querySelector("button").id = id;
  list.addEventListener("redraw", draw);
  draw();
}

function locate(button) {
  const question = button.closest(".q");
  const set = (part, value) => (question.querySelector(`[name$=".${part}"]`).value = value);
  button.hidden = !("geolocation" in navigator);
  button.addEventListener("click", () => {
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        set("latitude", coords.latitude.toFixed(6));
        set("longitude", coords.longitude.toFixed(6));
        set("accuracy", Math.round(coords.accuracy));
        form.dispatchEvent(new Event("input"));
      },
      () => (question.querySelector(".status").textContent = say("locate_failed")),
      { timeout: 15000 },
    );
  });
}

function uploads(box) {
  const question = box.closest(".q");
  const name = question.id.slice(2);
  const pick = box.querySelector(".pick");
  const list = box.querySelector(".files");
  const status = box.querySelector(".status");
  const room = () => Number(box.dataset.most) - list.children.length;
  const pad = box.querySelector(".sign");
  const full = () => {
    pick.hidden = room() <= 0;
    if (pad) {
      pad.hidden = pick.hidden;
    }
  };
  const removable = (row, title) => {
    const button = make("button", { type: "button", className: "quiet-button", ariaLabel: say("remove_file", { file: title }) }, "×");
    button.addEventListener("click", () => {
      row.remove();
      full();
      pick.querySelector("input").focus();
      form.dispatchEvent(new Event("input"));
    });
    row.append(button);
  };
  const send = (file) => {
    const bar = make("progress", { max: 1, value: 0, ariaLabel: say("uploading", { file: file.name }) });
    const row = make("li", {}, make("span", {}, file.name), bar);
    const body = new FormData();
    body.append("field", name.split(".").at(-1));
    body.append("file", file);
    const request = new XMLHttpRequest();
    const failed = (text) => {
      row.remove();
      full();
      status.textContent = `${say("upload_failed", { file: file.name })} ${text || ""}`.trim();
    };
    request.upload.addEventListener("progress", (event) => event.lengthComputable && (bar.value = event.loaded / event.total));
    request.addEventListener("error", () => failed());
    request.addEventListener("load", () => {
      const answer = request.status === 201 ? request.response : null;
      if (!answer?.id) {
        // What exactly is wrong is said in English only.
        failed(document.documentElement.lang.startsWith("en") && (request.response?.errors?.[0]?.detail || request.response?.detail));
        return;
      }
      bar.remove();
      row.append(make("input", { type: "hidden", name, value: answer.id }));
      row.append(make("input", { type: "hidden", name: `${name}.name`, value: file.name }));
      removable(row, file.name);
      status.textContent = say("uploaded", { file: file.name });
      touched = true;
      form.dispatchEvent(new Event("input"));
    });
    list.append(row);
    full();
    request.open("POST", data.upload);
    request.responseType = "json";
    request.send(body);
  };
  pick.querySelector("input").addEventListener("change", (event) => {
    status.textContent = "";
    [...event.target.files].slice(0, room()).forEach(send);
    event.target.value = "";
  });
  all("li", list).forEach((row) => removable(row, row.querySelector("span").textContent));
  full();
  if (pad) {
    signing(pad, send);
  }
}

// A signature is drawn with whatever points; who has nothing that points chooses a picture.
function signing(pad, send) {
  const canvas = pad.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const [use, clear] = all("button", pad);
  const place = (event) => {
    const seen = canvas.getBoundingClientRect();
    const scale = canvas.width / seen.width;
    return [(event.clientX - seen.left) * scale, (event.clientY - seen.top) * scale];
  };
  const wipe = () => {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    use.disabled = clear.disabled = true;
  };
  Object.assign(pen, { lineWidth: 3, lineCap: "round", lineJoin: "round", strokeStyle: "#111" });
  wipe();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons && canvas.hasPointerCapture(event.pointerId)) {
      pen.lineTo(...place(event));
      pen.stroke();
      use.disabled = clear.disabled = false;
    }
  });
  clear.addEventListener("click", () => {
    wipe();
    canvas.scrollIntoView({ block: "nearest" });
  });
  use.addEventListener("click", () =>
    canvas.toBlob((image) => {
      send(new File([image], "signature.png", { type: "image/png" }));
      wipe();
    }),
  );
}

function refresh() {
  all("[data-most]:is(input, textarea)", form).forEach(count);
  all(".other", form).forEach(offerOther);
  all("[data-type=datetime]", form).forEach(setOffset);
  all(".ranking", form).forEach((list) => list.dispatchEvent(new Event("redraw")));
  decided();
}

// --- Start ------------------------------------------------------------------------------------------------------------

async function start() {
  path = all("[data-page]", form).map((section) => section.dataset.page);
  form.action = keepHost(form.action);
  const resume = new URLSearchParams(location.hash.slice(1)).get("resume");
  if (resume) {
    post([["_resume", resume], ["_go", "resume"]]);
    return; // the page that comes instead goes on from here
  }
  const button = byId("save");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", saveElsewhere);
  }
  all("[data-type=datetime]", form).forEach(localMoment);
  all("[data-type=datetime] .offset", form).forEach((box) => (box.hidden = true));
  all(".ranking", form).forEach(ranking);
  all(".locate", form).forEach(locate);
  if (data.upload) {
    all(".upload", form).forEach(uploads);
  }
  if (data.logic && data.logic_address) {
    ({ decide } = await import(data.logic_address));
  }
  const draft = !("posted" in form.dataset) ? kept() : null;
  if (draft && !restore(draft)) {
    return; // the page that comes instead goes on from here
  }
  if (form.dataset.posted === "show") {
    offerStart();
  }
  touched = touched || "posted" in form.dataset;
  refresh();
  progress();
  form.elements._shown.value = "";
  clock();
  document.addEventListener("visibilitychange", clock);
  form.addEventListener("submit", submitted);
  document.addEventListener("click", follow);
  form.addEventListener("input", (event) => {
    touched = true;
    const question = event.target.closest?.(".q");
    if (question) {
      unmark(question);
    }
    if (event.target.dataset?.most && event.target.name) {
      count(event.target);
    }
    all(".other", question || form).forEach(offerOther);
    if (question?.dataset.type === "datetime") {
      setOffset(question);
    }
    decided();
    clearTimeout(saving);
    saving = setTimeout(save, 300);
  });
  if (!framed) {
    history.replaceState({ page: current() }, "");
    window.addEventListener("popstate", (event) => {
      if (path.includes(event.state?.page)) {
        clearProblems();
        show(event.state.page, { remember: false });
      }
    });
  }
  window.addEventListener("pagehide", save);
  window.addEventListener("pageshow", (event) => event.persisted && working(false));
  const problems = byId("problems");
  if (!problems.hidden) {
    problems.focus();
  }
  form.dataset.ready = "";
}

if (form) {
  start();
}
const done = byId("done");
if (done) {
  try {
    Object.keys(localStorage)
      .filter((name) => name.startsWith(`formstream:${done.dataset.form}:`))
      .forEach((name) => localStorage.removeItem(name));
  } catch {
    // Nothing was kept.
  }
  all("a[href^='/f/']", done).forEach((link) => (link.href = keepHost(link.href)));
  tell("sent");
}
if (framed) {
  const main = document.querySelector("main");
  new ResizeObserver(() => tell("height", { height: Math.ceil(main.getBoundingClientRect().height) })).observe(main);
}
