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
let waiting = [];
let isAnew = false;
let isOver = false;
let frame = 0;
let mine = false; // whether this script scrolls, and not the reader

function open() {
  if (source || !follows || document.hidden) return;
  source = new EventSource(list.dataset.log);
  source.onmessage = (event) => { fresh(); take(JSON.parse(event.data)); };
  source.onopen = fresh;
  source.onerror = () => { if (source) lost(source, again); };
}

function close() { source?.close(); source = null; }

function again() { close(); open(); }

// Events wait for the next frame: however many come, the page is written once for each.
function take(event) {
  const { lines, leftOut: missed, anew, ended } = event;
  if (anew) { waiting = []; leftOut = 0; isAnew = true; }
  waiting = waiting.concat(lines);
  leftOut += missed + Math.max(0, waiting.length - kept);
  waiting = waiting.slice(-kept);
  isOver = ended;
  if (!frame) frame = requestAnimationFrame(write);
}

function write() {
  frame = 0;
  if (isAnew) list.replaceChildren();
  isAnew = false;
  const spare = list.childElementCount + waiting.length - kept;
  if (spare >= list.childElementCount) { leftOut += list.childElementCount; list.replaceChildren(); }
  else for (let at = 0; at < spare; at += 1) { leftOut += 1; list.firstElementChild.remove(); }
  const holder = document.createElement("template");
  holder.innerHTML = waiting.join("");
  waiting = [];
  clockTimes(holder.content);
  list.append(holder.content);
  note.textContent = leftOut ? `The last ${count.format(list.childElementCount)} lines are here; ${count.format(leftOut)} before or between them are not. The whole log has them.` : "";
  bottom();
  if (!isOver) return;
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
