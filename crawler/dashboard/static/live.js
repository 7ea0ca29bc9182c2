// Follows a page: the server sends each part that has changed, as the HTML of one element with an id,
// and for each list the order of its elements.
import { localTimes } from "./times.js";

export function follow(url) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(url);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.onerror = () => stale(source.readyState !== EventSource.OPEN);
    source.onopen = () => stale(false);
  };
  const close = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
}

function stale(is) {
  document.documentElement.classList.toggle("stale", is);
}

function show({ parts, orders }) {
  const fresh = new Map();
  for (const [id, html] of Object.entries(parts)) {
    const made = element(html);
    const old = document.getElementById(id);
    if (!old) fresh.set(id, made);
    else if (old.outerHTML !== made.outerHTML) replace(old, made);
  }
  for (const [id, ids] of Object.entries(orders)) arrange(document.getElementById(id), ids, fresh);
  localTimes(document);
}

function element(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const made = holder.content.firstElementChild;
  localTimes(holder.content);
  return made;
}

// Keeps what the reader did: the focus, and what is chosen.
function replace(old, made) {
  const focused = old.contains(document.activeElement) ? mark(document.activeElement) : null;
  for (const box of old.querySelectorAll("input[type=checkbox]:checked"))
    for (const twin of made.querySelectorAll("input[type=checkbox]"))
      if (twin.name === box.name && twin.value === box.value) twin.checked = true;
  const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
  old.replaceWith(made);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) made.querySelector(focused)?.focus();
  if (word(old) !== word(made)) made.classList.add("changed");
}

// A row lights up when its state has changed, not with each number.
const word = (element) => element.querySelector(".state")?.textContent;

function mark(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const name = element.getAttribute("aria-label") || "";
  if (name) return `[aria-label="${CSS.escape(name)}"]`;
  const href = element.getAttribute("href");
  return href ? `[href="${CSS.escape(href)}"]` : null;
}

function arrange(container, ids, fresh) {
  if (!container) return;
  const wanted = new Set(ids);
  for (const child of [...container.children]) if (!wanted.has(child.id)) child.remove();
  ids.forEach((id, at) => {
    const child = document.getElementById(id) ?? fresh.get(id);
    if (child && container.children[at] !== child) container.insertBefore(child, container.children[at] ?? null);
  });
}
