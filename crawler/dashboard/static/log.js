// Follows a log. The page keeps its last lines alone, so it stays as quick with a million lines.
import { fresh, lost } from "./stale.js";
import { clockTimes } from "./times.js";

const list = document.getElementById("log");
const note = document.getElementById("log-note");
const button = document.getElementById("follow");
const kept = Number(list.dataset.kept);
const count = new Intl.NumberFormat();
let source = null;
let follows = true;
let leftOut = 0;
let mine = false; // whether this script scrolls, and not the reader

function open() {
  if (source || !follows || document.hidden) return;
  source = new EventSource(list.dataset.log);
  source.onmessage = (event) => { fresh(); show(JSON.parse(event.data)); };
  source.onopen = fresh;
  source.onerror = () => { if (source) lost(source, again); };
}

function close() { source?.close(); source = null; }

function again() { close(); open(); }

function show({ lines, leftOut: missed, anew, ended }) {
  if (anew) { list.replaceChildren(); leftOut = 0; }
  const holder = document.createElement("template");
  holder.innerHTML = lines.slice(-kept).join("");
  clockTimes(holder.content);
  leftOut += missed + Math.max(0, lines.length - kept);
  list.append(holder.content);
  const spare = list.childElementCount - kept;
  for (let at = 0; at < spare; at += 1) list.firstElementChild.remove();
  leftOut += Math.max(0, spare);
  note.textContent = leftOut ? `The last ${count.format(list.childElementCount)} lines are here; ${count.format(leftOut)} before or between them are not. The whole log has them.` : "";
  bottom();
  if (!ended) return;
  close();
  follow(false);
  document.getElementById("log-end").hidden = false;
}

function bottom() { mine = true; list.scrollTop = list.scrollHeight; }

function follow(is) {
  follows = is;
  button.setAttribute("aria-pressed", String(is));
  button.textContent = is ? "Following" : "Follow";
  if (is) { bottom(); open(); } else close();
}

button.addEventListener("click", () => follow(!follows));
// Who scrolls up wants to read: the lines stay where they are until he follows again.
list.addEventListener("scroll", () => {
  if (mine) { mine = false; return; }
  if (follows && list.scrollHeight - list.scrollTop - list.clientHeight > 60) follow(false);
});
document.getElementById("level").addEventListener("change", (event) => {
  list.dataset.level = event.target.value;
  bottom();
});
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
window.addEventListener("pagehide", close);
document.querySelector(".log-tools").hidden = false;
clockTimes(list);
bottom();
open();
